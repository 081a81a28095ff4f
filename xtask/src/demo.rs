//! `cargo xtask demo`: the appliance at work on simulated hardware.
//!
//! Interactive, it prints the console's address and first password and how
//! the strings close, until Ctrl-C. With `--seconds` it watches through the
//! console's API as a user would, writes what it saw, and fails when the
//! strings did not close or the UPS was not read.

use crate::plugins;
use crate::run::{AnyError, build_programs, programs};
use evenkeel_e2e::{Options, STRINGS, Stack};
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// In band: every block within this of the string's target, mV (B5).
const BAND_MV: f64 = 10.0;

#[derive(clap::Args)]
pub struct Arguments {
    /// Watch for this long, then stop; without it, run until Ctrl-C.
    #[arg(long)]
    seconds: Option<u64>,
    /// Write what was seen (with --seconds).
    #[arg(long, requires = "seconds")]
    json: Option<PathBuf>,
    /// Use the programs and plugins that are built already.
    #[arg(long)]
    no_build: bool,
    /// Port of the console; 0 lets the system choose.
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Seed of the simulated hardware.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the demo's data; by default target/demo, made new each time.
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    if !arguments.no_build {
        build_programs()?;
        let bundles = plugins::build(root)?;
        println!("── {} plugin(s) signed with the development key", bundles.len());
    }
    let programs = programs(root);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let mut stack = start(root, programs, arguments)?;
    let outcome = match arguments.seconds {
        Some(seconds) => headless(&mut stack, seconds, arguments.json.as_deref(), &stop),
        None => interactive(&mut stack, &stop),
    };
    for program in [&mut stack.daemon, &mut stack.guard, &mut stack.sim] {
        program.stop();
    }
    outcome
}

fn start(root: &Path, programs: PathBuf, arguments: &Arguments) -> Result<Stack, AnyError> {
    let dir = arguments.dir.clone().unwrap_or_else(|| {
        let dir = root.join("target/demo");
        // Each demo shows a first start; a folder that is absent is fine.
        let _ = std::fs::remove_dir_all(&dir);
        dir
    });
    stack(root, programs, std::path::absolute(dir)?, arguments.port, arguments.seed)
}

/// A stack of the built programs and plugins in `dir`.
pub fn stack(
    root: &Path,
    programs: PathBuf,
    dir: PathBuf,
    port: u16,
    seed: u64,
) -> Result<Stack, AnyError> {
    Ok(Stack::start(options(root, programs, dir, port, seed))?)
}

/// What [`stack`] starts.
pub fn options(root: &Path, programs: PathBuf, dir: PathBuf, port: u16, seed: u64) -> Options {
    Options {
        dir,
        programs,
        plugins: root.join("target/plugins"),
        plugin_key: root.join("target/dev-keys/plugin.pub"),
        licence_key: root.join("target/dev-keys/licence.key"),
        licensed: true,
        port,
        seed,
        strings: STRINGS,
        history_period_s: None,
        ups: true,
        data_bytes: None,
        daemon_through: Vec::new(),
        json_log: false,
        guard_settings: "",
        daemon_settings: String::new(),
    }
}

fn interactive(stack: &mut Stack, stop: &AtomicBool) -> Result<(), AnyError> {
    println!("\n  console   {}", stack.address());
    println!("  user      admin");
    println!(
        "  code      {}  (claims it, as `admin`, and is changed at once)",
        stack.first_password()?
    );
    println!("  folder    {}\n", stack.dir().display());
    println!("The certificate is the appliance's own: the browser will ask. Ctrl-C ends the demo.");
    let started = Instant::now();
    let mut shown = 0;
    while !stop.load(Ordering::Relaxed) {
        stack.check()?;
        let seconds = started.elapsed().as_secs();
        if seconds >= shown {
            println!("  {seconds:>4} s  {}", spreads(&stack.control("status")?));
            shown = seconds + 10;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// The true spread of each string, from the simulator's `key=value` lines.
fn spreads(status: &str) -> String {
    let value = |key: &str| status.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
    let volts = |key: &str| value(key).and_then(|v| v.parse::<f64>().ok());
    let spread = |string: usize| {
        let low = volts(&format!("string.{string}.block.min_v"))?;
        let high = volts(&format!("string.{string}.block.max_v"))?;
        Some(format!("string {}: {low:.3} … {high:.3} V", string + 1))
    };
    (0..2).filter_map(spread).collect::<Vec<_>>().join("   ")
}

/// What one string did.
#[derive(Default)]
struct Watched {
    name: String,
    first_mv: Option<f64>,
    /// Seconds after which the string was in band and stayed there.
    in_band_s: Option<f64>,
    /// Worst deviation since then, mV.
    worst_after_mv: f64,
    last_mv: f64,
    samples: Vec<Value>,
}

impl Watched {
    fn see(&mut self, at_s: f64, worst_mv: f64) {
        self.first_mv.get_or_insert(worst_mv);
        self.last_mv = worst_mv;
        if worst_mv.abs() > BAND_MV {
            // Left the band, or not there yet. A single excursion restarts the
            // clock: "settles and stays".
            self.in_band_s = None;
            self.worst_after_mv = 0.0;
        } else {
            self.in_band_s.get_or_insert(at_s);
            self.worst_after_mv = self.worst_after_mv.max(worst_mv.abs());
        }
        self.samples.push(json!([at_s, worst_mv]));
    }

    fn report(&self) -> Value {
        json!({
            "name": self.name,
            "first_deviation_mv": self.first_mv,
            "last_deviation_mv": self.last_mv,
            "seconds_to_band": self.in_band_s,
            "worst_after_mv": self.in_band_s.map(|_| self.worst_after_mv),
            "samples": self.samples,
        })
    }
}

fn headless(
    stack: &mut Stack,
    seconds: u64,
    json_file: Option<&Path>,
    stop: &AtomicBool,
) -> Result<(), AnyError> {
    let mut client = stack.sign_in()?;
    println!("── watching {} for {seconds} s", stack.address());
    let started = Instant::now();
    let mut strings: Vec<Watched> = Vec::new();
    let mut next_line = 0.0;
    while started.elapsed() < Duration::from_secs(seconds) {
        stack.check()?;
        if stop.load(Ordering::Relaxed) {
            return Err("interrupted".into());
        }
        let at_s = started.elapsed().as_secs_f64();
        for (i, string) in array(&client.get("/api/v1/strings")?).iter().enumerate() {
            if strings.len() <= i {
                let name = string["name"].as_str().unwrap_or_default().to_owned();
                strings.push(Watched { name, ..Watched::default() });
            }
            if let Some(worst) = string["worst_mv"].as_f64() {
                strings[i].see(at_s, worst);
            }
        }
        if at_s >= next_line {
            let worst: Vec<String> =
                strings.iter().map(|s| format!("{} {:+.0} mV", s.name, s.last_mv)).collect();
            println!("   {at_s:>4.0} s  worst block: {}", worst.join(", "));
            next_line += 30.0;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let points = client.get("/api/v1/points?prefix=ups.0")?;
    let plugins = client.get("/api/v1/plugins")?;
    let guard = client.get("/api/v1/guard")?;
    let failures = judge(&strings, &points, &plugins);
    let report = json!({
        "seconds": seconds,
        "strings": strings.iter().map(Watched::report).collect::<Vec<_>>(),
        "ups": points,
        "plugins": plugins,
        "guard": guard,
        "guard_resident_kb": stack.guard.resident_kb(),
        "daemon_resident_kb": stack.daemon.resident_kb(),
        "failures": failures,
    });
    if let Some(file) = json_file {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    for string in &strings {
        match string.in_band_s {
            Some(s) => println!(
                "   {}: within ±{BAND_MV} mV after {s:.0} s, worst afterwards {:.0} mV",
                string.name, string.worst_after_mv
            ),
            None => println!("   {}: not in band, {:+.0} mV", string.name, string.last_mv),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
}

fn array(document: &Value) -> &[Value] {
    document.as_array().map_or(&[], Vec::as_slice)
}

/// Everything that is not as it should be after a demo.
fn judge(strings: &[Watched], points: &Value, plugins: &Value) -> Vec<String> {
    let mut failures = Vec::new();
    if strings.len() != 2 {
        failures.push(format!("{} strings instead of 2", strings.len()));
    }
    for string in strings {
        if string.first_mv.is_none_or(|mv| mv.abs() < 500.0) {
            failures.push(format!("{} did not start far apart", string.name));
        }
        if string.in_band_s.is_none() {
            failures.push(format!("{} is {:+.0} mV off", string.name, string.last_mv));
        }
    }
    for name in ["ups.0.input.voltage", "ups.0.battery.voltage", "ups.0.ups.status"] {
        let found = array(points).iter().find(|p| p["name"] == name);
        if found.is_none_or(|p| p["quality"] != "good") {
            failures.push(format!("{name} is not good: {found:?}"));
        }
    }
    let running = |p: &&Value| p["name"] == "megatec" && p["state"] == "running";
    if array(plugins).iter().filter(running).count() != 1 {
        failures.push("plugin megatec is not running".to_owned());
    }
    failures
}
