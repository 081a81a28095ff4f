//! A host for tests: everything that the appliance offers, in memory. What a
//! plugin did is written down, what it meets is set by the test.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::line::{BenchPort, Device};
use crate::host::{
    Agent, Binding, Clock, Commands, Config, Connection, Contact, Contacts, ContactsError, Crypto,
    CryptoError, Datagrams, Event, Events, EventsError, Hid, HidDevice, HidError, Kv, KvError,
    Level, Line, Log, Measurement, Net, NetError, Offer, Oid, Point, Points, Port, PortError,
    Random, Reader, ReaderError, Secret, Serial, Server, ServerError, Setting, Snmp, SnmpError,
    Transport, Update,
};

/// The host. Fields are for the test to read and to set.
#[derive(Default)]
pub struct Bench {
    /// Successful publications, in order.
    pub published: Vec<Vec<Update>>,
    /// Refuse publications with these words.
    pub refuses_points: Option<String>,
    /// Reasons given for losing the device.
    pub lost: Vec<String>,
    /// What was logged.
    pub logged: Vec<(Level, String)>,
    /// How often a serial line was opened.
    pub opened: u32,
    /// What is on the other end of every serial line; without it, nothing.
    pub device: Option<Rc<RefCell<dyn Device>>>,
    /// Opens serial lines instead of [`Self::device`].
    pub open: Option<Box<OpenLine>>,
    /// Settings by name.
    pub settings: BTreeMap<String, Setting>,
    /// Names of settings that the plugin asked for.
    pub settings_read: BTreeSet<String>,
    /// Monotonic clock, milliseconds; sleeping moves it.
    pub now_ms: u64,
    /// Date, milliseconds since 1970.
    pub utc_ms: Option<u64>,
    /// The store. More than 65,536 bytes are refused.
    pub kv: BTreeMap<String, Vec<u8>>,
    /// Points that can be read, by name.
    pub points: BTreeMap<String, Point>,
    /// The event log.
    pub events: Vec<Event>,
    /// Events that the plugin raised: severity, kind, text.
    pub raised: Vec<(u32, String, String)>,
    /// Commands that can be given.
    pub offers: Vec<Offer>,
    /// Commands that were given: target, name, value.
    pub told: Vec<(String, String, Option<String>)>,
    /// The worst severity that may be raised: 0 without a grant.
    pub raise_max: u32,
    /// Contacts by name.
    pub contacts: BTreeMap<String, Contact>,
    /// Names of those that are inputs, or granted to be read alone.
    pub read_only: BTreeSet<String>,
    /// Analogue inputs by name; NaN is a broken wire.
    pub signals: BTreeMap<String, f64>,
    /// SNMP agents by name: objects in order.
    pub agents: BTreeMap<String, Rc<RefCell<Objects>>>,
    /// HID devices by name.
    pub hids: BTreeMap<String, Rc<RefCell<BenchHid>>>,
    /// Peers by endpoint.
    pub peers: BTreeMap<String, Rc<RefCell<Peer>>>,
    /// What a gateway sent unasked: connection, bytes.
    pub sent: Vec<(u64, Vec<u8>)>,
    /// Connections that a gateway closed.
    pub closed: Vec<u64>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Signatures that are right: key, message, signature.
    pub signatures: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
    random: u64,
}

/// What a peer answers to a message.
pub type Answer = dyn FnMut(&[u8]) -> Option<Vec<u8>>;

/// The objects of an SNMP agent, in order.
pub type Objects = BTreeMap<Vec<u32>, crate::host::SnmpValue>;

/// Opens the serial line with this name.
pub type OpenLine = dyn FnMut(&str, Line) -> Result<Box<dyn Port>, PortError>;

/// A peer on the network that answers whatever `answer` makes of each message.
pub struct Peer {
    /// How it is reached.
    pub transport: Transport,
    /// What it answers; `None` is nothing.
    pub answer: Box<Answer>,
    /// What it was sent, message by message.
    pub heard: Vec<Vec<u8>>,
    /// Connections and datagrams fail with this code of [`NetError`].
    pub fails: Option<u32>,
    inbox: VecDeque<Vec<u8>>,
}

/// A HID device.
#[derive(Clone, Debug, Default)]
pub struct BenchHid {
    /// Report descriptor.
    pub descriptor: Vec<u8>,
    /// Vendor id, product id.
    pub ids: (u16, u16),
    /// Input reports to come.
    pub reports: VecDeque<Vec<u8>>,
    /// Feature reports by id, the id as first byte.
    pub features: BTreeMap<u8, Vec<u8>>,
    /// Output reports that were written.
    pub written: Vec<Vec<u8>>,
    /// It is unplugged: every use of it fails.
    pub unplugged: bool,
}

impl BenchHid {
    fn check(&mut self) -> Result<&mut Self, HidError> {
        match self.unplugged {
            false => Ok(self),
            true => Err(HidError::new(HidError::NO_DEVICE, "it is not connected")),
        }
    }
}

impl Bench {
    /// A host with these settings.
    #[must_use]
    pub fn with_settings(pairs: &[(&str, &str)]) -> Self {
        let mut bench = Self::default();
        for (name, value) in pairs {
            bench.set(name, value);
        }
        bench
    }

    /// Set a setting: `true` and `false` are switches, decimals are numbers.
    pub fn set(&mut self, name: &str, value: &str) {
        let setting = match value {
            "true" => Setting::Flag(true),
            "false" => Setting::Flag(false),
            text => match crate::table::plain_decimal(text.as_bytes()) {
                Some(number) => Setting::Number(number),
                None => Setting::Text(text.to_owned()),
            },
        };
        self.settings.insert(name.to_owned(), setting);
    }

    /// Put a device on every serial line; the caller keeps a hand on it.
    pub fn connect_device<D: Device + 'static>(&mut self, device: D) -> Rc<RefCell<D>> {
        let device = Rc::new(RefCell::new(device));
        self.device = Some(Rc::clone(&device) as Rc<RefCell<dyn Device>>);
        device
    }

    /// Add a peer; the caller keeps a hand on it.
    pub fn add_peer(
        &mut self,
        endpoint: &str,
        transport: Transport,
        answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + 'static,
    ) -> Rc<RefCell<Peer>> {
        let peer = Rc::new(RefCell::new(Peer {
            transport,
            answer: Box::new(answer),
            heard: Vec::new(),
            fails: None,
            inbox: VecDeque::new(),
        }));
        self.peers.insert(endpoint.to_owned(), Rc::clone(&peer));
        peer
    }

    /// The last value of a point, if it was published.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&Update> {
        self.published.iter().rev().flatten().find(|update| update.name == name)
    }

    fn peer(&self, endpoint: &str) -> Result<Rc<RefCell<Peer>>, NetError> {
        let denied = || NetError::new(NetError::DENIED, format!("{endpoint:?} is not granted"));
        let peer = self.peers.get(endpoint).ok_or_else(denied)?;
        peer.borrow().check()?;
        Ok(Rc::clone(peer))
    }
}

impl Log for Bench {
    fn log(&mut self, level: Level, message: &str) {
        self.logged.push((level, message.to_owned()));
    }
}

impl Points for Bench {
    fn publish(&mut self, updates: &[Update]) -> Result<(), String> {
        if let Some(words) = &self.refuses_points {
            return Err(words.clone());
        }
        self.published.push(updates.to_vec());
        Ok(())
    }

    fn lost(&mut self, reason: &str) {
        self.lost.push(reason.to_owned());
    }
}

impl Serial for Bench {
    fn open_line(&mut self, name: &str, line: Line) -> Result<Box<dyn Port>, PortError> {
        if let Some(open) = &mut self.open {
            return open(name, line);
        }
        let Some(device) = &self.device else {
            let (code, detail) = (PortError::NO_PORT, format!("no device at {name:?}"));
            return Err(PortError { code, detail, partial: Vec::new() });
        };
        self.opened += 1;
        device.borrow_mut().set_lines(line.dtr, line.rts);
        Ok(Box::new(BenchPort::new(Rc::clone(device))))
    }
}

impl Config for Bench {
    fn setting(&mut self, name: &str) -> Option<Setting> {
        self.settings_read.insert(name.to_owned());
        self.settings.get(name).cloned()
    }
}

impl Clock for Bench {
    fn now_ms(&mut self) -> u64 {
        self.now_ms
    }

    fn sleep_ms(&mut self, ms: u32) {
        self.now_ms += u64::from(ms.min(10_000));
    }

    fn utc_ms(&mut self) -> Option<u64> {
        self.utc_ms
    }
}

/// Not random at all: the same in every run of a test.
impl Random for Bench {
    fn random(&mut self, len: u32) -> Vec<u8> {
        let next = |_| super::split_mix(&mut self.random) as u8;
        (0..len.min(1024)).map(next).collect()
    }
}

impl Kv for Bench {
    fn kv_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        check_key(key)?;
        Ok(self.kv.get(key).cloned())
    }

    fn kv_set(&mut self, key: &str, value: &[u8]) -> Result<(), KvError> {
        check_key(key)?;
        if value.len() > 16_384 {
            return Err(KvError::new(KvError::INVALID, "a value has at most 16384 bytes"));
        }
        let others = self.kv.iter().filter(|(known, _)| *known != key);
        let used: usize = others.map(|(key, value)| key.len() + value.len()).sum();
        if used + key.len() + value.len() > 65_536 {
            return Err(KvError::new(KvError::FULL, "the store is full"));
        }
        self.kv.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn kv_delete(&mut self, key: &str) -> Result<(), KvError> {
        check_key(key)?;
        self.kv.remove(key);
        Ok(())
    }

    fn kv_keys(&mut self) -> Result<Vec<String>, KvError> {
        Ok(self.kv.keys().cloned().collect())
    }
}

fn check_key(key: &str) -> Result<(), KvError> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
    if (1..=64).contains(&key.len()) && key.bytes().all(known) {
        return Ok(());
    }
    Err(KvError::new(KvError::INVALID, format!("{key:?} is no key")))
}

impl Reader for Bench {
    fn read_points(&mut self, names: &[&str]) -> Result<Vec<Option<Point>>, ReaderError> {
        Ok(names.iter().map(|name| self.points.get(*name).cloned()).collect())
    }

    fn list_points(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        max: u32,
    ) -> Result<Vec<Point>, ReaderError> {
        let below = |name: &str| {
            prefix.is_empty() || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
        };
        let listed = self.points.iter().filter(|(name, _)| below(name));
        let listed = listed.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        Ok(listed.take(max.min(256) as usize).map(|(_, point)| point.clone()).collect())
    }
}

impl Events for Bench {
    fn events_since(&mut self, sequence: u64, max: u32) -> Result<Vec<Event>, EventsError> {
        let later = self.events.iter().filter(|event| event.sequence > sequence);
        Ok(later.take(max.min(64) as usize).cloned().collect())
    }

    fn raise(&mut self, severity: u32, kind: &str, text: &str) -> Result<(), EventsError> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let named = (1..=40).contains(&kind.len()) && kind.bytes().all(good);
        if severity > 2 || !named || text.trim().is_empty() {
            let detail = format!("no event: severity {severity}, kind {kind:?}, text {text:?}");
            return Err(EventsError::new(EventsError::INVALID, detail));
        }
        if severity > self.raise_max {
            return Err(EventsError::new(
                EventsError::DENIED,
                "of this severity, none may be added",
            ));
        }
        self.raised.push((severity, kind.to_owned(), text.to_owned()));
        Ok(())
    }
}

impl Commands for Bench {
    fn offered(&mut self) -> Vec<Offer> {
        self.offers.clone()
    }

    fn tell(
        &mut self,
        target: &str,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), crate::host::TellError> {
        use crate::host::TellError;
        if !self.offers.iter().any(|offer| offer.target == target && offer.name == name) {
            let detail = format!("{target} does not offer {name}");
            return Err(TellError::new(TellError::UNKNOWN, detail));
        }
        self.told.push((target.to_owned(), name.to_owned(), value.map(str::to_owned)));
        Ok(())
    }
}

impl Contacts for Bench {
    fn read_contact(&mut self, name: &str) -> Result<Contact, ContactsError> {
        self.contacts.get(name).copied().ok_or_else(|| not_granted(name))
    }

    fn switch_contact(&mut self, name: &str, closed: bool) -> Result<(), ContactsError> {
        let contact = self.contacts.get_mut(name).ok_or_else(|| not_granted(name))?;
        if self.read_only.contains(name) {
            let detail = format!("{name:?} is granted for reading");
            return Err(ContactsError::new(ContactsError::DENIED, detail));
        }
        *contact = Contact { closed, age_ms: 0 };
        Ok(())
    }

    fn measure_contact(&mut self, name: &str) -> Result<Measurement, ContactsError> {
        let value = *self.signals.get(name).ok_or_else(|| not_granted(name))?;
        match value.is_finite() {
            true => Ok(Measurement { value, age_ms: 0 }),
            false => Err(ContactsError::new(ContactsError::UNKNOWN, "its signal is none")),
        }
    }
}

fn not_granted(name: &str) -> ContactsError {
    ContactsError::new(ContactsError::DENIED, format!("{name:?} is not granted"))
}

impl Snmp for Bench {
    fn open_agent(&mut self, name: &str) -> Result<Box<dyn Agent>, SnmpError> {
        let denied = || SnmpError::new(SnmpError::DENIED, format!("{name:?} is not granted"));
        Ok(Box::new(BenchAgent(Rc::clone(self.agents.get(name).ok_or_else(denied)?))))
    }
}

struct BenchAgent(Rc<RefCell<Objects>>);

impl Agent for BenchAgent {
    fn get(&mut self, oids: &[&Oid]) -> Result<Vec<Binding>, SnmpError> {
        let objects = self.0.borrow();
        let bind = |oid: &&Oid| Binding {
            oid: oid.to_vec(),
            value: objects.get(*oid).cloned().unwrap_or(crate::host::SnmpValue::Absent),
        };
        Ok(oids.iter().map(bind).collect())
    }

    fn walk(&mut self, root: &Oid, max: u32) -> Result<Vec<Binding>, SnmpError> {
        let objects = self.0.borrow();
        let below =
            objects.iter().filter(|(oid, _)| oid.len() > root.len() && oid.starts_with(root));
        let bind = |(oid, value): (&Vec<u32>, &crate::host::SnmpValue)| Binding {
            oid: oid.clone(),
            value: value.clone(),
        };
        Ok(below.take(max.min(512) as usize).map(bind).collect())
    }

    fn set(&mut self, bindings: &[Binding]) -> Result<(), SnmpError> {
        let mut objects = self.0.borrow_mut();
        for Binding { oid, value } in bindings {
            objects.insert(oid.clone(), value.clone());
        }
        Ok(())
    }
}

impl Hid for Bench {
    fn open_hid(&mut self, name: &str) -> Result<Box<dyn HidDevice>, HidError> {
        let denied = || HidError::new(HidError::DENIED, format!("{name:?} is not granted"));
        Ok(Box::new(HidHandle(Rc::clone(self.hids.get(name).ok_or_else(denied)?))))
    }
}

struct HidHandle(Rc<RefCell<BenchHid>>);

impl HidDevice for HidHandle {
    fn descriptor(&mut self) -> Result<Vec<u8>, HidError> {
        Ok(self.0.borrow_mut().check()?.descriptor.clone())
    }

    fn ids(&mut self) -> Result<(u16, u16), HidError> {
        Ok(self.0.borrow_mut().check()?.ids)
    }

    fn read(&mut self, _timeout_ms: u32) -> Result<Vec<u8>, HidError> {
        let report = self.0.borrow_mut().check()?.reports.pop_front();
        report.ok_or_else(|| HidError::new(HidError::TIMEOUT, "no report"))
    }

    fn write(&mut self, report: &[u8]) -> Result<(), HidError> {
        self.0.borrow_mut().check()?.written.push(report.to_vec());
        Ok(())
    }

    fn get_feature(&mut self, id: u8, max: u32) -> Result<Vec<u8>, HidError> {
        let mut hid = self.0.borrow_mut();
        let report = hid.check()?.features.get(&id).cloned();
        let mut report = report.ok_or_else(|| HidError::new(HidError::IO, "no such report"))?;
        report.truncate(max as usize);
        Ok(report)
    }

    fn set_feature(&mut self, report: &[u8]) -> Result<(), HidError> {
        let id = *report.first().ok_or_else(|| HidError::new(HidError::INVALID, "no report id"))?;
        self.0.borrow_mut().check()?.features.insert(id, report.to_vec());
        Ok(())
    }
}

impl Net for Bench {
    fn transport_of(&mut self, endpoint: &str) -> Result<Transport, NetError> {
        let denied = || NetError::new(NetError::DENIED, format!("{endpoint:?} is not granted"));
        self.peers.get(endpoint).map(|peer| peer.borrow().transport).ok_or_else(denied)
    }

    fn connect(
        &mut self,
        endpoint: &str,
        _timeout_ms: u32,
    ) -> Result<Box<dyn Connection>, NetError> {
        Ok(Box::new(PeerHandle(self.peer(endpoint)?)))
    }

    fn open_datagrams(&mut self, endpoint: &str) -> Result<Box<dyn Datagrams>, NetError> {
        Ok(Box::new(PeerHandle(self.peer(endpoint)?)))
    }
}

struct PeerHandle(Rc<RefCell<Peer>>);

impl Peer {
    fn check(&self) -> Result<(), NetError> {
        self.fails.map_or(Ok(()), |code| Err(NetError::new(code, "as the test wants it")))
    }

    fn hear(&mut self, data: &[u8]) -> Result<(), NetError> {
        self.check()?;
        self.heard.push(data.to_vec());
        let answer = (self.answer)(data);
        self.inbox.extend(answer);
        Ok(())
    }

    fn say(&mut self) -> Result<Vec<u8>, NetError> {
        self.check()?;
        self.inbox.pop_front().ok_or_else(|| NetError::new(NetError::TIMEOUT, "nothing came"))
    }
}

impl Connection for PeerHandle {
    fn write(&mut self, data: &[u8], _timeout_ms: u32) -> Result<(), NetError> {
        self.0.borrow_mut().hear(data)
    }

    fn read(&mut self, max: u32, _timeout_ms: u32) -> Result<Vec<u8>, NetError> {
        let mut peer = self.0.borrow_mut();
        let mut data = peer.say()?;
        let rest = data.split_off(data.len().min(max as usize));
        if !rest.is_empty() {
            peer.inbox.push_front(rest);
        }
        Ok(data)
    }
}

impl Datagrams for PeerHandle {
    fn send(&mut self, data: &[u8]) -> Result<(), NetError> {
        self.0.borrow_mut().hear(data)
    }

    fn receive(&mut self, _timeout_ms: u32) -> Result<Vec<u8>, NetError> {
        self.0.borrow_mut().say()
    }
}

impl Server for Bench {
    fn send_on(&mut self, connection: u64, data: &[u8]) -> Result<(), ServerError> {
        if self.closed.contains(&connection) {
            return Err(ServerError::new(ServerError::GONE, "the connection is closed"));
        }
        self.sent.push((connection, data.to_vec()));
        Ok(())
    }

    fn close(&mut self, connection: u64) {
        self.closed.push(connection);
    }
}

impl Crypto for Bench {
    fn digest(&mut self, algorithm: u32, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        digest(algorithm, &[data])
    }

    fn ed25519_verify(&mut self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let claimed = (public_key.to_vec(), message.to_vec(), signature.to_vec());
        self.signatures.contains(&claimed)
    }

    fn open_secret(&mut self, name: &str) -> Result<Box<dyn Secret>, CryptoError> {
        let denied = || CryptoError::new(CryptoError::DENIED, format!("{name:?} is not granted"));
        Ok(Box::new(BenchSecret(self.secrets.get(name).cloned().ok_or_else(denied)?)))
    }
}

struct BenchSecret(Vec<u8>);

impl Secret for BenchSecret {
    fn hmac(&mut self, algorithm: u32, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let block = if algorithm > 3 { 128 } else { 64 };
        let mut key =
            if self.0.len() > block { digest(algorithm, &[&self.0])? } else { self.0.clone() };
        key.resize(block, 0);
        let pad = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<_>>();
        let inner = digest(algorithm, &[&pad(0x36), data])?;
        digest(algorithm, &[&pad(0x5C), &inner])
    }

    fn digest(
        &mut self,
        algorithm: u32,
        before: &[u8],
        after: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        if before.len() + after.len() < 16 {
            return Err(CryptoError::new(CryptoError::INVALID, "fewer than 16 bytes around it"));
        }
        digest(algorithm, &[before, &self.0, after])
    }
}

fn digest(algorithm: u32, parts: &[&[u8]]) -> Result<Vec<u8>, CryptoError> {
    use sha2::Digest as _;
    let data = parts.concat();
    Ok(match algorithm {
        1 => md5::Md5::digest(data).to_vec(),
        2 => sha1::Sha1::digest(data).to_vec(),
        3 => sha2::Sha256::digest(data).to_vec(),
        4 => sha2::Sha384::digest(data).to_vec(),
        5 => sha2::Sha512::digest(data).to_vec(),
        _ => return Err(CryptoError::new(CryptoError::INVALID, "unknown algorithm")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{SnmpValue, State, Value};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 1321 §A.5, RFC 3174 §7.3, FIPS 180-4; RFC 2202 and 4231, case 2.
    #[test]
    fn digests_are_those_of_the_standards() {
        let mut bench = Bench::default();
        bench.secrets.insert("peer".into(), b"Jefe".to_vec());
        let abc = |bench: &mut Bench, algorithm| hex(&bench.digest(algorithm, b"abc").unwrap());
        assert_eq!(abc(&mut bench, 1), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(abc(&mut bench, 2), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(abc(&mut bench, 3).starts_with("ba7816bf8f01cfea"));
        assert!(bench.digest(9, b"").is_err());
        let mut secret = bench.open_secret("peer").unwrap();
        let text = b"what do ya want for nothing?";
        assert_eq!(hex(&secret.hmac(1, text).unwrap()), "750c783e6ab0b503eaa86e310a5db738");
        assert!(hex(&secret.hmac(5, text).unwrap()).starts_with("164b7a7bfcf819e2e395"));
        assert!(secret.digest(1, b"short", b"").is_err());
        assert!(bench.open_secret("other").is_err());
    }

    #[test]
    fn peers_answer_and_fail_as_the_test_wants() {
        let mut bench = Bench::default();
        let peer = bench.add_peer("log", Transport::Tcp, |data| Some(data.to_ascii_uppercase()));
        assert_eq!(bench.transport_of("log"), Ok(Transport::Tcp));
        let mut connection = bench.connect("log", 1000).unwrap();
        connection.write(b"abc", 1000).unwrap();
        assert_eq!(connection.read(2, 1000).unwrap(), b"AB");
        assert_eq!(connection.read(9, 1000).unwrap(), b"C");
        assert_eq!(connection.read(9, 1000).unwrap_err().code, NetError::TIMEOUT);
        assert_eq!(peer.borrow().heard, [b"abc"]);
        peer.borrow_mut().fails = Some(NetError::CLOSED);
        assert_eq!(connection.write(b"x", 1).unwrap_err().code, NetError::CLOSED);
        assert!(bench.connect("log", 1).is_err());
        assert!(matches!(bench.connect("foreign", 1), Err(e) if e.code == NetError::DENIED));
    }

    #[test]
    fn the_store_keeps_its_bounds() {
        let mut bench = Bench::default();
        bench.kv_set("a", b"1").unwrap();
        assert_eq!(bench.kv_get("a").unwrap().unwrap(), b"1");
        assert_eq!(bench.kv_keys().unwrap(), ["a"]);
        assert_eq!(bench.kv_set("A", b"").unwrap_err().code, KvError::INVALID);
        assert_eq!(bench.kv_set("b", &[0; 16_385]).unwrap_err().code, KvError::INVALID);
        for key in ["c", "d", "e"] {
            bench.kv_set(key, &[0; 16_384]).unwrap();
        }
        assert_eq!(bench.kv_set("f", &[0; 16_384]).unwrap_err().code, KvError::FULL);
        bench.kv_delete("c").unwrap();
        bench.kv_set("f", &[0; 16_384]).unwrap();
    }

    #[test]
    fn events_are_read_in_order_and_raised_within_the_rules() {
        let events = (1..=9).map(|sequence| Event { sequence, ..Event::default() }).collect();
        let mut bench = Bench { events, ..Bench::default() };
        let found = bench.events_since(6, 2).unwrap();
        assert_eq!(found.iter().map(|event| event.sequence).collect::<Vec<_>>(), [7, 8]);
        bench.raise(0, "door_open", "The door is open").unwrap();
        let code = |bench: &mut Bench, severity, kind| {
            bench.raise(severity, kind, "text").map_err(|error| error.code)
        };
        assert_eq!(code(&mut bench, 1, "door_open"), Err(EventsError::DENIED));
        bench.raise_max = 2;
        assert_eq!(code(&mut bench, 2, "fire"), Ok(()));
        assert_eq!(code(&mut bench, 3, "fire"), Err(EventsError::INVALID));
        assert_eq!(code(&mut bench, 0, "Fire!"), Err(EventsError::INVALID));
        assert_eq!(bench.raised.len(), 2);
    }

    #[test]
    fn points_agents_contacts_and_hid_are_what_the_test_put_there() {
        let mut bench = Bench::default();
        for name in ["string.1.voltage", "string.2.voltage", "string.21.voltage"] {
            let (value, unit) = (Value::Number(1.0), "V".to_owned());
            let point = Point { name: name.into(), value, unit, state: State::Good, age_ms: 0 };
            bench.points.insert(name.into(), point);
        }
        let listed = bench.list_points("string", Some("string.1.voltage"), 1).unwrap();
        assert_eq!(listed[0].name, "string.2.voltage");
        assert_eq!(bench.list_points("string.2", None, 9).unwrap().len(), 1);
        assert_eq!(bench.read_points(&["string.3.voltage"]).unwrap(), [None]);
        let objects = BTreeMap::from([(vec![1, 3, 6, 1], SnmpValue::Integer(5))]);
        bench.agents.insert("ups".into(), Rc::new(RefCell::new(objects)));
        let mut agent = bench.open_agent("ups").unwrap();
        assert_eq!(agent.get(&[&[1, 3, 6, 1], &[1]]).unwrap()[1].value, SnmpValue::Absent);
        assert_eq!(agent.walk(&[1, 3], 9).unwrap()[0].value.number(), Some(5.0));
        assert_eq!(bench.switch_contact("out", true).unwrap_err().code, ContactsError::DENIED);
        bench.contacts.insert("out".into(), Contact { closed: false, age_ms: 9 });
        bench.switch_contact("out", true).unwrap();
        assert!(bench.read_contact("out").unwrap().closed);
        bench.hids.insert("ups".into(), Rc::new(RefCell::new(BenchHid::default())));
        let mut hid = bench.open_hid("ups").unwrap();
        assert_eq!(hid.read(10).unwrap_err().code, HidError::TIMEOUT);
        hid.set_feature(&[7, 1]).unwrap();
        assert_eq!(hid.get_feature(7, 9).unwrap(), [7, 1]);
        bench.hids["ups"].borrow_mut().unplugged = true;
        assert_eq!(hid.ids().unwrap_err().code, HidError::NO_DEVICE);
        bench.read_only.insert("out".into());
        assert_eq!(bench.switch_contact("out", false).unwrap_err().code, ContactsError::DENIED);
        bench.signals = BTreeMap::from([("warm".into(), 21.5), ("torn".into(), f64::NAN)]);
        assert_eq!(bench.measure_contact("warm").unwrap().value, 21.5);
        assert_eq!(bench.measure_contact("torn").unwrap_err().code, ContactsError::UNKNOWN);
        assert_eq!(bench.measure_contact("out").unwrap_err().code, ContactsError::DENIED);
        assert_eq!(bench.random(4).len(), 4);
    }
}
