//! Asks servers for the time, one after the other, and moves the clock as
//! [`crate::clock`] says. It runs in a thread of its own: a name may take long
//! to be found.

use crate::clock::{self, Doubt, Sample, Verdict};
use crate::log;
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};
use sntpc::{NtpContext, NtpUdpSocket, StdTimestampGen};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

/// Where servers listen.
const PORT: u16 = 123;
/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 2;
/// By more than that it is told, µs.
const TOLD_US: i64 = 5_000_000;

/// What came of a round.
#[derive(Debug, thiserror::Error)]
pub enum SntpError {
    /// The clock is left alone.
    #[error(transparent)]
    Doubt(#[from] Doubt),
    /// The clock cannot be set.
    #[error("the clock cannot be set")]
    Clock(#[source] io::Error),
}

/// Ask them all, and set the clock; gives how far it was off, µs.
///
/// # Errors
/// [`SntpError`]; the clock is as it was.
pub fn round(servers: &[String]) -> Result<i64, SntpError> {
    let samples: Vec<Sample> = servers.iter().filter_map(|server| ask(server)).collect();
    match clock::judge(&samples, unix_us())? {
        Verdict::Right(offset) => Ok(offset),
        Verdict::Step(offset) => {
            set(unix_us().saturating_add(offset)).map_err(SntpError::Clock)?;
            if offset.abs() > TOLD_US {
                log::say(&format!("the clock was off by {} s and is set", offset / 1_000_000));
            }
            Ok(offset)
        }
    }
}

/// The first answer of any of a server's addresses.
fn ask(server: &str) -> Option<Sample> {
    let addresses = (server, PORT).to_socket_addrs().ok()?;
    addresses.take(ADDRESSES_MAX).find_map(|address| {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).ok()?;
        // Connected: the kernel passes on what comes from there, and nothing else.
        socket.connect(address).ok()?;
        socket.set_read_timeout(Some(ANSWER_MAX)).ok()?;
        exchange(address, &Asked(socket))
    })
}

/// What the server says that is at the other end of this socket.
pub fn exchange(address: SocketAddr, socket: &impl NtpUdpSocket) -> Option<Sample> {
    let context = NtpContext::new(StdTimestampGen::default());
    let told = sntpc::sync::get_time(address, socket, context).ok()?;
    let round_trip = Duration::from_micros(told.roundtrip());
    Some(Sample { offset_us: told.offset(), round_trip })
}

/// A socket as the library wants one.
struct Asked(UdpSocket);

impl NtpUdpSocket for Asked {
    async fn send_to(&self, bytes: &[u8], _: SocketAddr) -> sntpc::Result<usize> {
        self.0.send(bytes).map_err(|_| sntpc::Error::Network)
    }

    async fn recv_from(&self, bytes: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        let len = self.0.recv(bytes).map_err(|_| sntpc::Error::Network)?;
        let from = self.0.peer_addr().map_err(|_| sntpc::Error::Network)?;
        Ok((len, from))
    }
}

fn unix_us() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000)
}

fn set(unix_us: i64) -> io::Result<()> {
    let tv_nsec = unix_us.rem_euclid(1_000_000) * 1_000;
    let time = Timespec { tv_sec: unix_us.div_euclid(1_000_000), tv_nsec };
    Ok(clock_settime(ClockId::Realtime, time)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{EARLIEST_UNIX_S, LATEST_UNIX_S};
    use proptest::prelude::*;
    use std::cell::Cell;

    const HOUR_US: i64 = 3_600_000_000;

    /// A server that answers with these bytes, behind the time of the question.
    struct Answers<'a> {
        bytes: &'a [u8],
        asked: Cell<[u8; 8]>,
    }

    impl NtpUdpSocket for Answers<'_> {
        async fn send_to(&self, bytes: &[u8], _: SocketAddr) -> sntpc::Result<usize> {
            self.asked.set(bytes[40..48].try_into().expect("eight"));
            Ok(bytes.len())
        }

        async fn recv_from(&self, bytes: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
            let mut answer = self.bytes.to_vec();
            if let Some(origin) = answer.get_mut(24..32) {
                origin.copy_from_slice(&self.asked.get());
            }
            let len = answer.len().min(bytes.len());
            bytes[..len].copy_from_slice(&answer[..len]);
            Ok((len, anywhere()))
        }
    }

    fn anywhere() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, PORT).into()
    }

    fn heard(bytes: &[u8]) -> Option<Sample> {
        exchange(anywhere(), &Answers { bytes, asked: Cell::default() })
    }

    /// A server whose clock is ahead by an hour answers; one that echoes the
    /// question is no server.
    #[test]
    fn an_answer_is_taken_apart_and_nonsense_is_none() {
        for (nonsense, found) in [(false, true), (true, false)] {
            let server = UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = server.local_addr().unwrap();
            let answering = std::thread::spawn(move || {
                let mut asked = [0; 100];
                let (len, from) = server.recv_from(&mut asked).unwrap();
                assert_eq!(len, 48);
                let mut answer = asked[..48].to_vec();
                if !nonsense {
                    answer = answer_to(&answer);
                }
                server.send_to(&answer, from).unwrap();
            });
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(address).unwrap();
            socket.set_read_timeout(Some(ANSWER_MAX)).unwrap();
            let told = exchange(address, &Asked(socket));
            answering.join().unwrap();
            assert_eq!(told.is_some(), found, "{told:?}");
            if let Some(told) = told {
                assert!(told.offset_us.abs_diff(HOUR_US) < 1_000_000, "{told:?}");
            }
        }
    }

    /// RFC 4330: version 4, server, stratum 2; all times an hour ahead.
    fn answer_to(asked: &[u8]) -> Vec<u8> {
        let mut answer = vec![0; 48];
        answer[..4].copy_from_slice(&[0b00_100_100, 2, 6, 0xec]);
        answer[24..32].copy_from_slice(&asked[40..48]);
        let seconds = u32::from_be_bytes([asked[40], asked[41], asked[42], asked[43]]) + 3_600;
        for place in [16, 32, 40] {
            answer[place..place + 4].copy_from_slice(&seconds.to_be_bytes());
            answer[place + 4..place + 8].copy_from_slice(&asked[44..48]);
        }
        answer
    }

    #[test]
    fn an_answer_that_is_cut_or_says_that_it_knows_nothing_is_none() {
        let mut asked = [0; 48];
        let ntp_s = unix_us() / 1_000_000 + 2_208_988_800;
        asked[40..44].copy_from_slice(&(ntp_s as u32).to_be_bytes());
        let good = answer_to(&asked);
        let told = heard(&good).expect("a good answer");
        assert!(told.offset_us.abs_diff(HOUR_US) < 5_000_000, "{told:?}");
        for len in 0..good.len() {
            assert_eq!(heard(&good[..len]), None, "{len} bytes");
        }
        for (place, byte, what) in [
            (0, 0b11_100_100, "its clock is not set"),
            (0, 0b00_100_101, "it calls to everybody"),
            (1, 0, "it wants to be left alone"),
            (1, 16, "nobody tells it the time"),
        ] {
            let mut answer = good.clone();
            answer[place] = byte;
            assert_eq!(heard(&answer), None, "{what}");
        }
    }

    #[test]
    fn a_name_that_nobody_has_is_silence() {
        let silent = round(&["nobody.invalid".to_owned()]);
        assert!(matches!(silent, Err(SntpError::Doubt(Doubt::Silence))), "{silent:?}");
    }

    proptest! {
        /// Whatever a server says of its times, the clock shows what can be.
        #[test]
        fn no_answer_sets_the_clock_to_what_cannot_be(
            mut bytes in prop::collection::vec(any::<u8>(), 0..60),
            is_server: bool,
            unix_us in 0..LATEST_UNIX_S * 1_000_000,
        ) {
            if let (true, Some(head)) = (is_server, bytes.get_mut(..16)) {
                head.copy_from_slice(&[0b00_100_100, 2, 6, 0xec, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
            }
            let sample = heard(&bytes);
            prop_assert!(sample.is_none() || bytes.len() >= 48);
            if let Some(Ok(Verdict::Right(offset) | Verdict::Step(offset))) =
                sample.map(|sample| clock::judge(&[sample], unix_us))
            {
                let shown = (unix_us + offset) / 1_000_000;
                prop_assert!((EARLIEST_UNIX_S..LATEST_UNIX_S).contains(&shown));
            }
        }
    }
}
