//! The guard's points: every value of the process image that has a name.
//!
//! A number that is not known is 0 with quality bad, never NaN; what is known
//! only while the guard answers is stale when it does not.

use super::{Plant, findings, number, words};
use evenkeel_core::bus::wire::DeviceKind;
use evenkeel_core::estimate::BlockEstimate;
use evenkeel_core::health::Soh;
use evenkeel_core::image::{BlockRecord, BusRecord, Condition, DeviceRecord, StringRecord};
use evenkeel_core::licence::OVER;
use evenkeel_core::points::{Point, Quality, Unit, Value, names};
use evenkeel_core::protect::Level;
use evenkeel_core::time::Nanos;

/// Every point of `plant` in the subtree `prefix`.
pub fn of(plant: &Plant, prefix: &str, out: &mut Vec<(String, Point)>) {
    part(plant, &Part { prefix, after: None }, out);
}

/// The point called `name`. Only what stands beside it is looked at, so that
/// it costs the same whether there is one block or 512.
#[must_use]
pub fn one(plant: &Plant, name: &str) -> Option<Point> {
    let at = plant.snapshot.cycle.published;
    let (mut out, part) = (Vec::with_capacity(1), Part { prefix: name, after: None });
    let mut put = Put::new(&part, &mut out);
    let (root, rest) = name.split_once('.')?;
    match root {
        "string" => {
            let index = index(rest)?;
            let string = plant.snapshot.strings.get(index)?;
            let (root, live) = (format!("string.{}", number(index)), plant.live(index));
            match rest.split_once('.')?.1.strip_prefix("block.") {
                Some(rest) => {
                    let i = self::index(rest)?;
                    put.begin(format!("{root}.block.{}", number(i)), live, at);
                    block(plant, (index, i), string, string.blocks.get(i)?, &mut put);
                }
                None => {
                    put.begin(root, live, at);
                    whole_string(string, &mut put);
                }
            }
        }
        "device" => {
            let index = index(rest)?;
            let record = plant.snapshot.devices.get(index)?;
            put.begin(format!("device.{}", number(index)), plant.connected, record.read);
            device(plant, index, record, &mut put);
        }
        "bus" => {
            let index = index(rest)?;
            put.begin(format!("bus.{}", number(index)), plant.connected, at);
            bus(plant.snapshot.buses.get(index)?, &mut put);
        }
        "guard" => {
            put.begin("guard".to_owned(), plant.connected, at);
            guard(plant, &mut put);
        }
        _ => return None,
    }
    // A name may be the beginning of others: `string.1.voltage`.
    out.into_iter().find(|(found, _)| found == name).map(|(_, point)| point)
}

/// The number, from 1, at the beginning of `rest`, as an index.
fn index(rest: &str) -> Option<usize> {
    let number = rest.split('.').next()?.parse::<usize>().ok()?;
    number.checked_sub(1)
}

/// Which points are wanted: those below a prefix, from the first one after a
/// name on, in the order of names.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The subtree; empty for all.
    pub prefix: &'a str,
    /// Only what comes after this.
    pub after: Option<&'a str>,
}

/// Every point of `plant` in this part.
pub fn part(plant: &Plant, part: &Part<'_>, out: &mut Vec<(String, Point)>) {
    let at = plant.snapshot.cycle.published;
    let mut put = Put::new(part, out);
    for (index, string) in plant.snapshot.strings.iter().enumerate() {
        let root = format!("string.{}", number(index));
        if !put.wants(&root) {
            continue;
        }
        let live = plant.live(index);
        put.begin(root.clone(), live, at);
        whole_string(string, &mut put);
        for (i, record) in string.blocks.iter().enumerate() {
            let root = format!("{root}.block.{}", number(i));
            if !put.wants(&root) {
                continue;
            }
            put.begin(root, live, at);
            block(plant, (index, i), string, record, &mut put);
        }
    }
    for (index, record) in plant.snapshot.devices.iter().enumerate() {
        put.begin(format!("device.{}", number(index)), plant.connected, record.read);
        device(plant, index, record, &mut put);
    }
    for (index, record) in plant.snapshot.buses.iter().enumerate() {
        put.begin(format!("bus.{}", number(index)), plant.connected, at);
        bus(record, &mut put);
    }
    put.begin("guard".to_owned(), plant.connected, at);
    guard(plant, &mut put);
}

/// Takes points below one root.
struct Put<'a> {
    part: &'a Part<'a>,
    out: &'a mut Vec<(String, Point)>,
    root: String,
    below: Below<'a>,
    live: bool,
    at: Nanos,
}

/// What is asked for below the present root.
enum Below<'a> {
    /// Everything.
    All,
    /// This, and what is below it.
    Only(&'a str),
    /// Nothing.
    Nothing,
}

impl<'a> Put<'a> {
    /// It has no root yet, and takes nothing.
    fn new(part: &'a Part<'a>, out: &'a mut Vec<(String, Point)>) -> Self {
        let root = String::new();
        Self { part, out, root, below: Below::Nothing, live: false, at: Nanos(0) }
    }

    /// Whether anything below `root` was asked for.
    fn wants(&self, root: &str) -> bool {
        let Part { prefix, after } = *self.part;
        let beyond = |after: &str| root > after || names::within(after, root);
        (names::within(root, prefix) || names::within(prefix, root)) && after.is_none_or(beyond)
    }

    /// Whether the point `name` of the present root was asked for. Most are
    /// asked about in vain, so that no name is made for it.
    fn takes(&self, name: &str) -> bool {
        let inside = match self.below {
            Below::All => true,
            Below::Only(rest) => names::within(name, rest),
            Below::Nothing => false,
        };
        let full = || self.root.bytes().chain([b'.']).chain(name.bytes());
        inside && self.part.after.is_none_or(|after| full().gt(after.bytes()))
    }

    fn begin(&mut self, root: String, live: bool, at: Nanos) {
        let prefix = self.part.prefix;
        self.below = if names::within(&root, prefix) {
            Below::All
        } else if names::within(prefix, &root) {
            Below::Only(&prefix[root.len() + 1..])
        } else {
            Below::Nothing
        };
        (self.root, self.live, self.at) = (root, live, at);
    }

    fn put(&mut self, name: &str, value: Value, unit: Unit, quality: Quality, at: Nanos) {
        if self.takes(name) {
            let name = format!("{}.{name}", self.root);
            let quality = if self.live { quality } else { quality.max(Quality::Stale) };
            self.out.push((name, Point { value, unit, quality, at }));
        }
    }

    fn number(&mut self, name: &str, unit: Unit, value: f64, quality: Quality) {
        let (value, quality) =
            if value.is_finite() { (value, quality) } else { (0.0, Quality::Bad) };
        self.put(name, Value::Number(value), unit, quality, self.at);
    }

    fn measured(&mut self, name: &str, unit: Unit, value: Option<f64>) {
        self.number(name, unit, value.unwrap_or(f64::NAN), Quality::Good);
    }

    fn estimated(&mut self, name: &str, unit: Unit, value: f64) {
        self.number(name, unit, value, Quality::Estimated);
    }

    fn count(&mut self, name: &str, count: u64) {
        self.number(name, Unit::None, count as f64, Quality::Good);
    }

    fn flag(&mut self, name: &str, value: bool, quality: Quality) {
        self.put(name, Value::Flag(value), Unit::None, quality, self.at);
    }

    /// The text is made only when somebody wants it.
    fn text<T: AsRef<str>>(&mut self, name: &str, text: impl FnOnce() -> T) {
        if !self.takes(name) {
            return;
        }
        let text = text();
        let text = text.as_ref();
        let mut end = text.len().min(Value::TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let value = Value::Text(text[..end].to_owned());
        self.put(name, value, Unit::None, Quality::Good, self.at);
    }
}

fn whole_string(string: &StringRecord, put: &mut Put<'_>) {
    let (equalize, estimate) = (&string.equalize, &string.estimate);
    put.text("advice", || words::worst_advice(&string.health));
    put.text("alarms", || joined(findings(string).iter().filter(|f| f.level > Level::Notice)));
    put.measured("ambient", Unit::Celsius, string.ambient_c);
    put.text("breaker", || string.protect.breaker.text());
    put.estimated("bypass.commanded", Unit::Percent, equalize.mean_duty * 100.0);
    charge_and_capacity(&estimate.whole, put);
    put.text("charger", || words::charger(equalize.charger));
    put.measured("current", Unit::Ampere, string.current_a);
    put.estimated("deviation", Unit::Volt, equalize.worst_v);
    put.estimated("deviation.true-bound", Unit::Volt, equalize.truth.bound_v);
    put.text("feasibility", || words::feasibility(equalize.feasibility));
    let known = string.health.blocks.iter().map(|b| b.soh).filter(|soh| soh.ratio.is_finite());
    let weakest = known.min_by(|a, b| a.ratio.total_cmp(&b.ratio));
    health(&weakest.unwrap_or(Soh::UNKNOWN), put);
    put.text("inhibit", || equalize.inhibits.to_string());
    put.text("phase", || words::phase(string.phase));
    let drawn = estimate.runtime_s.map_or(f64::NAN, f64::from);
    let beside = |bound: f32| if drawn.is_nan() { f64::NAN } else { f64::from(bound) };
    put.estimated("runtime", Unit::Second, drawn);
    put.estimated("runtime.high", Unit::Second, beside(estimate.runtime_high_s));
    put.estimated("runtime.low", Unit::Second, beside(estimate.runtime_low_s));
    put.text("status", || string.protect.level.text());
    put.estimated("target", Unit::Volt, equalize.target_v);
    put.text("trip", || string.protect.trip.as_ref().map(words::trip).unwrap_or_default());
    put.estimated("voltage", Unit::Volt, equalize.sum_v);
    put.measured("voltage.measured", Unit::Volt, string.voltage_v);
}

fn block(
    plant: &Plant,
    (string_index, index): (usize, usize),
    string: &StringRecord,
    block: &BlockRecord,
    put: &mut Put<'_>,
) {
    let over = plant.is_over(string_index, index);
    let found = string.protect.blocks.get(index).copied().unwrap_or_default();
    put.text("advice", || words::block_advice(&string.health, index));
    put.text("alarms", || joined(found.alarm.texts().chain(found.warning.texts())));
    let quality = plant.quality(block);
    put.at = block.read;
    put.number("bypass", Unit::Ampere, block.bypass_a.into(), quality);
    // What was asked for is known; what became of it is in `bypass`.
    let duty = if over { f64::NAN } else { block.duty.fraction() * 100.0 };
    put.estimated("bypass.commanded", Unit::Percent, duty);
    charge_and_capacity(string.estimate.blocks.get(index).unwrap_or(&BlockEstimate::UNKNOWN), put);
    put.estimated("deviation", Unit::Volt, block.equalize.deviation_v);
    put.text("fault", || {
        let faults = [block.fault.text(), if over { OVER } else { "" }];
        joined(faults.into_iter().filter(|text| !text.is_empty()))
    });
    let known = string.health.blocks.get(index);
    health(&known.map_or(Soh::UNKNOWN, |known| known.soh), put);
    put.estimated("life", Unit::Year, known.map_or(f64::NAN, |known| known.life.low.into()));
    put.estimated("life.high", Unit::Year, known.map_or(f64::NAN, |known| known.life.high.into()));
    let (mohm, at) = block.resistance.map_or((f64::NAN, block.read), |(r, at)| (r.into(), at));
    let value = if mohm.is_finite() { mohm } else { 0.0 };
    let measured = if mohm.is_finite() { Quality::Good } else { Quality::Bad };
    put.put("resistance", Value::Number(value), Unit::Milliohm, measured, at);
    put.text("status", || found.level().text());
    put.estimated("target", Unit::Volt, block.equalize.target_v);
    let celsius = f64::from(block.temperature_dc) / 10.0;
    put.number("temperature", Unit::Celsius, celsius, plant.temperature_quality(block));
    put.number("voltage", Unit::Volt, f64::from(block.voltage_mv) / 1e3, quality);
}

fn charge_and_capacity(estimate: &BlockEstimate, put: &mut Put<'_>) {
    put.estimated("capacity", Unit::AmpereHour, estimate.capacity_ah.into());
    put.estimated("capacity.sigma", Unit::AmpereHour, estimate.capacity_sigma_ah.into());
    put.estimated("charge", Unit::Percent, f64::from(estimate.soc) * 100.0);
    put.estimated("charge.sigma", Unit::Percent, f64::from(estimate.soc_sigma) * 100.0);
}

fn health(soh: &Soh, put: &mut Put<'_>) {
    put.estimated("health", Unit::Percent, f64::from(soh.ratio) * 100.0);
    put.estimated("health.sigma", Unit::Percent, f64::from(soh.sigma) * 100.0);
}

fn device(plant: &Plant, index: usize, device: &DeviceRecord, put: &mut Put<'_>) {
    let quality = plant.device_quality(device);
    let kind = DeviceKind::from_code(device.type_code);
    let is_current = kind.is_some_and(|kind| kind.full_scale_a().is_some());
    for n in 0..kind.map_or(0, DeviceKind::channels) {
        let value = device.values.get(usize::from(n)).copied().unwrap_or(f32::NAN);
        let unit = if is_current { Unit::Ampere } else { Unit::None };
        put.number(&format!("analog.{}", n + 1), unit, value.into(), quality);
    }
    for n in 0..kind.map_or(0, DeviceKind::inputs) {
        put.flag(&format!("input.{}", n + 1), device.inputs & (1 << n) != 0, quality);
    }
    put.text("name", || plant.devices.get(index).map_or("", String::as_str));
    for n in 0..kind.map_or(0, DeviceKind::outputs) {
        put.flag(&format!("output.{}", n + 1), device.outputs & (1 << n) != 0, quality);
        let commanded = device.commanded & (1 << n) != 0;
        put.flag(&format!("output.{}.commanded", n + 1), commanded, Quality::Good);
    }
    put.text("status", || device_status(device));
}

/// How a device is, in words.
#[must_use]
pub fn device_status(device: &DeviceRecord) -> &'static str {
    match (device.wrong_kind, device.quality) {
        (true, _) => "wrong kind",
        (false, Quality::Good | Quality::Estimated) => "ok",
        (false, Quality::Stale | Quality::Bad) => "lost",
    }
}

fn bus(bus: &BusRecord, put: &mut Put<'_>) {
    put.count("bad-frames", bus.bad_frames);
    put.text("cable", || words::cable(bus.cable));
    put.flag("lost", bus.lost, Quality::Good);
    put.count("missed-replies", bus.missed_replies);
    put.count("unexpected-frames", bus.unexpected_frames);
    put.estimated("utilisation", Unit::Percent, f64::from(bus.utilisation) * 100.0);
    put.text("work", || words::bus_work(bus.work));
}

fn guard(plant: &Plant, put: &mut Put<'_>) {
    let snapshot = &plant.snapshot;
    put.flag("alarm-relay", snapshot.annunciation.relay, Quality::Good);
    put.flag("buzzer", snapshot.annunciation.buzzer, Quality::Good);
    let conditions = Condition::ALL.into_iter().filter(|c| snapshot.has(*c));
    put.text("conditions", || joined(conditions.map(Condition::text)));
    put.count("deadline-misses", snapshot.cycle.deadline_misses);
    put.text("status", || snapshot.level.text());
}

fn joined(parts: impl Iterator<Item = impl ToString>) -> String {
    parts.map(|part| part.to_string()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use evenkeel_core::health::Basis;
    use evenkeel_core::points::battery;
    use evenkeel_core::protect::Condition as Wrong;
    use std::collections::BTreeSet;

    /// A plant with everything in it.
    fn rich() -> Plant {
        let mut plant = testing::plant(&[13.612, 13.6]);
        let string = &mut plant.snapshot.strings[0];
        string.current_a = Some(-12.5);
        string.estimate.whole.soc = 0.93;
        string.estimate.whole.soc_sigma = 0.02;
        string.estimate.runtime_s = Some(1_800.0);
        string.estimate.runtime_low_s = 1_500.0;
        string.blocks[0].bypass_a = 0.12;
        string.blocks[0].resistance = Some((4.5, Nanos::from_secs(50)));
        string.health.blocks[1].soh = Soh { ratio: 0.81, sigma: 0.04, basis: Basis::Capacity };
        testing::mark(string, 1, Wrong::VoltageLow, Level::Warning);
        for kind in [DeviceKind::Current200, DeviceKind::Aux] {
            plant.snapshot.devices.push(DeviceRecord {
                bus: 1,
                address: 1_030,
                type_code: kind.code(),
                quality: Quality::Good,
                wrong_kind: false,
                read: Nanos::from_secs(90),
                serial: 5,
                inputs: 0b10,
                outputs: 0,
                commanded: 1,
                values: [-12.5; 8],
            });
        }
        plant.devices = vec!["SENSOR".into(), "AUX".into()];
        plant
    }

    fn all(plant: &Plant) -> Vec<(String, Point)> {
        let mut points = Vec::new();
        of(plant, "", &mut points);
        points
    }

    fn find(plant: &Plant, name: &str) -> Point {
        let mut points = Vec::new();
        of(plant, name, &mut points);
        let found = points.into_iter().find(|(n, _)| n == name);
        found.unwrap_or_else(|| panic!("no point {name}")).1
    }

    #[test]
    fn every_point_is_on_the_list_once_and_every_row_has_points() {
        let points = all(&rich());
        let names: BTreeSet<_> = points.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), points.len());
        let mut rows = BTreeSet::new();
        for (name, point) in &points {
            let row = battery::variable(name).unwrap_or_else(|| panic!("{name} is not listed"));
            // An analogue input has the unit that its settings give it.
            assert!(row.unit == point.unit || row.name == "analog.#", "{name}");
            rows.insert(std::ptr::from_ref(row));
            assert!(!matches!(point.value, Value::Number(n) if !n.is_finite()), "{name}");
        }
        let lists =
            [battery::STRING, battery::BLOCK, battery::DEVICE, battery::BUS, battery::GUARD];
        for row in lists.into_iter().flatten() {
            assert!(rows.contains(&std::ptr::from_ref(row)), "nothing publishes {}", row.name);
        }
    }

    #[test]
    fn one_point_is_the_same_as_among_all() {
        let plant = rich();
        for (name, point) in all(&plant) {
            assert_eq!(one(&plant, &name), Some(point), "{name}");
        }
        for wrong in [
            "",
            "guard",
            "string.1",
            "string.0.voltage",
            "string.01.voltage",
            "string.2.voltage",
            "string.1.block.1",
            "string.1.block.3.voltage",
            "string.1.volt",
            "ups.0.ups.load",
            "device.3.status",
        ] {
            assert_eq!(one(&plant, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_part_is_what_comes_after_a_name() {
        let plant = rich();
        let mut names: Vec<String> = all(&plant).into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        for after in ["", "bus.1.lost", "string.1.block.1", "string.1.block.1.voltage", "t"] {
            for prefix in ["", "string", "string.1.block.2", "guard.status"] {
                let mut found = Vec::new();
                part(&plant, &Part { prefix, after: Some(after) }, &mut found);
                let mut found: Vec<String> = found.into_iter().map(|(name, _)| name).collect();
                found.sort_unstable();
                let wanted = |n: &&String| names::within(n, prefix) && n.as_str() > after;
                let wanted: Vec<String> = names.iter().filter(wanted).cloned().collect();
                assert_eq!(found, wanted, "{prefix:?} after {after:?}");
            }
        }
    }

    #[test]
    fn measured_estimated_and_unknown_are_told_apart() {
        let plant = rich();
        let quality = |name| find(&plant, name).quality;
        assert_eq!(quality("string.1.current"), Quality::Good);
        assert_eq!(quality("string.1.charge"), Quality::Estimated);
        assert_eq!(
            find(&plant, "string.1.charge").value,
            Value::Number(f64::from(0.93_f32) * 100.0)
        );
        assert_eq!(quality("string.1.charge.sigma"), Quality::Estimated);
        assert_eq!(quality("string.1.ambient"), Quality::Bad, "no sensor");
        assert_eq!(quality("string.1.block.1.bypass"), Quality::Good, "the module measured it");
        assert_eq!(quality("string.1.block.1.bypass.commanded"), Quality::Estimated);
        let resistance = find(&plant, "string.1.block.1.resistance");
        assert_eq!((resistance.quality, resistance.at), (Quality::Good, Nanos::from_secs(50)));
        assert_eq!(quality("string.1.block.2.resistance"), Quality::Bad);
        assert_eq!(quality("string.1.block.1.health"), Quality::Bad);
        assert_eq!(quality("string.1.health"), Quality::Estimated, "the weakest that is known");
        assert_eq!(quality("device.1.analog.1"), Quality::Good);
        assert_eq!(find(&plant, "device.2.input.2").value, Value::Flag(true));
        let alarms = find(&plant, "string.1.alarms").value;
        assert_eq!(alarms, Value::Text("block voltage low: block 2".into()));
    }

    #[test]
    fn without_guard_or_bus_nothing_is_good() {
        let mut plant = rich();
        plant.connected = false;
        assert!(all(&plant).iter().all(|(_, p)| p.quality >= Quality::Stale));
        let mut plant = rich();
        plant.snapshot.buses[0].lost = true;
        let mut points = Vec::new();
        of(&plant, "string", &mut points);
        assert!(points.iter().all(|(_, p)| p.quality >= Quality::Stale));
        assert_eq!(find(&plant, "bus.1.lost").value, Value::Flag(true));
        assert_eq!(find(&plant, "bus.1.lost").quality, Quality::Good);
    }

    #[test]
    fn long_texts_end_at_a_character() {
        let (mut out, at) = (Vec::new(), Nanos(0));
        let part = Part { prefix: "", after: None };
        let mut put = Put::new(&part, &mut out);
        put.begin("guard".into(), true, at);
        put.text("conditions", || "–".repeat(200));
        let Value::Text(text) = &out[0].1.value else { panic!("a text") };
        assert_eq!(text.len(), 255);
    }
}
