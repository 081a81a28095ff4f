//! Serves the console over a plant that is computed here, to look at the page
//! without guard, modules or plugins: `cargo run -p evenkeeld --example
//! fake_plant -- DIR`. Never part of the appliance.

use evenkeel_core::bus::wire::Duty;
use evenkeel_core::equalize::{BlockReport, Report};
use evenkeel_core::image::{BlockRecord, Fault, Snapshot, StringRecord};
use evenkeel_core::points::{Name, Point, Quality, Unit, Value};
use evenkeel_core::scan::Phase;
use evenkeel_core::time::Nanos;
use evenkeeld::alarms::{Alarms, Itself};
use evenkeeld::caps::meter::Traffic;
use evenkeeld::certificate::Certificates;
use evenkeeld::clock;
use evenkeeld::console::remote::Remote;
use evenkeeld::console::{Console, Parts, server};
use evenkeeld::firmware::Firmware;
use evenkeeld::guard::Orders;
use evenkeeld::hub::Hub;
use evenkeeld::jobs::{Automation, Executor, NoNotifiers, Receivers};
use evenkeeld::licence::{Licences, NoGate, TrustNow};
use evenkeeld::login::{LoginSettings, Nobody};
use evenkeeld::network::NetworkKeeper;
use evenkeeld::plant::Plant;
use evenkeeld::plugin::trusted::{self, Places};
use evenkeeld::plugin_admin::NoPlugins;
use evenkeeld::plugin_status::{PluginState, PluginStatus};
use evenkeeld::store::{Limits, Store};
use evenkeeld::upses::{Source, Sources};
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).expect("a directory"));
    std::fs::create_dir_all(&dir).expect("a directory");
    let store = Arc::new(Store::open(&dir, Limits::default()).expect("a store"));
    let hub = Arc::new(Hub::default());
    let plugins = Arc::new(NoPlugins(vec![plugin()]));
    let orders = Arc::new(Orders::new(dir.join("guard")));
    let path = dir.clone();
    // Every value is shown: there is no gate to ask, and nothing to sell.
    let gate = Arc::new(NoGate);
    let places = Places::new(&dir, &dir);
    let trust: TrustNow = Box::new(move || trusted::load(&places, &Default::default()).0);
    let licences = Licences::open(&dir, trust, hub.clone(), store.clone(), gate, Arc::default());
    let licences = Arc::new(licences.expect("a serial number"));
    hub.set_limits(evenkeel_core::licence::Limits { blocks: None, ups_va: None });
    let remote = Remote::new(LoginSettings::default(), Arc::new(Nobody));
    let nobody = Arc::new(NoNotifiers);
    let receivers = Arc::new(Receivers::open(store.clone()));
    let executor = Executor::new(orders.clone(), Arc::default(), nobody, receivers, hub.clone());
    let automation = Automation::open(hub.clone(), store.clone(), Arc::new(executor));
    let driver = Source { subtree: "ups.0".into(), due: true };
    let sources: Sources = Arc::new(move || vec![driver.clone()]);
    let alarms =
        Alarms::open(hub.clone(), store.clone(), sources.clone(), Box::new(Itself::default));
    let firmware = Firmware::new(dir.join("slots.sock"), hub.clone(), store.clone(), None);
    let certificates = Certificates::new(dir.clone());
    certificates.open("fake", clock::unix_ms()).expect("a certificate");
    let parts = Parts {
        firmware: Arc::new(firmware),
        hub: hub.clone(),
        store: store.clone(),
        plugins,
        deliveries: Arc::new(Vec::new),
        orders,
        commands: Arc::default(),
        automation: Arc::new(automation),
        alarms: Arc::new(alarms),
        licences,
        data_dir: path,
        remote,
        telemetry: Default::default(),
        certificates: certificates.clone(),
        network: NetworkKeeper::new(dir.join("network.sock")),
    };
    let console = Console::new(parts, vec![]).await;
    let tls = certificates.config(&["h2", "http/1.1"]).expect("opened above");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    std::fs::write(dir.join("address"), address.to_string()).expect("written");
    println!("evenkeeld ready https://{address}");
    tokio::spawn(evenkeeld::watch::run(hub.clone(), store, Duration::from_secs(60), sources));
    tokio::spawn(produce(hub));
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    server::serve(console, listener, tls.into(), stopped).await;
}

async fn produce(hub: Arc<Hub>) {
    for second in 0_u64.. {
        hub.set_plant(plant(second));
        hub.publish("ups.0", clock::now(), ups(second));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn plant(second: u64) -> Plant {
    let mut snapshot = Snapshot::default();
    for s in 0..2_u16 {
        let closing = (-(second as f64) / if s == 0 { 12.0 } else { 60.0 }).exp();
        let deviation = |b: u16| (f64::from(b * 37 % 61) / 30.0 - 1.0) * 0.9 * closing;
        let deviations: Vec<f64> = (0..32).map(|b| deviation(b + s * 7)).collect();
        let blocks = deviations.iter().enumerate().map(|(b, d)| block(b, *d)).collect();
        let mut string = StringRecord::new(blocks);
        if s == 1 {
            let silent = &mut string.blocks[20];
            silent.quality = Quality::Bad;
            silent.fault = Fault::Silent;
        }
        let worst = deviations.iter().fold(0.0, |a: f64, d| if d.abs() > a.abs() { *d } else { a });
        string.phase = Phase::Float;
        string.current_a = Some(0.1);
        string.equalize = Report {
            target_v: 13.62,
            sum_v: if s == 0 { 435.84 } else { f64::NAN },
            worst_v: worst,
            members: 32 - s,
            mean_duty: 0.31 * closing,
            ..Report::default()
        };
        snapshot.strings.push(string);
    }
    snapshot.cycle.cycles = second + 20;
    snapshot.cycle.period = Nanos::from_secs(1);
    snapshot.cycle.published = clock::now();
    snapshot.cycle.scan = Nanos::from_millis(84);
    for n in 1..200 {
        snapshot.jitter.record(Nanos(n * 700));
    }
    let strings = vec!["Room A".into(), "Room B".into()];
    Plant { snapshot, strings, devices: Vec::new(), connected: true, over: Vec::new() }
}

fn block(b: usize, deviation: f64) -> BlockRecord {
    BlockRecord {
        address: b as u16 + 1,
        voltage_mv: ((13.62 + deviation) * 1e3).round() as u16,
        temperature_dc: 240 + b as i16 % 9,
        duty: Duty::from_fraction((deviation * 3.0).clamp(0.0, 1.0)),
        quality: Quality::Good,
        temperature_quality: Quality::Good,
        equalize: BlockReport { target_v: 13.62, deviation_v: deviation, ..BlockReport::default() },
        fault: Fault::None,
        read: clock::now(),
        serial: 1_000 + b as u32,
        ..BlockRecord::default()
    }
}

fn ups(second: u64) -> Vec<(Name, Point)> {
    let on_battery = second % 60 > 45;
    let text = |t: &str| (Value::Text(t.to_owned()), Unit::None);
    let number = |n: f64, unit| (Value::Number(n), unit);
    let values = [
        ("battery.charge", number(if on_battery { 97.0 } else { 100.0 }, Unit::Percent)),
        ("battery.voltage", number(27.4, Unit::Volt)),
        ("device.mfr", text("Example")),
        ("device.model", text("VI 1000")),
        ("input.frequency", number(50.0, Unit::Hertz)),
        ("input.voltage", number(if on_battery { 0.0 } else { 231.4 }, Unit::Volt)),
        ("output.voltage", number(230.1, Unit::Volt)),
        ("ups.beeper.status", text("enabled")),
        ("ups.load", number(34.0 + (second % 5) as f64, Unit::Percent)),
        ("ups.status", text(if on_battery { "OB" } else { "OL" })),
        ("ups.temperature", number(31.5, Unit::Celsius)),
    ];
    let point = |(name, (value, unit)): (&str, _)| {
        let name = Name::parse(&format!("ups.0.{name}")).expect("a good name");
        (name, Point { value, unit, quality: Quality::Good, at: clock::now() })
    };
    values.into_iter().map(point).collect()
}

fn plugin() -> PluginStatus {
    PluginStatus {
        name: "megatec".into(),
        version: "0.1.0".into(),
        vendor: "Evenkeel development".into(),
        signer: "\"workshop\" (fingerprint 0000)".into(),
        platform: true,
        awaits_consent: false,
        state: PluginState::Running,
        last_error: None,
        world: "driver",
        polls: 412,
        calls: 412,
        slowest_call_us: 190_000,
        traps: 0,
        cpu_ms: 90,
        memory_bytes: 1_114_112,
        poll_p50_us: 180_000,
        last_poll_us: 181_000,
        since_unix_ms: clock::unix_ms(),
        in_call_ms: 0,
        refused: 0,
        last_refused: None,
        traffic: Traffic { serial_sent: 12, serial_received: 184, ..Traffic::default() },
    }
}
