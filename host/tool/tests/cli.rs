//! The program as a user meets it: files in, CSV and exit code out.

use evenkeel_core::history::file::FileWriter;
use evenkeel_core::history::{Head, Key, Level, Place, Record, Row, Sheet, Span};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HEADER: &str = "time_s,soc_percent,soc_sigma_percent,capacity_ah,capacity_sigma_ah,\
    capacity_rated_ah,capacity_rated_sigma_ah,learned_depth_percent,runtime_s,runtime_low_s,runtime_confidence";

fn evenkeel(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_evenkeel")).args(arguments).output().expect("it starts")
}

fn data(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// Two hours at 20 A, the second block a little weaker.
fn recording(folder: &Path) -> String {
    let mut text = String::from("time_s,current_A,voltage_V,temperature_C,block_1_V,block_2_V\n");
    for minute in 0..120 {
        let fall = 0.009 * f64::from(minute);
        let (one, two) = (12.6 - fall, 12.6 - 1.2 * fall);
        text += &format!("{},-20,{:.3},25,{one:.3},{two:.3}\n", 60 * minute, one + two);
    }
    let path = folder.join("trace.csv");
    fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_recording_becomes_estimates_with_their_confidence() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = recording(folder.path());
    let output =
        evenkeel(&["replay", "--battery", &data("battery.toml"), "--every", "600", &trace]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with(HEADER) && lines[0].contains("block_2_runtime_s"), "{}", lines[0]);
    assert_eq!(lines.len(), 13, "a line per ten minutes");
    let runtimes: Vec<f64> = lines[1..]
        .iter()
        .map(|line| line.split(',').nth(8).and_then(|f| f.parse().ok()).expect("a runtime"))
        .collect();
    assert!(runtimes.windows(2).all(|pair| pair[1] <= pair[0]), "{runtimes:?}");
    let last: Vec<f64> = lines[12].split(',').map(|f| f.parse().unwrap_or(f64::NAN)).collect();
    assert!((25.0..85.0).contains(&last[1]) && last[2] > 0.0, "state of charge {last:?}");
    assert!(last[4] > 0.0 && last[7] > 10.0 && (0.0..=1.0).contains(&last[10]), "{last:?}");
    assert!(last[3] < last[5], "20 A draw less than the rated current would: {last:?}");
    assert!(last[20] < last[15], "the weaker block ends first: {last:?}");
}

#[test]
fn bad_files_are_named_and_fail() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let good = data("battery.toml");
    let head = "time_s,current_A,voltage_V\n";
    let positive = (0..30).fold(head.to_owned(), |text, minute| {
        text + &format!("{},20,{:.2}\n", 60 * minute, 25.2 - 0.05 * f64::from(minute))
    });
    let trace = write("good.csv", &format!("{head}0,-20,25.2\n"));
    for (battery, trace, what) in [
        (good.clone(), write("a.csv", &format!("{head}0,-20,volts\n")), "line 2, column voltage_V"),
        (good.clone(), write("b.csv", &format!("{head}0,-20,51.2\n")), "cells would fit"),
        (good.clone(), write("e.csv", ""), "e.csv: the file is empty"),
        (good.clone(), write("f.csv", head), "f.csv: the file holds no measurement"),
        (
            good.clone(),
            write("g.csv", "time_s,voltage_V\n0,25\n"),
            "g.csv: line 1: there is no column current_A",
        ),
        (
            good.clone(),
            write("h.csv", &format!("{head}9,-20,25\n3,-20,25\n")),
            "h.csv: line 3, column time_s: 3 s comes after 9 s",
        ),
        (good.clone(), write("i.csv", &positive), "i.csv: line "),
        (good.clone(), write("j.csv", &positive), "change the sign"),
        (good.clone(), "/nowhere.csv".to_owned(), "/nowhere.csv"),
        (write("c.toml", "chemistry = \"agm\"\ncells = 6\n"), trace.clone(), "capacity_ah"),
        (write("d.toml", "chemistry = \"zinc\"\ncells = 6\ncapacity_ah = 1.0"), trace, "zinc"),
    ] {
        let output = evenkeel(&["replay", "--battery", &battery, &trace]);
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{what}");
        assert!(problem.contains(what), "{what}: {problem}");
    }
}

#[test]
fn a_recording_without_a_discharge_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rest.csv");
    fs::write(&path, "time_s,current_A,voltage_V\n0,0,25.6\n60,0,25.6\n").expect("written");
    let path = path.to_str().expect("UTF-8");
    let output = evenkeel(&["replay", "--battery", &data("battery.toml"), path]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no discharge"), "{output:?}");
}

#[test]
fn help_is_enough_to_write_a_battery_file() {
    let text = String::from_utf8(evenkeel(&["replay", "--help"]).stdout).expect("UTF-8");
    for word in [
        "chemistry",
        "capacity_ah",
        "capacity_rated_ah",
        "cutoff_v_per_cell",
        "block_1_V",
        "runtime_confidence",
    ] {
        assert!(text.contains(word), "{word}");
    }
}

/// Two days of two blocks, a row an hour.
fn exported_history(folder: &Path) -> PathBuf {
    let mut out = Vec::new();
    let mut writer = FileWriter::new(&mut out);
    for day in 20_000..20_002u32 {
        let mut sheet = Sheet::default();
        for hour in 0..24u64 {
            let unix_ms = (u64::from(day) * 24 + hour) * 3_600_000;
            let voltage_mv = Some(Span::of(13_600 + hour as i32));
            let record = Record { voltage_mv, ..Record::default() };
            sheet.push(&Row { head: Head { unix_ms, ..Head::default() }, blocks: vec![record; 2] });
        }
        let place = Place { level: Level::Raw, period: day, string: 1, part: 0 };
        for (block, column) in (0..).zip(sheet.encode(place)) {
            writer.column(&mut out, Key { place, block }, &column);
        }
    }
    writer.finish(&mut out);
    let path = folder.join("history.evkhist");
    fs::write(&path, out).expect("written");
    path
}

#[test]
fn an_exported_history_is_inspected_verified_printed_and_salvaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = exported_history(folder.path());
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let history = |words: &[&str]| {
        let output = evenkeel(&[&["history"], words].concat());
        let said = [output.stdout, output.stderr].map(|b| String::from_utf8(b).expect("UTF-8"));
        (output.status.code(), said[0].clone(), said[1].clone())
    };
    let (code, out, _) = history(&["inspect", &text(&path)]);
    assert!(code == Some(0) && out.starts_with("string 1, records: 48 rows of 2 blocks"), "{out}");
    let (code, out, _) = history(&["verify", &text(&path)]);
    assert_eq!((code, out.as_str()), (Some(0), "6 columns are whole, 0 damaged\n"));
    let (code, out, _) = history(&["export", &text(&path), "--block", "2"]);
    assert_eq!((code, out.lines().count()), (Some(0), 1 + 48), "{out}");
    assert!(out.contains("\r\n2024-10-04T05:00:00.000Z,1,2,13.605,"), "{out}");

    let mut bytes = fs::read(&path).expect("there");
    let in_the_last_block = bytes.len() - 15 - 2;
    bytes[in_the_last_block] ^= 1;
    fs::write(&path, bytes).expect("written");
    let (code, out, err) = history(&["verify", &text(&path)]);
    assert!(code == Some(1) && err.contains("history.evkhist"), "{err}");
    assert!(
        out.starts_with("string 1, records from 2024-10-05, part 1, block 2: its check"),
        "{out}"
    );
    let whole = folder.path().join("whole.evkhist");
    let (code, out, _) = history(&["salvage", &text(&path), &text(&whole)]);
    assert!(code == Some(0) && out.contains("5 columns are whole, 1 damaged"), "{out}");
    assert_eq!(history(&["verify", &text(&whole)]).0, Some(0));
    let (code, _, err) = history(&["salvage", &text(&path), &text(&whole)]);
    assert!(code == Some(1) && err.contains("whole.evkhist"), "nothing is written over: {err}");
    let (code, _, err) = history(&["export", &text(&path), "--level", "years"]);
    assert!(code == Some(2) && err.contains("records, hours, days"), "{err}");
}
