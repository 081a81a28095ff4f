//! Modbus reads of 100 registers by one and by eight clients that ask without
//! pause, and where the time goes: in the plugin, in the daemon around it, or
//! in resting.

use super::{Figures, at, programs};
use crate::demo::options;
use crate::run::AnyError;
use evenkeel_e2e::{Client, Stack};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Read 100 holding registers from 10000: five blocks of string 1.
const REQUEST: [u8; 12] = [0x12, 0x34, 0, 0, 0, 6, 1, 3, 0x27, 0x10, 0, 100];
/// Its answer behind the header: unit, function, length, registers.
const ANSWER_BYTES: usize = 3 + 200;
/// Per number of clients.
const TIME: Duration = Duration::from_secs(10);
/// Thread of the plugin, as the system names it.
const THREAD: &str = "plugin-modbus-s";

pub fn measure(root: &Path, figures: &mut Figures) -> Result<(), AnyError> {
    measure_with(root, &programs(root), figures)
}

/// With a daemon from this folder, and everything else as usual.
pub fn measure_with(root: &Path, daemon: &Path, figures: &mut Figures) -> Result<(), AnyError> {
    let dir = root.join("target/bench-gateway");
    // Absent at the first run.
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(dir.join("programs"))?;
    for name in ["evenkeel-sim", "evenkeel-guard", "evenkeel-plugin"] {
        std::os::unix::fs::symlink(programs(root).join(name), dir.join("programs").join(name))?;
    }
    std::os::unix::fs::symlink(daemon.join("evenkeeld"), dir.join("programs/evenkeeld"))?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut options = options(root, dir.join("programs"), dir, 0, 1);
    options.daemon_settings = format!(
        "[[plugin]]\nname = \"modbus-server\"\n\
         grant.listen.modbus = \"tcp://127.0.0.1:{port}\"\n\
         grant.read.values = [\"guard\", \"string\", \"ups.0\"]\n\
         grant.commands.writes = [\"guard:beeper.mute\"]\n"
    );
    let mut stack = Stack::start(options)?;
    let mut client = stack.sign_in()?;
    await_values(&mut client, port)?;
    for clients in [1, 8] {
        load(&stack, clients, port, figures)?;
    }
    for program in [&mut stack.daemon, &mut stack.guard, &mut stack.sim] {
        program.stop();
    }
    Ok(())
}

/// Wait until there is something to be read.
fn await_values(client: &mut Client, port: u16) -> Result<(), AnyError> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let points = client.get("/api/v1/points?prefix=string.1.block.5.voltage")?;
        if points.to_string().contains("\"good\"")
            && TcpStream::connect(("127.0.0.1", port)).is_ok()
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("the gateway does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn load(stack: &Stack, clients: usize, port: u16, figures: &mut Figures) -> Result<(), AnyError> {
    let before = stack.daemon.threads_cpu_ms();
    let begun = Instant::now();
    let all: Vec<std::io::Result<Vec<f64>>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..clients).map(|_| scope.spawn(|| ask(port, begun + TIME))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let after = stack.daemon.threads_cpu_ms();
    let mut times = all.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    let reads = times.len() as f64;
    let used = |name: &str| {
        let ms = |when: &BTreeMap<String, u64>| when.get(name).copied().unwrap_or(0);
        // A thread may have ended meanwhile.
        ms(&after).saturating_sub(ms(&before))
    };
    let total: u64 = after.keys().map(|name| used(name)).sum();
    let plugin = used(THREAD) as f64 * 1e3 / reads;
    let daemon = total as f64 * 1e3 / reads - plugin;
    let of = |what: &str| format!("{clients} clients, {what}");
    figures.add(&of("reads of 100 registers"), reads / seconds, "/s");
    figures.add(&of("answer p50"), at(&mut times, 0.5), "µs");
    figures.add(&of("answer p99"), at(&mut times, 0.99), "µs");
    figures.add(&of("plugin's thread, processor time per read"), plugin, "µs");
    figures.add(&of("rest of the daemon, processor time per read"), daemon, "µs");
    let share = used(THREAD) as f64 / (seconds * 10.0);
    figures.add(&of("plugin's share of a core"), share, "%");
    Ok(())
}

/// Ask until `end`; the time of each answer in µs.
fn ask(port: u16, end: Instant) -> std::io::Result<Vec<f64>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut head, mut answer) = ([0; 6], [0; ANSWER_BYTES]);
    let mut times = Vec::new();
    while Instant::now() < end {
        let asked = Instant::now();
        stream.write_all(&REQUEST)?;
        stream.read_exact(&mut head)?;
        let len = usize::from(u16::from_be_bytes([head[4], head[5]]));
        // An exception is shorter: this client wants values and nothing else.
        if len != ANSWER_BYTES {
            return Err(std::io::Error::other(format!("an answer of {len} bytes")));
        }
        stream.read_exact(&mut answer)?;
        times.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}
