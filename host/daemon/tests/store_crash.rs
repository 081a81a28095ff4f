//! Kill -9 while events, a plugin's values and history are being written: every
//! acknowledged one is there afterwards (DESIGN.md "Power may fail at any
//! instruction").

use evenkeel_core::events::Event;
use evenkeel_core::history::{Head, Record, Row, Sheet};
use evenkeeld::store::{Limits, ShelfChange, Store};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const DIR: &str = "EVENKEEL_CRASH_DIR";

/// The victim: writes and tells which ids were acknowledged. Does nothing
/// unless the test below started it.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = Store::open(dir.as_ref(), Limits::default()).expect("a store");
    for n in 0.. {
        let event = Event::DaemonStarted { version: n.to_string() };
        let id = store.record_acknowledged(event).wait().expect("acknowledged");
        let value = Some(id.to_le_bytes().to_vec());
        let change = ShelfChange::Put { key: "last".into(), value, wear: vec![1] };
        store.change_shelf("plugin/", change).wait().expect("acknowledged");
        // A row every three hours: each eighth ends a day.
        let head = Head { unix_ms: id * 10_800_000, ..Head::default() };
        let row = Row { head, blocks: vec![Record::default(); 3] };
        store.append(vec![(1, Sheet::from(&row))]).wait().expect("acknowledged");
        println!("\nacknowledged {id}");
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut last = 0;
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "victim", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let ids = lines.by_ref().map_while(Result::ok).filter_map(|line| {
            line.strip_prefix("acknowledged ").and_then(|id| id.parse::<u64>().ok())
        });
        last = ids.take(7 * round).last().expect("acknowledged ids");
        child.kill().expect("killed");
        child.wait().expect("dead");
        // What it still told before it died counts, too.
        let rest = lines.map_while(Result::ok);
        let rest = rest.filter_map(|l| l.strip_prefix("acknowledged ")?.parse::<u64>().ok());
        last = rest.fold(last, u64::max);

        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let events = store.events(Some(0), 20_000);
        let ids: Vec<_> = events.iter().map(|e| e.id).collect();
        assert!(ids.len() as u64 >= last, "round {round}: {} of {last} events", ids.len());
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>(), "round {round}");
        // What a plugin had set before the last acknowledgement, or since.
        let kept = store.kept("plugin/", "last").expect("readable").expect("set before");
        let kept = u64::from_le_bytes(kept.try_into().expect("8 bytes"));
        assert!((last..=ids.len() as u64).contains(&kept), "round {round}: {kept} of {last}");
        // Killed between an event and its row, the row of that event is missing.
        let mut rows = Vec::new();
        let visit = |head: &Head, _: &Record| rows.push(head.unix_ms / 10_800_000);
        store.each_record(1, 2, 0..=u64::MAX, visit).expect("readable");
        rows.dedup();
        let lost = (1..=last).filter(|id| !rows.contains(id)).count();
        assert!(lost < round, "round {round}: {lost} of {last} rows are lost");
        assert!(rows.is_sorted() && rows.len() as u64 >= last - lost as u64);
    }
    assert!(last > 50);
}
