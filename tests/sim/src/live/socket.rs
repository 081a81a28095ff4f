//! The control socket: text lines in, answers out, for a few local clients.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::{fs, iter};

/// Longest command line.
const LINE_MAX: usize = 256;
/// Clients at one time; more have to wait.
const CLIENTS_MAX: usize = 16;

/// The listening side and its clients.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    listener: UnixListener,
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    line: Vec<u8>,
}

impl ControlSocket {
    /// Listen at `path`, replacing what a dead simulator left there.
    ///
    /// # Errors
    /// When a simulator is alive at `path`, or the system refuses.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        if UnixStream::connect(&path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "a simulator is running there"));
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { path, listener, clients: Vec::new() })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// To wait on.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listener = (self.clients.len() < CLIENTS_MAX).then(|| self.listener.as_fd());
        listener.into_iter().chain(self.clients.iter().map(|client| client.stream.as_fd()))
    }

    /// Answer every complete line; `answer` returns the whole answer. Never
    /// waits; a client that does not read its answers is dropped.
    pub fn serve(&mut self, mut answer: impl FnMut(&str) -> String) {
        while self.clients.len() < CLIENTS_MAX
            && let Ok((stream, _)) = self.listener.accept()
        {
            if stream.set_nonblocking(true).is_ok() {
                self.clients.push(Client { stream, line: Vec::new() });
            }
        }
        self.clients.retain_mut(|client| client.serve(&mut answer).is_ok());
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Nothing is left to do about a socket that cannot be removed.
        let _ = fs::remove_file(&self.path);
    }
}

impl Client {
    /// An error ends the client.
    fn serve(&mut self, answer: &mut impl FnMut(&str) -> String) -> io::Result<()> {
        let mut buffer = [0; LINE_MAX];
        loop {
            let len = match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for byte in &buffer[..len] {
                if *byte == b'\n' {
                    let line = std::mem::take(&mut self.line);
                    let reply = answer(&String::from_utf8_lossy(&line));
                    self.stream.write_all(reply.as_bytes())?;
                } else if self.line.len() < LINE_MAX {
                    self.line.push(*byte);
                } else {
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
    }
}

/// The client's side: send one command to the simulator at `path`, return the
/// data lines and the last line.
///
/// # Errors
/// When nobody answers there.
pub fn send(path: &Path, command: &str) -> io::Result<(Vec<String>, String)> {
    let mut stream = UnixStream::connect(path)?;
    writeln!(stream, "{command}")?;
    let mut lines = BufReader::new(stream).lines();
    let mut data = Vec::new();
    for line in iter::from_fn(|| lines.next()) {
        let line = line?;
        if is_last(&line) {
            return Ok((data, line));
        }
        data.push(line);
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// The line that ends an answer.
fn is_last(line: &str) -> bool {
    line == "ok" || line.starts_with("error ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn serve_until(socket: &mut ControlSocket, mut done: impl FnMut() -> bool) {
        while !done() {
            socket.serve(|line| format!("you={line}\nok\n"));
            thread::yield_now();
        }
    }

    #[test]
    fn lines_are_answered() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("control");
        let mut socket = ControlSocket::open(path.clone()).expect("listening");
        let client = thread::spawn(move || send(&path, "mains off").expect("an answer"));
        serve_until(&mut socket, || client.is_finished());
        let answer = client.join().expect("no panic");
        assert_eq!(answer, (vec!["you=mains off".to_owned()], "ok".to_owned()));
    }

    #[test]
    fn endless_line_ends_the_client() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("control");
        let mut socket = ControlSocket::open(path.clone()).expect("listening");
        let mut stream = UnixStream::connect(&path).expect("connected");
        stream.write_all(&[b'x'; 2 * LINE_MAX]).expect("written");
        socket.serve(|_| unreachable!("there is no line"));
        assert!(socket.clients.is_empty());
    }

    #[test]
    fn second_simulator_is_refused_and_a_dead_ones_socket_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("control");
        let first = ControlSocket::open(path.clone()).expect("listening");
        assert!(ControlSocket::open(path.clone()).is_err());
        drop(first);
        drop(UnixListener::bind(&path).expect("bound"));
        assert!(path.exists());
        assert!(ControlSocket::open(path).is_ok());
    }
}
