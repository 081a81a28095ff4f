//! The museum: real plugins, built and signed when each version of the WIT was
//! released, are loaded and used by the host of today (`tests/museum`,
//! facts/wasm-host.md §4.2 rule 8). They are never built again, so whatever
//! breaks here breaks plugins in the field.

use crate::caps::log::Log;
use crate::caps::serial::line::tests::{Far, Pty};
use crate::caps::{Services, Who};
use crate::clock;
use crate::config::PluginGrant;
use crate::plant::testing;
use crate::plugin::bindings::{gate, login, sink};
use crate::plugin::budget::CALL_MAX;
use crate::plugin::fixture::{self, Fixture};
use crate::plugin::instance::{Instance, Surroundings};
use crate::plugin::load::{self, Package, Seen};
use crate::plugin::stop::Stop;
use crate::plugin::world::World;
use crate::store::{Limits, Store};
use evenkeel_core::bus::wire::DeviceKind;
use evenkeel_core::image::DeviceRecord;
use evenkeel_core::points::{Name, Point, Quality, Unit, Value};
use evenkeel_signing::PublicKey;
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Folders and files of all exhibits.
const EXHIBITS: [(&str, &str); 7] = [
    ("since-0.1", "megatec"),
    ("since-0.2", "thermometer"),
    ("since-0.2", "gateway"),
    ("since-0.2", "notifier"),
    ("since-0.2", "authenticator"),
    ("since-0.2", "licence-gate"),
    ("since-0.3", "gauge"),
];

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// What must work, or its reason with all causes.
fn good<T, E: std::error::Error>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{}", crate::plugin::reason(&error)))
}

/// An appliance that trusts the key of the museum's folder.
struct Hall {
    fixture: Fixture,
    folder: PathBuf,
    services: Services,
}

/// An exhibit that was started.
struct Running {
    hall: Hall,
    package: Package,
    grant: PluginGrant,
    instance: Instance,
}

impl Hall {
    fn of(release: &str) -> Self {
        let (mut fixture, folder) = (Fixture::new(), folder("tests/museum").join(release));
        let key = PublicKey::read(&folder.join("museum.pub")).expect("the museum's key");
        fixture.trust = fixture::nobody();
        // A gate needs a key of the platform, which a workshop's counts as.
        let trust = &mut fixture.trust;
        match key.is_development() {
            true => trust.add_development_key(key).expect("a first key"),
            false => drop(trust.add_vendor_key(key).expect("a first key")),
        }
        let store = Store::open(fixture.dir.path(), Limits::default()).expect("a store");
        let services = Services { store: Some(Arc::new(store)), ..Services::default() };
        Self { fixture, folder, services }
    }

    /// Load, link, instantiate and start an exhibit with what it asks for.
    fn start(self, grant: &str) -> Running {
        let grant: PluginGrant = toml::from_str(grant).expect("a grant");
        let file = good(load::find(&self.folder, &grant.name));
        let Fixture { compiler, trust, .. } = &self.fixture;
        let package = good(load::load(compiler, trust, &file, &grant));
        let mut instance = self.instance(&package, &grant);
        good(instance.start(&grant.settings, None));
        Running { hall: self, package, grant, instance }
    }

    fn instance(&self, package: &Package, grant: &PluginGrant) -> Instance {
        let who = Who { name: grant.name.clone(), points: grant.points.clone() };
        let around = Surroundings {
            log: Log::new(who.clone()),
            who,
            services: self.services.clone(),
            stop: Arc::new(Stop::new().expect("a descriptor")),
            inbox: Arc::default(),
            memory: Arc::default(),
            meter: Arc::default(),
            call_max: CALL_MAX,
        };
        good(Instance::new(package, &around))
    }

    fn point(&self, name: &str) -> (String, Quality) {
        let point = self.services.hub.device(name).unwrap_or_else(|| panic!("no {name}"));
        (point.value.to_string(), point.quality)
    }
}

/// A peer on this machine, and the address at which it is granted.
fn peer() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    let address = format!("udp://{}", socket.local_addr().expect("bound"));
    (socket, address)
}

/// What a released folder added, as its `FROZEN` says.
struct Released {
    folder: String,
    /// Packages with their versions.
    packages: BTreeSet<String>,
    /// Worlds as manifests name them.
    worlds: BTreeSet<String>,
}

fn released() -> Vec<Released> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder("wit")).expect("wit/") {
        let path = entry.expect("readable").path();
        let Ok(frozen) = std::fs::read_to_string(path.join("FROZEN")) else { continue };
        let folder = path.file_name().expect("a name").to_string_lossy().into_owned();
        let (mut packages, mut worlds) = (BTreeSet::new(), BTreeSet::new());
        let mut package = "";
        for line in frozen.lines() {
            if let Some(name) = line.strip_prefix("package ") {
                package = name;
                packages.insert(name.to_owned());
            } else if let Some(world) = line.strip_prefix("  world ") {
                let (name, version) = package.split_once('@').expect("a version");
                worlds.insert(format!("{name}/{world}@{version}"));
            }
        }
        all.push(Released { folder, packages, worlds });
    }
    all
}

/// `evenkeel:contacts/contacts@0.1.1` is of `evenkeel:contacts@0.1.1`.
fn package_of(interface: &str) -> String {
    let (package, rest) = interface.split_once('/').expect("an interface");
    let (_, version) = rest.split_once('@').expect("a version");
    format!("{package}@{version}")
}

/// Every released folder has an exhibit that uses what is new in it, every
/// released world one that is built for it, and the museum has nothing else.
#[test]
fn every_release_and_every_released_world_is_exhibited() {
    let seen: Vec<(&str, Seen)> = EXHIBITS
        .map(|(release, name)| {
            let hall = Hall::of(release);
            let file = load::find(&hall.folder, name).expect("an exhibit");
            (release, load::inspect(&file, &hall.fixture.trust).expect("a sound bundle"))
        })
        .into();
    let all = released();
    for Released { folder, packages, worlds } in &all {
        let of_folder = || seen.iter().filter(|(release, _)| release == folder);
        let uses = |seen: &Seen| {
            let mut used = seen.manifest.interfaces.iter().chain([&seen.manifest.world]);
            used.any(|interface| packages.contains(&package_of(interface)))
        };
        assert!(
            of_folder().any(|(_, seen)| uses(seen)),
            "no exhibit uses what {folder} added; build one, see tests/museum"
        );
        for world in worlds {
            let is_shown = of_folder().any(|(_, seen)| seen.manifest.world == *world);
            assert!(is_shown, "no exhibit of {folder} is a {world}; build one, see tests/museum");
        }
    }
    for (release, seen) in &seen {
        let known = all.iter().any(|released| released.worlds.contains(&seen.manifest.world));
        assert!(known, "{release} has an exhibit of a world that was never released");
        let files = std::fs::read_dir(folder("tests/museum").join(release)).expect("a folder");
        let bundle = |path: &Path| path.extension().is_some_and(|e| e == load::FILE_EXTENSION);
        let count = files.filter(|file| bundle(&file.as_ref().expect("readable").path())).count();
        assert_eq!(count, EXHIBITS.iter().filter(|(of, _)| of == release).count(), "{release}");
    }
}

#[test]
fn a_driver_of_0_1_reads_its_ups() {
    let far = Far::answer(Pty::new(), |request| match request {
        b"Q1\r" => b"(208.4 140.0 208.4 034 59.9 2.05 35.0 00110000\r".to_vec(),
        b"F\r" => b"#220.0 000 024.0 50.0\r".to_vec(),
        b"I\r" => b"#-------------   ------     VT12046Q  \r".to_vec(),
        _ => Vec::new(),
    });
    let grant = format!(
        "name = \"megatec\"\npoints = \"ups.0\"\ngrant.serial.ups = {:?}\n\
         settings = {{ battery-packs = \"12\" }}\n",
        far.path
    );
    let mut running = Hall::of("since-0.1").start(&grant);
    assert_eq!(running.package.world, World::Driver);
    for _ in 0..3 {
        running.instance.wake().expect("polls");
    }
    for (name, value) in [
        ("ups.0.input.voltage", "208.4"),
        ("ups.0.input.frequency", "59.9"),
        ("ups.0.ups.load", "34"),
        ("ups.0.battery.voltage.nominal", "24"),
        ("ups.0.ups.firmware", "VT12046Q"),
        ("ups.0.ups.status", "ALARM OL BYPASS"),
    ] {
        assert_eq!(running.hall.point(name), (value.into(), Quality::Good), "{name}");
    }
    let packs = running.hall.point("ups.0.battery.packs");
    assert_eq!(packs, ("12".into(), Quality::Estimated), "as it was set");
    drop(far);
    for _ in 0..8 {
        running.instance.wake().expect("polls");
    }
    assert_eq!(running.hall.point("ups.0.input.voltage").1, Quality::Stale);
    assert_eq!(running.instance.save().expect("saves"), None, "0.1 knows no hand-over");
}

#[test]
fn a_driver_of_0_2_reads_obeys_and_hands_over() {
    let far = Far::answer(Pty::new(), |request| match request {
        b"T?\r" => b"235\r".to_vec(),
        _ => Vec::new(),
    });
    let grant = format!(
        "name = \"thermometer\"\npoints = \"aux.1\"\ngrant.serial.thermometer = {:?}\n\
         settings = {{ limit-c = \"30\" }}\n",
        far.path
    );
    let mut running = Hall::of("since-0.2").start(&grant);
    running.instance.wake().expect("polls");
    let temperature = |running: &Running| running.hall.point("aux.1.battery.temperature").0;
    assert_eq!(temperature(&running), "23.5");
    assert_eq!(running.hall.point("aux.1.device.model").0, "dated", "it knows the date");
    let told = |running: &mut Running, value: &str| {
        let told = running.instance.command("thermometer.offset", Some(value));
        told.expect("no failure").map_err(|error| error.code)
    };
    assert_eq!((told(&mut running, "99"), told(&mut running, "-15")), (Err(2), Ok(())));
    running.instance.wake().expect("polls");
    assert_eq!(temperature(&running), "22");
    let state = running.instance.save().expect("saves").expect("something to hand over");
    let mut next = running.hall.instance(&running.package, &running.grant);
    next.start(&running.grant.settings, Some(&state)).expect("starts");
    next.wake().expect("polls");
    assert_eq!(temperature(&running), "22", "the offset was handed over");
    let store = running.hall.services.store.as_ref().expect("a store");
    let starts = store.kept("thermometer", "starts").expect("readable");
    assert_eq!(starts, Some(vec![2]), "it counts its starts");
}

/// What 0.3 added: a driver that measures an analogue input of the guard's.
#[test]
fn a_driver_of_0_3_measures_an_analogue_input() {
    let grant = "name = \"gauge\"\npoints = \"aux.1\"\n\
                 grant.contacts.probe = \"SITE.analog.2\"\n";
    let mut plant = testing::plant(&[13.6]);
    plant.devices = vec!["SITE".into()];
    plant.snapshot.devices = vec![DeviceRecord {
        bus: 1,
        address: 1_032,
        type_code: DeviceKind::Site.code(),
        quality: Quality::Good,
        wrong_kind: false,
        read: clock::now(),
        serial: 1,
        inputs: 0,
        outputs: 0,
        commanded: 0,
        values: [f32::NAN, 21.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    }];
    let hall = Hall::of("since-0.3");
    hall.services.hub.set_plant(plant.clone());
    let mut running = hall.start(grant);
    running.instance.wake().expect("wakes");
    let told = |running: &Running| running.hall.point("aux.1.battery.temperature");
    assert_eq!(told(&running), ("21.5".into(), Quality::Good));
    plant.snapshot.devices[0].values[1] = f32::NAN;
    running.hall.services.hub.set_plant(plant);
    running.instance.wake().expect("wakes");
    assert_eq!(told(&running).1, Quality::Stale, "a torn wire is no value");
}

#[test]
fn a_gateway_of_0_2_answers_with_points() {
    let grant = "name = \"gateway\"\ngrant.read.ups = [\"ups.0\"]\n\
                 grant.listen.lines = \"tcp://127.0.0.1:5020\"\n";
    let mut running = Hall::of("since-0.2").start(grant);
    let name = Name::parse("ups.0.ups.load").expect("a name");
    let load = Point {
        value: Value::Number(35.0),
        unit: Unit::Percent,
        quality: Quality::Good,
        at: clock::now(),
    };
    running.hall.services.hub.publish("ups.0", clock::now(), [(name, load)]);
    let mut serve = |data: &[u8]| running.instance.serve("lines", 1, data).expect("serves");
    let served = serve(b"ups.0.ups.load\nups");
    assert_eq!(
        (served.consumed, served.reply.as_slice(), served.close),
        (15, &b"35.0\n"[..], false)
    );
    assert_eq!(serve(b"ups.0").consumed, 0, "not a whole line yet");
    assert_eq!(serve(b"ups.1.ups.load\n").reply, b"unknown\n", "not granted");
    running.instance.closed(1).expect("told");
}

#[test]
fn a_notifier_of_0_2_tells_its_peer() {
    let (socket, address) = peer();
    let grant = format!("name = \"notifier\"\ngrant.net.peer = {address:?}\n");
    let mut running = Hall::of("since-0.2").start(&grant);
    let event = sink::Event {
        sequence: 7,
        utc_ms: 1_795_282_672_123,
        severity: 2,
        category: "battery".into(),
        kind: "module_lost".into(),
        text: "module of block 17 does not answer".into(),
        details: vec![("block".into(), "17".into())],
    };
    assert!(running.instance.notify(&event).expect("no failure").is_ok());
    let mut datagram = [0; 200];
    let len = socket.recv(&mut datagram).expect("a datagram");
    assert_eq!(&datagram[..len], b"module_lost module of block 17 does not answer");
}

#[test]
fn an_authenticator_of_0_2_asks_its_peer() {
    let (socket, address) = peer();
    let answers = std::thread::spawn(move || {
        let mut question = [0; 200];
        for _ in 0..2 {
            let (len, from) = socket.recv_from(&mut question).expect("a question");
            let good = &question[..len] == b"anna secret";
            let answer: &[u8] = if good { b"yes operators" } else { b"no" };
            socket.send_to(answer, from).expect("sent");
        }
    });
    let grant = format!("name = \"authenticator\"\ngrant.net.peer = {address:?}\n");
    let mut running = Hall::of("since-0.2").start(&grant);
    let mut ask = |password: &str| {
        let attempt = login::Attempt {
            user: "anna".into(),
            password: password.into(),
            peer: "192.0.2.7".into(),
            state: None,
        };
        running.instance.authenticate(&attempt).expect("no failure").expect("somebody was asked")
    };
    let accepted = ask("secret");
    assert!(
        matches!(&accepted, login::Verdict::Accepted(words) if *words == ["operators"]),
        "{accepted:?}"
    );
    assert!(matches!(ask("wrong"), login::Verdict::Rejected));
    answers.join().expect("both were asked");
}

#[test]
fn a_licence_gate_of_0_2_judges() {
    let mut running = Hall::of("since-0.2").start("name = \"licence-gate\"\n");
    let mut judge = |payload: &[u8]| {
        let key = gate::Key { name: "a.evkl".into(), payload: payload.to_vec() };
        running.instance.judge("EK-1", Some(1_795_282_672), &[key]).expect("judges")
    };
    assert_eq!(judge(b"EK-1").blocks, None, "lifted");
    assert!(judge(b"EK-2").blocks.is_some(), "another device's");
}
