//! The network: peers that the administrator configured
//! (`evenkeel:net-client`), and connections that come in (`evenkeel:net-server`).

/// Connections to endpoints under the logical names of the manifest. Address,
/// port, TLS and certificates are the host's.
pub trait Net {
    /// How the administrator configured the endpoint.
    ///
    /// # Errors
    /// [`NetError`] when it is not granted.
    fn transport_of(&mut self, endpoint: &str) -> Result<Transport, NetError>;

    /// A TCP connection, within TLS when the endpoint says so.
    ///
    /// # Errors
    /// [`NetError`].
    fn connect(&mut self, endpoint: &str, timeout_ms: u32)
    -> Result<Box<dyn Connection>, NetError>;

    /// A UDP socket that exchanges datagrams with one endpoint and no other.
    ///
    /// # Errors
    /// [`NetError`].
    fn open_datagrams(&mut self, endpoint: &str) -> Result<Box<dyn Datagrams>, NetError>;
}

/// A stream to a peer; dropping it closes it.
pub trait Connection {
    /// Write all of `data` (≤ 65,536 bytes).
    ///
    /// # Errors
    /// [`NetError`]; then the connection is of no further use, because how much
    /// arrived is not known.
    fn write(&mut self, data: &[u8], timeout_ms: u32) -> Result<(), NetError>;

    /// At least one and at most `max` bytes (≤ 65,536), as they arrive.
    ///
    /// # Errors
    /// [`NetError`], [`NetError::CLOSED`] at the end.
    fn read(&mut self, max: u32, timeout_ms: u32) -> Result<Vec<u8>, NetError>;
}

/// Datagrams to and from one peer.
pub trait Datagrams {
    /// Send one of at most 8,192 bytes.
    ///
    /// # Errors
    /// [`NetError`].
    fn send(&mut self, data: &[u8]) -> Result<(), NetError>;

    /// The next one of the peer.
    ///
    /// # Errors
    /// [`NetError`].
    fn receive(&mut self, timeout_ms: u32) -> Result<Vec<u8>, NetError>;
}

/// How an endpoint is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream within TLS.
    Tls,
}

/// Speaking unasked on a connection that a peer opened.
pub trait Server {
    /// Send on a connection of this plugin.
    ///
    /// # Errors
    /// [`ServerError`].
    fn send_on(&mut self, connection: u64, data: &[u8]) -> Result<(), ServerError>;

    /// Close a connection of this plugin; what waits is sent first.
    fn close(&mut self, connection: u64);
}

error! {
    /// Why a peer could not be spoken with.
    NetError {
        /// The endpoint is not granted to this plugin.
        DENIED = 1,
        /// Its name cannot be resolved, or there is no route.
        UNREACHABLE = 2,
        /// Nobody listens there.
        REFUSED = 3,
        /// Not done before the deadline.
        TIMEOUT = 4,
        /// The peer ended the connection.
        CLOSED = 5,
        /// The peer is not who it should be, or speaks no TLS.
        TLS = 6,
        /// The plugin's budget for this interface is used up.
        QUOTA = 7,
        /// A parameter is out of range.
        INVALID = 8,
        /// The operating system reported an error.
        IO = 9,
    }
}

error! {
    /// Why a connection could not be spoken on.
    ServerError {
        /// The connection is closed.
        GONE = 1,
        /// More than 65,536 bytes wait to be sent; send less.
        QUOTA = 2,
    }
}
