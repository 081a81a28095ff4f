#!/usr/bin/env python3
"""A USB thermometer at a program that knows nothing of it.

usage: hidraw.py LINK CONTROL PROGRAM [ARGUMENT…]

Becomes PROGRAM, for which LINK is a hidraw device: a TEMPer stick, whose reports
go over a pseudo-terminal and whose requests (HIDIOCGRAWINFO and the like) are
answered by a process beside it. The kernel hands it those system calls
(seccomp(2), user notification); PROGRAM is the one that is shipped. A kernel with
/dev/uhid would do the same, and few machines for tests have one.

CONTROL is a file with one line, read whenever it was changed:

    present CELSIUS    it is plugged in, and reads so much
    absent             it is not
"""

import array
import ctypes
import fcntl
import os
import pty
import select
import socket
import struct
import sys
import termios
import tty

VENDOR, PRODUCT = 0x413D, 0x2107
# Generic device, one input and one output report of eight bytes, no report ids.
DESCRIPTOR = bytes.fromhex(
    "0600ff0901a101 0901 15 00 26ff00 7508 9508 8102 0901 7508 9508 9102 c0".replace(" ", "")
)
QUESTION = bytes([0, 0x01, 0x80, 0x33, 0x01, 0, 0, 0, 0])
TICK_MS = 50

# linux/seccomp.h and linux/filter.h
SYSCALLS = {"x86_64": (317, 16, 0xC000003E), "aarch64": (277, 29, 0xC00000B7)}
SET_MODE_FILTER, NEW_LISTENER = 1, 1 << 3
RET_ALLOW, RET_USER_NOTIF = 0x7FFF0000, 0x7FC00000
NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
FLAG_CONTINUE = 1
# linux/prctl.h
NO_NEW_PRIVS, SET_PTRACER = 38, 0x59616D61
ENODEV, ENOTTY, EPIPE = 19, 25, 32

libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def intercept():
    """Have the requests of hidraw, and nothing else, handed to a listener."""
    seccomp, ioctl, arch = SYSCALLS[os.uname().machine]
    load, equal, both, give = 0x20, 0x15, 0x54, 0x06
    # struct seccomp_data: nr, arch, instruction pointer, six arguments.
    steps = [
        (load, 0, 0, 4),
        (equal, 0, 5, arch),
        (load, 0, 0, 0),
        (equal, 0, 3, ioctl),
        (load, 0, 0, 24),
        # The type of a request is its second byte; hidraw's is "H".
        (both, 0, 0, 0xFF00),
        (equal, 1, 0, ord("H") << 8),
        (give, 0, 0, RET_ALLOW),
        (give, 0, 0, RET_USER_NOTIF),
    ]
    # Jumps count from the next step; what is nothing of ours goes to the last but one.
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    checked(libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0))
    return checked(libc.syscall(seccomp, SET_MODE_FILTER, NEW_LISTENER, header))


class Stick:
    """The device: there or not, and what it reads."""

    def __init__(self, link, control):
        self.link, self.control, self.seen = link, control, None
        self.main, self.celsius = None, 0.0
        # Every file that it ever was.
        self.paths = set()
        self.refresh()

    def refresh(self):
        status = os.stat(self.control)
        if self.seen == (status.st_ino, status.st_mtime_ns):
            return
        with open(self.control, encoding="ascii") as file:
            word, *rest = file.read().split()
        self.seen = (status.st_ino, status.st_mtime_ns)
        if word == "absent":
            self.unplug()
            return
        self.celsius = float(rest[0])
        if self.main is None:
            self.plug()

    def plug(self):
        self.main, end = pty.openpty()
        tty.setraw(end)
        self.path = os.ttyname(end)
        self.paths.add(self.path)
        os.symlink(self.path, self.link + ".new")
        os.replace(self.link + ".new", self.link)
        # Held open, so that it does not hang up while nobody has it.
        self.end = end

    def unplug(self):
        if self.main is not None:
            os.unlink(self.link)
            os.close(self.end)
            # Whoever has it open hears of the end.
            os.close(self.main)
            self.main = None

    def answer(self):
        """An output report has come."""
        report = os.read(self.main, 4096)
        if report == QUESTION:
            reading = struct.pack(">h", round(self.celsius * 100))
            os.write(self.main, b"\x80\x80" + reading + b"\x4e\x20\x00\x00")

    def request(self, code, length, path):
        """The bytes and the result of a request, or an error."""
        if path not in self.paths:
            return None, ENOTTY
        if self.main is None or path != self.path:
            return None, ENODEV
        if code == 0x01:
            return struct.pack("I", len(DESCRIPTOR)), 0
        if code == 0x02:
            return struct.pack("I", len(DESCRIPTOR)) + DESCRIPTOR, 0
        if code == 0x03:
            return struct.pack("IHH", 3, VENDOR, PRODUCT)[:length], 0
        # It has no feature reports.
        return None, EPIPE


def serve(stick, listener):
    """Until the program has ended."""
    while True:
        stick.refresh()
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        if stick.main is not None:
            poll.register(stick.main, select.POLLIN)
        for fd, events in poll.poll(TICK_MS):
            if fd == listener and events & select.POLLHUP:
                return
            if fd == listener:
                reply(stick, listener)
            elif events & select.POLLIN:
                stick.answer()


def reply(stick, listener):
    asked = bytearray(80)
    try:
        fcntl.ioctl(listener, NOTIF_RECV, asked)
    except OSError:
        return  # Whoever asked was interrupted.
    ident, pid = struct.unpack_from("QI", asked)
    fd, code, address = struct.unpack_from("QQQ", asked, 32)
    path = os.readlink(f"/proc/{pid}/fd/{fd & 0xFFFFFFFF}").removesuffix(" (deleted)")
    data, error = stick.request(code & 0xFF, (code >> 16) & 0x3FFF, path)
    if data is not None:
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(data)
    # Of what is no hidraw of ours the kernel decides itself.
    is_foreign = error == ENOTTY
    answer = struct.pack("QqiI", ident, 0, 0 if is_foreign else -error,
                         FLAG_CONTINUE if is_foreign else 0)
    try:
        fcntl.ioctl(listener, NOTIF_SEND, answer)
    except FileNotFoundError:
        pass  # It was interrupted, and asks again.


def main():
    link, control, *command = sys.argv[1:]
    here, there = socket.socketpair()
    beside = os.fork()
    if beside == 0:
        here.close()
        # Its own group: what is sent to the program's ends it by the program's end.
        os.setsid()
        stick = Stick(link, control)
        there.sendall(b"!")
        _, (listener,), _, _ = socket.recv_fds(there, 1, 1)
        there.close()
        os.close(1)
        serve(stick, listener)
        stick.unplug()
        return
    there.close()
    here.recv(1)
    # It may look into our memory, where that needs a word (Yama).
    libc.prctl(SET_PTRACER, beside, 0, 0, 0)
    listener = intercept()
    socket.send_fds(here, [b"!"], [listener])
    os.close(listener)
    here.close()
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
