//! More than two dozen hostile plugins: what each tries, the bundles of all of them, and
//! how the appliance names each. Used by the test beside it, by the benchmark
//! that measures what they cost the others, and by the test of failures that
//! are listed and repeated.
//!
//! Guests are WebAssembly text (the daemon's own test fixture), signed by a
//! key that the appliance trusts: a signature says who is to blame, and
//! nothing about what a plugin does. One of them is signed by a vendor, whose
//! key lies in `trust` beside the folder of the bundles.

use evenkeel_signing::{CodePart, Digest, Kind, Part, Permission, PluginManifest, SecretKey};
use evenkeel_signing::{seal, seal_plugin};
use std::fs;
use std::path::Path;

#[path = "../../../../host/daemon/src/plugin/fixture/guest.rs"]
#[allow(dead_code, reason = "the daemon's tests use the rest")]
mod guest;
#[path = "../../../../host/daemon/src/plugin/fixture/probe.rs"]
#[allow(dead_code, reason = "the daemon's tests use the rest")]
mod probe;
use guest::{CLOCK, DRIVER_IMPORTS, Guest, IDLE, LOG, POINTS, manifest};

/// How a hostile plugin ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It fails with these words, again and again until it is in quarantine.
    Fails(&'static str),
    /// It goes on, is held to what it may, and is named with these words.
    Held(&'static str),
    /// It waits, uses nothing, and ends when somebody ends it.
    Waits,
    /// It is never run, for this reason.
    Refused(&'static str),
}
use Fate::{Fails, Held, Refused, Waits};

/// A hostile plugin.
pub struct Rogue {
    /// Its name: short, so that its thread has it whole.
    pub name: &'static str,
    /// How it ends.
    pub fate: Fate,
    make: fn(&Rogue, &SecretKey) -> Vec<u8>,
    /// Added to its entry in the daemon's configuration.
    grant: &'static str,
}

const fn rogue(
    name: &'static str,
    fate: Fate,
    make: fn(&Rogue, &SecretKey) -> Vec<u8>,
    grant: &'static str,
) -> Rogue {
    Rogue { name, fate, make, grant }
}

const NOTHING: &str = "";

/// All of them.
pub const ROGUES: [Rogue; 28] = [
    rogue("h-loop", Fails("processor time"), |r, k| r.polls(k, LOOP, ""), NOTHING),
    rogue("h-memory", Fails("its limit is"), |r, k| r.polls(k, GROW, ""), NOTHING),
    rogue(
        "h-stack",
        Fails("stack exhausted"),
        |r, k| r.polls(k, "(call $r) (i32.const 0)", "(func $r (call $r))"),
        NOTHING,
    ),
    rogue(
        "h-table",
        Fails("table elements were refused"),
        |r, k| r.polls(k, GROW_TABLE, "(table $t 1 funcref)"),
        NOTHING,
    ),
    rogue(
        "h-hoard",
        Held("quota of serial lines"),
        |r, k| r.driver(k, &DRIVER_IMPORTS, &guest::hoards("")),
        "grant.serial.ups = \"/dev/ttyS9\"\n",
    ),
    rogue("h-calls", Fails("processor time"), |r, k| r.polls(k, CALLS, ""), NOTHING),
    rogue("h-giant", Fails("trapped"), |r, k| r.polls(k, GIANT, ""), NOTHING),
    rogue(
        "h-string",
        Fails("more than 262144 bytes were to go"),
        |r, k| {
            let component = guest::driver(&Guest { poll: STRING, memory_pages: 9, ..IDLE });
            r.driver(k, &[LOG, CLOCK, POINTS], &component)
        },
        NOTHING,
    ),
    rogue(
        "h-digest",
        Fails("processor time"),
        |r, k| r.floods(k, CRYPTO, DIGEST_IMPORT, DIGEST),
        NOTHING,
    ),
    rogue(
        "h-random",
        Fails("processor time"),
        |r, k| r.floods(k, RANDOM, RANDOM_IMPORT, RANDOMS),
        NOTHING,
    ),
    rogue("h-log", Fails("processor time"), |r, k| r.polls(k, FLOOD, ""), NOTHING),
    rogue("h-lines", Held("log quota"), |r, k| r.polls(k, LINES, ""), NOTHING),
    rogue("h-kv", Held("storage quota"), Rogue::wears, NOTHING),
    rogue("h-storm", Fails("start trapped"), Rogue::never_starts, NOTHING),
    rogue("h-waits", Waits, |r, k| r.polls(k, WAIT, ""), NOTHING),
    rogue(
        "h-peeks",
        Held("string.1.voltage"),
        |r, k| r.gateway(k, &[guest::READER], guest::READER, &guest::peeks("")),
        "grant.read.values = [\"ups.0\"]\n",
    ),
    rogue(
        "h-meddle",
        Held("load.off"),
        |r, k| {
            let interfaces = [guest::COMMANDS, guest::COMMAND_TYPES];
            r.gateway(k, &interfaces, guest::COMMANDS, &guest::meddles(""))
        },
        "grant.commands.values = [\"ups.0:beeper.toggle\"]\n",
    ),
    rogue(
        "h-relay",
        Held("contact not granted"),
        |r, k| r.relays(k, "values"),
        "grant.contacts.values = { at = \"AUX1.output.3\", switch = true }\n",
    ),
    // Granted under its name, and the guard says no; then its quota does.
    rogue(
        "h-trip",
        Held("quota of switchings"),
        |r, k| r.relays(k, "outlet"),
        "grant.contacts.outlet = { at = \"AUX1.output.1\", switch = true }\n",
    ),
    rogue(
        "h-bomb",
        Refused("allowed were 512 MiB and 60 s of processor"),
        |r, k| r.driver(k, &[LOG, CLOCK, POINTS], &bomb()),
        NOTHING,
    ),
    rogue("h-native", Refused("it brings machine code along"), Rogue::native, NOTHING),
    rogue(
        "h-import",
        Refused("which its manifest does not declare"),
        |r, k| {
            let component = guest::driver(&Guest { poll: guest::PUBLISH, ..IDLE });
            r.driver(k, &[LOG], &component)
        },
        NOTHING,
    ),
    rogue(
        "h-huge",
        Refused("more than 8388608 bytes"),
        |_, _| vec![b'E'; Kind::Plugin.len_max() + 1],
        NOTHING,
    ),
    rogue("h-names", Refused("no part of a plugin is called"), Rogue::climbs, NOTHING),
    // They are called when somebody wants to sign in …
    rogue("h-mute", Waits, |r, k| r.tasked(k, &LOGIN, MUTE), NOTHING),
    rogue(
        "h-boast",
        Fails("more than 262144 bytes were to go"),
        |r, k| r.tasked(k, &LOGIN, BOAST),
        NOTHING,
    ),
    rogue("h-falls", Fails("authenticate trapped"), |r, k| r.tasked(k, &LOGIN, FALLS), NOTHING),
    // … and this one whenever something happens.
    rogue(
        "h-tells",
        Fails("processor time"),
        |r, k| r.tasked(k, &SINK, TELLS),
        "grant.events.probe = \"info\"\n",
    ),
];

/// Who decides about people that no local account knows, as the daemon's
/// configuration says it.
pub const SIGN_IN: &str = "[login]\nauthenticators = [\"h-mute\", \"h-boast\", \"h-falls\"]\n\n\
    [login.roles]\nstaff = \"admin\"\n\n";

const LOOP: &str = "(loop $l (br $l)) (i32.const 0)";
const GROW: &str = "(loop $l (br_if $l (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
    unreachable";
const GROW_TABLE: &str =
    "(loop $l (br_if $l (i32.ge_s (table.grow $t (ref.null func) (i32.const 1000)) (i32.const 0))))
    unreachable";
const CALLS: &str = "(loop $l (call $sleep (i32.const 0)) (br $l)) (i32.const 0)";
/// A list of two thousand million updates.
const GIANT: &str =
    "(call $publish (i32.const 512) (i32.const 2000000000) (i32.const 1024)) (i32.const 0)";
/// A text of 512 KiB, all of it within its memory.
const STRING: &str = "(call $log (i32.const 0) (i32.const 0) (i32.const 524288)) (i32.const 0)";
const CRYPTO: &str = "evenkeel:crypto/crypto@0.1.0";
const DIGEST_IMPORT: &str = "(import \"evenkeel:crypto/crypto@0.1.0\" \"digest\"
    (func $digest (param i32 i32 i32 i32)))";
/// SHA-512 of all that one call takes, again and again.
const DIGEST: &str = "(loop $l (global.set $heap (i32.const 8192))
    (call $digest (i32.const 5) (i32.const 65536) (i32.const 65536) (i32.const 4000)) (br $l))";
const RANDOM: &str = "evenkeel:random/random@0.1.0";
const RANDOM_IMPORT: &str = "(import \"evenkeel:random/random@0.1.0\" \"bytes\"
    (func $bytes (param i32 i32)))";
const RANDOMS: &str = "(loop $l (global.set $heap (i32.const 8192))
    (call $bytes (i32.const -1) (i32.const 4000)) (br $l))";
/// A hundred lines ten times a second, which is no work.
const LINES: &str = "(local $n i32)
    (loop $l (call $log (i32.const 2) (i32.const 64) (i32.const 11))
        (local.set $n (i32.add (i32.const 1) (local.get $n)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 100))))
    (i32.const 100)";
const FLOOD: &str = "(loop $l (call $log (i32.const 2) (i32.const 64) (i32.const 11)) (br $l))
    (i32.const 0)";
const WAIT: &str = "(loop $l (call $sleep (i32.const 10000)) (br $l)) (i32.const 0)";

/// What the worlds of those that are asked and told export, and their parameters.
struct Asked {
    world: &'static str,
    interface: &'static str,
    function: &'static str,
    parameters: &'static str,
    /// What its interface is made of, which it is granted.
    types: Option<&'static str>,
}
const LOGIN: Asked = Asked {
    world: "evenkeel:authenticator/authenticator@0.1.0",
    interface: "evenkeel:authenticator/login@0.1.0",
    function: "authenticate",
    parameters: "i32 i32 i32 i32 i32 i32 i32 i32 i32",
    types: None,
};
const SINK: Asked = Asked {
    world: "evenkeel:notifier/notifier@0.1.0",
    interface: "evenkeel:notifier/sink@0.1.0",
    function: "notify",
    parameters: "i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32",
    types: Some("evenkeel:events/types@0.1.0"),
};
const CLOCK_0_2: &str = "evenkeel:clock/clock@0.1.1";
const MUTE: &str = "(loop $l (call $sleep (i32.const 10000)) (br $l))";
const TELLS: &str = "(loop $l (br $l))";
const FALLS: &str = "unreachable";
/// Accepted, with sixteen words of 64 KiB, all of which are the same memory.
const BOAST: &str = "(local $n i32) (local $at i32)
    (loop $l
        (local.set $at (i32.add (i32.const 16384) (i32.mul (local.get $n) (i32.const 8))))
        (i32.store (local.get $at) (i32.const 65536))
        (i32.store offset=4 (local.get $at) (i32.const 65536))
        (local.set $n (i32.add (i32.const 1) (local.get $n)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 16))))
    (i32.store8 (i32.const 16) (i32.const 0)) (i32.store8 (i32.const 20) (i32.const 0))
    (i32.store (i32.const 24) (i32.const 16384)) (i32.store (i32.const 28) (i32.const 16))";

impl Rogue {
    /// A driver of 0.1 with this `poll`.
    fn polls(&self, key: &SecretKey, poll: &str, extra: &str) -> Vec<u8> {
        let component = guest::driver(&Guest { poll, extra, ..IDLE });
        self.driver(key, &[LOG, CLOCK, POINTS], &component)
    }

    fn never_starts(&self, key: &SecretKey) -> Vec<u8> {
        let component = guest::driver(&Guest { start: "unreachable", ..IDLE });
        self.driver(key, &[LOG, CLOCK, POINTS], &component)
    }

    fn driver(&self, key: &SecretKey, interfaces: &[&str], component: &[u8]) -> Vec<u8> {
        self.sealed(key, manifest(interfaces), component)
    }

    fn wears(&self, key: &SecretKey) -> Vec<u8> {
        let mut manifest = manifest(&[guest::KV, guest::POINTS_0_2]);
        manifest.world = "evenkeel:driver/device-driver@0.2.0".into();
        manifest.limits.poll_cpu_ms = 1_000;
        self.sealed(key, manifest, &guest::wears(""))
    }

    /// A driver of 0.2 that calls `interface` without end.
    fn floods(&self, key: &SecretKey, interface: &str, import: &str, wake: &str) -> Vec<u8> {
        let manifest = probe::manifest(&[interface], &[], &probe::DRIVER);
        self.sealed(key, manifest, &probe::probe(import, wake, &probe::DRIVER))
    }

    /// Of the world of `asked`, of which its function runs this body.
    fn tasked(&self, key: &SecretKey, asked: &Asked, body: &str) -> Vec<u8> {
        let Asked { world, interface, function, parameters, types } = asked;
        let functions = format!(
            "(func (export \"{interface}#{function}\") (param {parameters}) (result i32)
                {body} (i32.const 16))"
        );
        let task = probe::Task { world, interface, functions: &functions };
        let sleep = format!("(import {CLOCK_0_2:?} \"sleep-ms\" (func $sleep (param i32)))");
        let interfaces: Vec<&str> = [CLOCK_0_2].into_iter().chain(*types).collect();
        let by_name: Vec<&str> = types.iter().copied().collect();
        let manifest = probe::manifest(&interfaces, &by_name, &task);
        self.sealed(key, manifest, &probe::probe(&sleep, "", &task))
    }

    /// It switches the contact `outlet`, and asks for the one of this name.
    fn relays(&self, key: &SecretKey, asks_for: &str) -> Vec<u8> {
        let mut manifest = manifest(&[guest::CONTACTS]);
        manifest.world = "evenkeel:driver/device-driver@0.2.0".into();
        manifest.permissions = vec![Permission {
            interface: guest::CONTACTS.into(),
            what: asks_for.into(),
            reason: "is curious".into(),
        }];
        self.sealed(key, manifest, &guest::relays(""))
    }

    /// A vendor's plugin with machine code that is none.
    fn native(&self, _: &SecretKey) -> Vec<u8> {
        let code = CodePart {
            target: "x86_64-unknown-linux-gnu".into(),
            wasmtime: "48.0.0".into(),
            compat: Digest::of(b"settings"),
        };
        let name = code.part_name();
        let mut manifest = manifest(&[LOG]);
        manifest.name = self.name.into();
        manifest.code = vec![code];
        let parts: [(&str, &[u8]); 2] = [("component", &guest::idle()), (&name, b"\x7fELF")];
        seal_plugin(manifest, &parts, &[&vendor()]).expect("sealed")
    }

    fn gateway(
        &self,
        key: &SecretKey,
        interfaces: &[&str],
        by_name: &str,
        component: &[u8],
    ) -> Vec<u8> {
        let mut manifest = manifest(interfaces);
        manifest.world = "evenkeel:gateway/gateway@0.1.0".into();
        manifest.permissions = vec![Permission {
            interface: by_name.into(),
            what: "values".into(),
            reason: "is curious".into(),
        }];
        self.sealed(key, manifest, component)
    }

    fn sealed(&self, key: &SecretKey, manifest: PluginManifest, component: &[u8]) -> Vec<u8> {
        let manifest = PluginManifest { name: self.name.into(), ..manifest };
        seal_plugin(manifest, &[("component", component)], &[key]).expect("sealed")
    }

    /// A bundle with a part that is to be written elsewhere, which no tool
    /// would sign.
    fn climbs(&self, key: &SecretKey) -> Vec<u8> {
        let parts: [(&str, &[u8]); 2] =
            [("component", &guest::idle()), ("../../etc/passwd", b"root::0:0::/:/bin/sh\n")];
        let mut manifest = manifest(&[LOG]);
        manifest.name = self.name.into();
        let part = |(name, bytes): &(&str, &[u8])| Part {
            name: (*name).into(),
            size: bytes.len() as u64,
            sha256: Digest::of(bytes),
        };
        manifest.parts = parts.iter().map(part).collect();
        let bytes = parts.map(|(_, bytes)| bytes);
        let sealed = |length: u64| {
            let manifest = PluginManifest { total_length: length, ..manifest.clone() };
            let json = serde_json::to_vec(&manifest).expect("JSON");
            seal(Kind::Plugin, &json, &bytes, &[key]).expect("sealed")
        };
        // The length is in what is measured: a number of as many digits.
        let length = sealed(1_000).len() as u64;
        assert!((1_000..10_000).contains(&length), "{length}");
        sealed(length)
    }
}

/// A component like any other, of which every block keeps thousands of values
/// alive: the compiler's tables grow with their product.
fn bomb() -> Vec<u8> {
    const LOCALS: usize = 20_000;
    const BLOCKS: usize = 2_000;
    let locals = "i32 ".repeat(LOCALS);
    let step = |n: usize| {
        let (to, from) = (n * 7 % LOCALS, n * 13 % LOCALS);
        format!("(local.set {to} (i32.add (local.get {from}) (i32.load8_u (local.get {to}))))")
    };
    let block = |n: usize| format!("(block (br_if 0 (local.get {})) {})", n % LOCALS, step(n));
    let body: String = (0..BLOCKS).map(block).collect();
    let all: String = (0..LOCALS).map(|n| format!("(local.get {n}) i32.xor ")).collect();
    let extra = format!(
        "(func $bomb (result i32) (local {locals})
            (loop $again {body} (br_if $again (local.get 1))) (i32.const 0) {all})"
    );
    guest::driver(&Guest { extra: &extra, ..IDLE })
}

/// Computes about a tenth of a second and asks to be called again at once.
const COMPUTE: &str = "(local $n i32) (local $x i32)
    (loop $l
        (local.set $x (i32.xor (i32.mul (local.get $x) (i32.const 1103515245)) (local.get $n)))
        (i32.store (i32.const 4096) (local.get $x))
        (local.set $n (i32.add (i32.const 1) (local.get $n)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 60000000))))
    (i32.const 0)";

/// Write the bundles of so many *greedy* plugins into `folder`, as [`write`]
/// does: each keeps within its limits and computes as much as it may, for
/// ever. What the others lose to a plugin at the most, they lose to these.
pub fn write_greedy(folder: &Path, key: &Path, count: usize) -> String {
    let key = SecretKey::read(key).expect("the development key");
    let component = guest::driver(&Guest { poll: COMPUTE, ..IDLE });
    let mut entries = String::new();
    for n in 0..count {
        let mut manifest = manifest(&[LOG, CLOCK, POINTS]);
        manifest.name = format!("greedy-{n}");
        manifest.limits.poll_cpu_ms = 1_000;
        let name = manifest.name.clone();
        let bundle = seal_plugin(manifest, &[("component", &component)], &[&key]).expect("sealed");
        fs::write(folder.join(format!("{name}.evkp")), bundle).expect("written");
        entries += &format!("[[plugin]]\nname = \"{name}\"\npoints = \"ups.{}\"\n\n", n + 50);
    }
    entries
}

/// The bundle of *fragile*, which publishes and falls at each third poll, in
/// the function `deeper` that `deep` calls.
pub fn fragile(key: &SecretKey) -> Vec<u8> {
    let component = guest::driver(&Guest { poll: guest::FALLS, extra: guest::DEEP, ..IDLE });
    let mut manifest = manifest(&[LOG, CLOCK, POINTS]);
    manifest.name = "fragile".into();
    seal_plugin(manifest, &[("component", &component)], &[key]).expect("sealed")
}

/// A vendor whom the appliance trusts to sign plugins.
fn vendor() -> SecretKey {
    let seed = Digest::of(b"evenkeel test key of a hostile vendor");
    SecretKey::parse(&format!("evenkeel-secret-key-1 plugin bolt {seed}")).expect("a key")
}

/// Write the bundles of all into `folder`, signed by `key`, and the vendor's
/// key into `trust` beside it; the entries of the daemon's configuration that
/// install them.
pub fn write(folder: &Path, key: &Path) -> String {
    let key = SecretKey::read(key).expect("the development key");
    let trust = folder.parent().expect("a folder within the appliance's").join("trust");
    fs::create_dir_all(&trust).expect("a folder");
    fs::write(trust.join("bolt.pub"), vendor().public().to_text()).expect("written");
    let mut entries = String::new();
    for (i, rogue) in ROGUES.iter().enumerate() {
        let bundle = (rogue.make)(rogue, &key);
        fs::write(folder.join(format!("{}.evkp", rogue.name)), bundle).expect("written");
        let (name, grant) = (rogue.name, rogue.grant);
        entries +=
            &format!("[[plugin]]\nname = \"{name}\"\npoints = \"ups.{}\"\n{grant}\n", i + 10);
    }
    entries
}
