//! What hostile plugins cost the others: jitter at the guard's priority, the
//! guard's own counters, another plugin's polls and the console's answers,
//! with all hostile and sixteen greedy plugins, with plain endless loops
//! in their place, and with nothing.
//!
//! The loops tell what plugins add from what the machine itself does when all of
//! its processors are busy. What all processors are late together is the virtual
//! machine standing still, and is told by itself.

use super::plugins::said;
use super::{Figures, at, programs};
use crate::demo::options;
use crate::load::Load;
use crate::run::AnyError;
use evenkeel_e2e::{Client, Stack};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Added jitter of the guard, p99.99, µs.
const ADDED_JITTER_US: f64 = 1_000.0;
/// A neighbour's polls may come so much further apart with hostile plugins than
/// without them, p99: a tenth of the interval is what a UPS's own line varies by.
const APART_RATIO: f64 = 1.1;
/// A console's answer, p99, µs: what a person takes for at once.
const ANSWER_US: f64 = 100_000.0;
/// The guard's priority, as in `host/guard/src/realtime.rs`.
const PRIORITY: &str = "40";
/// Plugins that compute as much as they may, for ever: the hostile ones are
/// soon in quarantine.
const GREEDY: &str = "16";

pub fn measure(root: &Path, seconds: u64, figures: &mut Figures) -> Result<(), AnyError> {
    let without = watch(root, seconds, Beside::Nothing, figures)?;
    let loops = watch(root, seconds, Beside::Loops, figures)?;
    let with = watch(root, seconds, Beside::Plugins, figures)?;
    let more = |than: &Watched| (with.jitter_us - than.jitter_us).max(0.0);
    let title = "added wake-up jitter p99.99, to that with nothing";
    figures.within(title, more(&without), "µs", ADDED_JITTER_US);
    figures.add("added wake-up jitter p99.99, to that of plain loops", more(&loops), "µs");
    let apart = |than: &Watched| with.apart_us / than.apart_us;
    let title = "between the neighbour's polls p99, with : nothing";
    figures.within(title, apart(&without), ": 1", APART_RATIO);
    figures.add("between the neighbour's polls p99, with : plain loops", apart(&loops), ": 1");
    Ok(())
}

/// What runs beside guard, neighbour and console.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// An endless loop for each processor.
    Loops,
    /// Hostile and greedy plugins.
    Plugins,
}

impl Beside {
    const fn title(self) -> &'static str {
        match self {
            Self::Nothing => "with nothing",
            Self::Loops => "with plain loops",
            Self::Plugins => "hostile and greedy plugins",
        }
    }
}

/// What is compared.
struct Watched {
    /// Wake-up jitter p99.99 without stops of the whole machine, µs.
    jitter_us: f64,
    /// Between the neighbour's polls, p99, µs.
    apart_us: f64,
}

/// Watch a fresh stack.
fn watch(
    root: &Path,
    seconds: u64,
    beside: Beside,
    figures: &mut Figures,
) -> Result<Watched, AnyError> {
    let dir = root.join("target/bench-hostile");
    // Absent at the first run.
    let _ = std::fs::remove_dir_all(&dir);
    let mut options = options(root, programs(root), dir.clone(), 0, 1);
    if beside == Beside::Plugins {
        let folder = dir.join("plugins");
        std::fs::create_dir_all(&folder)?;
        for bundle in super::plugins::built(root)? {
            std::fs::copy(&bundle, folder.join(bundle.file_name().unwrap_or_default()))?;
        }
        let mut write = Command::new(programs(root).join("examples/hostile_plugins"));
        let key = options.plugin_key.with_extension("key");
        options.daemon_settings = said(write.arg(&folder).arg(key).arg(GREEDY))?;
        options.plugins = folder;
    }
    let title = beside.title();
    let mut stack = Stack::start(options)?;
    let mut client = stack.sign_in()?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = Load::start(if beside == Beside::Loops { processors } else { 0 })?;
    let jitter = Jitter::start(root, seconds)?;
    let seen = look(&mut stack, &mut client, seconds)?;
    let jitter = jitter.end()?;
    drop(load);
    figures.take(title, &jitter, &[]);
    let apart_us = seen.tell(title, figures);
    let guard = client.get("/api/v1/guard")?;
    for (name, value) in [("p50", "p50_us"), ("p99.9", "p99_9_us"), ("max", "max_us")] {
        let value = guard["jitter"][value].as_f64().unwrap_or(f64::NAN);
        figures.add(&format!("{title}, guard's cycle late {name}"), value, "µs");
    }
    let misses = guard["deadline_misses"].as_f64().unwrap_or(f64::NAN);
    figures.within(&format!("{title}, deadline misses"), misses, "cycles", 0.0);
    let cpu = stack.daemon.threads_cpu_ms();
    let greedy: u64 = cpu.iter().filter(|(n, _)| n.starts_with("plugin-greedy")).map(|c| c.1).sum();
    if beside == Beside::Plugins {
        figures.add(&format!("{title}, processor time of greedy plugins"), greedy as f64, "ms");
    }
    let kb = stack.daemon.resident_kb().map_or(f64::NAN, |kb| kb as f64);
    figures.within(&format!("{title}, daemon resident"), kb, "kB", 100_000.0);
    for program in [&mut stack.daemon, &mut stack.guard, &mut stack.sim] {
        program.stop();
    }
    // With one processor nobody can tell a stop of the machine from any other.
    let told = |name: &str| jitter.lines().find_map(|line| line.strip_prefix(name));
    let p99_99 =
        told("wake-up jitter without stops p99.99: ").or_else(|| told("wake-up jitter p99.99: "));
    let p99_99 = p99_99.and_then(|rest| rest.split(' ').next()?.parse().ok());
    let jitter_us = p99_99.ok_or("no jitter was measured")?;
    Ok(Watched { jitter_us, apart_us })
}

/// The measuring program, at the guard's priority where that is permitted.
struct Jitter(Child);

impl Jitter {
    fn start(root: &Path, seconds: u64) -> Result<Self, AnyError> {
        let program = programs(root).join("examples/wakeups");
        let may = Command::new("chrt").args(["--fifo", PRIORITY, "true"]).status();
        let mut command = if may.is_ok_and(|status| status.success()) {
            let mut command = Command::new("chrt");
            command.args(["--fifo", PRIORITY]).arg(&program);
            command
        } else {
            println!("jitter is measured without real-time priority: it is not permitted here");
            Command::new(&program)
        };
        Ok(Self(command.arg(seconds.to_string()).stdout(Stdio::piped()).spawn()?))
    }

    fn end(self) -> Result<String, AnyError> {
        let output = self.0.wait_with_output()?;
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)?),
            false => Err(format!("the jitter could not be measured: {}", output.status).into()),
        }
    }
}

/// What was seen of the neighbour and the console, µs.
#[derive(Default)]
struct Seen {
    polls_us: Vec<f64>,
    /// Until the first poll was through.
    first_us: f64,
    gaps_us: Vec<f64>,
    answers_us: Vec<f64>,
}

fn look(stack: &mut Stack, client: &mut Client, seconds: u64) -> Result<Seen, AnyError> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seen = Seen::default();
    let mut last: Option<(u64, Instant)> = None;
    while Instant::now() < end {
        stack.check()?;
        let asked = Instant::now();
        let plugins = client.get("/api/v1/plugins")?;
        seen.answers_us.push(asked.elapsed().as_secs_f64() * 1e6);
        let megatec =
            plugins.as_array().and_then(|all| all.iter().find(|p| p["name"] == "megatec"));
        let megatec = megatec.unwrap_or(&Value::Null);
        let polls = megatec["polls"].as_u64().unwrap_or(0);
        if last.is_none_or(|(before, _)| before != polls) {
            seen.polls_us.extend(megatec["last_poll_us"].as_f64());
            // To the first poll is the start of all plugins, which are compiled then.
            match last {
                Some((1.., at)) => seen.gaps_us.push(at.elapsed().as_secs_f64() * 1e6),
                Some((0, at)) => seen.first_us = at.elapsed().as_secs_f64() * 1e6,
                None => {}
            }
            last = Some((polls, Instant::now()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(seen)
}

impl Seen {
    /// Write it down; how far the neighbour's polls are apart, p99, µs.
    fn tell(mut self, title: &str, figures: &mut Figures) -> f64 {
        figures.add(&format!("{title}, until the neighbour's first poll"), self.first_us, "µs");
        let rows = [
            ("neighbour's poll", &mut self.polls_us, None),
            ("between the neighbour's polls", &mut self.gaps_us, None),
            ("console's answer", &mut self.answers_us, Some(ANSWER_US)),
        ];
        for (name, values, budget) in rows {
            figures.add(&format!("{title}, {name} p50"), at(values, 0.5), "µs");
            let (name, p99) = (format!("{title}, {name} p99"), at(values, 0.99));
            match budget {
                Some(budget) => figures.within(&name, p99, "µs", budget),
                None => figures.add(&name, p99, "µs"),
            }
        }
        at(&mut self.gaps_us, 0.99)
    }
}
