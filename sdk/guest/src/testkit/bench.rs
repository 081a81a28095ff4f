//! A host for tests: everything that the appliance offers, in memory. What a
//! plugin did is written down, what it meets is set by the test.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::devices::BenchHid;
use super::fault::Fault;
use super::line::{BenchPort, Device};
use super::net::{Peer, Socket, Stream, Waited};
use crate::host::{
    Agent, Binding, Clock, Commands, Config, Connection, Contact, Datagrams, Event, Events,
    EventsError, Kv, KvError, Level, Line, Log, Net, NetError, Offer, Oid, Point, Points, Port,
    PortError, Random, Reader, ReaderError, Serial, Server, ServerError, Setting, Snmp, SnmpError,
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
    /// Monotonic clock, milliseconds; sleeping moves it, and so does waiting in
    /// vain for a peer or a USB device.
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
    /// Commands fail with this code of [`TellError`](crate::host::TellError).
    pub tell_fails: Option<u32>,
    /// The worst severity that may be raised: 0 without a grant.
    pub raise_max: u32,
    /// Contacts by name.
    pub contacts: BTreeMap<String, Contact>,
    /// Names of those that are inputs, or granted to be read alone.
    pub read_only: BTreeSet<String>,
    /// Analogue inputs by name; NaN is a broken wire.
    pub signals: BTreeMap<String, f64>,
    /// What is wrong with contacts and signals.
    pub contacts_fault: Fault,
    /// Outputs that were switched: name, closed.
    pub switched: Vec<(String, bool)>,
    /// SNMP agents by name: objects in order.
    pub agents: BTreeMap<String, Rc<RefCell<Objects>>>,
    /// HID devices by name.
    pub hids: BTreeMap<String, Rc<RefCell<BenchHid>>>,
    /// The network, instead of [`Self::peers`].
    pub network: Option<Box<dyn Net>>,
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
    /// What waiting for peers and devices added to [`Self::now_ms`].
    pub(super) waited: Waited,
    /// Readings of the contact that bounces.
    pub(super) readings: u64,
    random: u64,
}

/// The objects of an SNMP agent, in order.
pub type Objects = BTreeMap<Vec<u32>, crate::host::SnmpValue>;

/// Opens the serial line with this name.
pub type OpenLine = dyn FnMut(&str, Line) -> Result<Box<dyn Port>, PortError>;

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
        let peer = Peer::new(endpoint, transport, Box::new(answer));
        let peer = Rc::new(RefCell::new(peer));
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
        self.peers.get(endpoint).cloned().ok_or_else(denied)
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
        self.now_ms + self.waited.get()
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
        if let Some(code) = self.tell_fails {
            return Err(TellError::new(code, "as the test wants it"));
        }
        if !self.offers.iter().any(|offer| offer.target == target && offer.name == name) {
            let detail = format!("{target} does not offer {name}");
            return Err(TellError::new(TellError::UNKNOWN, detail));
        }
        self.told.push((target.to_owned(), name.to_owned(), value.map(str::to_owned)));
        Ok(())
    }
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

impl Net for Bench {
    fn transport_of(&mut self, endpoint: &str) -> Result<Transport, NetError> {
        match &mut self.network {
            Some(network) => network.transport_of(endpoint),
            None => Ok(self.peer(endpoint)?.borrow().transport),
        }
    }

    fn connect(
        &mut self,
        endpoint: &str,
        timeout_ms: u32,
    ) -> Result<Box<dyn Connection>, NetError> {
        if let Some(network) = &mut self.network {
            return network.connect(endpoint, timeout_ms);
        }
        Ok(Box::new(Stream::connect(self.peer(endpoint)?, Rc::clone(&self.waited))?))
    }

    fn open_datagrams(&mut self, endpoint: &str) -> Result<Box<dyn Datagrams>, NetError> {
        if let Some(network) = &mut self.network {
            return network.open_datagrams(endpoint);
        }
        Ok(Box::new(Socket::open(self.peer(endpoint)?, Rc::clone(&self.waited))?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{SnmpValue, State, Value};

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
    fn points_and_agents_are_what_the_test_put_there() {
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
        assert_eq!(bench.random(4).len(), 4);
    }
}
