//! What stands now, of everything but thresholds: protection's findings, and
//! who is lost. Also the readings that thresholds are compared with.
//!
//! The guard holds and debounces its findings itself. What it does not decide
//! (its own silence, a bus, a cable, a device, a UPS) has to be so for a
//! moment before it stands, and not be so for a moment before it is over
//! ([`holds`]): one garbled answer is no alarm.
//!
//! | lost | absorbs | blind meanwhile |
//! |---|---|---|
//! | guard | | buses, devices, strings, blocks |
//! | bus | its modules and devices, as members | its blocks and devices; a string with all of its blocks there |
//! | cable | silent modules of its bus | |
//! | UPS | | what its driver reads |

use super::kind::Kind;
use super::place::Place;
use super::quantity::Quantity;
use super::watcher::{Edge, Reading};
use super::{Now, Standing};
use crate::bus::topology::Cable;
use crate::equalize::ChargerVerdict;
use crate::events::Severity;
use crate::image::{BlockRecord, Condition as GuardCondition, Snapshot, StringRecord};
use crate::points::Quality;
use crate::protect::hold::Tick;
use crate::protect::{Condition, Level};
use crate::scan::Phase;
use crate::time::Nanos;
use std::collections::BTreeMap;

/// Cycles after which a device that never answered counts as lost.
const AWAIT_CYCLES: u64 = 10;

/// What is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The last process image; `None`: there never was one.
    pub snapshot: Option<&'a Snapshot>,
    /// The guard answers.
    pub connected: bool,
    /// The UPSes that somebody had read.
    pub upses: &'a [Ups<'a>],
    /// The store cannot be written.
    pub store_failed: bool,
    /// Plugins that stay off because they failed too often.
    pub plugins_off: &'a [String],
    /// How badly an installed certificate needs another one.
    pub certificate: Option<Severity>,
}

/// A UPS.
#[derive(Clone, Copy, Debug)]
pub struct Ups<'a> {
    /// Its subtree.
    pub root: &'a str,
    /// Its silence is news: it was heard of, or should have been by now.
    pub missed: bool,
    /// Its status words (RFC 9271), while they are fresh.
    pub status: Option<&'a str>,
}

/// Looks and holds. One per appliance.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    held: BTreeMap<(Kind, Place), (Edge, Severity)>,
    tick: Option<Tick>,
}

/// For how long something must be so before it stands, and not be so before
/// it is over, ms.
#[must_use]
pub const fn holds(kind: Kind) -> (u32, u32) {
    match kind {
        Kind::GuardLost => (5_000, 2_000),
        // Until the modules have answered again, their silence is the bus's.
        Kind::BusLost | Kind::CableBroken => (1_500, 10_000),
        Kind::DeviceLost => (2_000, 2_000),
        Kind::StoreFailed => (0, 5_000),
        Kind::UpsLost
        | Kind::UpsOnBattery
        | Kind::UpsBatteryLow
        | Kind::UpsReplaceBattery
        | Kind::UpsOverload
        | Kind::UpsOnBypass => (1_500, 1_500),
        _ => (0, 0),
    }
}

impl Survey {
    /// One look. `before` says what the book had when this survey did not
    /// exist yet: a restart clears nothing.
    pub fn step(
        &mut self,
        seen: &Seen<'_>,
        before: impl Fn(Kind, &Place) -> Option<Severity>,
        now: Nanos,
    ) -> Now {
        let tick = self.tick.map_or(Tick { now, dt_ms: 0 }, |tick| tick.next(now));
        self.tick = Some(tick);
        let mut out = Now::default();
        blindness(seen, &mut out.blind);
        let raw = losses(seen);
        self.hold(&raw, &out, tick, &before);
        let stands = self.held.iter().filter(|(_, (edge, _))| edge.is_on());
        for ((kind, place), (_, severity)) in stands {
            out.standing.push(Standing {
                because: because(*kind, place, seen),
                ..Standing::plain(*kind, place.clone(), *severity)
            });
        }
        if let Some(snapshot) = seen.snapshot.filter(|_| seen.connected) {
            self.bus_members(snapshot, &mut out.standing);
            for (index, string) in snapshot.strings.iter().enumerate() {
                let number = number(index);
                findings(snapshot, string, number, &mut out);
                if !out.is_blind(&Place::String(number)) {
                    charger(string, number, &before, &mut out.standing);
                }
            }
        }
        out
    }

    fn hold(
        &mut self,
        raw: &[(Kind, Place, Severity)],
        out: &Now,
        tick: Tick,
        before: &impl Fn(Kind, &Place) -> Option<Severity>,
    ) {
        for (kind, place, severity) in raw {
            let key = (*kind, place.clone());
            let held = self.held.entry(key).or_insert_with(|| {
                // What stands in the book has held long enough once.
                (Edge::new(before(*kind, place).is_some()), *severity)
            });
            held.1 = *severity;
        }
        self.held.retain(|(kind, place), (edge, _)| {
            let is = raw.iter().any(|(k, at, _)| k == kind && at == place);
            let (on_ms, off_ms) = holds(*kind);
            let truth = if !is && out.is_blind(place) { None } else { Some(is) };
            edge.step(tick, truth, on_ms, off_ms) || is || edge.is_on()
        });
    }

    /// A bus without port has everything on it as members, while that lasts
    /// and until it has answered again.
    fn bus_members(&self, snapshot: &Snapshot, standing: &mut Vec<Standing>) {
        let lost = |bus: u8| {
            let key = (Kind::BusLost, Place::Bus(bus.into()));
            let held = self.held.get(&key).is_some_and(|(edge, _)| edge.is_on());
            (held && is_lost(snapshot, bus)).then_some(Some(key))
        };
        for (s, string) in snapshot.strings.iter().enumerate() {
            for (b, block) in string.blocks.iter().enumerate() {
                if let Some(because) = lost(block.bus) {
                    let at = Place::Block(number(s), number(b));
                    let kind = Kind::Finding(Condition::ModuleLost);
                    standing
                        .push(Standing { because, ..Standing::plain(kind, at, Severity::Warning) });
                }
            }
        }
        for (d, device) in snapshot.devices.iter().enumerate() {
            if let Some(because) = lost(device.bus) {
                let at = Place::Device(number(d));
                let plain = Standing::plain(Kind::DeviceLost, at, Severity::Warning);
                standing.push(Standing { because, ..plain });
            }
        }
    }
}

/// Every value of the guard's that can have a threshold. `battery` names the
/// type of a block (both from 0). What is not known now has no value.
pub fn readings<'a>(
    seen: &Seen<'a>,
    battery: impl Fn(usize, usize) -> Option<&'a str>,
    mut each: impl FnMut(Reading<'a>),
) {
    let Some(snapshot) = seen.snapshot else { return };
    for (s, string) in snapshot.strings.iter().enumerate() {
        let measured = |block: &BlockRecord| seen.connected && !is_lost(snapshot, block.bus);
        let phase = string.phase;
        let mut put = |place: Place, quantity, battery, value: Option<f64>| {
            let value = value.filter(|v| v.is_finite());
            each(Reading { place, quantity, value, battery, phase });
        };
        let place = Place::String(number(s));
        // What a string is worth is known from all of its blocks.
        let whole = string.blocks.iter().all(measured);
        for quantity in Quantity::OF_STRINGS {
            let value = of_string(string, quantity).filter(|_| whole);
            put(place.clone(), quantity, None, value);
        }
        for (b, block) in string.blocks.iter().enumerate() {
            let (place, battery) = (Place::Block(number(s), number(b)), battery(s, b));
            for quantity in Quantity::OF_BLOCKS {
                let value = of_block(string, b, block, quantity).filter(|_| measured(block));
                put(place.clone(), quantity, battery, value);
            }
        }
    }
}

/// Add what thresholds say, but for what protection says already.
pub fn add_limits(now: &mut Now, limits: Vec<Standing>) {
    let told = |limit: &Standing| {
        now.standing.iter().any(|standing| {
            let Kind::Finding(condition) = standing.kind else { return false };
            standing.at == limit.at
                && standing.severity >= limit.severity
                && limit.kind.is_told_by(condition)
        })
    };
    let news: Vec<_> = limits.into_iter().filter(|limit| !told(limit)).collect();
    now.standing.extend(news);
}

/// Places about which nothing can be known.
fn blindness(seen: &Seen<'_>, blind: &mut Vec<Place>) {
    for ups in seen.upses.iter().filter(|ups| ups.status.is_none()) {
        blind.push(Place::Source(ups.root.to_owned()));
    }
    let Some(snapshot) = seen.snapshot.filter(|_| seen.connected) else {
        blind.push(Place::Guard);
        return;
    };
    if snapshot.buses.iter().all(|bus| !bus.lost) {
        return;
    }
    for (s, string) in snapshot.strings.iter().enumerate() {
        let lost = |block: &BlockRecord| is_lost(snapshot, block.bus);
        if !string.blocks.is_empty() && string.blocks.iter().all(lost) {
            blind.push(Place::String(number(s)));
            continue;
        }
        let lost = string.blocks.iter().enumerate().filter(|(_, block)| lost(block));
        blind.extend(lost.map(|(b, _)| Place::Block(number(s), number(b))));
    }
    for (d, device) in snapshot.devices.iter().enumerate() {
        if is_lost(snapshot, device.bus) {
            blind.push(Place::Device(number(d)));
        }
    }
}

/// What is lost or says that something is wrong, before any hold.
fn losses(seen: &Seen<'_>) -> Vec<(Kind, Place, Severity)> {
    use Severity::{Alarm, Warning};
    let mut raw = Vec::new();
    if !seen.connected {
        raw.push((Kind::GuardLost, Place::Guard, Alarm));
    }
    if seen.store_failed {
        raw.push((Kind::StoreFailed, Place::Appliance, Warning));
    }
    if let Some(severity) = seen.certificate {
        raw.push((Kind::CertificateExpires, Place::Appliance, severity));
    }
    for plugin in seen.plugins_off {
        raw.push((Kind::PluginOff, Place::Plugin(plugin.clone()), Warning));
    }
    for ups in seen.upses {
        let place = || Place::Source(ups.root.to_owned());
        let Some(status) = ups.status else {
            if ups.missed {
                raw.push((Kind::UpsLost, place(), Warning));
            }
            continue;
        };
        for word in status.split_ascii_whitespace() {
            let (kind, severity) = match word {
                "OB" => (Kind::UpsOnBattery, Warning),
                "LB" => (Kind::UpsBatteryLow, Alarm),
                "RB" => (Kind::UpsReplaceBattery, Warning),
                "OVER" => (Kind::UpsOverload, Alarm),
                "BYPASS" => (Kind::UpsOnBypass, Warning),
                _ => continue,
            };
            raw.push((kind, place(), severity));
        }
    }
    if let Some(snapshot) = seen.snapshot.filter(|_| seen.connected) {
        of_guard(snapshot, &mut raw);
    }
    raw
}

fn of_guard(snapshot: &Snapshot, raw: &mut Vec<(Kind, Place, Severity)>) {
    use Severity::{Alarm, Warning};
    for condition in GuardCondition::ALL.into_iter().filter(|c| Kind::is_of_guard(*c)) {
        if snapshot.has(condition) {
            raw.push((Kind::Guard(condition), Place::Guard, Warning));
        }
    }
    for (index, bus) in snapshot.buses.iter().enumerate() {
        let place = Place::Bus(number(index));
        if bus.lost {
            raw.push((Kind::BusLost, place, Alarm));
        } else if bus.cable != Cable::Whole {
            raw.push((Kind::CableBroken, place, Warning));
        }
    }
    let awaited = snapshot.cycle.cycles > AWAIT_CYCLES;
    for (index, device) in snapshot.devices.iter().enumerate() {
        let lost = matches!(device.quality, Quality::Stale | Quality::Bad);
        if lost && awaited && !is_lost(snapshot, device.bus) {
            raw.push((Kind::DeviceLost, Place::Device(number(index)), Warning));
        }
    }
}

fn because(kind: Kind, place: &Place, seen: &Seen<'_>) -> Option<(Kind, Place)> {
    match (kind, place) {
        (Kind::DeviceLost, Place::Device(n)) => {
            let device = seen.snapshot?.devices.get(usize::from(*n).checked_sub(1)?)?;
            Some((Kind::BusLost, Place::Bus(device.bus.into())))
        }
        // A UPS that is nearly empty is so because it runs on its battery,
        // but that is what people must hear of.
        _ => None,
    }
}

/// Protection's findings of one string, from a warning on. Where nothing is
/// known the guard has only what it found before; no danger is hidden for that.
fn findings(snapshot: &Snapshot, string: &StringRecord, number: u16, out: &mut Now) {
    let severity = |level: Level| match level {
        Level::Ok | Level::Notice => None,
        Level::Warning => Some(Severity::Warning),
        Level::Alarm => Some(Severity::Alarm),
    };
    let protect = &string.protect;
    for condition in Condition::ALL {
        let kind = Kind::Finding(condition);
        let hidden = |out: &Now, at: &Place| !kind.is_safety() && out.is_blind(at);
        let whole = Place::String(number);
        if let Some(severity) = severity(protect.string.level_of(condition))
            && !hidden(out, &whole)
        {
            out.standing.push(Standing::plain(kind, whole, severity));
        }
        if protect.all.level_of(condition) < Level::Warning {
            continue;
        }
        for (b, found) in protect.blocks.iter().enumerate() {
            let Some(severity) = severity(found.level_of(condition)) else { continue };
            let at = Place::Block(number, self::number(b));
            if hidden(out, &at) {
                continue;
            }
            let mut standing = Standing::plain(kind, at, severity);
            standing.value = worst_value(string, condition, b, kind.unit() == "V");
            if condition == Condition::ModuleLost
                && let Some(block) = string.blocks.get(b)
            {
                standing.because = Some(cause_of_silence(snapshot, block.bus));
            }
            out.standing.push(standing);
        }
    }
}

/// What is measured at block `index`, if it is the worst of its condition.
fn worst_value(
    string: &StringRecord,
    condition: Condition,
    index: usize,
    volts: bool,
) -> Option<f64> {
    let worst = string.protect.worst[condition as usize]?;
    let value = f64::from(worst.value?);
    let block = string.blocks.get(index).filter(|_| usize::from(worst.block) == index)?;
    // Protection reckons with a block of `reference_cells`.
    let scale = match string.reference_cells {
        0 => 1.0,
        cells => f64::from(block.cells) / f64::from(cells),
    };
    Some(if volts { value * scale } else { value })
}

fn cause_of_silence(snapshot: &Snapshot, bus: u8) -> (Kind, Place) {
    let place = Place::Bus(bus.into());
    let record = usize::from(bus).checked_sub(1).and_then(|index| snapshot.buses.get(index));
    match record {
        Some(record) if !record.lost && record.cable != Cable::Whole => (Kind::CableBroken, place),
        // Just back: the modules answer in a moment.
        _ => (Kind::BusLost, place),
    }
}

fn charger(
    string: &StringRecord,
    number: u16,
    before: impl Fn(Kind, &Place) -> Option<Severity>,
    out: &mut Vec<Standing>,
) {
    let (kind, place) = (Kind::ChargerWrong, Place::String(number));
    let by_v = match string.equalize.charger {
        ChargerVerdict::High { by_v } => Some(by_v.abs()),
        ChargerVerdict::Low { by_v } => Some(-by_v.abs()),
        // A verdict that is not known (any more) takes nothing back.
        ChargerVerdict::Unknown if before(kind, &place).is_some() => None,
        ChargerVerdict::Unknown | ChargerVerdict::Right | ChargerVerdict::NoFloat => return,
    };
    let mut standing = Standing::plain(kind, place, Severity::Warning);
    standing.value = by_v.filter(|v| v.is_finite());
    out.push(standing);
}

fn of_string(string: &StringRecord, quantity: Quantity) -> Option<f64> {
    match quantity {
        Quantity::StringVoltage => string.voltage_v.or(Some(string.equalize.sum_v)),
        Quantity::StringCurrent => string.current_a,
        Quantity::StringCharge => Some(f64::from(string.estimate.whole.soc) * 100.0),
        Quantity::StringRuntime => string.estimate.runtime_s.map(f64::from),
        _ => None,
    }
}

fn of_block(
    string: &StringRecord,
    index: usize,
    block: &BlockRecord,
    quantity: Quantity,
) -> Option<f64> {
    let fresh = |quality| matches!(quality, Quality::Good | Quality::Estimated);
    let per_cell = |volts: f64| volts / f64::from(block.cells.max(1));
    let health = string.health.blocks.get(index);
    match quantity {
        Quantity::BlockVoltage if fresh(block.quality) => {
            Some(per_cell(f64::from(block.voltage_mv) / 1e3))
        }
        // Away from float there is no target to be held.
        Quantity::BlockDeviation if fresh(block.quality) && string.phase == Phase::Float => {
            Some(per_cell(block.equalize.deviation_v))
        }
        Quantity::BlockTemperature if fresh(block.temperature_quality) => {
            Some(f64::from(block.temperature_dc) / 10.0)
        }
        Quantity::BlockResistance => health.and_then(|health| {
            let baseline = f64::from(health.baseline.mohm);
            (baseline > 0.0).then(|| (f64::from(health.resistance_mohm) / baseline - 1.0) * 100.0)
        }),
        Quantity::BlockCharge => {
            string.estimate.blocks.get(index).map(|b| f64::from(b.soc) * 100.0)
        }
        Quantity::BlockHealth => health.map(|health| f64::from(health.soh.ratio) * 100.0),
        _ => None,
    }
}

fn is_lost(snapshot: &Snapshot, bus: u8) -> bool {
    let index = usize::from(bus).checked_sub(1);
    index.and_then(|i| snapshot.buses.get(i)).is_some_and(|bus| bus.lost)
}

/// People count from 1.
fn number(index: usize) -> u16 {
    u16::try_from(index + 1).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{Book, book::State};
    use crate::bus::topology::Spot;
    use crate::image::{BusRecord, BusWork, Fault};
    use crate::protect::Worst;

    fn bus(lost: bool, cable: Cable) -> BusRecord {
        BusRecord {
            lost,
            utilisation: 0.2,
            bad_frames: 0,
            unexpected_frames: 0,
            missed_replies: 0,
            strangers: [0; 4],
            cable,
            work: BusWork::None,
            found: Vec::new(),
        }
    }

    fn snapshot(blocks: usize) -> Snapshot {
        let block = BlockRecord {
            voltage_mv: 13_600,
            temperature_dc: 251,
            quality: Quality::Good,
            temperature_quality: Quality::Good,
            fault: Fault::None,
            ..BlockRecord::default()
        };
        let mut snapshot = Snapshot {
            strings: vec![StringRecord::new(vec![block; blocks])],
            buses: vec![bus(false, Cable::Whole)],
            ..Snapshot::default()
        };
        snapshot.cycle.cycles = 100;
        snapshot
    }

    fn mark(snapshot: &mut Snapshot, block: usize, condition: Condition, level: Level) {
        let protect = &mut snapshot.strings[0].protect;
        protect.blocks[block].insert(condition, level);
        protect.all.insert(condition, level);
    }

    fn seen(snapshot: &Snapshot) -> Seen<'_> {
        Seen { snapshot: Some(snapshot), connected: true, ..Seen::default() }
    }

    /// The survey and the book together, second by second.
    #[derive(Default)]
    struct Bench {
        survey: Survey,
        book: Book,
        second: u64,
    }

    impl Bench {
        fn run(&mut self, seen: &Seen<'_>, seconds: u64) {
            for _ in 0..seconds {
                self.second += 1;
                let book = &self.book;
                let before = |kind: Kind, place: &Place| book.standing(kind, place);
                let now = self.survey.step(seen, before, Nanos::from_secs(self.second));
                self.book.step(&now, self.second * 1_000);
            }
        }

        fn kinds(&self) -> Vec<String> {
            self.book.alarms().iter().map(|alarm| alarm.kind.to_string()).collect()
        }
    }

    #[test]
    fn a_bus_without_port_is_one_alarm_with_all_its_blocks() {
        let (mut bench, mut plant) = (Bench::default(), snapshot(40));
        bench.run(&seen(&plant), 5);
        assert!(bench.kinds().is_empty());
        plant.buses[0].lost = true;
        bench.run(&seen(&plant), 1);
        assert!(bench.kinds().is_empty(), "one look is no alarm");
        bench.run(&seen(&plant), 60);
        assert_eq!(bench.kinds(), ["bus-lost"]);
        assert_eq!(bench.book.alarms()[0].members.len(), 41);
        // Back: the guard takes a moment to forgive the modules.
        plant.buses[0].lost = false;
        (0..40).for_each(|b| mark(&mut plant, b, Condition::ModuleLost, Level::Alarm));
        bench.run(&seen(&plant), 5);
        assert_eq!(bench.kinds(), ["bus-lost"]);
        let whole = snapshot(40);
        bench.run(&seen(&whole), 20);
        assert_eq!(bench.book.alarms()[0].state(), State::Returned);
        assert_eq!(bench.kinds(), ["bus-lost"]);
    }

    #[test]
    fn a_lost_bus_hides_nothing_of_another() {
        let (mut bench, mut plant) = (Bench::default(), snapshot(4));
        plant.buses.push(bus(false, Cable::Whole));
        for (b, block) in plant.strings[0].blocks.iter_mut().enumerate() {
            block.bus = 1 + (b as u8) / 2;
        }
        mark(&mut plant, 3, Condition::VoltageHigh, Level::Warning);
        plant.strings[0].equalize.charger = ChargerVerdict::High { by_v: 1.0 };
        bench.run(&seen(&plant), 2);
        assert_eq!(bench.kinds(), ["charger-wrong", "finding.voltage-high"]);
        plant.buses[1].lost = true;
        plant.strings[0].equalize.charger = ChargerVerdict::Unknown;
        bench.run(&seen(&plant), 5);
        // Blocks 1 and 2 are measured; of the string something is known yet.
        mark(&mut plant, 1, Condition::TemperatureHigh, Level::Alarm);
        // The guard knows of block 4 what it knew.
        plant.strings[0].protect.blocks[3] = Default::default();
        mark(&mut plant, 2, Condition::VoltageLow, Level::Warning);
        let string = &mut plant.strings[0].protect.string;
        for danger in [Condition::GroundFault, Condition::Runaway, Condition::BreakerUnconfirmed] {
            string.insert(danger, Level::Alarm);
        }
        bench.run(&seen(&plant), 5);
        let mut kinds = bench.kinds();
        kinds.sort();
        assert_eq!(
            kinds,
            [
                "bus-lost",
                "charger-wrong",
                "finding.breaker-unconfirmed",
                "finding.ground-fault",
                "finding.runaway",
                "finding.temperature-high",
                "finding.voltage-high"
            ]
        );
        assert!(bench.book.alarms().iter().all(|alarm| alarm.is_active()));
        // What is measured can be over.
        plant.strings[0].protect.blocks[1] = Default::default();
        bench.run(&seen(&plant), 5);
        let warm = Kind::Finding(Condition::TemperatureHigh);
        assert_eq!(bench.book.standing(warm, &Place::Block(1, 2)), None);
        // With every bus gone a latch is told all the same, and nothing is over.
        plant.buses[0].lost = true;
        plant.strings[0].protect.string.insert(Condition::Tripped, Level::Alarm);
        bench.run(&seen(&plant), 5);
        assert!(bench.kinds().contains(&"finding.tripped".to_owned()));
        let mut values = 0;
        readings(&seen(&plant), |_, _| None, |r| values += u32::from(r.value.is_some()));
        assert_eq!(values, 0);
        plant.buses[0].lost = false;
        readings(
            &seen(&plant),
            |_, _| None,
            |r| {
                let Place::Block(1, block) = r.place else { return };
                assert!(r.value.is_none() || block <= 2, "{:?}", r.place);
                values += u32::from(r.value.is_some());
            },
        );
        assert!(values >= 4, "two blocks with voltage and temperature: {values}");
    }

    #[test]
    fn silent_modules_behind_a_broken_cable_are_its_members() {
        let (mut bench, mut plant) = (Bench::default(), snapshot(40));
        (20..40).for_each(|b| mark(&mut plant, b, Condition::ModuleLost, Level::Warning));
        bench.run(&seen(&plant), 20);
        assert_eq!(bench.kinds(), ["finding.module-lost"]);
        plant.buses[0].cable = Cable::Broken(Spot { after: Some(20), before: Some(21) });
        bench.run(&seen(&plant), 20);
        assert_eq!(bench.kinds(), ["cable-broken"]);
        assert_eq!(bench.book.alarms()[0].blocks()[&1].len(), 20);
    }

    #[test]
    fn without_the_guard_nothing_is_over_and_nothing_begins() {
        let (mut bench, mut plant) = (Bench::default(), snapshot(4));
        mark(&mut plant, 1, Condition::TemperatureHigh, Level::Warning);
        bench.run(&seen(&plant), 5);
        let lost = Seen { connected: false, ..seen(&plant) };
        bench.run(&lost, 4);
        assert_eq!(bench.kinds(), ["finding.temperature-high"]);
        bench.run(&lost, 10);
        assert_eq!(bench.kinds(), ["guard-lost", "finding.temperature-high"]);
        assert!(bench.book.alarms().iter().all(|alarm| alarm.is_active()));
        // A daemon that has just started knows nothing, and clears nothing.
        let kept = bench.book.encode(1 << 20).kept;
        let book = Book::decode(&kept).expect("decodes").kept;
        let mut again = Bench { book, ..Bench::default() };
        again.run(&Seen::default(), 3);
        assert!(again.book.alarms().iter().all(|alarm| alarm.is_active()));
    }

    #[test]
    fn a_ups_says_what_is_wrong_in_words() {
        let mut bench = Bench::default();
        let ups = |status| [Ups { root: "ups.0", missed: true, status }];
        let look = |bench: &mut Bench, status, seconds| {
            bench.run(&Seen { connected: true, upses: &ups(status), ..Seen::default() }, seconds);
        };
        look(&mut bench, Some("OL CHRG"), 3);
        assert!(bench.kinds().is_empty());
        look(&mut bench, Some("OB DISCHRG LB"), 3);
        assert_eq!(bench.kinds(), ["ups-battery-low", "ups-on-battery"]);
        look(&mut bench, None, 3);
        assert!(
            bench.book.alarms().iter().all(|alarm| alarm.is_active()),
            "silence proves nothing"
        );
        assert!(bench.kinds().contains(&"ups-lost".to_owned()));
        look(&mut bench, Some("OL"), 5);
        assert!(bench.book.alarms().iter().all(|alarm| alarm.state() == State::Returned));
    }

    #[test]
    fn a_restart_goes_on_with_what_stood_when_it_is_seen_again() {
        let mut bench = Bench::default();
        let ups = |status| [Ups { root: "ups.0", missed: true, status }];
        let look = |bench: &mut Bench, status, seconds| {
            bench.run(&Seen { connected: true, upses: &ups(status), ..Seen::default() }, seconds);
        };
        look(&mut bench, Some("OB"), 3);
        let id = bench.book.alarms()[0].id;
        let act = crate::alarm::Act::Acknowledge { note: String::new() };
        bench.book.act(id, None, &act, "ann", 3_000).expect("there");
        let book = Book::decode(&bench.book.encode(1 << 20).kept).expect("decodes").kept;
        let mut again = Bench { book, ..Bench::default() };
        again.run(&Seen { upses: &[Ups { missed: false, ..ups(None)[0] }], ..Seen::default() }, 3);
        look(&mut again, Some("OB"), 1);
        let of = |bench: &Bench| bench.book.alarm(id).map(|alarm| alarm.state());
        assert_eq!(of(&again), Some(State::Acknowledged), "it was never over");
        look(&mut again, Some("OL"), 3);
        assert_eq!(of(&again), None);
    }

    #[test]
    fn values_are_per_cell_and_only_what_is_known() {
        let mut plant = snapshot(2);
        plant.strings[0].blocks[1].quality = Quality::Stale;
        plant.strings[0].estimate.blocks[0].soc = 0.5;
        let mut found = Vec::new();
        readings(&seen(&plant), |_, _| Some("12 V"), |reading| found.push(reading));
        let value = |place: &Place, quantity| {
            let of = |r: &&Reading<'_>| r.place == *place && r.quantity == quantity;
            found.iter().find(of).and_then(|reading| reading.value)
        };
        let first = Place::Block(1, 1);
        assert_eq!(value(&first, Quantity::BlockVoltage), Some(13.6 / 6.0));
        assert_eq!(value(&first, Quantity::BlockTemperature), Some(25.1));
        assert_eq!(value(&first, Quantity::BlockCharge), Some(50.0));
        assert_eq!(value(&first, Quantity::BlockHealth), None, "not known is not 0");
        assert_eq!(value(&Place::Block(1, 2), Quantity::BlockVoltage), None);
        assert_eq!(found.iter().filter(|r| r.battery == Some("12 V")).count(), 12);
    }

    #[test]
    fn protection_speaks_for_a_threshold_of_the_same() {
        let mut plant = snapshot(2);
        mark(&mut plant, 0, Condition::TemperatureHigh, Level::Warning);
        let worst = Worst { block: 0, level: Level::Warning, value: Some(41.5) };
        plant.strings[0].protect.worst[Condition::TemperatureHigh as usize] = Some(worst);
        let mut now = Survey::default().step(&seen(&plant), |_, _| None, Nanos::from_secs(1));
        assert_eq!(now.standing[0].value, Some(41.5));
        let kind = Kind::Limit(Quantity::BlockTemperature, crate::alarm::Side::High);
        let limit = |block, severity| Standing::plain(kind, Place::Block(1, block), severity);
        let limits = vec![
            limit(1, Severity::Warning),
            limit(2, Severity::Warning),
            limit(1, Severity::Alarm),
        ];
        add_limits(&mut now, limits);
        let told: Vec<_> = now.standing.iter().filter(|s| s.kind == kind).collect();
        assert_eq!(told.len(), 2, "the other block, and what is worse than protection has it");
    }
}
