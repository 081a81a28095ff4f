//! `evenkeel:snmp-client`: asking SNMP agents under logical names.
//!
//! The guest names an agent as its manifest does; address, version, community
//! and keys are the grant's and stay in the host. Pieces, each in its file:
//! [`ber`] bytes, [`pdu`] requests and answers with the messages of v1 and v2c,
//! [`usm`] the messages of v3, [`session`] the exchange with one agent. What the calls of the interface mean is here (facts/snmp.md §7,
//! §8; RFC 3416).
//!
//! The libraries that exist own their socket and wait on it without a way to
//! be interrupted, or need an asynchronous runtime; a plugin's thread must end
//! when it is told to. So the protocol is here, and the cryptography is not.

pub mod ber;
pub mod pdu;
pub mod session;
pub mod usm;

use super::bucket::Bucket;
use super::meter::{Beyond, Meter};
use super::net_client::error::Fault;
use super::{Site, one_line};
use crate::clock;
use crate::grants::Named;
use crate::grants::snmp::{SnmpAddress, SnmpAgent};
use crate::plugin::bindings::snmp_client::snmp_client as wit;
use crate::plugin::stop::Stop;
use ber::{Oid, is_oid};
use core::fmt;
use evenkeel_core::time::Nanos;
use pdu::{Binding, Kind, Pdu, Value, status_name};
use session::{Means, Session, request};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use usm::Rejected;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};

/// The interface.
pub const INTERFACE: &str = "evenkeel:snmp-client/snmp-client@0.1.0";
/// Objects in one `get` or `set`.
pub const OBJECTS_MAX: usize = 32;
/// Bindings from one `walk`.
pub const WALK_MAX: u32 = 512;
/// Bytes of values from one `walk`.
pub const WALK_BYTES_MAX: usize = 64 << 10;
/// Agents that a plugin may hold open.
pub const HANDLES_MAX: usize = 16;
/// Requests that are sent at once.
pub const BURST: u32 = 100;
/// Afterwards, one request per this time.
pub const INTERVAL: Nanos = Nanos::from_millis(20);

/// Rows that a step of a walk asks for.
const REPETITIONS: i64 = 16;
const TOO_BIG: i64 = 1;
const NO_SUCH_NAME: i64 = 2;

/// The agents of one plugin.
#[derive(Debug)]
pub struct Snmp {
    granted: Named<SnmpAgent>,
    /// Those that were used, by name.
    sessions: BTreeMap<String, Session>,
    table: ResourceTable,
    requests: Bucket,
    stop: Arc<Stop>,
    meter: Arc<Meter>,
}

/// An agent that a guest holds.
#[derive(Debug)]
pub struct Agent {
    name: String,
}

/// Why a call failed. What the guest is told is `code` and the text.
#[derive(Debug, thiserror::Error)]
pub enum SnmpError {
    /// Not granted.
    #[error("the agent {name:?} is not granted to this plugin")]
    Denied {
        /// Logical name.
        name: String,
    },
    /// Granted to be read alone.
    #[error("the agent {name:?} is granted for reading; add `write = true` to its grant")]
    ReadOnly {
        /// Logical name.
        name: String,
    },
    /// No answer.
    #[error("{address} did not answer {tries} requests of {timeout_ms} ms each{done}; {hint}")]
    Silent {
        /// The agent.
        address: SnmpAddress,
        /// How often it was asked.
        tries: u32,
        /// How long each time.
        timeout_ms: u128,
        /// What to look at.
        hint: &'static str,
        /// What may have happened.
        done: &'static str,
    },
    /// No address.
    #[error("{host:?} leads to no agent")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        source: Fault,
    },
    /// No way there, or nobody at home.
    #[error("{address} cannot be reached; check that the agent runs and the network between")]
    Unreachable {
        /// The agent.
        address: SnmpAddress,
        /// What the system says.
        source: io::Error,
    },
    /// The agent does not take our messages.
    #[error("{text}")]
    Security {
        /// Why, and what to do.
        text: String,
    },
    /// We do not take its messages.
    #[error(transparent)]
    Rejected(Rejected),
    /// It refused.
    #[error("the agent answers {}{}", status_name(*status), At(oid.as_deref()))]
    Status {
        /// Error status.
        status: i64,
        /// The object, when the agent says which.
        oid: Option<Oid>,
    },
    /// It goes round in circles.
    #[error("the agent's answers do not advance behind {}; its software is at fault", Dotted(oid))]
    Looping {
        /// Where.
        oid: Oid,
    },
    /// Another number of objects than asked for.
    #[error("the agent answers with other objects than it was asked for; its software is at fault")]
    Mismatch,
    /// Datagrams that answer nothing.
    #[error("{address} sends answers to questions that nobody asked")]
    Flooded {
        /// The agent.
        address: SnmpAddress,
    },
    /// Too many handles.
    #[error("more than {HANDLES_MAX} agents are open; drop one first")]
    Handles,
    /// Too often.
    #[error("more than {BURST} requests at once and 50 a second; poll less often")]
    Rate,
    /// Too much below a root.
    #[error(
        "there are more than {WALK_BYTES_MAX} bytes below {}; walk a smaller part",
        Dotted(oid)
    )]
    TooMuch {
        /// The root.
        oid: Oid,
    },
    /// A parameter out of range.
    #[error("{parameter} {found} is not in 1 … {most}")]
    Range {
        /// Which one.
        parameter: &'static str,
        /// Its value.
        found: usize,
        /// Most.
        most: usize,
    },
    /// Not an object identifier.
    #[error("{} is no object identifier: 2 to 128 parts, the first 0 to 2", Dotted(oid))]
    BadOid {
        /// What was given.
        oid: Oid,
    },
    /// Not a value that can be set.
    #[error(
        "the value for {} cannot be set: no `absent` or `null`, integers of 32 bits",
        Dotted(oid)
    )]
    BadValue {
        /// Of which object.
        oid: Oid,
    },
    /// The request does not fit into a message.
    #[error("the values do not fit into one message of {} bytes", usm::MESSAGE_LEN_MAX)]
    TooLong,
    /// The plugin is to stop.
    #[error("the plugin is being stopped")]
    Stopped,
}

impl SnmpError {
    /// The code in `snmp-client.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Denied { .. } | Self::ReadOnly { .. } => 1,
            Self::Silent { .. } | Self::Stopped => 2,
            Self::Resolve { .. } | Self::Unreachable { .. } => 3,
            Self::Security { .. } | Self::Rejected(Rejected::Digest | Rejected::Decryption) => 4,
            Self::Status { .. } | Self::Looping { .. } | Self::Mismatch => 5,
            Self::Rejected(Rejected::Garbled(_)) | Self::Flooded { .. } => 6,
            Self::Handles | Self::Rate | Self::TooMuch { .. } => 7,
            Self::Range { .. } | Self::BadOid { .. } | Self::BadValue { .. } | Self::TooLong => 8,
        }
    }
}

impl Beyond for SnmpError {
    fn beyond(&self) -> Option<&'static str> {
        match self {
            Self::Denied { .. } | Self::ReadOnly { .. } => Some("SNMP agent not granted"),
            Self::Handles | Self::Rate => Some("SNMP quota"),
            _ => None,
        }
    }
}

impl From<SnmpError> for wit::Error {
    fn from(error: SnmpError) -> Self {
        Self { code: error.code(), detail: crate::plugin::reason(&error) }
    }
}

/// An object identifier in a message: short.
struct Dotted<'a>(&'a [u32]);

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 24;
        for (i, sub) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{sub}", if i == 0 { "" } else { "." })?;
        }
        f.write_str(if self.0.len() > SHOWN { "…" } else { "" })
    }
}

struct At<'a>(Option<&'a [u32]>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |oid| write!(f, " at {}", Dotted(oid)))
    }
}

impl Snmp {
    /// The agents that are granted.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let granted = site.grants.snmp.clone();
        // Before the plugin's first call, so that the stretching of keys does
        // not count as its processor time.
        let sessions =
            granted.iter().map(|(name, agent)| (name.clone(), Session::new(agent))).collect();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let requests = Bucket::new(BURST, INTERVAL, clock::now());
        let (stop, meter) = (Arc::clone(site.stop), Arc::clone(site.meter));
        Self { granted, sessions, table, requests, stop, meter }
    }

    fn with<T>(
        &mut self,
        agent: &Resource<Agent>,
        call: impl FnOnce(&mut Session, &mut Means<'_>) -> Result<T, SnmpError>,
    ) -> wasmtime::Result<Result<T, wit::Error>> {
        let name = self.table.get(agent)?.name.clone();
        let meter = &*self.meter;
        let mut means = Means { stop: &self.stop, requests: &mut self.requests, meter };
        let denied = || SnmpError::Denied { name: name.clone() };
        let session = self.sessions.get_mut(&name).ok_or_else(denied);
        let done = session.and_then(|session| call(session, &mut means));
        Ok(meter.noted(done).map_err(Into::into))
    }
}

impl wit::Host for Snmp {}

impl wit::HostAgent for Snmp {
    fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<Agent>, wit::Error>> {
        if !self.granted.contains_key(&name) {
            let denied = SnmpError::Denied { name: one_line(&name, 80) };
            return Ok(self.meter.noted(Err(denied)).map_err(Into::into));
        }
        match self.table.push(Agent { name }) {
            Ok(agent) => Ok(Ok(agent)),
            Err(ResourceTableError::Full) => {
                Ok(self.meter.noted(Err(SnmpError::Handles)).map_err(Into::into))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn get(
        &mut self,
        agent: Resource<Agent>,
        oids: Vec<Oid>,
    ) -> wasmtime::Result<Result<Vec<wit::Binding>, wit::Error>> {
        self.with(&agent, |session, means| {
            range("number of objects", oids.len(), OBJECTS_MAX)?;
            oids.iter().try_for_each(check)?;
            get(session, oids, means).map(shown)
        })
    }

    fn walk(
        &mut self,
        agent: Resource<Agent>,
        root: Oid,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<wit::Binding>, wit::Error>> {
        self.with(&agent, |session, means| {
            check(&root)?;
            range("max", max as usize, WALK_MAX as usize)?;
            walk(session, &root, max as usize, means).map(shown)
        })
    }

    fn set(
        &mut self,
        agent: Resource<Agent>,
        bindings: Vec<wit::Binding>,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        let name = self.table.get(&agent)?.name.clone();
        self.with(&agent, |session, means| {
            if !session.agent().write {
                return Err(SnmpError::ReadOnly { name });
            }
            range("number of objects", bindings.len(), OBJECTS_MAX)?;
            let bindings = bindings.into_iter().map(settable).collect::<Result<Vec<_>, _>>()?;
            let asked = Pdu { bindings, ..request(Kind::Set, []) };
            refusal(&asked, session.ask(&asked, means)?).map(drop)
        })
    }

    fn drop(&mut self, agent: Resource<Agent>) -> wasmtime::Result<()> {
        self.table.delete(agent)?;
        Ok(())
    }
}

/// The values of `oids`, in their order. An answer that would be too long is
/// asked for in halves; with v1, an object that is absent spoils the request
/// and is left out of the next.
fn get(
    session: &mut Session,
    oids: Vec<Oid>,
    means: &mut Means<'_>,
) -> Result<Vec<Binding>, SnmpError> {
    let asked = request(Kind::Get, oids);
    let answer = session.ask(&asked, means)?;
    let count = asked.bindings.len();
    match answer.status {
        TOO_BIG if count > 1 => {
            let mut first: Vec<Oid> = asked.bindings.into_iter().map(|b| b.oid).collect();
            let second = first.split_off(count / 2);
            let mut found = get(session, first, means)?;
            found.extend(get(session, second, means)?);
            Ok(found)
        }
        NO_SUCH_NAME if session.is_v1() => {
            let mut oids: Vec<Oid> = asked.bindings.into_iter().map(|b| b.oid).collect();
            let at = usize::try_from(answer.index).ok().and_then(|index| index.checked_sub(1));
            let at = at.filter(|at| *at < count).ok_or(SnmpError::Mismatch)?;
            let absent = Binding { oid: oids.remove(at), value: Value::Absent };
            let mut found = if oids.is_empty() { Vec::new() } else { get(session, oids, means)? };
            found.insert(at, absent);
            Ok(found)
        }
        _ => {
            let found = refusal(&asked, answer)?;
            let same = found.iter().map(|b| &b.oid).eq(asked.bindings.iter().map(|b| &b.oid));
            if same { Ok(found) } else { Err(SnmpError::Mismatch) }
        }
    }
}

/// Everything below `root`, at most `max` bindings.
fn walk(
    session: &mut Session,
    root: &Oid,
    max: usize,
    means: &mut Means<'_>,
) -> Result<Vec<Binding>, SnmpError> {
    let mut found: Vec<Binding> = Vec::new();
    let (mut at, mut repetitions, mut bytes) = (root.clone(), REPETITIONS, 0);
    while found.len() < max {
        let mut asked = match session.is_v1() {
            true => request(Kind::GetNext, [at.clone()]),
            false => request(Kind::GetBulk, [at.clone()]),
        };
        if !session.is_v1() {
            asked.index = repetitions;
        }
        let answer = session.ask(&asked, means)?;
        match answer.status {
            TOO_BIG if repetitions > 1 && !session.is_v1() => {
                repetitions /= 2;
                continue;
            }
            // The end, in v1.
            NO_SUCH_NAME if session.is_v1() => return Ok(found),
            _ => {}
        }
        let answer = refusal(&asked, answer)?;
        if answer.is_empty() {
            return Err(SnmpError::Mismatch);
        }
        for binding in answer {
            let below = binding.oid.starts_with(root) && binding.value != Value::EndOfView;
            if !below || found.len() == max {
                return Ok(found);
            }
            if binding.oid <= at {
                return Err(SnmpError::Looping { oid: at });
            }
            bytes += size(&binding);
            if bytes > WALK_BYTES_MAX {
                return Err(SnmpError::TooMuch { oid: root.clone() });
            }
            at.clone_from(&binding.oid);
            found.push(binding);
        }
    }
    Ok(found)
}

/// What a binding takes in a guest's memory, bytes.
fn size(binding: &Binding) -> usize {
    let value = match &binding.value {
        Value::Octets(bytes) | Value::Opaque(bytes) => bytes.len(),
        Value::Oid(oid) => 4 * oid.len(),
        _ => 0,
    };
    32 + 4 * binding.oid.len() + value
}

/// The bindings of an answer without an error status.
fn refusal(asked: &Pdu, answer: Pdu) -> Result<Vec<Binding>, SnmpError> {
    if answer.status == 0 {
        return Ok(answer.bindings);
    }
    let at = usize::try_from(answer.index).ok().and_then(|index| index.checked_sub(1));
    let oid = at.and_then(|at| asked.bindings.get(at)).map(|binding| binding.oid.clone());
    Err(SnmpError::Status { status: answer.status, oid })
}

fn check(oid: &Oid) -> Result<(), SnmpError> {
    if is_oid(oid) { Ok(()) } else { Err(SnmpError::BadOid { oid: oid.clone() }) }
}

fn range(parameter: &'static str, found: usize, most: usize) -> Result<(), SnmpError> {
    match (1..=most).contains(&found) {
        true => Ok(()),
        false => Err(SnmpError::Range { parameter, found, most }),
    }
}

fn settable(binding: wit::Binding) -> Result<Binding, SnmpError> {
    let wit::Binding { oid, value } = binding;
    check(&oid)?;
    let value = match value {
        wit::Value::Integer(n) if i32::try_from(n).is_ok() => Value::Integer(n),
        wit::Value::Octets(bytes) => Value::Octets(bytes),
        wit::Value::Oid(oid) => {
            check(&oid)?;
            Value::Oid(oid)
        }
        wit::Value::Address((a, b, c, d)) => Value::Address([a, b, c, d].into()),
        wit::Value::Unsigned(n) => Value::Unsigned(n),
        wit::Value::Ticks(n) => Value::Ticks(n),
        wit::Value::Opaque(bytes) => Value::Opaque(bytes),
        wit::Value::Integer(_) | wit::Value::Null | wit::Value::Absent => {
            return Err(SnmpError::BadValue { oid });
        }
    };
    Ok(Binding { oid, value })
}

fn shown(bindings: Vec<Binding>) -> Vec<wit::Binding> {
    let value = |value| match value {
        Value::Integer(n) => wit::Value::Integer(n),
        Value::Octets(bytes) => wit::Value::Octets(bytes),
        Value::Oid(oid) => wit::Value::Oid(oid),
        Value::Address(address) => wit::Value::Address(address.octets().into()),
        Value::Unsigned(n) => wit::Value::Unsigned(n),
        Value::Ticks(n) => wit::Value::Ticks(n),
        Value::Opaque(bytes) => wit::Value::Opaque(bytes),
        Value::Null => wit::Value::Null,
        Value::Absent | Value::EndOfView => wit::Value::Absent,
    };
    bindings
        .into_iter()
        .map(|Binding { oid, value: of }| wit::Binding { oid, value: value(of) })
        .collect()
}

#[cfg(test)]
mod tests;
