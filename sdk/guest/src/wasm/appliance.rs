//! The real appliance behind the traits of [`crate::host`]: each call is passed
//! on to the import of the same name.

use super::imports::evenkeel as wit;
use crate::host::{
    Agent, Binding, Clock, Commands, Config, Connection, Contact, Contacts, ContactsError, Crypto,
    CryptoError, Datagrams, Event, Events, EventsError, Hid, HidDevice, HidError, Kv, KvError,
    Level, Line, Lines, Log, Measurement, Net, NetError, Offer, OfferParameter, Oid, Parity, Point,
    Points, Port, PortError, Quality, Random, Reader, ReaderError, ReplyEnd, Secret, Serial,
    Server, ServerError, Setting, Snmp, SnmpError, SnmpValue, State, TellError, Transport, Update,
    Value,
};

/// The appliance that this component runs on.
#[derive(Clone, Copy, Debug)]
pub struct Appliance;

/// Errors of both sides are a number and words.
macro_rules! same_error {
    ($($theirs:path => $ours:ident,)*) => {
        $(impl From<$theirs> for $ours {
            fn from(error: $theirs) -> Self {
                Self { code: error.code, detail: error.detail }
            }
        })*
    };
}

same_error! {
    wit::kv::kv::Error => KvError,
    wit::crypto::crypto::Error => CryptoError,
    wit::events::events::Error => EventsError,
    wit::commands::commands::Error => TellError,
    wit::contacts::contacts::Error => ContactsError,
    wit::hid::hid::Error => HidError,
    wit::net_client::net_client::Error => NetError,
    wit::net_server::net_server::Error => ServerError,
    wit::snmp_client::snmp_client::Error => SnmpError,
    wit::points::reader::Error => ReaderError,
}

impl From<wit::serial::serial::Error> for PortError {
    fn from(error: wit::serial::serial::Error) -> Self {
        Self { code: error.code, detail: error.detail, partial: error.partial }
    }
}

impl Log for Appliance {
    fn log(&mut self, level: Level, message: &str) {
        use wit::log::log::{Level as Theirs, write};
        let level = match level {
            Level::Error => Theirs::Error,
            Level::Warn => Theirs::Warn,
            Level::Info => Theirs::Info,
            Level::Debug => Theirs::Debug,
        };
        write(level, message);
    }
}

impl Clock for Appliance {
    fn now_ms(&mut self) -> u64 {
        wit::clock::clock::now_ms()
    }

    fn sleep_ms(&mut self, ms: u32) {
        wit::clock::clock::sleep_ms(ms);
    }

    fn utc_ms(&mut self) -> Option<u64> {
        wit::clock::clock::utc_ms()
    }
}

impl Config for Appliance {
    fn setting(&mut self, name: &str) -> Option<Setting> {
        use wit::config::config::{Value, get};
        get(name).map(|value| match value {
            Value::Text(text) => Setting::Text(text),
            Value::Number(number) => Setting::Number(number),
            Value::Flag(flag) => Setting::Flag(flag),
        })
    }
}

impl Random for Appliance {
    fn random(&mut self, len: u32) -> Vec<u8> {
        wit::random::random::bytes(len)
    }
}

impl Kv for Appliance {
    fn kv_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        Ok(wit::kv::kv::get(key)?)
    }

    fn kv_set(&mut self, key: &str, value: &[u8]) -> Result<(), KvError> {
        Ok(wit::kv::kv::set(key, value)?)
    }

    fn kv_delete(&mut self, key: &str) -> Result<(), KvError> {
        Ok(wit::kv::kv::delete(key)?)
    }

    fn kv_keys(&mut self) -> Result<Vec<String>, KvError> {
        Ok(wit::kv::kv::keys()?)
    }
}

impl Crypto for Appliance {
    fn digest(&mut self, algorithm: u32, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(wit::crypto::crypto::digest(algorithm, data)?)
    }

    fn ed25519_verify(&mut self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        wit::crypto::crypto::ed25519_verify(public_key, message, signature)
    }

    fn open_secret(&mut self, name: &str) -> Result<Box<dyn Secret>, CryptoError> {
        Ok(Box::new(wit::crypto::crypto::Secret::open(name)?))
    }
}

impl Secret for wit::crypto::crypto::Secret {
    fn hmac(&mut self, algorithm: u32, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(Self::hmac(self, algorithm, data)?)
    }

    fn digest(
        &mut self,
        algorithm: u32,
        before: &[u8],
        after: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        Ok(Self::digest(self, algorithm, before, after)?)
    }
}

impl Serial for Appliance {
    fn open_line(&mut self, name: &str, line: Line) -> Result<Box<dyn Port>, PortError> {
        use wit::serial::serial as theirs;
        let line = theirs::Line {
            baud: line.baud,
            data_bits: line.data_bits,
            parity: match line.parity {
                Parity::None => theirs::Parity::None,
                Parity::Even => theirs::Parity::Even,
                Parity::Odd => theirs::Parity::Odd,
            },
            stop_bits: match line.two_stop_bits {
                true => theirs::StopBits::Two,
                false => theirs::StopBits::One,
            },
            dtr: line.dtr,
            rts: line.rts,
        };
        Ok(Box::new(theirs::Port::open(name, line)?))
    }
}

impl Port for wit::serial::serial::Port {
    fn transact(
        &mut self,
        request: &[u8],
        end: ReplyEnd,
        max: u32,
        timeout_ms: u32,
    ) -> Result<Vec<u8>, PortError> {
        Ok(Self::transact(self, request, reply_end(end), max, timeout_ms)?)
    }

    fn send(&mut self, bytes: &[u8], timeout_ms: u32) -> Result<(), PortError> {
        Ok(Self::send(self, bytes, timeout_ms)?)
    }

    fn read_frame(
        &mut self,
        end: ReplyEnd,
        max: u32,
        timeout_ms: u32,
    ) -> Result<Vec<u8>, PortError> {
        Ok(Self::read_frame(self, reply_end(end), max, timeout_ms)?)
    }

    fn set_lines(&mut self, dtr: bool, rts: bool) -> Result<(), PortError> {
        Ok(Self::set_lines(self, dtr, rts)?)
    }

    fn lines(&mut self) -> Result<Lines, PortError> {
        let (cts, dsr, dcd, ri) = Self::lines(self)?;
        Ok(Lines { cts, dsr, dcd, ri })
    }

    fn send_break(&mut self, ms: u32) -> Result<(), PortError> {
        Ok(Self::send_break(self, ms)?)
    }
}

fn reply_end(end: ReplyEnd) -> wit::serial::serial::ReplyEnd {
    use wit::serial::serial::ReplyEnd as Theirs;
    match end {
        ReplyEnd::Terminator(byte) => Theirs::Terminator(byte),
        ReplyEnd::Length(length) => Theirs::Length(length),
        ReplyEnd::IdleUs(us) => Theirs::IdleUs(us),
    }
}

impl Hid for Appliance {
    fn open_hid(&mut self, name: &str) -> Result<Box<dyn HidDevice>, HidError> {
        Ok(Box::new(wit::hid::hid::Device::open(name)?))
    }
}

impl HidDevice for wit::hid::hid::Device {
    fn descriptor(&mut self) -> Result<Vec<u8>, HidError> {
        Ok(Self::descriptor(self)?)
    }

    fn ids(&mut self) -> Result<(u16, u16), HidError> {
        Ok(Self::ids(self)?)
    }

    fn read(&mut self, timeout_ms: u32) -> Result<Vec<u8>, HidError> {
        Ok(Self::read(self, timeout_ms)?)
    }

    fn write(&mut self, report: &[u8]) -> Result<(), HidError> {
        Ok(Self::write(self, report)?)
    }

    fn get_feature(&mut self, id: u8, max: u32) -> Result<Vec<u8>, HidError> {
        Ok(Self::get_feature(self, id, max)?)
    }

    fn set_feature(&mut self, report: &[u8]) -> Result<(), HidError> {
        Ok(Self::set_feature(self, report)?)
    }
}

impl Contacts for Appliance {
    fn read_contact(&mut self, name: &str) -> Result<Contact, ContactsError> {
        let reading = wit::contacts::contacts::read(name)?;
        Ok(Contact { closed: reading.closed, age_ms: reading.age_ms })
    }

    fn switch_contact(&mut self, name: &str, closed: bool) -> Result<(), ContactsError> {
        Ok(wit::contacts::contacts::switch(name, closed)?)
    }

    fn measure_contact(&mut self, name: &str) -> Result<Measurement, ContactsError> {
        let wit::contacts::contacts::Measurement { value, age_ms } =
            wit::contacts::contacts::measure(name)?;
        Ok(Measurement { value, age_ms })
    }
}

impl Net for Appliance {
    fn transport_of(&mut self, endpoint: &str) -> Result<Transport, NetError> {
        use wit::net_client::net_client::{Transport as Theirs, transport_of};
        Ok(match transport_of(endpoint)? {
            Theirs::Udp => Transport::Udp,
            Theirs::Tcp => Transport::Tcp,
            Theirs::Tls => Transport::Tls,
        })
    }

    fn connect(
        &mut self,
        endpoint: &str,
        timeout_ms: u32,
    ) -> Result<Box<dyn Connection>, NetError> {
        Ok(Box::new(wit::net_client::net_client::Connection::connect(endpoint, timeout_ms)?))
    }

    fn open_datagrams(&mut self, endpoint: &str) -> Result<Box<dyn Datagrams>, NetError> {
        Ok(Box::new(wit::net_client::net_client::Datagrams::open(endpoint)?))
    }
}

impl Connection for wit::net_client::net_client::Connection {
    fn write(&mut self, data: &[u8], timeout_ms: u32) -> Result<(), NetError> {
        Ok(Self::write(self, data, timeout_ms)?)
    }

    fn read(&mut self, max: u32, timeout_ms: u32) -> Result<Vec<u8>, NetError> {
        Ok(Self::read(self, max, timeout_ms)?)
    }
}

impl Datagrams for wit::net_client::net_client::Datagrams {
    fn send(&mut self, data: &[u8]) -> Result<(), NetError> {
        Ok(Self::send(self, data)?)
    }

    fn receive(&mut self, timeout_ms: u32) -> Result<Vec<u8>, NetError> {
        Ok(Self::receive(self, timeout_ms)?)
    }
}

impl Server for Appliance {
    fn send_on(&mut self, connection: u64, data: &[u8]) -> Result<(), ServerError> {
        Ok(wit::net_server::net_server::send(connection, data)?)
    }

    fn close(&mut self, connection: u64) {
        wit::net_server::net_server::close(connection);
    }
}

impl Snmp for Appliance {
    fn open_agent(&mut self, name: &str) -> Result<Box<dyn Agent>, SnmpError> {
        Ok(Box::new(wit::snmp_client::snmp_client::Agent::open(name)?))
    }
}

impl Agent for wit::snmp_client::snmp_client::Agent {
    fn get(&mut self, oids: &[&Oid]) -> Result<Vec<Binding>, SnmpError> {
        let oids: Vec<Vec<u32>> = oids.iter().map(|oid| oid.to_vec()).collect();
        Ok(Self::get(self, &oids)?.into_iter().map(binding).collect())
    }

    fn walk(&mut self, root: &Oid, max: u32) -> Result<Vec<Binding>, SnmpError> {
        Ok(Self::walk(self, root, max)?.into_iter().map(binding).collect())
    }

    fn set(&mut self, bindings: &[Binding]) -> Result<(), SnmpError> {
        use wit::snmp_client::snmp_client::{Binding as Theirs, Value};
        let bind = |Binding { oid, value }: &Binding| Theirs {
            oid: oid.clone(),
            value: match value {
                SnmpValue::Integer(number) => Value::Integer(*number),
                SnmpValue::Octets(bytes) => Value::Octets(bytes.clone()),
                SnmpValue::Oid(oid) => Value::Oid(oid.clone()),
                SnmpValue::Address([a, b, c, d]) => Value::Address((*a, *b, *c, *d)),
                SnmpValue::Unsigned(number) => Value::Unsigned(*number),
                SnmpValue::Ticks(ticks) => Value::Ticks(*ticks),
                SnmpValue::Opaque(bytes) => Value::Opaque(bytes.clone()),
                SnmpValue::Null => Value::Null,
                SnmpValue::Absent => Value::Absent,
            },
        };
        Ok(Self::set(self, &bindings.iter().map(bind).collect::<Vec<_>>())?)
    }
}

fn binding(theirs: wit::snmp_client::snmp_client::Binding) -> Binding {
    use wit::snmp_client::snmp_client::Value;
    let value = match theirs.value {
        Value::Integer(number) => SnmpValue::Integer(number),
        Value::Octets(bytes) => SnmpValue::Octets(bytes),
        Value::Oid(oid) => SnmpValue::Oid(oid),
        Value::Address((a, b, c, d)) => SnmpValue::Address([a, b, c, d]),
        Value::Unsigned(number) => SnmpValue::Unsigned(number),
        Value::Ticks(ticks) => SnmpValue::Ticks(ticks),
        Value::Opaque(bytes) => SnmpValue::Opaque(bytes),
        Value::Null => SnmpValue::Null,
        Value::Absent => SnmpValue::Absent,
    };
    Binding { oid: theirs.oid, value }
}

impl Points for Appliance {
    fn publish(&mut self, updates: &[Update]) -> Result<(), String> {
        use wit::points::points as theirs;
        let convert = |update: &Update| theirs::Update {
            name: update.name.clone().into_owned(),
            value: match &update.value {
                Value::Number(number) => theirs::Value::Number(*number),
                Value::Text(text) => theirs::Value::Text(text.clone().into_owned()),
                Value::Flag(flag) => theirs::Value::Flag(*flag),
            },
            unit: update.unit.to_owned(),
            quality: match update.quality {
                Quality::Good => theirs::Quality::Good,
                Quality::Estimated => theirs::Quality::Estimated,
                Quality::Bad => theirs::Quality::Bad,
            },
        };
        let updates: Vec<_> = updates.iter().map(convert).collect();
        theirs::publish(&updates).map_err(|error| error.detail)
    }

    fn lost(&mut self, reason: &str) {
        wit::points::points::lost(reason);
    }
}

impl Reader for Appliance {
    fn read_points(&mut self, names: &[&str]) -> Result<Vec<Option<Point>>, ReaderError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let points = wit::points::reader::get(&names)?;
        Ok(points.into_iter().map(|found| found.map(point)).collect())
    }

    fn list_points(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        max: u32,
    ) -> Result<Vec<Point>, ReaderError> {
        Ok(wit::points::reader::list(prefix, after, max)?.into_iter().map(point).collect())
    }
}

fn point(theirs: wit::points::reader::Point) -> Point {
    use wit::points::reader::{State as TheirState, Value as TheirValue};
    Point {
        name: theirs.name,
        value: match theirs.value {
            TheirValue::Number(number) => Value::Number(number),
            TheirValue::Text(text) => Value::Text(text.into()),
            TheirValue::Flag(flag) => Value::Flag(flag),
        },
        unit: theirs.unit,
        state: match theirs.state {
            TheirState::Good => State::Good,
            TheirState::Estimated => State::Estimated,
            TheirState::Stale => State::Stale,
            TheirState::Bad => State::Bad,
        },
        age_ms: theirs.age_ms,
    }
}

impl Events for Appliance {
    fn events_since(&mut self, sequence: u64, max: u32) -> Result<Vec<Event>, EventsError> {
        Ok(wit::events::events::since(sequence, max)?.into_iter().map(event).collect())
    }

    fn raise(&mut self, severity: u32, kind: &str, text: &str) -> Result<(), EventsError> {
        Ok(wit::events::events::raise(severity, kind, text)?)
    }
}

pub(super) fn event(theirs: wit::events::types::Event) -> Event {
    Event {
        sequence: theirs.sequence,
        utc_ms: theirs.utc_ms,
        severity: theirs.severity,
        category: theirs.category,
        kind: theirs.kind,
        text: theirs.text,
        details: theirs.details,
    }
}

impl Commands for Appliance {
    fn offered(&mut self) -> Vec<Offer> {
        use wit::commands::commands::{Command, list};
        use wit::commands::types::Parameter;
        let convert = |command: Command| Offer {
            target: command.target,
            name: command.name,
            description: command.description,
            parameter: match command.parameter {
                Parameter::None => OfferParameter::None,
                Parameter::Number((low, high)) => OfferParameter::Number(low, high),
                Parameter::Word(words) => OfferParameter::Word(words),
                Parameter::Text(max) => OfferParameter::Text(max),
            },
        };
        list().into_iter().map(convert).collect()
    }

    fn tell(&mut self, target: &str, name: &str, value: Option<&str>) -> Result<(), TellError> {
        Ok(wit::commands::commands::run(target, name, value)?)
    }
}
