//! The history of a running appliance: recorded, charted, exported over HTTPS,
//! read by the tool without the appliance, and taken in by another one.

use evenkeel_e2e::{Client, ClientError, Options, Stack};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BLOCK: &str = "/api/v1/history?string=1&block=2";
const MAINS: &str = "/api/v1/history/points?name=ups.0.input.voltage";

/// An appliance that records every second.
struct Bench {
    stack: Stack,
    programs: PathBuf,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut options = Options::for_test(dir.path()).expect("built");
        (options.history_period_s, options.seed) = (Some(1), seed);
        let programs = options.programs.clone();
        Self { stack: Stack::start(options).expect("a running stack"), programs, dir }
    }

    fn signed_in(&mut self) -> Client {
        self.stack.sign_in().expect("signed in")
    }

    /// `evenkeel history …`.
    fn tool(&self, words: &[&str], file: &Path) -> Output {
        let mut command = Command::new(self.programs.join("evenkeel"));
        let (what, options) = words.split_first().expect("what to do");
        command.args(["history", what]).arg(file).args(options).output().expect("it runs")
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).expect("written");
        path
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

fn rows(history: &Value) -> usize {
    history["unix_ms"].as_array().map_or(0, Vec::len)
}

#[test]
fn an_export_is_read_by_the_tool_and_taken_by_another_appliance() {
    let (mut old, mut new) = (Bench::new(1), Bench::new(2));
    let (mut client, mut other) = (old.signed_in(), new.signed_in());
    client.await_answer(BLOCK, |history| rows(history) >= 5);
    client.await_answer(MAINS, |history| rows(history) >= 3);
    let exported = client.get_bytes("/api/v1/history/export").expect("an export");
    let file = old.file("history.evkhist", &exported);

    let verdict = old.tool(&["verify"], &file);
    assert!(verdict.status.success(), "{verdict:?}");
    let summary = text(old.tool(&["inspect"], &file).stdout);
    assert!(
        summary.contains("string 1, records: ") && summary.contains("of 32 blocks"),
        "{summary}"
    );
    let printed = text(old.tool(&["export", "--string", "1", "--block", "2"], &file).stdout);
    assert!(printed.lines().count() > 5, "{printed}");
    let points = text(old.tool(&["export", "--point", "ups.0.input"], &file).stdout);
    let mains = points.lines().filter(|line| line.contains(",ups.0.input.voltage,V,2"));
    assert!(mains.count() >= 3 && !points.contains("ups.0.output"), "{points}");
    let csv = client.get_text("/api/v1/history/export?format=csv&point=ups.0.input", None);
    let csv = csv.expect("CSV");
    assert!(points.lines().all(|line| csv.contains(line)), "{points}\nis not in\n{csv}");
    // The appliance prints the same lines, and those that came since.
    let csv = "/api/v1/history/export?format=csv&string=1";
    let whole = client.get_text(&format!("{csv}&block=2"), None).expect("CSV");
    assert!(whole.starts_with(&printed), "{printed}\nis not the beginning of\n{whole}");
    let all = client.get_text(csv, None).expect("CSV");
    let of_block = |n: u16| all.matches(&format!("Z,1,{n},")).count();
    // So many are shown before the licence is in force, too.
    let counts: Vec<_> = (1..=24).map(of_block).collect();
    assert!(counts.iter().all(|count| count + 1 >= printed.lines().count()), "{counts:?}");
    assert_eq!(client.get("/api/v1/history/check").expect("checked")["whole"], true);

    let mut damaged = exported.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x10;
    let refused = other.post_bytes("/api/v1/history/import", &damaged);
    assert!(matches!(refused, Err(ClientError::Status { status: 422, .. })), "{refused:?}");
    let done = other.post_bytes("/api/v1/history/import", &exported).expect("taken");
    // A day of two strings, or around midnight two; values of points that this one took
    // in the same seconds stay as they are.
    assert!(done["sheets_added"].as_u64() >= Some(2), "{done}");
    let taken = other.get_text(&format!("{csv}&block=2"), None).expect("CSV");
    let lines: Vec<&str> = taken.lines().collect();
    assert!(printed.lines().all(|line| lines.contains(&line)), "{taken}");
    let again = other.post_bytes("/api/v1/history/import", &exported).expect("known");
    let sum = ["sheets_added", "sheets_present"].map(|name| done[name].as_u64().unwrap_or(0));
    let known = (&again["sheets_added"], again["sheets_present"].as_u64());
    assert_eq!(known, (&json!(0), Some(sum[0] + sum[1])), "nothing is there twice");
}

/// A reader that was written from the document of the format alone.
fn peer(file: &Path, words: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/evkhist.py");
    let mut command = Command::new("/usr/bin/python3");
    let done = command.arg(script).arg(file).args(words).output().expect("it runs");
    assert!(done.status.success(), "{}", text(done.stderr));
    text(done.stdout)
}

/// The lines of a table, each with the columns that `names` asks for.
fn columns(table: &str, names: &[&str]) -> Vec<Vec<String>> {
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("a first line");
    let at = |name: &&str| head.iter().position(|n| n == name).expect("a column");
    let places: Vec<usize> = names.iter().map(at).collect();
    lines.map(|line| places.iter().map(|at| line[*at].to_owned()).collect()).collect()
}

#[test]
fn a_reader_in_another_language_reads_an_export_to_the_last_digit() {
    let mut bench = Bench::new(4);
    let mut client = bench.signed_in();
    client.await_answer(BLOCK, |history| rows(history) >= 8);
    client.await_answer(MAINS, |history| rows(history) >= 3);
    let exported = client.get_bytes("/api/v1/history/export").expect("an export");
    let file = bench.file("history.evkhist", &exported);
    let all = peer(&file, &[]);
    assert!(all.contains("records, level 0: ") && all.contains("values, level 0: "), "{all}");
    for (string, block) in [("1", "1"), ("1", "32"), ("2", "7")] {
        let read = peer(&file, &["block", string, block]);
        let head = read.lines().next().expect("a first line").to_owned();
        let names: Vec<&str> = head.split(',').collect();
        assert_eq!(names.len(), 21, "{head}");
        let ours = bench.tool(&["export", "--string", string, "--block", block], &file).stdout;
        let ours = columns(&text(ours), &names);
        assert!(ours.len() >= 8, "{ours:?}");
        assert_eq!(columns(&read, &names), ours);
    }
    let names = ["time", "point", "value", "min", "max", "quality"];
    let read = columns(&peer(&file, &["point", "ups.0.input.voltage"]), &names);
    let ours = bench.tool(&["export", "--point", "ups.0.input.voltage"], &file).stdout;
    // The tool exports what is below the name as well.
    let mut ours = columns(&text(ours), &names);
    ours.retain(|row| row[1] == "ups.0.input.voltage");
    assert!(ours.len() >= 3 && ours.len() == read.len(), "{ours:?}\n{read:?}");
    for (read, ours) in read.iter().zip(&ours) {
        // It tells millionths, the tool as many digits as the unit has.
        let same = |read: &String, ours: &String| match ours.split_once('.') {
            Some((_, digits)) if ours.parse::<f64>().is_ok() => {
                let value: f64 = read.parse().expect("a number");
                format!("{value:.*}", digits.len()) == *ours
            }
            _ => read.trim_end_matches(".000000") == ours,
        };
        assert_eq!((&read[..2], &read[5]), (&ours[..2], &ours[5]));
        assert!((2..5).all(|n| same(&read[n], &ours[n])), "{read:?} {ours:?}");
    }
    // It sees damage, as the tool does.
    let mut damaged = exported;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x10;
    let file = bench.file("damaged.evkhist", &damaged);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/evkhist.py");
    let refused = Command::new("/usr/bin/python3").arg(script).arg(&file).output();
    assert!(!refused.expect("it runs").status.success());
}

#[test]
fn rows_outlive_a_kill_and_a_chart_is_as_small_as_asked() {
    let mut bench = Bench::new(3);
    let mut client = bench.signed_in();
    let before = client.await_answer(BLOCK, |history| rows(history) >= 3);
    bench.stack.daemon.kill();
    bench.stack.restart_daemon().expect("the daemon starts again");
    let mut client = bench.signed_in();
    let after = client.get(BLOCK).expect("a chart");
    let times = |history: &Value| history["unix_ms"].as_array().cloned().unwrap_or_default();
    let kept = times(&after);
    // The first point of a chart begins with its first row.
    assert_eq!(kept.first(), times(&before).first());
    assert!(rows(&after) >= rows(&before), "{before}\n{after}");
    let small = client.get(&format!("{BLOCK}&points=2")).expect("a chart");
    assert!((1..=2).contains(&rows(&small)), "{small}");
}
