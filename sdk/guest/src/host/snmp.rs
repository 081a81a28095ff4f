//! SNMP agents that the administrator configured (`evenkeel:snmp-client`).
//! Address, version, community or user and keys are the host's.

/// Agents under the logical names of the manifest.
pub trait Snmp {
    /// The agent that the administrator granted under `name`.
    ///
    /// # Errors
    /// [`SnmpError`] when it is not granted.
    fn open_agent(&mut self, name: &str) -> Result<Box<dyn Agent>, SnmpError>;
}

/// One agent.
pub trait Agent {
    /// At most 32 objects.
    ///
    /// # Errors
    /// [`SnmpError`].
    fn get(&mut self, oids: &[&Oid]) -> Result<Vec<Binding>, SnmpError>;

    /// Everything below `root` in order, at most `max` (≤ 512) bindings.
    ///
    /// # Errors
    /// [`SnmpError`].
    fn walk(&mut self, root: &Oid, max: u32) -> Result<Vec<Binding>, SnmpError>;

    /// Write objects; needs a grant to write.
    ///
    /// # Errors
    /// [`SnmpError`].
    fn set(&mut self, bindings: &[Binding]) -> Result<(), SnmpError>;
}

/// The numbers of an object identifier.
pub type Oid = [u32];

/// An object and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Which object.
    pub oid: Vec<u32>,
    /// Its value.
    pub value: SnmpValue,
}

/// Values as in RFC 2578.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnmpValue {
    /// A signed number.
    Integer(i64),
    /// Bytes, often text.
    Octets(Vec<u8>),
    /// An object identifier.
    Oid(Vec<u32>),
    /// An IPv4 address.
    Address([u8; 4]),
    /// Counter32, Gauge32, Counter64.
    Unsigned(u64),
    /// Hundredths of a second.
    Ticks(u32),
    /// Bytes of an encoding of their own.
    Opaque(Vec<u8>),
    /// Nothing.
    Null,
    /// The agent has no such object, no such instance, or nothing behind it.
    Absent,
}

impl SnmpValue {
    /// The value as a number, where it is one.
    #[must_use]
    pub const fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Unsigned(number) => Some(*number as f64),
            Self::Ticks(number) => Some(*number as f64),
            _ => None,
        }
    }
}

error! {
    /// Why an agent could not be asked.
    SnmpError {
        /// The agent is not granted to this plugin.
        DENIED = 1,
        /// No answer, the retries included.
        TIMEOUT = 2,
        /// Its name cannot be resolved, or there is no route.
        UNREACHABLE = 3,
        /// Wrong community, user, key or clock.
        SECURITY = 4,
        /// The agent answered with an error status.
        AGENT = 5,
        /// The answer is no SNMP.
        GARBLED = 6,
        /// The plugin's budget for this interface is used up.
        QUOTA = 7,
        /// A parameter is out of range.
        INVALID = 8,
    }
}
