//! Power fails, over the whole disk: the appliance's first start, settings, an
//! update taken in, activated and proved are recorded write by write. Then the
//! disk is put together as a cut at any point would have left it: in order, with
//! a torn write, with what had not been flushed in part. Each is judged by the
//! appliance's own code and `e2fsck` ([`judge`]), and some are started: the
//! console answers, and what was promised before the cut is there.

mod judge;

use crate::bench::{BOOT, Bench, Built, SCENARIO, first_sign_in, it_protects};
use crate::{BOARD, off};
use evenkeel_e2e::machine::{Line, Machine};
use evenkeel_e2e::power_cut::{Chance, Cut, Left, Op, Recording, Replay};
use evenkeel_e2e::{Client, Program, write_log};
use evenkeel_image::disk;
use evenkeel_signing::slot::Slot;
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::record::{COPY_DISTANCE, RECORD_LEN};
use judge::{Judge, LOST_MAX, Promise, SITE, copy_sparse, last_taken};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The same cuts of the same recording.
const SEED: u64 = 0x5eed;
/// Starts until it answers: three of a system on trial, and the one before it.
const STARTS_MAX: usize = 4;
/// What the appliance is called.
const NAME: &str = "rack-7";

/// Everything that was done to the disk of an appliance, and what it promised.
struct Story {
    bench: Bench,
    dir: tempfile::TempDir,
    recording: Recording,
    /// The log of the session that runs.
    log: PathBuf,
    /// Promises of that session, by how much of its log there was.
    said: Vec<(usize, Promise)>,
    /// Promises by how much had been done.
    promises: Vec<(usize, Promise)>,
    /// Name of the site that was asked for last.
    asked: u32,
    password: String,
}

impl Story {
    /// Start, name things, update, prove it.
    fn record(built: &Built) -> Self {
        let bench = Bench::new(built, SCENARIO);
        let dir = tempfile::tempdir().expect("a folder");
        let mut story = Self {
            bench,
            dir,
            recording: Recording::default(),
            log: PathBuf::new(),
            said: Vec::new(),
            promises: Vec::new(),
            asked: 0,
            password: String::new(),
        };
        let path = story.bench.machine.disk_path();
        copy_whole(&path, &story.before());
        story.until_the_update(built);
        story.until_it_proved();
        story
    }

    fn until_the_update(&mut self, built: &Built) {
        let (slot, mut qemu, begun) = self.on();
        assert_eq!(slot, Slot::A);
        let mut client = self.bench.console(&mut qemu, begun);
        self.password = first_sign_in(&mut client, &mut qemu);
        self.promise(Promise::Password);
        it_protects(&mut client);
        (0..10).for_each(|_| self.name_the_site(&mut client));
        let eth0 = json!({"ipv4": "dhcp", "ipv6": "auto"});
        let settings = json!({"interfaces": {"eth0": eth0}, "host_name": NAME});
        client.post("/api/v1/network", &json!({ "settings": settings })).expect("on trial");
        client.post("/api/v1/network/confirm", &json!({})).expect("kept");
        self.promise(Promise::HostName(NAME.to_owned()));
        client.await_answer("/api/v1/certificate", |shown| shown.to_string().contains(NAME));

        let bundle = std::fs::read(built.image.join("next.evkf")).expect("a bundle");
        let mut sender = Client::unverified(&self.bench.machine.address());
        sender.login("admin", &self.password).expect("in");
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| sender.post_bytes("/api/v1/firmware", &bundle));
            while !sending.is_finished() {
                let firmware = client.get("/api/v1/firmware").expect("slots");
                // Before its head was judged, nothing was taken.
                let taken = firmware["installing"]["taken"].as_u64().filter(|taken| *taken > 0);
                if let Some(taken) = taken {
                    self.promise(Promise::Taken(taken));
                }
                self.name_the_site(&mut client);
            }
            sending.join().expect("joined").expect("installed");
        });
        self.promise(Promise::Written);
        // Its answer may be lost in the restart.
        if client.post("/api/v1/firmware/activate", &json!({})).is_ok() {
            self.promise(Promise::Activated);
        }
        off(&mut qemu);
        self.end();
    }

    fn until_it_proved(&mut self) {
        let (slot, mut qemu, begun) = self.on();
        assert_eq!(slot, Slot::B);
        let mut client = self.bench.console(&mut qemu, begun);
        client.login("admin", &self.password).expect("in");
        while !client.get("/api/v1/firmware").expect("slots")["trial"].is_null() {
            assert!(begun.elapsed() < BOOT, "it never proved healthy");
            self.name_the_site(&mut client);
            std::thread::sleep(Duration::from_secs(1));
        }
        self.promise(Promise::Confirmed);
        (0..3).for_each(|_| self.name_the_site(&mut client));
        self.bench.machine.halt().expect("switched off");
        off(&mut qemu);
        self.end();
    }

    /// Switch on, and write down what the loader and the machine do.
    fn on(&mut self) -> (Slot, Program, Instant) {
        self.log = self.dir.path().join("log");
        let machine = &mut self.bench.machine;
        machine.log = Some(self.log.clone());
        let (begun, before) = (Instant::now(), copies(machine));
        let mut after = before.clone();
        let (slot, qemu) = machine.start_after(|machine| after = copies(machine)).expect("started");
        assert!(machine.refused.is_empty(), "a step of the loader is one write");
        let (start, _) = machine.partition("state").expect("a partition");
        for (number, (before, after)) in before.iter().zip(after).enumerate() {
            if *before != after {
                self.recording.wrote(start + number as u64 * COPY_DISTANCE, after);
            }
        }
        (slot, qemu, begun)
    }

    /// The machine is off: its log is whole.
    fn end(&mut self) {
        let log = self.dir.path().join(format!("log-{}", self.promises.len()));
        std::fs::rename(&self.log, &log).expect("renamed");
        let first = self.recording.ran(&log).expect("a log");
        self.promises.extend(self.said.drain(..).map(|(at, promise)| (first + at, promise)));
        self.bench.machine.log = None;
    }

    fn promise(&mut self, promise: Promise) {
        self.said.push((write_log::count(&self.log).expect("a log"), promise));
    }

    fn name_the_site(&mut self, client: &mut Client) {
        self.asked += 1;
        let site = json!({"name": format!("{SITE}{}", self.asked), "place": "here"});
        client.post("/api/v1/site", &site).expect("named");
        self.promise(Promise::Site(self.asked));
    }

    fn before(&self) -> PathBuf {
        self.dir.path().join("before.img")
    }

    /// What had been promised at this cut.
    fn promised(&self, cut: Cut) -> Vec<Promise> {
        let before = self.promises.iter().filter(|(at, _)| *at <= cut.done);
        before.map(|(_, promise)| promise.clone()).collect()
    }

    /// Where it matters most: the state record, headers of slots, the first and
    /// the last piece of each part; and so many cuts anywhere.
    fn cuts(&self, anywhere: usize) -> Vec<Cut> {
        let machine = &self.bench.machine;
        let place = |name| {
            let (start, len) = machine.partition(name).expect("a partition");
            start..start + len
        };
        let mut matters: Vec<usize> = self.recording.writes_in(place("state")).collect();
        let boot = place(disk::boot(Slot::B));
        let header = boot.end - HEADER_LEN as u64..boot.end;
        matters.extend(self.recording.writes_in(header.clone()));
        for part in [boot.start..header.start, place(disk::root(Slot::B))] {
            let all: Vec<usize> = self.recording.writes_in(part).collect();
            matters.extend(all.first().into_iter().chain(all.last()));
        }
        let ops = self.recording.ops();
        let (mut chance, mut cuts) = (Chance(SEED), Vec::new());
        for write in matters {
            let (done, seed) = (write + 1, chance.next());
            let flushed = ops[done..].iter().position(|op| *op == Op::Flush);
            let flushed = flushed.map_or(ops.len(), |flush| done + flush + 1);
            cuts.push(Cut { done: write, left: Left::All });
            cuts.extend(
                [Left::All, Left::None, Left::Torn(seed), Left::Some(seed)]
                    .map(|left| Cut { done, left }),
            );
            cuts.push(Cut { done: flushed, left: Left::All });
        }
        for _ in 0..anywhere {
            let (done, seed) = (chance.below(ops.len() + 1), chance.next());
            let left = [Left::All, Left::None, Left::Torn(seed), Left::Some(seed)];
            cuts.push(Cut { done, left: left[chance.below(4)] });
        }
        // A replay goes forward.
        cuts.sort_by_key(|cut| (self.recording.sure(*cut), cut.done));
        cuts.dedup();
        cuts
    }

    /// Cut the power at all of them, judge what is left, and start `starts`.
    fn survives(&mut self, cuts: &[Cut], starts: usize) {
        let dir = tempfile::tempdir().expect("a folder");
        let lines = [Line::Nothing, Line::Nothing];
        let image = self.bench.machine.disk_path();
        let judge = Judge::new(&self.bench.machine, dir.path().to_owned());
        let machine = Machine::copy(image.parent().expect("a folder"), dir.path(), lines);
        let machine = machine.expect("a machine");
        // First of all: what was recorded is what was done.
        copy_whole(&self.before(), &machine.disk_path());
        let mut all = replay(&self.recording, &machine);
        all.go_on(self.recording.ops().len()).expect("replayed");
        let same = Command::new("cmp").args([&image, &machine.disk_path()]).output().expect("cmp");
        assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));

        copy_whole(&self.before(), &machine.disk_path());
        let (recording, mut failures, mut started) =
            (std::mem::take(&mut self.recording), vec![], 0);
        let mut replay = replay(&recording, &machine);
        let begun = Instant::now();
        for (number, cut) in cuts.iter().enumerate() {
            let promised = self.promised(*cut);
            let is_started = starts > 0 && number % cuts.len().div_ceil(starts) == 0;
            let seen = replay.cut(*cut, || {
                judge.look(&machine)?.keeps(&promised, self.asked)?;
                if is_started {
                    started += 1;
                    copy_whole(&machine.disk_path(), &self.bench.machine.disk_path());
                    self.it_starts(&promised)?;
                }
                Ok::<(), String>(())
            });
            if let Err(failure) = seen.expect("replayed") {
                println!("{cut:?}: {failure}");
                failures.push(*cut);
            }
        }
        println!(
            "{} writes and flushes; {} cuts judged, {started} of them started, {} failures, {:.0} s",
            recording.ops().len(),
            cuts.len(),
            failures.len(),
            begun.elapsed().as_secs_f64()
        );
        assert!(failures.is_empty(), "{failures:?}");
    }

    /// Switch on until it answers, and ask for what was promised.
    fn it_starts(&mut self, promised: &[Promise]) -> Result<(), String> {
        for _ in 0..STARTS_MAX {
            let (slot, mut qemu, begun) = self.bench.on();
            let mut client = Client::unverified(&self.bench.machine.address());
            while client.get_text("/login", None).is_err() && qemu.check().is_ok() {
                if begun.elapsed() > BOOT {
                    return Err(format!("slot {slot} does not answer: {}", qemu.log()));
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            if qemu.check().is_err() {
                continue;
            }
            return match promised.contains(&Promise::Password) {
                true => self.it_has(&mut client, promised),
                false => Ok(()),
            };
        }
        Err(format!("{STARTS_MAX} starts came to nothing"))
    }

    fn it_has(&self, client: &mut Client, promised: &[Promise]) -> Result<(), String> {
        client.login("admin", &self.password).map_err(|error| error.to_string())?;
        client.await_answer("/api/v1/guard", |guard| guard["cycles"].as_u64() > Some(2));
        let get = |client: &mut Client, path: &str| client.get(path).map_err(|e| e.to_string());
        let site = get(client, "/api/v1/site")?;
        let named = site["name"].as_str().and_then(|name| name.strip_prefix(SITE)?.parse().ok());
        let network = get(client, "/api/v1/network")?;
        let firmware = get(client, "/api/v1/firmware")?;
        for promise in promised {
            let kept = match promise {
                Promise::Site(number) => named >= Some(*number),
                Promise::HostName(name) => network["settings"]["host_name"] == *name.as_str(),
                Promise::Activated => firmware["slot"] == "B",
                Promise::Confirmed => firmware["trial"] == Value::Null,
                // Where it goes on, while it is not whole.
                Promise::Taken(_) => firmware["installing"]["taken"]
                    .as_u64()
                    .is_none_or(|taken| Some(taken + LOST_MAX) >= last_taken(promised)),
                Promise::Password | Promise::Written => true,
            };
            if !kept {
                return Err(format!("{promise:?} is not kept: {site:#} {network:#} {firmware:#}"));
            }
        }
        Ok(())
    }
}

/// Both copies of the state record.
fn copies(machine: &Machine) -> [Vec<u8>; 2] {
    [0, COPY_DISTANCE].map(|at| machine.read("state", at, RECORD_LEN).expect("read"))
}

fn copy_whole(from: &Path, to: &Path) {
    let len = std::fs::metadata(from).expect("a disk").len();
    copy_sparse(from, 0, len, to);
}

fn replay<'a>(recording: &'a Recording, machine: &Machine) -> Replay<'a> {
    let disk = File::options().read(true).write(true).open(machine.disk_path());
    Replay::new(recording, disk.expect("a disk"))
}

#[test]
fn power_may_fail_where_it_matters() {
    let mut story = Story::record(&Built::find(BOARD));
    let cuts = story.cuts(12);
    story.survives(&cuts, 2);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn power_may_fail_anywhere() {
    let mut story = Story::record(&Built::find(BOARD));
    let cuts = story.cuts(1_000);
    story.survives(&cuts, 60);
}
