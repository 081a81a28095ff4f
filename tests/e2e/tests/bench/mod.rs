//! A board in QEMU with its battery bus and UPS on the simulator, as the tests
//! of images use it. Everything is emulated, so limits of time are generous.

pub mod update;

use evenkeel_e2e::machine::{Line, Machine};
use evenkeel_e2e::{Client, Program};
use evenkeel_signing::slot::Slot;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A start of the machine, to the daemon's answer.
pub const BOOT: Duration = Duration::from_secs(180);
/// Two strings that need no equalizing, and a UPS.
pub const SCENARIO: &str = "\
[[strings]]\nblocks = 32\nfirst_address = 1\ninitial_spread_v = 0.0\n
[[strings]]\nblocks = 32\nfirst_address = 33\ninitial_spread_v = 0.0\n
[[devices]]\naddress = 1025\nkind = \"current-50\"\nstring = 0\n
[[devices]]\naddress = 1026\nkind = \"current-50\"\nstring = 1\n
[[devices]]\naddress = 1027\nkind = \"aux\"\nstring = 0\n
[[devices]]\naddress = 1028\nkind = \"aux\"\nstring = 1\n
[[devices]]\naddress = 1029\nkind = \"panel\"\n
[[ups]]\nkind = \"online\"\n";

/// The folders of what is built.
pub struct Built {
    pub programs: PathBuf,
    pub image: PathBuf,
}

impl Built {
    /// The image of `board`.
    pub fn find(board: &str) -> Self {
        // target/debug/deps/<test> → target/debug
        let test = std::env::current_exe().expect("the test has a file");
        let programs = test.ancestors().nth(2).expect("a folder").to_owned();
        let image = programs.parent().expect("a folder").join("image").join(board);
        let command = format!("cargo xtask image --board {board}");
        assert!(image.join("disk.img").exists(), "no image; `{command}` builds it");
        Self { programs, image }
    }

    /// Cargo's folder of everything that is built.
    pub fn target(&self) -> &Path {
        self.image.ancestors().nth(2).expect("a folder")
    }
}

/// The machine with simulated hardware, switched on again and again.
pub struct Bench {
    sim: Program,
    pub machine: Machine,
    _dir: tempfile::TempDir,
}

impl Bench {
    pub fn new(built: &Built, scenario: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (hardware, file) = (dir.path().join("hw"), dir.path().join("scenario.toml"));
        std::fs::write(&file, scenario).expect("written");
        let mut sim = Command::new(built.programs.join("evenkeel-sim"));
        sim.arg("run").arg("--dir").arg(&hardware).arg("--scenario").arg(&file);
        let mut sim =
            Program::start("evenkeel-sim", &mut sim, &dir.path().join("sim.log")).expect("started");
        sim.await_line("ready", Duration::from_secs(30)).expect("ready");
        let lines = ["bus0", "ups0"].map(|name| Line::Port(hardware.join(name)));
        let machine = Machine::copy(&built.image, dir.path(), lines).expect("a machine");
        Self { sim, machine, _dir: dir }
    }

    /// Switch on; gives the slot that the loader chose, QEMU, and when.
    pub fn on(&mut self) -> (Slot, Program, Instant) {
        self.sim.check().expect("the hardware is there");
        let begun = Instant::now();
        let (slot, qemu) = self.machine.start().expect("started");
        (slot, qemu, begun)
    }

    /// The console, as soon as it answers.
    pub fn console(&self, qemu: &mut Program, begun: Instant) -> Client {
        Self::console_at(&self.machine.address(), qemu, begun)
    }

    /// The same at one of its addresses.
    pub fn console_at(address: &str, qemu: &mut Program, begun: Instant) -> Client {
        let client = || Client::unverified(address);
        while client().get_text("/login", None).is_err() {
            qemu.check().expect("the machine runs");
            assert!(begun.elapsed() < BOOT, "no console; the machine said:\n{}", qemu.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("boot to console: {:.1} s", begun.elapsed().as_secs_f64());
        client()
    }
}

/// Sign in for the first time, with the password of the serial console; gives
/// the one that it was changed to.
pub fn first_sign_in(client: &mut Client, qemu: &mut Program) -> String {
    let line = qemu.await_words("first password of admin: ", BOOT).expect("a password");
    let first = line.rsplit(' ').next().expect("words").trim().to_owned();
    let password = format!("{first}-changed");
    client.login("admin", &first).expect("in");
    client.change_password(&first, &password).expect("changed");
    password
}

/// When the guard's first cycle ended, in seconds after `begun`.
pub fn first_cycle(client: &mut Client, begun: Instant) -> f64 {
    let guard = client.await_answer("/api/v1/guard", |guard| guard["cycles"].as_u64() > Some(2));
    let now = begun.elapsed().as_secs_f64();
    let ms = |name: &str| guard[name].as_f64().expect("a number");
    now - (ms("age_ms") + (ms("cycles") - 1.0) * ms("period_ms")) / 1e3
}

/// The guard cycles over the serial line, the plugin reads the UPS.
pub fn it_protects(client: &mut Client) {
    // Without a licence the second string is over what is shown, and watched.
    let strings = client.await_answer("/api/v1/strings", |strings| {
        strings[0]["worst_mv"].is_number() && strings[1]["phase"] == "float"
    });
    assert_eq!(strings[0]["name"], "String A", "{strings:#}");
    let guard = client.get("/api/v1/guard").expect("a guard");
    let later = guard["cycles"].as_u64().expect("a number") + 3;
    client.await_answer("/api/v1/guard", |guard| guard["cycles"].as_u64() >= Some(later));
    client.await_answer("/api/v1/points?prefix=ups.0", |points| {
        points.as_array().is_some_and(|points| {
            points.iter().any(|p| p["name"] == "ups.0.input.voltage" && p["quality"] == "good")
        })
    });
}

/// The image's bill of materials, when CycloneDX's own library finds it valid.
pub fn bill_of_materials(built: &Built) -> Value {
    let path = built.image.join("sbom.cdx.json");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/cyclonedx_check.py");
    let python = built.target().join("python/bin/python");
    let mut check = Command::new(python);
    let output = check.arg(script).arg(&path).output().expect("`cargo xtask test` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(path).expect("a bill of materials");
    serde_json::from_str(&text).expect("JSON")
}

/// Whether a bill of materials lists something under this name.
pub fn lists(bill: &Value, name: &str) -> bool {
    let components = bill["components"].as_array().expect("components");
    components.iter().any(|component| component["name"] == name)
}
