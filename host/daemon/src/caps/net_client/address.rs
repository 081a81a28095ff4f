//! From a host name to the addresses that a plugin may be connected to
//! (facts/wasm-host.md §10.4, "Egress").
//!
//! The administrator wrote the host. An address stands for itself, the
//! appliance's own included; a name stands for whatever its name server says,
//! so that it must not lead back into the appliance or to everybody.
//!
//! The system's resolver blocks and cannot be interrupted. Each look-up runs
//! on a thread of its own and the plugin waits for a descriptor, as for
//! everything else; a look-up that is given up ends when the resolver gives
//! up. How many run at once is bounded for the whole host.

use super::error::Fault;
use crate::plugin::stop::{Stop, Woken};
use evenkeel_core::time::Nanos;
use rustix::event::PollFlags;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Look-ups of all plugins that may run at once.
pub const LOOKUPS_MAX: usize = 8;
/// Addresses of one name that are tried.
pub const ADDRESSES_MAX: usize = 4;
/// The resolver of the system needs little more than 64 KiB.
const STACK_BYTES: usize = 256 << 10;

/// The look-ups of this process, which all draw on the same descriptors,
/// memory and name servers.
static LOOKUPS: Lookups = Lookups::new();

/// The addresses behind `host`, at least one, those first that the system
/// prefers.
///
/// # Errors
/// [`Fault`] when there is none that a plugin may be connected to.
pub fn resolve(
    host: &str,
    port: u16,
    deadline: Nanos,
    stop: &Stop,
) -> Result<Vec<SocketAddr>, Fault> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return match address.is_unspecified() || address.is_multicast() {
            true => Err(Fault::Forbidden { address }),
            false => Ok(vec![SocketAddr::new(address, port)]),
        };
    }
    let host = host.to_owned();
    let found = LOOKUPS.run(deadline, stop, move || {
        (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
    })?;
    allowed(found)
}

/// Those of a name's addresses that it may stand for.
fn allowed(found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Fault> {
    let forbidden = found.iter().map(SocketAddr::ip).find(|address| !may_be_named(*address));
    let mut allowed: Vec<_> = found.into_iter().filter(|a| may_be_named(a.ip())).collect();
    allowed.truncate(ADDRESSES_MAX);
    match (allowed.is_empty(), forbidden) {
        (false, _) => Ok(allowed),
        (true, Some(address)) => Err(Fault::Forbidden { address }),
        (true, None) => Err(Fault::NoAddress),
    }
}

/// Whether a name may stand for `address`.
fn may_be_named(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => may_be_named_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => may_be_named_v4(v4),
            None => {
                !(v6.is_unspecified()
                    || v6.is_loopback()
                    || v6.is_multicast()
                    || v6.is_unicast_link_local())
            }
        },
    }
}

fn may_be_named_v4(v4: Ipv4Addr) -> bool {
    // 0.0.0.0/8 is "this network", and leads to the appliance itself.
    !(v4.octets()[0] == 0
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_broadcast())
}

/// The IPv4 address that an IPv6 address is another spelling of: mapped
/// (RFC 4291 §2.5.5.2), compatible (§2.5.5.1), translated (RFC 6052 §2.1), 6to4
/// (RFC 3056 §2).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match v6.segments() {
        // `::` and `::1` are addresses of IPv6 itself.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// How many look-ups run.
struct Lookups {
    running: AtomicUsize,
}

/// The right to run one, which goes back when it is dropped.
struct Permit(&'static AtomicUsize);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Lookups {
    const fn new() -> Self {
        Self { running: AtomicUsize::new(0) }
    }

    fn permit(&'static self) -> Option<Permit> {
        let more = |running| (running < LOOKUPS_MAX).then_some(running + 1);
        let taken = self.running.fetch_update(Ordering::Acquire, Ordering::Relaxed, more);
        // A permit that nobody gets must not be made: it would go back.
        taken.is_ok().then(|| Permit(&self.running))
    }

    /// Run `look_up` elsewhere, and wait for it until `deadline`.
    fn run(
        &'static self,
        deadline: Nanos,
        stop: &Stop,
        look_up: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> Result<Vec<SocketAddr>, Fault> {
        let io = |source| Fault::Io { source };
        let permit = self.permit().ok_or(Fault::Lookups)?;
        let (answer, answered) = mpsc::sync_channel(1);
        // The far end is closed when the thread is done, whatever happened.
        let (wake, done) = UnixStream::pair().map_err(io)?;
        thread::Builder::new()
            .name("name-look-up".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let _held = (permit, done);
                // Nobody may wait for it any more.
                let _ = answer.send(look_up());
            })
            .map_err(io)?;
        match stop.wait_for(wake.as_fd(), PollFlags::IN, deadline).map_err(io)? {
            Woken::Stopped => Err(Fault::Stopped),
            Woken::TimedOut => Err(Fault::Timeout { during: "looking up its name" }),
            Woken::Ready(_) => match answered.recv() {
                Ok(found) => found.map_err(|source| Fault::Resolve { source }),
                Err(_) => Err(Fault::Resolve { source: io::Error::other("the look-up failed") }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn soon() -> Nanos {
        clock::now() + Nanos::from_secs(10)
    }

    fn stop() -> Arc<Stop> {
        Arc::new(Stop::new().expect("a descriptor"))
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|t| SocketAddr::new(t.parse().expect("an address"), 514)).collect()
    }

    #[test]
    fn an_address_is_what_the_administrator_wrote() {
        let resolved = |host| resolve(host, 514, soon(), &stop());
        for good in ["127.0.0.1", "::1", "192.0.2.7", "fe80::1", "10.0.0.1"] {
            assert_eq!(resolved(good).expect(good), addresses(&[good]));
        }
        for bad in ["0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
            assert!(matches!(resolved(bad), Err(Fault::Forbidden { .. })), "{bad}");
        }
    }

    #[test]
    fn a_name_leads_out_of_the_appliance_in_every_spelling() {
        for bad in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::1",
        ] {
            assert!(matches!(allowed(addresses(&[bad])), Err(Fault::Forbidden { .. })), "{bad}");
            let mixed = allowed(addresses(&[bad, "192.0.2.7"])).expect("one is good");
            assert_eq!(mixed, addresses(&["192.0.2.7"]));
        }
        for good in ["10.0.0.1", "192.168.1.1", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1"] {
            assert_eq!(allowed(addresses(&[good])).expect(good), addresses(&[good]));
        }
        assert!(matches!(allowed(Vec::new()), Err(Fault::NoAddress)));
        let many = allowed(addresses(&["192.0.2.7"; 99])).expect("good");
        assert_eq!(many.len(), ADDRESSES_MAX);
    }

    #[test]
    fn localhost_is_a_name_and_leads_back() {
        let error = resolve("localhost", 514, soon(), &stop()).expect_err("forbidden");
        assert!(matches!(error, Fault::Forbidden { address } if address.is_loopback()), "{error}");
    }

    #[test]
    fn a_slow_name_server_holds_up_neither_stop_nor_deadline() {
        static LOOKUPS: Lookups = Lookups::new();
        let (release, blocked) = mpsc::channel::<()>();
        let slow = move || {
            let _ = blocked.recv();
            Ok(Vec::new())
        };
        let (stop, begun) = (stop(), Instant::now());
        let other = Arc::clone(&stop);
        let waiting = thread::spawn(move || LOOKUPS.run(soon(), &other, slow));
        while LOOKUPS.running.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        stop.request();
        let ended = waiting.join().expect("no panic");
        assert!(matches!(ended, Err(Fault::Stopped)), "{ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(LOOKUPS.running.load(Ordering::Relaxed), 1, "it still counts");
        drop(release);
        while LOOKUPS.running.load(Ordering::Relaxed) == 1 {
            thread::yield_now();
        }
    }

    #[test]
    fn look_ups_are_bounded_and_given_back() {
        static LOOKUPS: Lookups = Lookups::new();
        let permits: Vec<_> = (0..LOOKUPS_MAX).map(|_| LOOKUPS.permit().expect("free")).collect();
        let full = LOOKUPS.run(soon(), &stop(), || Ok(Vec::new()));
        assert!(matches!(full, Err(Fault::Lookups)), "{full:?}");
        drop(permits);
        assert_eq!(LOOKUPS.run(soon(), &stop(), || Ok(Vec::new())).expect("free"), []);
    }
}
