//! What can go wrong with a peer, in words that say which one and what to do,
//! and as the codes of `net-client.wit`.

use super::{BYTES_PER_S, CONNECTS_BURST, CONNECTS_INTERVAL, address};
use crate::caps::meter::Beyond;
use crate::plugin::limits::HANDLES_MAX;
use std::io;
use std::net::IpAddr;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Not granted.
    #[error("the peer {name:?} is not granted to this plugin")]
    Denied {
        /// Logical name.
        name: String,
    },
    /// A parameter out of range.
    #[error("{parameter} {found} is not in {low} … {high}")]
    Range {
        /// Which one.
        parameter: &'static str,
        /// Its value.
        found: u64,
        /// Least.
        low: u64,
        /// Most.
        high: u64,
    },
    /// A connection to what is granted as datagrams, or the other way round.
    #[error("{peer} is not reached by {asked}; grant it as {wanted}")]
    Transport {
        /// The endpoint.
        peer: String,
        /// What the plugin wants.
        asked: &'static str,
        /// What would fit.
        wanted: &'static str,
    },
    /// Too many handles.
    #[error("more than {HANDLES_MAX} connections are open; drop one first")]
    Handles,
    /// Connecting again and again.
    #[error(
        "connected more often than {CONNECTS_BURST} times at once and once in {} s; keep the \
        connection open, or try again later", CONNECTS_INTERVAL.as_millis() / 1_000
    )]
    Connects,
    /// Sending or receiving without end.
    #[error("more than {} KiB a second; wait before the next call", BYTES_PER_S / 1024)]
    Bytes,
    /// The peer itself.
    #[error("{peer}{}", at.map(|at| format!(" ({at})")).unwrap_or_default())]
    Peer {
        /// The endpoint.
        peer: String,
        /// The address that was tried, where a name stands for it.
        at: Option<IpAddr>,
        /// What went wrong.
        #[source]
        fault: Fault,
    },
}

impl Beyond for NetError {
    fn beyond(&self) -> Option<&'static str> {
        match self {
            Self::Denied { .. } => Some("peer not granted"),
            Self::Handles | Self::Connects | Self::Bytes => Some("network quota"),
            Self::Range { .. } | Self::Transport { .. } | Self::Peer { .. } => None,
        }
    }
}

/// What went wrong with one peer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Its name is not known.
    #[error("its name cannot be looked up; check the name and the appliance's name servers")]
    Resolve {
        /// What the resolver says.
        #[source]
        source: io::Error,
    },
    /// Its name is known and has no address.
    #[error("its name has no address; check the name server")]
    NoAddress,
    /// Too many names are being looked up.
    #[error("{} names are being looked up already; try again later", address::LOOKUPS_MAX)]
    Lookups,
    /// Its address is one that no endpoint, or no name, may lead to.
    #[error(
        "its address {address} is the appliance's own or everybody's; write another, or the \
        address instead of the name if the appliance itself is meant"
    )]
    Forbidden {
        /// The address.
        address: IpAddr,
    },
    /// There is no way there.
    #[error("it cannot be reached; check its address and the appliance's network")]
    Unreachable {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Nobody listens.
    #[error("it refuses; check its port and that the service there runs")]
    Refused,
    /// Too late.
    #[error("no answer in time while {during}")]
    Timeout {
        /// What was being done.
        during: &'static str,
    },
    /// The peer is gone.
    #[error("it ended the connection")]
    Closed,
    /// What was sent to it was never acknowledged.
    #[error("it does not answer any more")]
    Silent,
    /// Nobody to trust.
    #[error(
        "there are no certificate authorities to trust; add `ca = \"/…/ca.pem\"` or \
        `pin_sha256 = \"…\"` to its grant"
    )]
    NoRoots,
    /// The file of authorities is of no use.
    #[error("the certificate authorities in {place} cannot be used; correct them")]
    Roots {
        /// The file, or what holds them.
        place: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The peer is not who it should be, or speaks no TLS.
    #[error("TLS failed: {advice}")]
    Tls {
        /// What it means and what to do.
        advice: &'static str,
        /// What the library says.
        #[source]
        source: Box<rustls::Error>,
    },
    /// The plugin is told to stop.
    #[error("the plugin is being stopped")]
    Stopped,
    /// The operating system reported an error.
    #[error("the system reported an error")]
    Io {
        /// What it says.
        #[source]
        source: io::Error,
    },
}

impl NetError {
    /// The code in `net-client.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Denied { .. } => 1,
            Self::Range { .. } | Self::Transport { .. } => 8,
            Self::Handles | Self::Connects | Self::Bytes => 7,
            Self::Peer { fault, .. } => match fault {
                Fault::Forbidden { .. } => 1,
                Fault::Resolve { .. } | Fault::NoAddress | Fault::Unreachable { .. } => 2,
                Fault::Refused => 3,
                Fault::Timeout { .. } => 4,
                Fault::Closed | Fault::Silent => 5,
                Fault::NoRoots | Fault::Roots { .. } | Fault::Tls { .. } => 6,
                Fault::Lookups => 7,
                Fault::Stopped | Fault::Io { .. } => 9,
            },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match source.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Self::Closed,
            Kind::UnexpectedEof | Kind::NotConnected => Self::Closed,
            Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::NetworkDown => {
                Self::Unreachable { source }
            }
            // The system gave up, not our deadline: retransmissions went unanswered.
            Kind::TimedOut => Self::Silent,
            _ => Self::Io { source },
        }
    }
}
