//! A guard for tests: greets, and answers orders as it is told.

use super::orders::Orders;
use evenkeel_core::command::{self, Answer, Order, Request};
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

/// Runs until the test's process ends.
pub struct FakeGuard {
    dir: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Order>>>,
}

impl FakeGuard {
    /// Answer every order with what `answer` says.
    pub fn start(answer: impl FnMut(Order) -> Answer + Send + 'static) -> Self {
        Self::with_devices(&[], answer)
    }

    /// A guard whose devices have these names.
    pub fn with_devices(
        devices: &[&str],
        mut answer: impl FnMut(Order) -> Answer + Send + 'static,
    ) -> Self {
        let devices: Vec<String> = devices.iter().map(|name| (*name).to_owned()).collect();
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("guard")).expect("a socket");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&mut stream.expect("a client"), &devices, &seen, &mut answer);
            }
        });
        Self { dir, asked }
    }

    /// Gives orders to it.
    pub fn orders(&self) -> Orders {
        Orders::new(self.socket())
    }

    /// Where it listens.
    pub fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("guard")
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Order> {
        self.asked.lock().expect("whole").clone()
    }
}

fn serve(
    stream: &mut UnixStream,
    devices: &[String],
    seen: &Mutex<Vec<Order>>,
    answer: &mut impl FnMut(Order) -> Answer,
) {
    let mut prefix = [0; 2];
    while stream.read_exact(&mut prefix).is_ok() {
        let mut body = vec![0; command::body_len(prefix).expect("short")];
        stream.read_exact(&mut body).expect("a body");
        let answer = match command::decode(&body).expect("a request") {
            Request::Hello { version } => {
                let (strings, devices) = (vec!["A".into()], devices.to_vec());
                let batteries = vec![vec![("12 V".into(), 1_024)]];
                Answer::Welcome { version, strings, devices, batteries }
            }
            Request::Order(order) => {
                seen.lock().expect("whole").push(order);
                answer(order)
            }
        };
        let bytes = command::encode(&answer).expect("short");
        stream.write_all(&bytes).expect("sent");
    }
}
