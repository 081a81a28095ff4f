//! What a plugin costs the appliance: time to verify, compile, link, start and
//! poll, and memory per running copy.
//!
//! ```text
//! cargo run --release -p evenkeeld --example plugin_cost -- \
//!     target/release/evenkeeld target/plugins/megatec-0.1.0.evkp target/dev-keys/plugin.pub
//! cargo run --release -p evenkeeld --example plugin_cost -- target/release/evenkeeld
//! ```
//!
//! Without a bundle it makes one of its own, a driver of 300 kB that computes
//! nothing: the size in DESIGN.md's budget. Cold is the way from an upload to a
//! running plugin when the compiler's process has yet to make the machine code,
//! cached is every start after it, and an installation that a person confirms
//! when the upload was compiled meanwhile. Runs the daemon's own path (`plugin::load`, `plugin::instance`) with the
//! daemon's own engine. Every serial line in the manifest is granted as a
//! pseudo-terminal at whose far end a device answers at once, as a Megatec UPS
//! does, so that a poll shows the host's and the plugin's part and no waiting.
//! Prints one `name: value unit` a line; times are medians.

use evenkeel_core::time::Nanos;
use evenkeel_signing::{PublicKey, Role, Roots, SecretKey, Trust, seal_plugin};
use evenkeeld::caps::log::Log;
use evenkeeld::caps::{Services, Who};
use evenkeeld::config::PluginGrant;
use evenkeeld::hub::Hub;
use evenkeeld::plugin::budget::CALL_MAX;
use evenkeeld::plugin::compile::{Compiler, helper::Helper};
use evenkeeld::plugin::instance::{Instance, Surroundings};
use evenkeeld::plugin::stop::Stop;
use evenkeeld::plugin::{engine, load};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::collections::BTreeMap;
use std::error::Error;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Failed = Box<dyn Error>;

#[path = "../src/plugin/fixture/guest.rs"]
#[allow(dead_code, reason = "the daemon's tests use the rest")]
mod guest;

/// Times that the bundle is compiled.
const COLD: usize = 7;
/// Times that the bundle is loaded and a copy made of it.
const COPIES: usize = 40;
/// Endless loops.
const LOOPS: usize = 10;
/// Polls of one copy.
const POLLS: usize = 200;
/// What the device at the far end says.
const REPLIES: [(&[u8], &[u8]); 3] = [
    (b"Q1\r", b"(230.0 230.0 229.0 034 50.0 2.27 25.0 00000000\r"),
    (b"F\r", b"#230.0 004 024.0 50.0\r"),
    (b"I\r", b"#Evenkeel        Bench      1.0       \r"),
];

fn main() -> Result<(), Failed> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(Into::into).collect();
    let kept = tempfile::tempdir()?;
    let (evenkeeld, bundle, key) = match arguments.as_slice() {
        [evenkeeld] => (evenkeeld, &make(kept.path())?, &kept.path().join("bench.pub")),
        [evenkeeld, bundle, key] => (evenkeeld, bundle, key),
        _ => return Err("give evenkeeld, and a bundle with the public key that signed it".into()),
    };
    let mut cold = Vec::new();
    let begun = Instant::now();
    let engine = engine::start()?;
    println!("engine start: {} µs", begun.elapsed().as_micros());
    let mut trust = Trust::new(Roots::none(), false)?;
    trust.add_development_key(PublicKey::read(key)?)?;
    let grant = grant(bundle, &trust)?;
    println!("bundle: {} bytes", std::fs::metadata(bundle)?.len());
    let helper = Helper::of(evenkeeld.canonicalize()?);
    for _ in 0..COLD {
        // Nothing is kept in a directory that was just made.
        let fresh = tempfile::tempdir()?;
        let compiler = Compiler::new(engine.clone(), helper.clone(), fresh.path());
        let begun = Instant::now();
        let package = load::load(&compiler, &trust, bundle, &grant)?;
        start(&package, &grant, &Arc::default(), &mut Costs::default())?;
        cold.push(begun.elapsed());
    }
    print("cold: all steps", &mut cold);
    let compiler = Compiler::new(engine, helper, kept.path());
    load::load(&compiler, &trust, bundle, &grant)?;

    let mut costs = Costs::default();
    let mut copies = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..COPIES {
        let before = resident_bytes()?;
        let begun = Instant::now();
        let package = load::load(&compiler, &trust, bundle, &grant)?;
        let hub = Arc::new(Hub::default());
        let mut copy = start(&package, &grant, &hub, &mut costs)?;
        costs.install.push(begun.elapsed());
        costs.verify.push(package.cost.verify);
        costs.compile.push(package.cost.compile);
        costs.link.push(package.cost.link);
        // Its pages are touched; the line is held by the first copy.
        copy.wake()?;
        copies.push((package, copy, hub));
        resident.push(resident_bytes()?.saturating_sub(before));
    }
    let (first, further) = resident.split_first().ok_or("no copies")?;
    let [(_, copy, hub), ..] = copies.as_mut_slice() else { return Err("no copies".into()) };
    if arguments.len() > 1 && hub.query("").is_empty() {
        return Err("the plugin read nothing; this device speaks Megatec only".into());
    }
    for _ in 0..POLLS {
        let begun = Instant::now();
        copy.wake()?;
        costs.poll.push(begun.elapsed());
        costs.poll_cpu.push(Duration::from_nanos(copy.cpu_used().0));
    }
    costs.print();
    if arguments.len() == 1 {
        overrun(&compiler, &trust, kept.path())?;
    }
    println!("resident, first copy: {} kB", first / 1_000);
    println!("resident, each further copy: {} kB", mean(further) / 1_000);
    println!("resident, process with {COPIES} copies: {} kB", resident_bytes()? / 1_000);
    Ok(())
}

/// Times by step.
#[derive(Default)]
struct Costs {
    verify: Vec<Duration>,
    compile: Vec<Duration>,
    link: Vec<Duration>,
    start: Vec<Duration>,
    install: Vec<Duration>,
    poll: Vec<Duration>,
    poll_cpu: Vec<Duration>,
}

impl Costs {
    fn print(mut self) {
        for (name, times) in [
            ("verify", &mut self.verify),
            ("code from the cache", &mut self.compile),
            ("link", &mut self.link),
            ("instantiate and start", &mut self.start),
            ("cached: all steps", &mut self.install),
            ("poll, immediate answer", &mut self.poll),
            ("poll, processor time", &mut self.poll_cpu),
        ] {
            print(name, times);
        }
    }
}

fn print(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    println!("{name}: {:.1} µs", median.as_secs_f64() * 1e6);
}

/// How much processor time beyond its 50 ms an endless loop gets.
fn overrun(compiler: &Compiler, trust: &Trust, dir: &Path) -> Result<(), Failed> {
    let poll = "(loop $l (br $l)) (i32.const 0)";
    let component = guest::driver(&guest::Guest { poll, ..guest::IDLE });
    let bundle = sealed(dir, "loop.evkp", &component)?;
    let grant = grant(&bundle, trust)?;
    let package = load::load(compiler, trust, &bundle, &grant)?;
    let mut over = Vec::new();
    for _ in 0..LOOPS {
        let mut copy = start(&package, &grant, &Arc::default(), &mut Costs::default())?;
        if copy.wake().is_ok() {
            return Err("an endless loop has ended".into());
        }
        let budget = Nanos::from_millis(package.manifest.limits.poll_cpu_ms.into());
        over.push(Duration::from_nanos(copy.cpu_used().since(budget).0));
    }
    print("overrun of an endless loop", &mut over);
    let longest = over.last().copied().unwrap_or_default();
    println!("overrun of an endless loop, longest: {:.1} µs", longest.as_secs_f64() * 1e6);
    Ok(())
}

/// A signed driver of 300 kB in `dir`, and its key.
fn make(dir: &Path) -> Result<PathBuf, Failed> {
    // Some 420 bytes each, all different.
    let step = |n: u32, m: u32| {
        let k = n * 131 + m;
        format!(
            "(local.set $a (i32.xor (i32.mul (local.get $a) (i32.const {k})) (i32.load8_u
                (i32.and (local.get $a) (i32.const 8191)))))
            (if (i32.gt_u (local.get $a) (i32.const {k}))
                (then (i32.store (i32.const {}) (local.get $a))))",
            k % 8_000
        )
    };
    let function = |n| {
        let steps: String = (0..11).map(|m| step(n, m)).collect();
        format!("(func (param $a i32) (result i32) {steps} (local.get $a))")
    };
    let extra: String = (0..710).map(function).collect();
    let component = guest::driver(&guest::Guest { extra: &extra, ..guest::IDLE });
    println!("component: {} bytes", component.len());
    let key = SecretKey::generate(Role::Plugin, "development-bench")?;
    key.write_new(&dir.join("bench.key"))?;
    key.public().write_new(&dir.join("bench.pub"))?;
    sealed(dir, "megatec.evkp", &component)
}

/// A bundle of this component, signed by the key in `dir`.
fn sealed(dir: &Path, name: &str, component: &[u8]) -> Result<PathBuf, Failed> {
    let key = SecretKey::read(&dir.join("bench.key"))?;
    let manifest = guest::manifest(&guest::DRIVER_IMPORTS);
    let path = dir.join(name);
    std::fs::write(&path, seal_plugin(manifest, &[("component", component)], &[&key])?)?;
    Ok(path)
}

fn start(
    package: &load::Package,
    grant: &PluginGrant,
    hub: &Arc<Hub>,
    costs: &mut Costs,
) -> Result<Instance, Failed> {
    let begun = Instant::now();
    let mut copy = Instance::new(
        package,
        &Surroundings {
            log: Log::new(who(grant)),
            who: who(grant),
            services: Services { hub: Arc::clone(hub), ..Services::default() },
            stop: Arc::new(Stop::new()?),
            inbox: Arc::default(),
            memory: Arc::default(),
            meter: Arc::default(),
            call_max: CALL_MAX,
        },
    )?;
    copy.start(&grant.settings, None)?;
    costs.start.push(begun.elapsed());
    Ok(copy)
}

fn who(grant: &PluginGrant) -> Who {
    Who { name: grant.name.clone(), points: grant.points.clone() }
}

/// Everything that the manifest asks for: each line a device of its own.
fn grant(bundle: &Path, trust: &Trust) -> Result<PluginGrant, Failed> {
    let raw = std::fs::read(bundle)?;
    let manifest = trust.plugin(&raw)?.manifest().clone();
    let mut serial = BTreeMap::new();
    for permission in manifest.permissions.iter().filter(|p| p.interface.contains("serial")) {
        serial.insert(permission.what.clone(), device()?.parse()?);
    }
    let mut grant = PluginGrant::new(&manifest.name);
    grant.points = "ups.0".into();
    grant.grant.serial = serial;
    Ok(grant)
}

/// The near end of a line with a device on it, which answers at once.
fn device() -> Result<String, Failed> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname(&master, Vec::new())?.into_string()?;
    std::thread::spawn(move || answer(&master));
    Ok(path)
}

fn answer(line: &OwnedFd) {
    let (mut request, mut byte) = (Vec::new(), [0]);
    loop {
        match rustix::io::read(line, &mut byte) {
            Ok(1) => request.push(byte[0]),
            // Nobody holds the near end.
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
        if request.last() == Some(&b'\r') {
            let known = REPLIES.iter().find(|(known, _)| request == *known);
            let reply = known.map_or(request.as_slice(), |(_, reply)| *reply);
            // A reader that went away shows at the next read.
            let _ = rustix::io::write(line, reply);
            request.clear();
        }
    }
}

/// Memory of this process that is in RAM.
fn resident_bytes() -> Result<usize, Failed> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS in status")?;
    Ok(kib.parse::<usize>()? * 1_024)
}

fn mean(of: &[usize]) -> usize {
    of.iter().sum::<usize>() / of.len().max(1)
}
