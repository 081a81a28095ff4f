//! A driver at work on the device of a case: the far end of each way, and the
//! fault that lies between the two.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::bench::Bench;
use super::case::{Asked, Case, Way, spell, write_level};
use super::devices::{BenchHid, CONTACTS};
use super::fault::Fault;
use super::line::Recorded;
use super::net::Peer;
use super::notation::write_digits;
use crate::host::{Contact, Transport};
use crate::{CommandError, Driver};

/// A driver at work on the device of a case.
pub struct Replay<D> {
    /// What it did.
    pub bench: Bench,
    /// Itself.
    pub driver: D,
    far: Far,
}

/// What the driver talks to.
enum Far {
    Line(Rc<RefCell<Recorded>>),
    Peer(Rc<RefCell<Recorded>>, Rc<RefCell<Peer>>),
    Hid { device: Rc<RefCell<BenchHid>>, reports: Vec<Vec<u8>>, told: Vec<Asked>, is_late: bool },
    Contacts { told: Vec<Asked> },
}

impl<D: Driver<Bench>> Replay<D> {
    /// Start `D` with the settings of `case`.
    ///
    /// # Errors
    /// What the driver says about its settings, or that there is no such
    /// setting.
    pub fn start(case: &Case, fault: Fault) -> Result<Self, String> {
        let mut bench = Bench::default();
        for (name, value) in &case.settings {
            bench.set(name, value);
        }
        let mut far = Far::of(case, &mut bench);
        far.set(&mut bench, fault);
        let driver = D::start(&mut bench)?;
        match bench.settings.keys().find(|name| !bench.settings_read.contains(*name)) {
            Some(name) => Err(format!("there is no setting {name:?}; correct or remove it")),
            None => Ok(Self { bench, driver, far }),
        }
    }

    /// From now on this is wrong, and nothing else.
    pub fn set(&mut self, fault: Fault) {
        self.far.set(&mut self.bench, fault);
    }

    /// Poll so many times. The clock moves on as the driver wants it to.
    pub fn poll(&mut self, polls: u32) {
        for _ in 0..polls {
            self.far.tick();
            let wait_ms = self.driver.wake(&mut self.bench);
            self.bench.now_ms += u64::from(wait_ms.clamp(100, 60_000));
        }
    }

    /// Give a command.
    ///
    /// # Errors
    /// What the driver says.
    pub fn tell(&mut self, name: &str, value: Option<&str>) -> Result<(), CommandError> {
        self.driver.command(&mut self.bench, name, value)
    }

    /// What the device was asked or told that the recording lacks.
    #[must_use]
    pub fn unrecorded(&self) -> Vec<String> {
        match &self.far {
            Far::Line(device) | Far::Peer(device, _) => device.borrow().unrecorded.clone(),
            Far::Hid { device, told, .. } => {
                let device = device.borrow();
                let written = device.written.iter().map(|report| Asked::Write(report.clone()));
                let set = device.set.iter().map(|report| Asked::Set(report.clone()));
                written.chain(set).filter(|did| !told.contains(did)).map(spelt).collect()
            }
            Far::Contacts { told } => {
                let switched = self.bench.switched.iter();
                let did = switched.map(|(name, closed)| Asked::Switch(name.clone(), *closed));
                did.filter(|did| !told.contains(did)).map(spelt).collect()
            }
        }
    }

    /// How often a fault struck that strikes some answers only.
    #[must_use]
    pub fn struck(&self) -> u32 {
        match &self.far {
            Far::Line(device) => device.borrow().struck,
            Far::Peer(_, peer) => peer.borrow().struck,
            Far::Hid { .. } | Far::Contacts { .. } => 0,
        }
    }

    /// How often the device was asked or told something.
    pub(super) fn heard(&self) -> usize {
        match &self.far {
            Far::Line(device) => device.borrow().heard as usize,
            Far::Peer(_, peer) => peer.borrow().heard.len(),
            Far::Hid { device, .. } => {
                let device = device.borrow();
                device.written.len() + device.set.len()
            }
            Far::Contacts { .. } => self.bench.switched.len(),
        }
    }

    /// The contacts become those of another case.
    pub(super) fn move_contacts(&mut self, case: &Case) {
        put_contacts(case, &mut self.bench);
    }
}

impl Far {
    fn of(case: &Case, bench: &mut Bench) -> Self {
        let all_told = || case.exchanges.iter().map(|exchange| exchange.asked.clone()).collect();
        match &case.way {
            Way::Serial => Self::Line(bench.connect_device(Recorded::new(case, Fault::None))),
            Way::Peer { endpoint, transport } => {
                let recorded = Rc::new(RefCell::new(Recorded::new(case, Fault::None)));
                let far = Rc::clone(&recorded);
                let answer = move |request: &[u8]| far.borrow_mut().recorded(request);
                Self::Peer(recorded, bench.add_peer(endpoint, *transport, answer))
            }
            Way::Hid { name, ids, descriptor } => {
                let mut device =
                    BenchHid { ids: *ids, descriptor: descriptor.clone(), ..BenchHid::default() };
                let mut reports = Vec::new();
                for exchange in &case.exchanges {
                    let sound = exchange.replies.iter().flatten().map(|reply| reply.filled(&[]));
                    match exchange.asked {
                        Asked::Feature(id) => device.features.extend(sound.map(|r| (id, r))),
                        Asked::Write(ref question) => {
                            device.answers.push((question.clone(), sound.collect()));
                        }
                        _ => reports.extend(sound),
                    }
                }
                let device = Rc::new(RefCell::new(device));
                bench.hids.insert(name.clone(), Rc::clone(&device));
                Self::Hid { device, reports, told: all_told(), is_late: false }
            }
            Way::Contacts { .. } => {
                put_contacts(case, bench);
                Self::Contacts { told: all_told() }
            }
        }
    }

    fn set(&mut self, bench: &mut Bench, fault: Fault) {
        let is_steady = matches!(fault, Fault::Damaged(..) | Fault::Closed(..));
        match self {
            Self::Line(device) => {
                let mut device = device.borrow_mut();
                (device.fault, device.is_steady) = (fault, is_steady);
            }
            Self::Peer(recorded, peer) => {
                recorded.borrow_mut().is_steady = is_steady;
                peer.borrow_mut().fault = fault;
            }
            Self::Hid { device, is_late, .. } => {
                *is_late = fault == Fault::Late;
                device.borrow_mut().fault = fault;
            }
            Self::Contacts { .. } => bench.contacts_fault = fault,
        }
    }

    /// Time passes until the next poll.
    fn tick(&mut self) {
        let Self::Hid { device, reports, is_late, .. } = self else { return };
        // Late reports come with those of the next poll at the latest.
        let mut device = device.borrow_mut();
        let answers = std::mem::take(&mut device.late);
        device.send(&answers);
        if !std::mem::take(is_late) {
            device.send(reports);
        }
    }
}

fn put_contacts(case: &Case, bench: &mut Bench) {
    let Way::Contacts { levels, relays, signals } = &case.way else { return };
    let contact =
        |(name, closed): (&String, &bool)| (name.clone(), Contact { closed: *closed, age_ms: 0 });
    bench.contacts = levels.iter().chain(relays).map(contact).collect();
    bench.read_only = levels.keys().cloned().collect();
    bench.signals = signals.clone();
}

fn spelt(asked: Asked) -> String {
    match asked {
        Asked::Bytes(request) => request.to_string(),
        Asked::Input => "input".to_owned(),
        Asked::Feature(id) => format!("feature {id:02x}"),
        Asked::Write(report) => format!("write {}", write_digits(&report)),
        Asked::Set(report) => format!("set {}", write_digits(&report)),
        Asked::Switch(name, closed) => format!("switch {name} {}", write_level(closed)),
    }
}

impl Way {
    /// What names whoever does not answer in the host's words; `None` where
    /// those of the line say nothing of the device.
    pub(super) fn address(&self) -> Option<String> {
        match self {
            Self::Serial => None,
            Self::Peer { endpoint, .. } => Some(format!("{endpoint}.test")),
            Self::Hid { ids: (vendor, product), .. } => Some(format!("{vendor:04x}:{product:04x}")),
            Self::Contacts { .. } => Some(format!("{CONTACTS}.")),
        }
    }

    /// True for connections, which can refuse, end and come in pieces.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Peer { transport: Transport::Tcp | Transport::Tls, .. })
    }
}

/// Start `D` with the settings of `case` and poll it `polls` times while
/// `fault` lasts.
///
/// # Errors
/// What the driver says about its settings.
pub fn replay<D: Driver<Bench>>(
    case: &Case,
    fault: Fault,
    polls: u32,
) -> Result<Replay<D>, String> {
    let mut replay = Replay::start(case, fault)?;
    replay.poll(polls);
    Ok(replay)
}

/// The last value of each point, as an expected.points file spells it.
#[must_use]
pub fn shown(bench: &Bench) -> BTreeMap<String, String> {
    bench.published.iter().flatten().map(|u| (u.name.to_string(), spell(u))).collect()
}
