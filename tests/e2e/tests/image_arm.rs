//! The image for 32-bit ARM: its own loader starts it verified, it protects,
//! interprets a signed plugin, takes an update, goes back from a damaged one,
//! and stays within its memory; and its programs run on a Cortex-A8, which has
//! no divide instruction.
//!
//! Everything is emulated; what is measured is printed.

mod bench;

use bench::update::{a_damaged_root, events, install, off, update};
use bench::{
    BOOT, Bench, Built, SCENARIO, bill_of_materials, first_cycle, first_sign_in, it_protects, lists,
};
use evenkeel_e2e::machine::format_data;
use evenkeel_e2e::{Client, Options, Stack};
use evenkeel_signing::slot::{Reason, Slot, SlotState};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const BOARD: &str = "qemu-arm";
/// What the daemon may use with 20 plugins and 512 modules.
const MEMORY_MAX: f64 = 64e6;
/// How long it runs before its memory is read.
const SETTLED: Duration = Duration::from_secs(60);

#[test]
fn an_arm_board_protects_and_interprets_a_plugin() {
    let built = Built::find(BOARD);
    let mut bench = Bench::new(&built, SCENARIO);
    let (_, mut qemu, begun) = bench.on();
    let mut client = bench.console(&mut qemu, begun);
    first_sign_in(&mut client, &mut qemu);
    println!("boot to first cycle of the guard: {:.1} s", first_cycle(&mut client, begun));
    it_protects(&mut client);
    let (running, _) = plugins(&mut client);
    assert_eq!(running, ["licence-lc", "megatec"]);
    let firmware = client.get("/api/v1/firmware").expect("slots");
    assert_eq!(firmware["development"], true, "{firmware:#}");
    println!("daemon resident: {:.1} MB", resident(&mut client) / 1e6);
}

/// Over the loader's own script and signature.
#[test]
fn from_the_first_start_over_an_update_to_damage() {
    let built = Built::find(BOARD);
    let mut bench = Bench::new(&built, SCENARIO);
    let (slot, mut qemu, begun) = bench.on();
    assert_eq!(slot, Slot::A);
    let mut client = bench.console(&mut qemu, begun);
    let password = first_sign_in(&mut client, &mut qemu);
    update(&built, &mut client);
    off(&mut qemu);
    let gone = Instant::now();
    let (slot, mut qemu, begun) = bench.on();
    assert_eq!(slot, Slot::B);
    let mut client = bench.console(&mut qemu, begun);
    client.login("admin", &password).expect("the data is there");
    let back = first_cycle(&mut client, gone);
    println!("from the machine's restart to the guard's first cycle: {back:.1} s");
    client.await_answer("/api/v1/firmware", |firmware| firmware["trial"].is_null());
    events(&mut client, "firmware_confirmed");
    let record = bench.machine.record().expect("a record");
    assert!(record.is_good(Slot::B) && record.is_good(Slot::A), "{record:?}");
    it_protects(&mut client);
    qemu.kill();
    drop(qemu);
    let (mut client, mut qemu) = a_damaged_root(&mut bench, &password);

    // Again, and its boot image is damaged before it has proved itself.
    install(&built, &mut client);
    off(&mut qemu);
    let (slot, mut qemu, _) = bench.on();
    assert_eq!(slot, Slot::B);
    qemu.kill();
    let byte = bench.machine.read("boot_b", 1 << 20, 1).expect("read")[0];
    bench.machine.write("boot_b", 1 << 20, &[byte ^ 1]).expect("written");
    let (slot, mut qemu, begun) = bench.on();
    println!("to the other slot: {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(slot, Slot::A, "the loader goes on with the other at once");
    let mut client = bench.console(&mut qemu, begun);
    client.login("admin", &password).expect("in");
    let why = Reason::BootImage.to_string();
    let told = |event: &Value| {
        let text = event.to_string();
        text.contains("firmware_returned") && text.contains(&why)
    };
    let all = |events: &Value| events.as_array().is_some_and(|events| events.iter().any(told));
    client.await_answer("/api/v1/events", all);
    println!("back from a damaged boot image: {:.1} s", begun.elapsed().as_secs_f64());
    let record = bench.machine.record().expect("a record");
    assert_eq!(record.slot(Slot::B).state, SlotState::Bad, "{record:?}");
}

#[test]
fn the_bill_of_materials_is_valid_and_whole() {
    let bill = bill_of_materials(&Built::find(BOARD));
    for name in ["evenkeel-init", "evenkeel-guard", "evenkeeld", "pulley-interpreter", "musl-dev"] {
        assert!(lists(&bill, name), "{name}");
    }
}

/// The names of the plugins that run, and what the others say.
fn plugins(client: &mut Client) -> (Vec<String>, Vec<Value>) {
    let list = client.get("/api/v1/plugins").expect("plugins");
    let list = list.as_array().cloned().unwrap_or_default();
    let (run, rest): (Vec<_>, Vec<_>) = list.into_iter().partition(|p| p["state"] == "running");
    let name = |plugin: &Value| plugin["name"].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<_> = run.iter().map(name).collect();
    names.sort();
    (names, rest)
}

/// Resident memory of the daemon, bytes, as it says itself.
fn resident(client: &mut Client) -> f64 {
    let page = client.get_text("/metrics", None).expect("metrics");
    let line = page.lines().find_map(|l| l.strip_prefix("process_resident_memory_bytes "));
    line.expect("a row").trim().parse().expect("a number")
}

/// Its budget: 20 plugins and 512 modules.
#[test]
fn twenty_plugins_and_512_modules_fit() {
    let built = Built::find(BOARD);
    let mut scenario = String::new();
    let mut guard =
        "cycle_ms = 8000\n[[bus]]\nport = \"/dev/ttyS0\"\n[[battery]]\nname = \"NP7-12\"\n\
                     chemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n"
            .to_owned();
    for string in 0..16 {
        let first = 1 + 32 * string;
        let _ = write!(
            scenario,
            "[[strings]]\nblocks = 32\nfirst_address = {first}\ninitial_spread_v = 0.0\n"
        );
        let _ = write!(
            guard,
            "[[string]]\nname = \"S{string}\"\nmodule = \"C20\"\nbattery = \"NP7-12\"\n\
             first_address = {first}\nblocks = 32\n"
        );
    }
    scenario += "[[ups]]\nkind = \"online\"\n";
    let mut bench = Bench::new(&built, &scenario);
    load(&built, &bench, &guard);
    let (_, mut qemu, begun) = bench.on();
    let mut client = bench.console(&mut qemu, begun);
    first_sign_in(&mut client, &mut qemu);
    println!("boot to first cycle of the guard: {:.1} s", first_cycle(&mut client, begun));
    license(&built, &mut client);
    // On a busy machine one or the other takes too long in emulation, and begins again.
    client.await_answer("/api/v1/plugins", |plugins| {
        plugins.as_array().is_some_and(|list| {
            let running = list.iter().filter(|plugin| plugin["state"] == "running");
            list.len() == 20 && running.count() >= 18
        })
    });
    let strings = client.await_answer("/api/v1/strings", |strings| {
        strings.as_array().is_some_and(|s| s.iter().all(|s| s["worst_mv"].is_number()))
    });
    let blocks = |string: &Value| string["blocks"].as_array().map_or(0, Vec::len);
    let blocks: usize = strings.as_array().expect("strings").iter().map(blocks).sum();
    assert_eq!(blocks, 512, "a licence shows them all");
    let before = resident(&mut client);
    std::thread::sleep(SETTLED);
    let bytes = resident(&mut client);
    println!("daemon resident, 20 plugins, 512 modules: {:.1} MB", bytes / 1e6);
    println!("  {:.1} MB at first, {:?} later", before / 1e6, SETTLED);
    assert!(bytes < MEMORY_MAX, "{bytes} bytes");
}

/// Another data partition: 512 modules, 20 plugins, trust in the key of licences.
fn load(built: &Built, bench: &Bench, guard: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    for folder in ["guard/state", "daemon/store", "daemon/trust"] {
        fs::create_dir_all(data.join(folder)).expect("made");
    }
    let target = built.target();
    let settings = data.join("guard/guard.toml");
    fs::write(&settings, guard).expect("written");
    run(Command::new(built.programs.join("evenkeel-guard")).arg("seal").arg(&settings));
    for key in ["plugin.pub", "licence.pub"] {
        let from = target.join("dev-keys").join(key);
        fs::copy(from, data.join("daemon/trust").join(key)).expect("a key");
    }
    let mut daemon = "data_dir = \"/data/daemon/store\"\nlisten = \"0.0.0.0:443\"\n\
        guard_socket = \"/run/evenkeel/guard.sock\"\nplugin_dir = \"/usr/lib/evenkeel/plugins\"\n\
        trust_dir = \"/data/daemon/trust\"\n[[plugin]]\nname = \"licence-lc\"\n[[plugin]]\n\
        name = \"megatec\"\npoints = \"ups.0\"\ngrant.serial.ups = \"/dev/ttyS1\"\n"
        .to_owned();
    // Their agents do not answer; they ask all the same.
    for n in 1..=18 {
        let _ = write!(
            daemon,
            "[[plugin]]\nname = \"snmp-ups\"\nid = \"ups-{n}\"\npoints = \"ups.{n}\"\n\
             grant.snmp.ups = {{ address = \"10.0.2.2:{}\", version = \"v2c\", community = \"c\" }}\n",
            40_000 + n
        );
    }
    fs::write(data.join("daemon/evenkeeld.toml"), daemon).expect("written");
    let (_, len) = bench.machine.partition("data").expect("a partition");
    let image = dir.path().join("data.ext4");
    format_data(&data, &image, len).expect("formatted");
    bench.machine.write("data", 0, &fs::read(image).expect("made")).expect("written");
}

/// A licence for the appliance's own number, so that it shows every block.
fn license(built: &Built, client: &mut Client) {
    let licence = client.get("/api/v1/licence").expect("answered");
    let serial = licence["serial"].as_str().expect("a serial number");
    let dir = tempfile::tempdir().expect("a folder");
    let (key, file) = (built.target(), dir.path().join("test.evkl"));
    let mut make = Command::new(built.programs.join("evenkeel-plugin"));
    make.args(["licence", "--serial", serial, "--edition", "test", "--customer", "Test"]);
    make.args(["--id", "test", "--not-before", "0", "--key"]).arg(key.join("dev-keys/licence.key"));
    run(make.arg("--out").arg(&file));
    client.post_bytes("/api/v1/licence", &fs::read(file).expect("made")).expect("taken");
}

fn run(command: &mut Command) {
    let output = command.output().expect("started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Guard, daemon and interpreted plugins on the processor of the real board, by
/// emulation of single programs. That has no serial ports (`TCSETS2`), so the
/// bus and the UPS stay away, which the programs tell and live with.
#[test]
fn the_programs_run_on_a_cortex_a8() {
    let built = Built::find(BOARD);
    let dir = tempfile::tempdir().expect("a folder");
    let programs = dir.path().join("programs");
    fs::create_dir(&programs).expect("made");
    for name in ["evenkeel-sim", "evenkeel-plugin"] {
        symlink(built.programs.join(name), programs.join(name)).expect("linked");
    }
    for name in ["evenkeel-guard", "evenkeeld"] {
        let program = built.image.join("root/sbin").join(name);
        on_cortex_a8(&program, &programs.join(name));
    }
    let init = Command::new("qemu-arm-static")
        .args(["-cpu", "cortex-a8"])
        .arg(built.image.join("root/sbin/init"))
        .output()
        .expect("qemu-user-static is installed");
    let said = String::from_utf8_lossy(&init.stderr);
    assert!(said.contains("the kernel starts it"), "{said}");
    let options = Options::for_test(dir.path()).expect("built");
    let plugins = built.image.join("plugins");
    let begun = Instant::now();
    let mut stack = Stack::start(Options { programs, plugins, ..options }).expect("a stack");
    let mut client = stack.sign_in().expect("in");
    client.await_answer("/api/v1/guard", |guard| guard["cycles"].as_u64() > Some(3));
    let polls = |plugin: &Value| plugin["name"] == "megatec" && plugin["polls"].as_u64() > Some(1);
    client.await_answer("/api/v1/plugins", |plugins| {
        plugins.as_array().is_some_and(|plugins| plugins.iter().any(polls))
    });
    let (running, _) = self::plugins(&mut client);
    assert_eq!(running, ["licence-lc", "megatec"]);
    println!("guard, daemon and plugin on a Cortex-A8: {:.1} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < BOOT);
}

/// A program at `path` that runs `program` on the emulated processor.
fn on_cortex_a8(program: &Path, path: &Path) {
    let text =
        format!("#!/bin/sh\nexec qemu-arm-static -cpu cortex-a8 {} \"$@\"\n", program.display());
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("made runnable");
}
