//! The client against servers that lose, refuse, vanish and babble, in virtual
//! time.

use super::*;
use proptest::prelude::*;
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};

const HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 7];
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const LEASE_S: u32 = 3_600;

/// A server, and how it behaves.
#[derive(Clone, Copy)]
struct Server {
    here: bool,
    refuses: bool,
    lease_s: u32,
}

const GOOD: Server = Server { here: true, refuses: false, lease_s: LEASE_S };

impl Server {
    /// What it says to these bytes, if anything.
    fn answer(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let packet = DhcpPacket::new_checked(bytes).expect("whole");
        let asked = DhcpRepr::parse(&packet).expect("a question");
        let says = match asked.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Decline => return None,
            _ if self.refuses => DhcpMessageType::Nak,
            _ => DhcpMessageType::Ack,
        };
        self.here.then(|| reply(says, asked.transaction_id, HARDWARE, self.lease_s))
    }
}

fn reply(says: DhcpMessageType, transaction: u32, hardware: [u8; 6], lease_s: u32) -> Vec<u8> {
    let none = Ipv4Addr::UNSPECIFIED;
    let options = [
        DhcpOption { kind: 3, data: &[198, 51, 100, 1, 192, 0, 2, 254] },
        DhcpOption { kind: 6, data: &[192, 0, 2, 53, 0, 0, 0, 0] },
        DhcpOption { kind: 42, data: &[192, 0, 2, 123] },
    ];
    let repr = DhcpRepr {
        message_type: says,
        transaction_id: transaction,
        secs: 0,
        client_hardware_address: EthernetAddress(hardware),
        client_ip: none,
        your_ip: ADDRESS,
        server_ip: none,
        router: None,
        subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        relay_agent_ip: none,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(SERVER),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: Some(lease_s),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &options,
    };
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).expect("room");
    bytes
}

fn at(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A client, and what became of it.
struct World {
    client: Client,
    now: Duration,
    sent: Vec<(Duration, Packet)>,
    changes: Vec<(Duration, Change)>,
    /// Somebody has every address that is looked for.
    occupied: bool,
}

impl World {
    fn new() -> Self {
        let client = Client::new(HARDWARE, Some("rack-7".to_owned()), None, at(0));
        Self { client, now: at(0), sent: vec![], changes: vec![], occupied: false }
    }

    /// Until `end`, with a server that hears everything.
    fn run(&mut self, server: Server, end: Duration) {
        while self.client.due() <= end {
            self.now = self.now.max(self.client.due());
            let random = self.sent.len() as u32 * 7_919 + 1;
            let step = self.client.tick(self.now, random);
            self.took(step, server);
        }
        self.now = end;
    }

    fn took(&mut self, step: Step, server: Server) {
        self.changes.extend(step.change.map(|change| (self.now, change)));
        if step.check.is_some_and(|address| self.occupied && address == ADDRESS) {
            let step = self.client.taken(self.now);
            self.took(step, server);
        }
        let Some(packet) = step.send else { return };
        self.sent.push((self.now, packet.clone()));
        if let Some(answer) = server.answer(&packet.bytes) {
            let step = self.client.hear(&answer, self.now);
            self.took(step, server);
        }
    }

    fn has_lease(&self) -> bool {
        self.client.lease().is_some()
    }

    /// What was said from `from` on, and of which address.
    fn said(&self, from: Duration) -> Vec<(DhcpMessageType, Option<Ipv4Addr>)> {
        let later = self.sent.iter().filter(|(when, _)| *when >= from);
        let said = later.map(|(_, packet)| {
            let packet = DhcpPacket::new_checked(&packet.bytes[..]).expect("whole");
            let repr = DhcpRepr::parse(&packet).expect("a packet");
            (repr.message_type, repr.requested_ip)
        });
        said.collect()
    }

    /// The last question with its transaction.
    fn transaction(&self) -> u32 {
        self.client.transaction
    }
}

#[test]
fn an_address_is_lent_with_all_that_comes_with_it() {
    let mut world = World::new();
    world.run(GOOD, at(1));
    assert!(!world.has_lease(), "it is looked first whether somebody has it");
    world.run(GOOD, at(2));
    let [(_, Change::Got(terms))] = &world.changes[..] else { panic!("{:?}", world.changes) };
    assert_eq!((terms.address, terms.prefix, terms.server), (ADDRESS, 24, SERVER));
    let gateway = Ipv4Addr::new(192, 0, 2, 254);
    assert_eq!(terms.gateway, Some(gateway), "the first is in another network");
    assert_eq!(terms.dns, [Ipv4Addr::new(192, 0, 2, 53)], "0.0.0.0 is nobody");
    assert_eq!(terms.ntp, [Ipv4Addr::new(192, 0, 2, 123)]);
    let bytes = &world.sent[0].1.bytes;
    assert!(bytes.windows(8).any(|part| part == [12, 6, b'r', b'a', b'c', b'k', b'-', b'7']));
    assert!(bytes.len() >= 300, "relays drop what is shorter");
}

#[test]
fn lost_questions_are_asked_again_ever_slower() {
    let mut world = World::new();
    world.run(Server { here: false, ..GOOD }, at(600));
    let pauses: Vec<u64> =
        world.sent.windows(2).map(|two| (two[1].0 - two[0].0).as_secs()).collect();
    assert!((3..=5).contains(&pauses[0]) && (7..=9).contains(&pauses[1]), "{pauses:?}");
    assert!(pauses[5..].iter().all(|pause| (63..=65).contains(pause)), "{pauses:?}");
    world.run(GOOD, at(700));
    assert!(world.has_lease(), "whenever the server comes");
}

#[test]
fn one_that_offers_and_falls_silent_is_given_up_for_any_other() {
    let mut world = World::new();
    let packet = world.client.tick(at(0), 5).send.expect("a question");
    let offer = GOOD.answer(&packet.bytes).expect("an offer");
    assert!(world.client.hear(&offer, at(0)).send.is_some(), "it is asked for");
    world.run(Server { here: false, ..GOOD }, at(120));
    assert!(!world.has_lease());
    world.run(GOOD, at(200));
    assert!(world.has_lease());
}

#[test]
fn a_lease_is_renewed_at_half_its_time_by_its_server() {
    let mut world = World::new();
    world.run(GOOD, at(u64::from(LEASE_S) * 10));
    assert!(world.changes.iter().all(|(_, change)| matches!(change, Change::Got(_))));
    assert_eq!(world.changes.len(), 21, "half by half");
    let (when, renewal) = &world.sent[2];
    assert_eq!((*when, renewal.to), (at(1_800), SERVER), "to the server alone");
}

#[test]
fn when_the_server_vanishes_anybody_is_asked_and_the_address_goes_when_its_time_is_over() {
    let mut world = World::new();
    world.run(GOOD, at(10));
    world.run(Server { here: false, ..GOOD }, at(3_599));
    assert!(world.has_lease(), "until the last second");
    let asked = |from, to| {
        let within = world.sent.iter().filter(|(when, _)| (at(from)..at(to)).contains(when));
        within.map(|(_, packet)| packet.to).collect::<Vec<_>>()
    };
    let (renewing, rebinding) = (asked(1_800, 3_150), asked(3_150, 3_600));
    assert!(renewing.iter().all(|to| *to == SERVER) && renewing.len() > 2, "{renewing:?}");
    assert!(rebinding.iter().all(|to| *to == Ipv4Addr::BROADCAST), "{rebinding:?}");
    assert!((2..20).contains(&rebinding.len()), "{rebinding:?}");
    world.run(Server { here: false, ..GOOD }, at(3_600));
    assert_eq!(world.changes.last(), Some(&(at(3_600), Change::Lost)), "to the second");
    world.run(GOOD, at(3_700));
    assert!(world.has_lease(), "and back with the server");
}

#[test]
fn a_refusal_starts_again_and_not_in_a_storm() {
    let mut world = World::new();
    world.run(Server { refuses: true, ..GOOD }, at(600));
    assert!(!world.has_lease() && world.changes.is_empty());
    assert!((10..40).contains(&world.sent.len()), "{}", world.sent.len());
    world.run(GOOD, at(700));
    assert!(world.has_lease());
    let refuses = Server { refuses: true, ..GOOD };
    world.run(refuses, at(700 + 1_800));
    assert_eq!(world.changes.last().map(|(_, change)| change), Some(&Change::Lost), "held no more");
}

#[test]
fn an_address_that_somebody_has_is_declined_and_asked_for_again_later() {
    let mut world = World::new();
    world.occupied = true;
    world.run(GOOD, at(9));
    let decline = (DhcpMessageType::Decline, Some(ADDRESS));
    assert_eq!(world.said(at(0))[2..], [decline], "and nothing for ten seconds");
    assert!(!world.has_lease() && world.changes.is_empty());
    world.run(GOOD, at(60));
    assert!((6..15).contains(&world.said(at(0)).len()), "{:?}", world.said(at(0)));
    world.occupied = false;
    world.run(GOOD, at(80));
    assert!(world.has_lease(), "when it is free again");
    let late = world.client.taken(at(80));
    assert_eq!(late, Step::default(), "what is held is not looked for any more");
}

#[test]
fn a_cable_that_comes_back_asks_whether_the_address_still_counts() {
    let mut world = World::new();
    world.run(GOOD, at(100));
    world.client.reconnect(at(100));
    assert!(world.has_lease(), "meanwhile it stays");
    world.run(GOOD, at(101));
    assert_eq!(world.said(at(100)), [(DhcpMessageType::Request, Some(ADDRESS))]);
    assert_eq!(world.sent[2].1.to, Ipv4Addr::BROADCAST, "whoever answers here");
    let [.., (when, Change::Got(_))] = &world.changes[..] else { panic!("{:?}", world.changes) };
    assert_eq!(*when, at(100));
    assert_eq!(world.client.lease().map(|(_, ends)| ends), Some(at(100 + u64::from(LEASE_S))));

    // Another network, whose server knows that it is.
    world.client.reconnect(at(200));
    world.run(Server { refuses: true, ..GOOD }, at(200));
    assert_eq!(world.changes.last(), Some(&(at(200), Change::Lost)));
    world.run(GOOD, at(230));
    assert!(world.has_lease());
}

#[test]
fn after_a_power_cut_that_took_the_server_too_the_address_stays_until_its_end() {
    let mut world = World::new();
    world.run(GOOD, at(100));
    world.client.reconnect(at(100));
    world.run(Server { here: false, ..GOOD }, at(600));
    assert!(world.has_lease());
    let said = world.said(at(100));
    assert_eq!(said[..2], [(DhcpMessageType::Request, Some(ADDRESS)); 2]);
    assert!(said[2..].iter().all(|said| *said == (DhcpMessageType::Discover, None)), "{said:?}");
    assert!((5..15).contains(&said.len()), "{said:?}");
    world.run(GOOD, at(700));
    let [.., (when, Change::Got(_))] = &world.changes[..] else { panic!("{:?}", world.changes) };
    assert!((600..700).contains(&when.as_secs()), "the same one again: {when:?}");

    world.client.reconnect(at(800));
    let ends = world.client.lease().map(|(_, ends)| ends).expect("a lease");
    world.run(Server { here: false, ..GOOD }, ends);
    assert_eq!(world.changes.last(), Some(&(ends, Change::Lost)), "and no longer");
}

#[test]
fn a_cable_that_comes_back_in_a_network_with_other_addresses_takes_one_of_them() {
    let other = |bytes: Vec<u8>| {
        // `yiaddr`, RFC 2131 figure 1.
        [&bytes[..16], &[192, 0, 2, 99], &bytes[20..]].concat()
    };
    let mut world = World::new();
    world.run(GOOD, at(100));
    world.client.reconnect(at(100));
    world.run(Server { here: false, ..GOOD }, at(115));
    assert_eq!(world.said(at(100)).last(), Some(&(DhcpMessageType::Discover, None)));
    for _ in 0..2 {
        let (_, asked) = world.sent.last().expect("a question");
        let answer = other(GOOD.answer(&asked.bytes).expect("an answer"));
        let step = world.client.hear(&answer, at(116));
        world.sent.extend(step.send.map(|packet| (at(116), packet)));
    }
    assert!(world.has_lease(), "the one before, while the other is looked for");
    assert_eq!(world.client.checking(), Some(Ipv4Addr::new(192, 0, 2, 99)));
    let Some(Change::Got(terms)) = world.client.tick(at(118), 1).change else { panic!("nothing") };
    assert_eq!(terms.address, Ipv4Addr::new(192, 0, 2, 99));
}

#[test]
fn after_a_restart_the_address_before_is_asked_for_and_used_when_it_is_granted() {
    let other = Ipv4Addr::new(192, 0, 2, 99);
    let restarted =
        |before| World { client: Client::new(HARDWARE, None, Some(before), at(0)), ..World::new() };
    let mut world = restarted(ADDRESS);
    world.run(GOOD, at(1));
    assert!(!world.has_lease(), "whether somebody has it is looked for");
    world.run(GOOD, at(10));
    assert_eq!(world.said(at(0)), [(DhcpMessageType::Request, Some(ADDRESS))]);
    assert!(world.has_lease());

    // In another network, where somebody knows that it is one.
    let mut world = restarted(other);
    world.run(Server { refuses: true, ..GOOD }, at(1));
    world.run(GOOD, at(100));
    assert_eq!(world.said(at(0))[0], (DhcpMessageType::Request, Some(other)));
    assert!(world.has_lease() && !world.changes.iter().any(|(_, change)| *change == Change::Lost));

    // Where nobody does, it is given up soon, and what was not asked for is no lease.
    let mut world = restarted(other);
    world.run(GOOD, at(3));
    assert!(!world.has_lease() && world.client.checking().is_none());
    world.run(GOOD, at(30));
    let said = world.said(at(0));
    assert_eq!(said[..2], [(DhcpMessageType::Request, Some(other)); 2]);
    assert_eq!(said[2], (DhcpMessageType::Discover, None));
    assert!(world.has_lease());

    // The cable comes later than the program.
    let mut world = restarted(ADDRESS);
    world.run(Server { here: false, ..GOOD }, at(2));
    world.client.reconnect(at(3));
    world.run(GOOD, at(10));
    assert_eq!(world.said(at(3)), [(DhcpMessageType::Request, Some(ADDRESS))]);
    assert!(world.has_lease());
}

#[test]
fn another_name_is_told_the_server_at_once() {
    let mut world = World::new();
    world.run(GOOD, at(100));
    world.client.rename(Some("hall-9".to_owned()), at(100));
    world.run(GOOD, at(100));
    let (when, renewal) = world.sent.last().expect("a question");
    assert_eq!((*when, renewal.to), (at(100), SERVER));
    assert!(renewal.bytes.windows(8).any(|part| part == b"\x0c\x06hall-9"));
    assert!(world.has_lease() && !world.changes.iter().any(|(_, change)| *change == Change::Lost));
}

#[test]
fn what_answers_somebody_else_is_passed_over() {
    let mut world = World::new();
    let early = reply(DhcpMessageType::Ack, 0, HARDWARE, LEASE_S);
    assert_eq!(world.client.hear(&early, at(0)), Step::default(), "nothing was asked");
    world.client.tick(at(0), 77);
    let mine = world.transaction();
    for (transaction, hardware, lease_s) in
        [(mine + 1, HARDWARE, LEASE_S), (mine, [9; 6], LEASE_S), (mine, HARDWARE, 29)]
    {
        for says in [DhcpMessageType::Offer, DhcpMessageType::Ack, DhcpMessageType::Nak] {
            let step = world.client.hear(&reply(says, transaction, hardware, lease_s), at(1));
            assert_eq!(step, Step::default(), "{says:?} {transaction} {hardware:?} {lease_s}");
        }
    }
    let acknowledged = reply(DhcpMessageType::Ack, mine, HARDWARE, LEASE_S);
    assert_eq!(world.client.hear(&acknowledged, at(1)), Step::default(), "not asked for yet");
    let offered = reply(DhcpMessageType::Offer, mine, HARDWARE, LEASE_S);
    assert!(world.client.hear(&offered, at(1)).send.is_some(), "the right one still counts");
}

#[test]
fn a_packet_that_was_cut_or_changed_does_no_harm() {
    let asking = || {
        let mut client = Client::new(HARDWARE, None, None, at(0));
        client.tick(at(0), 77);
        client
    };
    let offer = reply(DhcpMessageType::Offer, 77, HARDWARE, LEASE_S);
    let mut taken = 0;
    for end in 0..offer.len() {
        taken += usize::from(asking().hear(&offer[..end], at(0)).send.is_some());
    }
    assert!(taken < 40, "only what comes after all that matters may be missing: {taken}");
    for place in 0..offer.len() {
        for bit in 0..8 {
            let mut changed = offer.clone();
            changed[place] ^= 1 << bit;
            asking().hear(&changed, at(0));
        }
    }
    assert_eq!(asking().hear(&[0; 2_000], at(0)), Step::default(), "too long");
}

proptest! {
    #[test]
    fn no_bytes_are_a_lease(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut client = Client::new(HARDWARE, None, None, at(0));
        client.tick(at(0), 77);
        client.hear(&bytes, at(0));
        prop_assert!(client.lease().is_none(), "nobody was asked for one");
    }

    /// Whatever the server does: no lease outlives its time, what is lost was
    /// held, and nobody is flooded.
    #[test]
    fn a_lease_never_outlives_its_time(
        moods in prop::collection::vec((any::<[bool; 4]>(), 30u32..5_000), 1..20),
    ) {
        let (mut world, mut end) = (World::new(), at(0));
        for ([here, refuses, occupied, back], lease_s) in moods {
            world.occupied = occupied;
            if back {
                world.client.reconnect(end);
            }
            end += at(700);
            world.run(Server { here, refuses, lease_s }, end);
            if let Some((_, ends)) = world.client.lease() {
                prop_assert!(ends > end);
            }
        }
        let mut held = false;
        for (_, change) in &world.changes {
            match change {
                Change::Got(_) => held = true,
                Change::Lost => {
                    prop_assert!(held);
                    held = false;
                }
            }
        }
        prop_assert_eq!(held, world.has_lease());
        let a_minute = at(60);
        for (when, _) in &world.sent {
            let near = world.sent.iter().filter(|(other, _)| {
                *other >= *when && *other < *when + a_minute
            });
            prop_assert!(near.count() <= 16);
        }
    }
}
