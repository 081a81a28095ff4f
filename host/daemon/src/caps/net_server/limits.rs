//! How much of the appliance strangers can use up through a gateway
//! (SEC-102). The console has bounds of its own and shares none of these.

use std::time::Duration;

/// Connections of one listener. When it is full, the one that has asked for
/// nothing for longest makes room, if that is at least [`EVICT_AFTER`].
pub const PER_LISTENER_MAX: usize = 64;
/// Of these from one source, an IPv4 address or an IPv6 /64.
pub const PER_SOURCE_MAX: usize = 16;
/// Connections of all listeners of all plugins.
pub const TOTAL_MAX: usize = 192;
/// Peers of a datagram listener that are remembered.
pub const PEERS_MAX: usize = 256;
/// Bytes of a connection that were received and not consumed.
pub const BUFFER_MAX: usize = 65_536;
/// Bytes of a connection that wait to be sent unasked.
pub const OUTGOING_MAX: usize = 65_536;
/// Requests of one plugin that are handed over at the same time; fewer than
/// its inbox takes, so that commands and events find room.
pub const TURNS_MAX: usize = 16;

/// Time for a TLS handshake.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// A connection without a request for this long is closed.
pub const IDLE_TIME: Duration = Duration::from_secs(120);
/// A request must be whole this long after its first byte.
pub const REQUEST_TIME: Duration = Duration::from_secs(10);
/// A peer must take an answer within this time.
pub const WRITE_TIME: Duration = Duration::from_secs(10);
/// A request waits so long for a plugin that restarts or has much to do.
pub const SERVE_WAIT: Duration = Duration::from_secs(20);
/// See [`PER_LISTENER_MAX`].
pub const EVICT_AFTER: Duration = Duration::from_secs(10);
/// Between the first two attempts to bind an address: the plugin's own
/// predecessor may just be going …
pub const BIND_RETRY_FIRST: Duration = Duration::from_millis(100);
/// … and later.
pub const BIND_RETRY: Duration = Duration::from_secs(5);
/// Pause after the system refused a connection (no descriptors left), or when
/// others have filled the plugin's inbox.
pub const PAUSE: Duration = Duration::from_millis(50);
