#!/usr/bin/env python3
"""The objects of a UPS behind net-snmp's agent (`pass_persist`).

usage: snmp_agent.py VALUES CHANGES

VALUES has a line `oid type value` for each object, types as in snmpd.conf(5).
It is read again whenever it was replaced, so a test changes the UPS by writing
a new one. What managers set is kept there and appended to CHANGES.
"""

import os
import sys


def number(text):
    return tuple(int(part) for part in text.strip().strip(".").split("."))


def dotted(oid):
    return "." + ".".join(map(str, oid))


class Objects:
    def __init__(self, path):
        self.path, self.seen, self.rows = path, None, {}

    def refresh(self):
        status = os.stat(self.path)
        if self.seen == (status.st_ino, status.st_mtime_ns):
            return
        self.seen = (status.st_ino, status.st_mtime_ns)
        with open(self.path, encoding="utf-8") as lines:
            parts = (line.rstrip("\n").split(" ", 2) for line in lines if line.strip())
            self.rows = {number(oid): (kind, value) for oid, kind, value in parts}

    def change(self, oid, value):
        self.rows[oid] = (self.rows[oid][0], value)
        rows = sorted(self.rows.items())
        fresh = self.path + ".set"
        with open(fresh, "w", encoding="utf-8") as file:
            file.writelines(f"{dotted(o)[1:]} {kind} {value}\n" for o, (kind, value) in rows)
        os.rename(fresh, self.path)

    def show(self, oid):
        return (dotted(oid), *self.rows[oid]) if oid in self.rows else ("NONE",)


def main(values, changes):
    objects = Objects(values)
    lines = iter(sys.stdin.readline, "")
    for line in lines:
        objects.refresh()
        word = line.strip()
        if not word:
            continue  # the agent ends a change with an empty line
        if word == "PING":
            answer = ("PONG",)
        elif word == "get":
            answer = objects.show(number(next(lines)))
        elif word == "getnext":
            after = number(next(lines))
            behind = [oid for oid in objects.rows if oid > after]
            answer = objects.show(min(behind)) if behind else ("NONE",)
        elif word == "set":
            oid, change = number(next(lines)), next(lines).strip()
            kind, _, value = change.partition(" ")
            if oid in objects.rows:
                objects.change(oid, value.strip('"'))
                with open(changes, "a", encoding="utf-8") as log:
                    log.write(f"{dotted(oid)} {kind} {value}\n")
                answer = ("DONE",)
            else:
                answer = ("not-writable",)
        else:
            answer = ("NONE",)
        print("\n".join(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
