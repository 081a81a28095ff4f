//! A guard for tests: greets, and answers orders as it is told.

use super::orders::Orders;
use evenkeel_core::command::{self, Answer, Order, PART_MAX, Request};
use evenkeel_core::settings::GuardSettings;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

/// The settings with which it begins: what `plant::testing::plant` is of.
pub const SETTINGS: &str = "[[bus]]\nport = \"/dev/ttyS2\"\n\n[[battery]]\nname = \"12 V\"\n\
    chemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n\n[[string]]\nname = \"A\"\n\
    module = \"C20\"\nbattery = \"12 V\"\nfirst_address = 1\nblocks = 4\n";

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
            let mut settings = Settings { text: SETTINGS.to_owned(), offered: Vec::new() };
            for stream in listener.incoming() {
                serve(&mut stream.expect("a client"), &devices, &seen, &mut settings, &mut answer);
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

/// Judged as the guard judges them, but kept nowhere.
struct Settings {
    text: String,
    offered: Vec<u8>,
}

impl Settings {
    fn part(&self, from: u32) -> Answer {
        let all = self.text.as_bytes();
        let from = (from as usize).min(all.len());
        Answer::Settings {
            crc: GuardSettings::number(&self.text),
            len: all.len() as u32,
            bytes: all[from..all.len().min(from + PART_MAX)].to_vec(),
            fallback: None,
        }
    }

    fn take(&mut self, instead_of: u32) -> Answer {
        let text = String::from_utf8(std::mem::take(&mut self.offered)).expect("text");
        if GuardSettings::number(&self.text) != instead_of {
            return Answer::Refused("other settings came into force meanwhile".to_owned());
        }
        match GuardSettings::parse(&text) {
            Ok(_) => self.text = text,
            Err(error) => return Answer::Refused(error.to_string()),
        }
        Answer::Done
    }
}

fn serve(
    stream: &mut UnixStream,
    devices: &[String],
    seen: &Mutex<Vec<Order>>,
    settings: &mut Settings,
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
            Request::Settings { from } => settings.part(from),
            Request::Offer { at, bytes } => {
                settings.offered.truncate(at as usize);
                settings.offered.extend(bytes);
                Answer::Done
            }
            Request::Take(taking) => {
                let order = Order::MakeWay { despite_alarm: taking.despite_alarm };
                seen.lock().expect("whole").push(order);
                match answer(order) {
                    Answer::Done => settings.take(taking.instead_of),
                    refused => refused,
                }
            }
        };
        let bytes = command::encode(&answer).expect("short");
        stream.write_all(&bytes).expect("sent");
    }
}
