//! What monitoring systems are told: everything that can be counted, as
//! OpenMetrics text (Prometheus and its kin), made when somebody asks.
//!
//! [`text`] writes the format and knows nothing of the appliance; [`points`]
//! gives every numeric point its family and labels; this file adds the guard,
//! the plugins, the store and the process. A writer of our own, because all
//! values here are read from a snapshot at the time of the request: a registry
//! of live counters, as client libraries keep it, would be a second place for
//! each of them.
//!
//! A value that is stale or bad is left out: the other side then sees a gap,
//! not an old number. Estimated values are in. The page is bounded
//! ([`text::SAMPLES_MAX`]) and says what did not fit.

pub mod points;
mod process;
pub mod settings;
pub mod text;

use crate::clock;
use crate::hub::Hub;
use crate::plugin_status::{PluginState, PluginStatus};
use crate::store::{Class, Room, Store};
use evenkeel_core::points::Quality;
use settings::FlashSettings;
use text::Page;

/// Everything, as text.
#[must_use]
pub fn page(hub: &Hub, plugins: &[PluginStatus], store: &Store, flash: &FlashSettings) -> String {
    let mut page = Page::default();
    let version = ("version", env!("CARGO_PKG_VERSION"));
    page.info("evenkeel", "the appliance's program", &[version]);
    guard(&mut page, hub);
    let mut qualities = [0_u32; 4];
    for (name, point) in hub.query("") {
        qualities[point.quality as usize] += 1;
        points::add(&mut page, &name, &point);
    }
    for quality in [Quality::Good, Quality::Estimated, Quality::Stale, Quality::Bad] {
        let count = f64::from(qualities[quality as usize]);
        let labels = [("quality", quality.as_str())];
        page.gauge("evenkeel_points", "", "points by what they are worth", &labels, count);
    }
    plugins.iter().for_each(|plugin| self::plugin(&mut page, plugin));
    self::store(&mut page, store, flash);
    process::add(&mut page);
    page.finish()
}

fn guard(page: &mut Page, hub: &Hub) {
    let Some(plant) = hub.plant() else {
        page.gauge("evenkeel_guard_connected", "", "the guard answers", &[], 0.0);
        return;
    };
    for (n, name) in plant.strings.iter().enumerate() {
        let n = (n + 1).to_string();
        let labels = [("string", n.as_str()), ("name", name)];
        page.info("evenkeel_string", "name of a string", &labels);
    }
    let (cycle, jitter) = (&plant.snapshot.cycle, &plant.snapshot.jitter);
    let mut gauge = |name: &str, unit, help, value| {
        page.gauge(&format!("evenkeel_guard_{name}"), unit, help, &[], value);
    };
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    gauge("connected", "", "the guard answers", f64::from(u8::from(plant.connected)));
    gauge("cycle", "seconds", "length of a cycle", seconds(cycle.period.0));
    gauge("scan", "seconds", "duration of the last scan of all modules", seconds(cycle.scan.0));
    gauge("work", "seconds", "time it worked in the last cycle", seconds(cycle.work.0));
    let late = "how late it woke up since it started";
    gauge("lateness_p50", "seconds", late, jitter.quantile_us(0.5) / 1e6);
    gauge("lateness_p999", "seconds", late, jitter.quantile_us(0.999) / 1e6);
    gauge("lateness_max", "seconds", late, seconds(jitter.max.0));
    for (name, help, value) in [
        ("cycles", "cycles since it started", cycle.cycles),
        ("deadline_misses", "cycles whose commands left too late", cycle.deadline_misses),
        ("bad_frames", "frames with a wrong check sum or framing", cycle.bad_frames),
        ("missed_replies", "replies that did not come", cycle.missed_replies),
        ("port_reopens", "times a bus port was opened again", cycle.port_reopens),
    ] {
        page.counter(&format!("evenkeel_guard_{name}"), "", help, &[], value as f64);
    }
}

fn plugin(page: &mut Page, plugin: &PluginStatus) {
    let labels = [("plugin", plugin.name.as_str())];
    let version = [labels[0], ("version", plugin.version.as_str()), ("world", plugin.world)];
    page.info("evenkeel_plugin", "what a plugin is", &version);
    let mut gauge = |name: &str, unit, help, value| {
        page.gauge(&format!("evenkeel_plugin_{name}"), unit, help, &labels, value);
    };
    let running = f64::from(u8::from(plugin.state == PluginState::Running));
    gauge("running", "", "the plugin does its work", running);
    gauge("memory", "bytes", "linear memory in use", plugin.memory_bytes as f64);
    gauge("slowest_call", "seconds", "longest call", plugin.slowest_call_us as f64 / 1e6);
    gauge("poll_p50", "seconds", "median duration of a poll", plugin.poll_p50_us as f64 / 1e6);
    for (name, unit, help, value) in [
        ("cpu", "seconds", "CPU time since it was started", plugin.cpu_ms as f64 / 1e3),
        ("calls", "", "calls since it was started", plugin.calls as f64),
        ("polls", "", "polls since it was started", plugin.polls as f64),
        ("traps", "", "traps since the daemon started", plugin.traps as f64),
        ("refused", "", "attempts beyond a grant or a quota", plugin.refused as f64),
    ] {
        page.counter(&format!("evenkeel_plugin_{name}"), unit, help, &labels, value);
    }
    let t = plugin.traffic;
    for (way, sent, received) in [
        ("serial", t.serial_sent, t.serial_received),
        ("usb", t.usb_sent, t.usb_received),
        ("net", t.net_sent, t.net_received),
        ("host", t.host_sent, t.host_received),
    ] {
        let labels = [labels[0], ("way", way)];
        for (name, help, bytes) in [
            ("sent", "bytes that it sent, by the way that they go", sent),
            ("received", "bytes that it received, by the way that they come", received),
        ] {
            let name = format!("evenkeel_plugin_{name}");
            page.counter(&name, "bytes", help, &labels, bytes as f64);
        }
    }
}

fn store(page: &mut Page, store: &Store, flash: &FlashSettings) {
    let (health, wear, now) = (store.health(), store.wear_of_flash(), clock::unix_ms());
    let mut gauge = |name: &str, unit, help, value| {
        page.gauge(&format!("evenkeel_store_{name}"), unit, help, &[], value);
    };
    gauge("failing", "", "the last write failed", f64::from(u8::from(health.error.is_some())));
    gauge("unsaved_events", "", "events in memory only", health.unsaved as f64);
    gauge("size", "bytes", "size of the file", store.file_bytes() as f64);
    let longest = wear.longest_commit_us as f64 / 1e6;
    gauge("longest_commit", "seconds", "longest commit since the start", longest);
    if let Some(daily) = wear.daily(now) {
        gauge("flash_daily", "bytes", "written to the flash per day", daily.written);
        gauge("flash_daily_erased", "bytes", "the same in whole erase blocks", daily.erased);
    }
    if let Some(years) = wear.years(now, flash.capacity_bytes(), flash.endurance_cycles()) {
        gauge("flash_life", "years", "until the flash is worn by the store alone", years);
    }
    if let Ok(usage) = store.usage() {
        let fits = f64::from(u8::from(usage.fits()));
        gauge("fits", "", "the data partition is large enough for a full store", fits);
        for (room, bytes) in usage.rooms {
            let labels = [("kind", room.word())];
            let help = "keys and values, by kind";
            page.gauge("evenkeel_store_room", "bytes", help, &labels, bytes as f64);
        }
        for room in Room::ALL {
            let labels = [("kind", room.word())];
            let help = "most bytes of keys and values, by kind";
            page.gauge("evenkeel_store_room_most", "bytes", help, &labels, room.most() as f64);
        }
    }
    let help = "commits since the counts began";
    page.counter("evenkeel_store_commits", "", help, &[], wear.commits as f64);
    let help = "time that commits took";
    page.counter("evenkeel_store_commit", "seconds", help, &[], wear.commit_us as f64 / 1e6);
    for class in Class::ALL {
        let labels = [("class", class.word())];
        for (name, help, counts) in [
            ("payload", "bytes that were to be kept", wear.payload),
            ("written", "bytes written to the flash", wear.written),
            ("erased", "the same in whole erase blocks", wear.erased),
        ] {
            let name = format!("evenkeel_store_{name}");
            page.counter(&name, "bytes", help, &labels, counts.of(class) as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::meter::Traffic;
    use crate::plant::testing;
    use crate::store::Limits;
    use evenkeel_core::licence;

    fn megatec() -> PluginStatus {
        PluginStatus {
            name: "megatec".into(),
            version: "1.2.0".into(),
            vendor: "Acme".into(),
            signer: "\"workshop\" (fingerprint 0000)".into(),
            platform: true,
            awaits_consent: false,
            state: PluginState::Running,
            last_error: None,
            world: "driver",
            polls: 40,
            calls: 41,
            slowest_call_us: 9_000,
            traps: 2,
            cpu_ms: 1_500,
            memory_bytes: 128 << 10,
            poll_p50_us: 700,
            last_poll_us: 800,
            since_unix_ms: 0,
            in_call_ms: 0,
            refused: 7,
            last_refused: None,
            traffic: Traffic {
                serial_sent: 12,
                serial_received: 184,
                usb_received: 64,
                host_sent: 900,
                ..Traffic::default()
            },
        }
    }

    #[test]
    fn a_full_appliance_fits_and_says_what_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let hub = Hub::default();
        let mut plant = testing::plant(&[13.6; 32]);
        let string = plant.snapshot.strings[0].clone();
        plant.snapshot.strings = vec![string; 16];
        plant.strings = (1..=16).map(|n| format!("String \"{n}\"")).collect();
        hub.set_limits(licence::Limits { blocks: None, ups_va: None });
        hub.set_plant(plant);
        let plugins = [megatec()];
        let text = page(&hub, &plugins, &store, &FlashSettings::default());
        assert!(text.len() < 1 << 20, "{} bytes", text.len());
        for line in [
            "# TYPE evenkeel_block_voltage_volts gauge",
            "# UNIT evenkeel_block_voltage_volts volts",
            "evenkeel_block_voltage_volts{block=\"17\",string=\"3\"} 13.6",
            "evenkeel_guard_connected 1",
            "evenkeel_string_info{name=\"String \\\"2\\\"\",string=\"2\"} 1",
            "evenkeel_store_failing 0",
            "evenkeel_store_room_most_bytes{kind=\"audit\"} 5242880",
            "# TYPE evenkeel_store_commits counter",
            "# TYPE process_resident_memory_bytes gauge",
            "evenkeel_plugin_info{plugin=\"megatec\",version=\"1.2.0\",world=\"driver\"} 1",
            "evenkeel_plugin_running{plugin=\"megatec\"} 1",
            "evenkeel_plugin_memory_bytes{plugin=\"megatec\"} 131072",
            "evenkeel_plugin_cpu_seconds_total{plugin=\"megatec\"} 1.5",
            "evenkeel_plugin_traps_total{plugin=\"megatec\"} 2",
            "evenkeel_plugin_refused_total{plugin=\"megatec\"} 7",
            "# TYPE evenkeel_plugin_sent_bytes counter",
            "evenkeel_plugin_sent_bytes_total{plugin=\"megatec\",way=\"serial\"} 12",
            "evenkeel_plugin_received_bytes_total{plugin=\"megatec\",way=\"serial\"} 184",
            "evenkeel_plugin_received_bytes_total{plugin=\"megatec\",way=\"usb\"} 64",
            "evenkeel_plugin_sent_bytes_total{plugin=\"megatec\",way=\"net\"} 0",
            "evenkeel_plugin_sent_bytes_total{plugin=\"megatec\",way=\"host\"} 900",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{}", &text[..2_000]);
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
