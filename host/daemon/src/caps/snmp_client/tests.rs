//! The interface against agents that answer well, badly, late and never.

use super::usm::{Engine, Keys, Master};
use super::wit::HostAgent as _;
use super::*;
use crate::caps::testing::Place;
use crate::grants::snmp::{Identity, User};
use pdu::Classic;
use std::net::{SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SYSTEM: [u32; 7] = [1, 3, 6, 1, 2, 1, 1];

fn object(n: u32) -> Oid {
    [&SYSTEM[..], &[n, 0]].concat()
}

/// An agent on a port of its own, as a function from datagram to datagrams.
struct Fake {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    fn new(mut answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2_000];
            // An empty datagram ends it.
            while let Ok((len @ 1.., peer)) = socket.recv_from(&mut buffer) {
                for datagram in answer(&buffer[..len]) {
                    socket.send_to(&datagram, peer).expect("sent");
                }
            }
        });
        Self { address, thread: Some(thread) }
    }

    /// One that answers requests of v1 or v2c.
    fn classic(version: Classic, mut answer: impl FnMut(Pdu) -> Pdu + Send + 'static) -> Self {
        Self::new(move |datagram| {
            let asked = pdu::decode_message(version, b"public", datagram).expect("a message");
            let answers = asked.map(&mut answer);
            answers.iter().map(|a| pdu::encode_message(version, b"public", a)).collect()
        })
    }

    fn grant(&self, fields: &str) -> SnmpAgent {
        agent(&format!("address = \"{}\", timeout_ms = 300, {fields}", self.address))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.send_to(&[], self.address).expect("sent");
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_some_and(|joined| joined.is_ok()));
    }
}

fn agent(fields: &str) -> SnmpAgent {
    let grants: crate::grants::Grants =
        toml::from_str(&format!("snmp.ups = {{ {fields} }}")).expect("a grant");
    grants.snmp["ups"].clone()
}

const V1: &str = "version = \"v1\", community = \"public\"";
const V2C: &str = "version = \"v2c\", community = \"public\"";

fn snmp(agent: SnmpAgent) -> Snmp {
    let mut here = Place::default();
    here.grants.snmp.insert("ups".into(), agent);
    Snmp::new(&here.site())
}

fn open(snmp: &mut Snmp) -> Resource<Agent> {
    snmp.open("ups".into()).expect("no trap").expect("granted")
}

fn values(snmp: &mut Snmp, oids: Vec<Oid>) -> Result<Vec<Value>, wit::Error> {
    let agent = open(snmp);
    let found = snmp.get(Resource::new_borrow(agent.rep()), oids).expect("no trap");
    snmp.drop(agent).expect("there");
    let value = |binding: wit::Binding| match binding.value {
        wit::Value::Integer(n) => Value::Integer(n),
        wit::Value::Absent => Value::Absent,
        other => panic!("{other:?}"),
    };
    found.map(|found| found.into_iter().map(value).collect())
}

fn refused(result: Result<Vec<Value>, wit::Error>) -> (u32, String) {
    let error = result.expect_err("refused");
    (error.code, error.detail)
}

/// Answers each object with its last part but one, and not the ninth.
fn plain(asked: Pdu) -> Pdu {
    let value = |oid: &Oid| match oid[oid.len() - 2] {
        9 => Value::Absent,
        n => Value::Integer(n.into()),
    };
    let bindings = asked.bindings.into_iter().map(|b| Binding { value: value(&b.oid), ..b });
    Pdu { kind: Kind::Response, bindings: bindings.collect(), ..asked }
}

#[test]
fn only_what_is_granted_is_asked_and_only_with_write_changed() {
    let fake = Fake::classic(Classic::V2c, plain);
    let mut here = Place::default();
    let mut none = Snmp::new(&here.site());
    assert_eq!(none.open("ups".into()).expect("no trap").map(drop).map_err(|e| e.code), Err(1));
    here.grants.snmp.insert("ups".into(), fake.grant(V2C));
    let mut snmp = Snmp::new(&here.site());
    for name in ["", "UPS", "other", "127.0.0.1"] {
        let denied = snmp.open(name.into()).expect("no trap").map(drop).map_err(|e| e.code);
        assert_eq!(denied, Err(1), "{name}");
    }
    let set = |snmp: &mut Snmp, value| {
        let agent = open(snmp);
        let bindings = vec![wit::Binding { oid: object(5), value }];
        snmp.set(agent, bindings).expect("no trap").map_err(|e| (e.code, e.detail))
    };
    let (code, detail) = set(&mut snmp, wit::Value::Integer(1)).expect_err("read-only");
    assert!(code == 1 && detail.contains("write = true"), "{detail}");
    let mut snmp = self::snmp(fake.grant(&format!("{V2C}, write = true")));
    assert_eq!(set(&mut snmp, wit::Value::Integer(1)), Ok(()));
    for bad in [wit::Value::Null, wit::Value::Absent, wit::Value::Integer(1 << 31)] {
        assert_eq!(set(&mut snmp, bad).map_err(|e| e.0), Err(8));
    }
}

#[test]
fn values_come_in_the_order_of_the_question() {
    let fake = Fake::classic(Classic::V2c, plain);
    let mut snmp = snmp(fake.grant(V2C));
    let found = values(&mut snmp, vec![object(3), object(9), object(1)]);
    let wanted = vec![Value::Integer(3), Value::Absent, Value::Integer(1)];
    assert_eq!(found.map_err(|e| e.detail), Ok(wanted));
    assert_eq!(refused(values(&mut snmp, Vec::new())).0, 8);
    assert_eq!(refused(values(&mut snmp, vec![object(1); 33])).0, 8);
    assert_eq!(refused(values(&mut snmp, vec![vec![3, 1]])).0, 8);
    assert_eq!(refused(values(&mut snmp, vec![vec![1; 129]])).0, 8);
}

#[test]
fn with_v1_an_absent_object_does_not_hide_the_others() {
    let fake = Fake::classic(Classic::V1, |asked| {
        let absent = asked.bindings.iter().position(|b| b.oid == object(9));
        match absent {
            Some(at) => Pdu { kind: Kind::Response, status: 2, index: at as i64 + 1, ..asked },
            None => plain(asked),
        }
    });
    let found = values(&mut snmp(fake.grant(V1)), vec![object(9), object(1), object(9), object(2)]);
    let wanted = vec![Value::Absent, Value::Integer(1), Value::Absent, Value::Integer(2)];
    assert_eq!(found.map_err(|e| e.detail), Ok(wanted));
}

#[test]
fn what_does_not_fit_is_asked_for_in_parts_and_other_refusals_are_named() {
    let fake = Fake::classic(Classic::V2c, |asked| match asked.bindings.len() {
        0..=3 => plain(asked),
        _ => Pdu { kind: Kind::Response, status: 1, index: 0, bindings: Vec::new(), ..asked },
    });
    let found = values(&mut snmp(fake.grant(V2C)), (1..=8).map(object).collect());
    assert_eq!(found.map_err(|e| e.detail), Ok((1..=8).map(Value::Integer).collect()));
    let fake = Fake::classic(Classic::V2c, |asked| Pdu {
        kind: Kind::Response,
        status: 16,
        index: 2,
        ..asked
    });
    let error = refused(values(&mut snmp(fake.grant(V2C)), vec![object(1), object(2)]));
    assert_eq!(error, (5, "the agent answers authorizationError at 1.3.6.1.2.1.1.2.0".into()));
    let fake = Fake::classic(Classic::V2c, |asked| {
        let mut answer = plain(asked);
        answer.bindings.reverse();
        answer
    });
    assert_eq!(refused(values(&mut snmp(fake.grant(V2C)), vec![object(1), object(2)])).0, 5);
}

#[test]
fn a_stray_or_late_answer_is_not_taken_for_this_one() {
    let fake = Fake::new(|datagram| {
        let asked = pdu::decode_message(Classic::V2c, b"public", datagram);
        let asked = asked.expect("a message").expect("ours");
        let right = plain(asked.clone());
        let late = Pdu { id: asked.id.wrapping_sub(1), ..plain(Pdu { bindings: vec![], ..asked }) };
        let send = |community: &[u8], p: &Pdu| pdu::encode_message(Classic::V2c, community, p);
        vec![
            send(b"public", &late),
            send(b"other", &late),
            vec![0x30, 0x80],
            send(b"public", &right),
        ]
    });
    let found = values(&mut snmp(fake.grant(V2C)), vec![object(7)]);
    assert_eq!(found.map_err(|e| e.detail), Ok(vec![Value::Integer(7)]));
}

#[test]
fn who_does_not_answer_is_told_from_who_answers_nonsense_and_who_is_not_there() {
    let silent = Fake::new(|_| Vec::new());
    let (code, detail) = refused(values(&mut snmp(silent.grant(V2C)), vec![object(1)]));
    assert!(code == 2 && detail.contains("2 requests of 300 ms"), "{detail}");
    assert!(detail.contains("`community`") && !detail.contains("public"), "{detail}");
    let nonsense = Fake::new(|_| vec![b"hello".to_vec()]);
    let (code, _) = refused(values(&mut snmp(nonsense.grant(V2C)), vec![object(1)]));
    assert_eq!(code, 6);
    let flood = Fake::new(|_| vec![b"hello".to_vec(); 70]);
    assert_eq!(refused(values(&mut snmp(flood.grant(V2C)), vec![object(1)])).0, 6);
    let gone = silent.grant(V2C);
    drop(silent);
    let (code, detail) = refused(values(&mut snmp(gone), vec![object(1)]));
    assert!(code == 3 && detail.contains("cannot be reached"), "{detail}");
}

#[test]
fn a_stop_ends_the_wait_for_an_answer() {
    let silent = Fake::new(|_| Vec::new());
    let mut here = Place::default();
    let fields = format!("address = \"{}\", timeout_ms = 10000, {V2C}", silent.address);
    here.grants.snmp.insert("ups".into(), agent(&fields));
    let mut snmp = Snmp::new(&here.site());
    let stop = Arc::clone(&here.stop);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        stop.request();
        Instant::now()
    });
    assert_eq!(refused(values(&mut snmp, vec![object(1)])).0, 2);
    assert!(thread.join().expect("no panic").elapsed() < Duration::from_millis(200));
}

/// Rows behind an object, up to 40 of them in each of two columns.
fn table(asked: Pdu) -> Pdu {
    let behind = |oid: &Oid| {
        let rows = (1..=2).flat_map(|column| (1..=40).map(move |row| [column, row]));
        let all: Vec<Oid> = rows.map(|tail| [&SYSTEM[..], &tail[..]].concat()).collect();
        all.into_iter().filter(|row| row > oid).collect::<Vec<_>>()
    };
    let count = if asked.kind == Kind::GetBulk { asked.index as usize } else { 1 };
    let rows = behind(&asked.bindings[0].oid).into_iter().take(count);
    let mut bindings: Vec<Binding> =
        rows.map(|oid| Binding { oid, value: Value::Integer(1) }).collect();
    let (mut status, mut index) = (0, 0);
    if bindings.is_empty() && asked.kind == Kind::GetNext {
        (status, index) = (2, 1);
    } else if bindings.len() < count {
        bindings.push(Binding { oid: asked.bindings[0].oid.clone(), value: Value::EndOfView });
    }
    Pdu { kind: Kind::Response, status, index, bindings, ..asked }
}

fn walked(snmp: &mut Snmp, root: &[u32], max: u32) -> Result<usize, (u32, String)> {
    let agent = open(snmp);
    let found = snmp.walk(Resource::new_borrow(agent.rep()), root.to_vec(), max).expect("no trap");
    snmp.drop(agent).expect("there");
    found.map(|found| found.len()).map_err(|e| (e.code, e.detail))
}

#[test]
fn a_walk_stays_below_its_root_and_within_its_bounds() {
    for (version, fields) in [(Classic::V1, V1), (Classic::V2c, V2C)] {
        let fake = Fake::classic(version, table);
        let mut snmp = snmp(fake.grant(fields));
        assert_eq!(walked(&mut snmp, &[&SYSTEM[..], &[1]].concat(), 512), Ok(40));
        assert_eq!(walked(&mut snmp, &[&SYSTEM[..], &[2]].concat(), 512), Ok(40));
        assert_eq!(walked(&mut snmp, &[&SYSTEM[..], &[3]].concat(), 512), Ok(0));
        assert_eq!(walked(&mut snmp, &SYSTEM, 7), Ok(7));
        assert_eq!(walked(&mut snmp, &SYSTEM, 513).map_err(|e| e.0), Err(8));
    }
}

#[test]
fn an_agent_that_goes_in_circles_or_never_ends_is_left() {
    let fake = Fake::classic(Classic::V2c, |mut asked| {
        let oid = if asked.bindings[0].oid.ends_with(&[5]) { 4 } else { 5 };
        asked.bindings[0] = Binding { oid: [&SYSTEM[..], &[oid]].concat(), value: Value::Null };
        Pdu { kind: Kind::Response, status: 0, index: 0, ..asked }
    });
    let (code, detail) = walked(&mut snmp(fake.grant(V2C)), &SYSTEM, 512).expect_err("a circle");
    assert!(code == 5 && detail.contains("do not advance behind 1.3.6.1.2.1.1.5"), "{detail}");
    let fake = Fake::classic(Classic::V2c, |mut asked| {
        let next = asked.bindings[0].oid.get(SYSTEM.len()).map_or(0, |n| n + 1);
        let value = Value::Octets(vec![0; 1_200]);
        asked.bindings[0] = Binding { oid: [&SYSTEM[..], &[next]].concat(), value };
        Pdu { kind: Kind::Response, status: 0, index: 0, ..asked }
    });
    assert_eq!(walked(&mut snmp(fake.grant(V2C)), &SYSTEM, 512).map_err(|e| e.0), Err(7));
}

#[test]
fn requests_and_handles_are_limited() {
    let fake = Fake::classic(Classic::V2c, plain);
    let mut snmp = snmp(fake.grant(V2C));
    let refused = (0..200).find_map(|_| values(&mut snmp, vec![object(1)]).err());
    assert_eq!(refused.map(|error| error.code), Some(7));
    let opened = (0..40).map(|_| snmp.open("ups".into()).expect("no trap").map_err(|e| e.code));
    assert_eq!(opened.filter(|o| o.as_ref().is_err_and(|code| *code == 7)).count(), 24);
}

/// An engine as an agent has it.
struct FakeEngine {
    engine: Engine,
    user: User,
    keys: Keys,
    /// Every response claims to be of an engine that started earlier.
    stale: bool,
    /// Responses are not signed.
    naked: bool,
}

const V3: &str = "version = \"v3\", user = \"monitor\", auth = \"sha256\", \
    auth_key = \"authentication\", privacy = \"aes128\", privacy_key = \"confidential\"";

impl FakeEngine {
    fn new(fields: &str) -> Self {
        let agent = agent(&format!("address = \"localhost\", {fields}"));
        let Identity::V3(user) = agent.identity else { unreachable!("a user") };
        let engine = Engine { id: b"\x80\0\x1f\x88\x04fake".to_vec(), boots: 4, time_s: 1_000 };
        let keys = Master::new(&user).localise(&engine.id);
        Self { engine, user, keys, stale: false, naked: false }
    }

    fn report(&self, id: i32, counter: u32, signed: bool) -> Vec<Vec<u8>> {
        let oid = vec![1, 3, 6, 1, 6, 3, 15, 1, 1, counter, 0];
        let bindings = vec![Binding { oid, value: Value::Unsigned(1) }];
        let pdu = Pdu { kind: Kind::Report, id, status: 0, index: 0, bindings };
        let Self { engine, user, keys, .. } = self;
        vec![match signed {
            true => usm::seal(id, engine, user, keys, 1, &pdu),
            false => usm::unsigned(id, engine, &pdu),
        }]
    }

    fn answer(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let incoming = match usm::open(datagram, Some(&self.keys)) {
            Ok(incoming) => incoming,
            Err(rejected) => {
                let counter = if rejected == Rejected::Digest { 5 } else { 6 };
                return self.report(message_id(datagram), counter, counter == 6);
            }
        };
        let id = incoming.message_id;
        if incoming.engine.id != self.engine.id {
            return self.report(id, 4, false);
        }
        let off = incoming.engine.time_s.abs_diff(self.engine.time_s) > usm::WINDOW_S;
        if incoming.engine.boots != self.engine.boots || off {
            return self.report(id, 2, true);
        }
        let pdu = plain(incoming.pdu);
        let mut engine = self.engine.clone();
        engine.boots -= u32::from(self.stale);
        vec![match self.naked {
            true => usm::unsigned(id, &engine, &pdu),
            false => usm::seal(id, &engine, &self.user, &self.keys, 2, &pdu),
        }]
    }
}

fn message_id(datagram: &[u8]) -> i32 {
    let mut whole = ber::Reader::new(datagram).tagged(ber::SEQUENCE).expect("a message");
    whole.integer().expect("a version");
    whole.tagged(ber::SEQUENCE).and_then(|mut header| header.integer32()).expect("a header")
}

#[test]
fn v3_finds_the_engine_takes_its_clock_and_keeps_both() {
    for fields in [
        V3.to_owned(),
        V3.replace("aes128", "aes256"),
        V3[..V3.find(", privacy").expect("there")].replace("sha256", "sha1"),
    ] {
        let mut engine = FakeEngine::new(&fields);
        let count = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let fake = Fake::new(move |datagram| {
            // The fifth message meets an agent that was started anew.
            if counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 4 {
                (engine.engine.boots, engine.engine.time_s) = (5, 2);
            }
            engine.answer(datagram)
        });
        let mut snmp = snmp(fake.grant(&fields));
        for sent in [3, 4, 6, 7] {
            let found = values(&mut snmp, vec![object(7), object(9)]);
            let wanted = vec![Value::Integer(7), Value::Absent];
            assert_eq!(found.map_err(|e| e.detail), Ok(wanted), "{fields}");
            assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), sent);
        }
    }
}

#[test]
fn v3_refusals_say_what_to_correct() {
    for (ours, word) in [
        (V3.replace("authentication", "another phrase"), "`auth_key`"),
        (V3.replace("sha256", "sha512"), "`auth_key`"),
        (V3.replace("confidential", "another phrase"), "`privacy_key`"),
    ] {
        let mut engine = FakeEngine::new(V3);
        let fake = Fake::new(move |datagram| engine.answer(datagram));
        let (code, detail) = refused(values(&mut snmp(fake.grant(&ours)), vec![object(1)]));
        assert!(code == 4 && detail.contains(word), "{ours}: {detail}");
        assert!(!detail.contains("phrase"), "{detail}");
    }
    let engine = FakeEngine::new(V3);
    let fake = Fake::new(move |datagram| {
        let keyed = usm::open(datagram, Some(&engine.keys)).is_ok_and(|i| i.authentic);
        engine.report(message_id(datagram), if keyed { 3 } else { 4 }, false)
    });
    let (code, detail) = refused(values(&mut snmp(fake.grant(V3)), vec![object(1)]));
    assert!(code == 4 && detail.contains("does not know the user \"monitor\""), "{detail}");
}

#[test]
fn v3_takes_no_answer_that_is_unsigned_or_of_an_earlier_start() {
    for (stale, naked) in [(true, false), (false, true)] {
        let mut engine = FakeEngine { stale, naked, ..FakeEngine::new(V3) };
        let fake = Fake::new(move |datagram| engine.answer(datagram));
        let (code, _) = refused(values(&mut snmp(fake.grant(V3)), vec![object(1)]));
        assert_eq!(code, 2, "stale {stale}, unsigned {naked}");
    }
}
