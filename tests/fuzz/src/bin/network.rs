//! What servers of addresses (DHCP) and of the time (SNTP) answer: whatever they
//! say, in whatever order, a lease is one that an interface can have and ends in
//! time, and the clock shows what can be.
#![no_main]

// The keeper's own files: it is a program, and no library.
#[allow(dead_code, reason = "the keeper uses the rest")]
#[path = "../../../../image/network/src/clock.rs"]
mod clock;
#[allow(dead_code, reason = "the keeper uses the rest")]
#[path = "../../../../image/network/src/lease/mod.rs"]
mod lease;
#[allow(dead_code, reason = "the keeper uses the rest")]
#[path = "../../../../image/network/src/log.rs"]
mod log;
#[allow(dead_code, reason = "the keeper uses the rest")]
#[path = "../../../../image/network/src/sntp.rs"]
mod sntp;

use clock::{EARLIEST_UNIX_S, LATEST_UNIX_S, Verdict};
use evenkeel_core::settings::network::{DNS_MAX, NTP_MAX, is_usable_ipv4, network_of_ipv4};
use lease::wire::{LEN_MAX, Terms};
use lease::{Change, Client, Step};
use libfuzzer_sys::fuzz_target;
use sntpc::NtpUdpSocket;
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 7];

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((0, events)) => addresses(events, None),
        Some((1, events)) => addresses(events, Some(Ipv4Addr::new(192, 0, 2, 7))),
        Some((_, answer)) => time(answer),
        None => {}
    }
});

/// Events: what, and two bytes for it; of an answer its length, and its bytes.
/// `before` is the address before a restart.
fn addresses(mut events: &[u8], before: Option<Ipv4Addr>) {
    let host_name = Some("rack-7".to_owned());
    let mut client = Client::new(HARDWARE, host_name, before, Duration::ZERO);
    let (mut now, mut transaction, mut held) = (Duration::ZERO, [0; 4], false);
    while let Some((&[what, low, high], rest)) = events.split_first_chunk::<3>() {
        let number = u16::from_le_bytes([low, high]);
        events = rest;
        let step = match what % 4 {
            0 => {
                let (answer, rest) = events.split_at(events.len().min(number.into()));
                events = rest;
                client.hear(&addressed(answer, transaction), now)
            }
            1 => {
                now += Duration::from_secs(number.into());
                client.tick(now, u32::from(number) << 8 | 1)
            }
            2 => {
                client.reconnect(now);
                Step::default()
            }
            _ => client.taken(now),
        };
        if let Some(packet) = &step.send {
            assert!((300..=LEN_MAX).contains(&packet.bytes.len()));
            transaction.copy_from_slice(&packet.bytes[4..8]);
        }
        match &step.change {
            Some(Change::Got(terms)) => {
                usable(terms);
                held = true;
            }
            Some(Change::Lost) => {
                assert!(held, "what was never there is not lost");
                held = false;
            }
            None => {}
        }
        assert_eq!(held, client.lease().is_some());
    }
}

/// An answer to the last question: the fuzzer need not guess whose it is.
fn addressed(answer: &[u8], transaction: [u8; 4]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    if let Some(head) = answer.get_mut(..34) {
        head[4..8].copy_from_slice(&transaction);
        head[28..].copy_from_slice(&HARDWARE);
    }
    answer
}

fn usable(terms: &Terms) {
    let Terms { address, prefix, gateway, dns, ntp, lease, renew, rebind, .. } = terms;
    assert!(is_usable_ipv4(*address, *prefix) && (8..=32).contains(prefix));
    if let Some(gateway) = gateway {
        assert_eq!(network_of_ipv4(*gateway, *prefix), network_of_ipv4(*address, *prefix));
        assert_ne!(gateway, address);
    }
    assert!(dns.len() <= DNS_MAX && ntp.len() <= NTP_MAX);
    assert!(*renew > Duration::ZERO && renew < rebind && rebind < lease);
}

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
        let len = self.bytes.len().min(bytes.len());
        bytes[..len].copy_from_slice(&self.bytes[..len]);
        if len >= 32 {
            bytes[24..32].copy_from_slice(&self.asked.get());
        }
        Ok((len, anywhere()))
    }
}

fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 123).into()
}

fn time(answer: &[u8]) {
    let answers = Answers { bytes: answer, asked: Cell::default() };
    let Some(sample) = sntp::exchange(anywhere(), &answers) else { return };
    for unix_us in [0, EARLIEST_UNIX_S * 1_000_000, LATEST_UNIX_S * 1_000_000] {
        for samples in [&[sample][..], &[sample; 3]] {
            if let Ok(Verdict::Right(offset) | Verdict::Step(offset)) =
                clock::judge(samples, unix_us)
            {
                let shown = (unix_us + offset) / 1_000_000;
                assert!((EARLIEST_UNIX_S..LATEST_UNIX_S).contains(&shown), "{shown}");
            }
        }
    }
}
