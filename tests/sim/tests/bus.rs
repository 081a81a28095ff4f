//! The bus master against simulated stations on a simulated line: devices,
//! discovery, addressing, swaps, cable breaks, and the time of a full scan.

use evenkeel_core::battery::ModuleKind;
use evenkeel_core::bus::commission::{Commission, Place, Progress, Refusal};
use evenkeel_core::bus::discover::{Discovery, Finding, classify};
use evenkeel_core::bus::errand::{Errand, Outcome};
use evenkeel_core::bus::master::{Master, Step, Timing};
use evenkeel_core::bus::topology::{Cable, RingCheck, RingWatch, Spot, locate_in_line};
use evenkeel_core::bus::wire::{BROADCAST, DeviceKind, Duty, IoFlags, Led, Outputs, panel};
use evenkeel_core::time::Nanos;
use evenkeel_sim::bus::Bus;
use evenkeel_sim::device::{Device, DeviceSpec};
use evenkeel_sim::line::{CharTime, Loop};
use evenkeel_sim::module::{Module, ModuleSpec};
use evenkeel_sim::noise::Noise;
use evenkeel_sim::scenario::{Scenario, StringTable};
use evenkeel_sim::virtual_bus::VirtualBus;

const BAUD: u32 = 115_200;
const CYCLE: Nanos = Nanos::from_secs(1);
const PANEL: u16 = 1_279;
const C20: u8 = 20;
const TIMING: Timing =
    Timing { baud: BAUD, window_ms: 100, slack: Nanos::from_millis(5), hold_ds: 30 };

/// A master and its bus, in virtual time.
struct Rig {
    bus: VirtualBus,
    master: Master,
    now: Nanos,
    /// When the scan, and when the last frame, of the present cycle was over.
    scanned: Nanos,
    ended: Nanos,
}

impl Rig {
    /// Strings of 32 modules, these devices; the master knows all of them.
    fn new(strings: u16, devices: &[(u16, DeviceKind)]) -> Self {
        let table = |i| StringTable { first_address: 1 + 32 * i, ..StringTable::default() };
        let scenario =
            Scenario { strings: (0..strings).map(table).collect(), ..Scenario::default() };
        let mut bus = scenario.bus(Nanos::from_millis(500)).expect("a valid scenario");
        let boards = devices.iter().map(|(address, kind)| device(*address, *kind)).collect();
        *bus.bus_mut() = bus.bus().clone().with_devices(boards);
        let master = Master::new(TIMING, 1..=32 * strings, devices.iter().copied());
        let master = master.expect("addresses are fine");
        Self { bus, master, now: Nanos(0), scanned: Nanos(0), ended: Nanos(0) }
    }

    /// Exchange a module.
    fn replace(&mut self, place: usize, address: u16, serial: u32) {
        self.bus.bus_mut().modules_mut()[place] = module(address, ModuleKind::C20, serial);
    }

    /// One cycle; in the time that it leaves, errands as `driver` wants them,
    /// which gets the outcome of the last one.
    fn step(&mut self, mut driver: impl FnMut(Option<Outcome>) -> Option<Errand>) {
        let start = self.now;
        self.master.start_cycle(start + CYCLE);
        let mut was_idle = false;
        loop {
            match self.master.poll(self.now) {
                Step::Send(bytes) => {
                    was_idle = false;
                    let bytes = bytes.to_vec();
                    self.bus.transmit(self.now, &bytes);
                }
                Step::Wait(until) => {
                    self.now = self.bus.next_due().map_or(until, |due| due.clamp(self.now, until));
                    self.master.receive(&self.bus.receive(self.now));
                }
                Step::Scanned => {
                    self.scanned = self.now;
                    let duties = vec![Duty::OFF; self.master.modules().len()];
                    self.master.command(&duties);
                }
                Step::Idle => {
                    let outcome = self.master.take_outcome();
                    if was_idle && outcome.is_none() {
                        break;
                    }
                    was_idle = true;
                    if let Some(errand) = driver(outcome) {
                        // Busy: the last one waits for its next cycle.
                        let _ = self.master.errand(errand);
                    }
                }
            }
        }
        self.ended = self.now;
        assert!(self.now <= start + CYCLE, "the cycle took too long");
        self.now = start + CYCLE;
        self.master.receive(&self.bus.receive(self.now));
    }

    fn scan(&mut self) {
        self.step(|_| None);
    }

    /// One errand to its outcome.
    fn run(&mut self, errand: Errand) -> Outcome {
        let (mut asked, mut result) = (false, None);
        for _ in 0..20 {
            self.step(|outcome| {
                result = result.or(outcome);
                (!std::mem::replace(&mut asked, true)).then_some(errand)
            });
            if let Some(outcome) = result {
                return outcome;
            }
        }
        panic!("{errand:?} never ended");
    }

    /// Discover everybody; the number of cycles that it took.
    fn discover(&mut self) -> (Discovery, u32) {
        let mut discovery = Discovery::default();
        for cycles in 1..1_000 {
            self.step(|outcome| {
                outcome.iter().for_each(|o| discovery.take(o));
                discovery.errand()
            });
            if discovery.is_done() {
                return (discovery, cycles);
            }
        }
        panic!("no end after {} searches", discovery.searches());
    }

    fn missed(&self) -> u32 {
        self.master.modules().iter().map(|m| m.missed).sum()
    }
}

fn module(address: u16, kind: ModuleKind, serial: u32) -> Module {
    let char_time = CharTime::at(BAUD);
    let spec = ModuleSpec {
        address,
        kind,
        serial,
        hardware: 3,
        firmware: (1, 0),
        noise_v: 0.001,
        clock: 1.0,
        external_sensor: true,
        char_time,
    };
    Module::new(spec, Noise::new(7, serial.into()))
}

fn device(address: u16, kind: DeviceKind) -> Device {
    let spec = DeviceSpec {
        address,
        kind,
        serial: 900_000 + u32::from(address),
        string: usize::from(address.saturating_sub(1_025)),
        offset_a: 0.0,
        gain: 1.0,
        noise_a: 0.0,
        clock: 1.0005,
        char_time: CharTime::at(BAUD),
    };
    Device::new(spec, Noise::new(8, address.into()))
}

/// 16 current sensors, 4 auxiliary devices, a site manager, a panel.
fn full_equipment() -> Vec<(u16, DeviceKind)> {
    let sensors = (0..16).map(|i| (1_025 + i, DeviceKind::Current200));
    let aux = (0..4).map(|i| (1_100 + i, DeviceKind::Aux));
    let rest = [(1_200, DeviceKind::Site), (PANEL, DeviceKind::Panel)];
    sensors.chain(aux).chain(rest).collect()
}

#[test]
fn a_full_bus_is_scanned_within_a_second_and_two_hold_1024() {
    // Two buses have two lines and two masters: nothing is shared.
    for bus in 0..2 {
        let discovers = bus == 0;
        let devices = full_equipment();
        let mut rig = Rig::new(16, &devices);
        for (index, (_, kind)) in devices.iter().enumerate() {
            if kind.outputs() > 0 {
                rig.master.set_outputs(index, Outputs::default());
            }
        }
        let unmet = |rig: &Rig| {
            let modules = rig.master.modules().iter().filter(|m| m.identity.is_none()).count();
            modules + rig.master.devices().iter().filter(|d| d.identity.is_none()).count()
        };
        while unmet(&rig) > 0 {
            rig.scan();
            assert!(rig.now < Nanos::from_secs(60), "{} not met", unmet(&rig));
        }
        let met = rig.now;
        let start = rig.now;
        rig.scan();
        assert_eq!(rig.missed(), 0);
        assert!(rig.master.modules().iter().all(|m| m.reading.is_some()));
        assert!(rig.master.devices().iter().all(|d| d.io.is_some() && d.missed == 0));
        let (scan, cycle) = (rig.scanned.since(start), rig.ended.since(start));
        let window = Nanos::from_millis(TIMING.window_ms.into());
        println!(
            "bus {bus}: 512 modules and {} devices at {BAUD} baud: scan {} ms, with outputs and \
             duties {} ms; line busy {:.1} % of a {} ms cycle",
            devices.len(),
            scan.as_millis(),
            cycle.as_millis(),
            100.0 * (cycle - window).as_secs_f64() / CYCLE.as_secs_f64(),
            CYCLE.as_millis(),
        );
        assert!(cycle <= CYCLE, "{cycle:?}");
        assert!(scan <= Nanos::from_millis(900), "{scan:?}");
        println!("bus {bus}: all had said who they are after {} s", met.as_millis() / 1_000);
        if discovers {
            let (discovery, cycles) = rig.discover();
            println!(
                "discovery beside full scans: {} stations, {} searches, {cycles} cycles",
                discovery.found().len(),
                discovery.searches()
            );
            assert_eq!(discovery.found().len(), 512 + devices.len());
            assert_eq!(rig.missed(), 0, "it costs no reading");
        }
    }
}

#[test]
fn a_current_sensor_reads_its_strings_true_current() {
    let devices = [(1_025, DeviceKind::Current50), (1_026, DeviceKind::Current50)];
    let mut rig = Rig::new(2, &devices);
    rig.scan();
    rig.bus.plant_mut().set_mains(false);
    for _ in 0..3 {
        rig.scan();
    }
    for (index, device) in rig.master.devices().iter().enumerate() {
        let (io, _) = device.io.expect("read");
        let full_scale_a = device.kind.full_scale_a().expect("a current sensor");
        let read_a = f64::from(io.fraction(0).expect("a value")) * f64::from(full_scale_a);
        let true_a = rig.bus.plant().strings()[index].amps();
        assert!(true_a < -2.0 && (read_a - true_a).abs() < 0.02, "{read_a} of {true_a}");
    }
    rig.bus.bus_mut().device_mut(1_025).expect("a device").faults_mut().sensor_fault = true;
    rig.scan();
    assert_eq!(rig.master.devices()[0].io.and_then(|(io, _)| io.fraction(0)), None);
}

#[test]
fn the_alarm_relay_drops_when_the_master_dies_and_kept_outputs_stay() {
    let mut rig = Rig::new(1, &[(1_100, DeviceKind::Aux), (PANEL, DeviceKind::Panel)]);
    rig.master.set_outputs(0, Outputs { on: 0b11, keep: 0b01 });
    rig.master.set_outputs(1, Outputs { on: panel::ALARM_RELAY | panel::GREEN, keep: 0 });
    rig.scan();
    rig.scan();
    let outputs =
        |rig: &Rig| rig.bus.bus().devices().iter().map(Device::outputs).collect::<Vec<_>>();
    assert_eq!(outputs(&rig), [0b11, panel::ALARM_RELAY | panel::GREEN]);
    // The last command was 1 s before `now` at most.
    rig.bus.advance(rig.now + Nanos::from_millis(1_900));
    assert_eq!(outputs(&rig)[1], panel::ALARM_RELAY | panel::GREEN, "within the hold");
    rig.bus.advance(rig.now + Nanos::from_millis(3_000));
    assert_eq!(outputs(&rig), [0b01, 0]);
    rig.now = rig.now + Nanos::from_secs(4);
    rig.scan();
    let flags = rig.master.devices()[1].io.expect("read").0.flags;
    assert!(flags.has(IoFlags::HOLD_EXPIRED) && !flags.has(IoFlags::RESET));
}

#[test]
fn resistance_is_measured_and_falsifies_no_reading() {
    let mut rig = Rig::new(1, &[]);
    rig.scan();
    let outcome = rig.run(Errand::Measure { address: 7 });
    let Outcome::Measured { address: 7, result: Ok(micro_ohm) } = outcome else {
        panic!("{outcome:?}")
    };
    let true_ohm = rig.bus.plant().strings()[0].places()[6].block().ohm();
    assert!(
        (f64::from(micro_ohm) / 1e6 / true_ohm - 1.0).abs() < 0.03,
        "{micro_ohm} of {true_ohm}"
    );
    assert_eq!(rig.master.modules()[6].resistance.map(|(r, _)| r), Some(micro_ohm));
    assert!((3..=5).contains(&(rig.now.as_millis() / 1_000)), "about 2 s: {:?}", rig.now);
    assert_eq!(rig.missed(), 0);
}

#[test]
fn the_lamp_finds_a_module_and_goes_out() {
    let mut rig = Rig::new(1, &[(PANEL, DeviceKind::Panel)]);
    rig.run(Errand::Led { address: 5, pattern: Led::Locate, hold_s: 3 });
    let leds =
        |rig: &Rig| rig.bus.bus().modules().iter().filter(|m| m.led() == Led::Locate).count();
    assert_eq!(leds(&rig), 1);
    rig.run(Errand::Led { address: BROADCAST, pattern: Led::Locate, hold_s: 3 });
    assert_eq!((leds(&rig), rig.bus.bus().devices()[0].led()), (32, Led::Locate));
    for _ in 0..4 {
        rig.scan();
    }
    assert_eq!(leds(&rig), 0);
}

#[test]
fn discovery_finds_duplicates_strangers_and_the_unaddressed() {
    let mut rig = Rig::new(1, &[(PANEL, DeviceKind::Panel)]);
    rig.replace(9, 5, 777); // a second module 5
    rig.replace(20, 0, 778); // factory-new
    rig.replace(21, 600, 779); // of another plant
    let wrong = module(23, ModuleKind::C40, 780);
    rig.bus.bus_mut().modules_mut()[22] = wrong;
    let (discovery, cycles) = rig.discover();
    println!("33 stations: {} searches in {cycles} cycles", discovery.searches());
    assert_eq!(discovery.found().len(), 33);
    assert!(discovery.unclear().is_empty());
    let mut expected: Vec<(u16, u8)> = (1..=32).map(|a| (a, C20)).collect();
    expected.push((PANEL, DeviceKind::Panel.code()));
    let findings = classify(discovery.found(), &expected);
    let serials = |wanted: fn(&Finding) -> Option<u32>| {
        findings.iter().filter_map(wanted).collect::<Vec<_>>()
    };
    let duplicates = serials(|f| match f {
        Finding::Duplicate(found) => Some(found.serial),
        _ => None,
    });
    assert_eq!(duplicates, [777, 100_005]);
    let rest: Vec<_> = findings
        .iter()
        .filter(|f| !matches!(f, Finding::Present(_) | Finding::Duplicate(_)))
        .map(|f| match *f {
            Finding::Unaddressed(found) => ("unaddressed", found.serial),
            Finding::Foreign(found) => ("foreign", found.serial),
            Finding::WrongType { found, .. } => ("wrong type", found.serial),
            Finding::Missing { address, .. } => ("missing", address.into()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        rest,
        [
            ("unaddressed", 778),
            ("missing", 10),
            ("missing", 21),
            ("missing", 22),
            ("wrong type", 780),
            ("foreign", 779)
        ]
    );
}

/// Press and release the button of a module.
fn press(rig: &mut Rig, place: usize, down: bool) {
    rig.bus.bus_mut().modules_mut()[place].faults_mut().button = down;
}

/// One cycle of a commissioning run; what happened in it, waiting aside.
fn commission(rig: &mut Rig, run: &mut Commission) -> Vec<Progress> {
    let mut news = Vec::new();
    let mut budget = 10;
    rig.step(|outcome| {
        let progress = outcome.and_then(|o| run.take(&o));
        news.extend(progress.filter(|p| *p != Progress::Waiting));
        budget -= 1;
        run.errand().filter(|_| budget > 0)
    });
    news
}

#[test]
fn thirty_two_fresh_modules_get_their_addresses_by_button() {
    let mut rig = Rig::new(1, &[]);
    for place in 0..32 {
        rig.replace(place, 0, 5_000 + place as u32);
    }
    rig.scan();
    assert_eq!(rig.missed(), 32);
    let places = (1..=32).map(|address| Place { address, type_code: C20 }).collect();
    let mut run = Commission::new(places);
    assert_eq!(commission(&mut rig, &mut run), []);
    // Two fingers at once: nobody gets it.
    press(&mut rig, 0, true);
    press(&mut rig, 1, true);
    let refused = commission(&mut rig, &mut run);
    assert!(refused.iter().all(|p| *p == Progress::Refused(Refusal::TwoButtons)), "{refused:?}");
    assert!(!refused.is_empty() && run.count() == (0, 32));
    press(&mut rig, 0, false);
    press(&mut rig, 1, false);
    for _ in 0..3 {
        commission(&mut rig, &mut run);
    }
    assert_eq!(run.count(), (0, 32));
    for place in 0..32 {
        press(&mut rig, place, true);
        let news = commission(&mut rig, &mut run);
        let address = place as u16 + 1;
        let serial = 5_000 + place as u32;
        assert_eq!(news.first(), Some(&Progress::Addressed { serial, address }));
        press(&mut rig, place, false);
    }
    assert_eq!((run.count(), run.errand()), ((32, 32), None));
    for _ in 0..2 {
        rig.scan();
    }
    assert_eq!(rig.missed(), 0);
    let serials = rig.master.modules().iter().map(|m| m.identity.map_or(0, |i| i.serial));
    assert!(serials.eq(5_000..5_032));
}

#[test]
fn a_swap_while_scanning_costs_nobody_a_reading() {
    let mut rig = Rig::new(1, &[]);
    for _ in 0..3 {
        rig.scan();
    }
    // Module 17 is taken out; the new one has the address that it had elsewhere.
    rig.replace(16, 40, 6_000);
    let mut run = Commission::new(vec![Place { address: 17, type_code: C20 }]);
    let mut cycles = 0;
    let others = |rig: &Rig| -> u32 {
        rig.master.modules().iter().filter(|m| m.address != 17).map(|m| m.missed).sum()
    };
    while run.place().is_some() {
        cycles += 1;
        press(&mut rig, 16, cycles == 5);
        commission(&mut rig, &mut run);
        assert_eq!(others(&rig), 0, "cycle {cycles}");
        assert!(cycles < 10);
    }
    rig.scan();
    rig.scan();
    assert_eq!(rig.missed(), 0);
    assert_eq!(rig.master.modules()[16].identity.map(|i| i.serial), Some(6_000));
}

#[test]
fn an_address_in_use_is_not_given_again() {
    let mut rig = Rig::new(1, &[]);
    let mut run = Commission::new(vec![Place { address: 8, type_code: C20 }]);
    let news = commission(&mut rig, &mut run);
    let refusal = Progress::Refused(Refusal::InUse { address: 8 });
    assert!(!news.is_empty() && news.iter().all(|p| *p == refusal));
}

#[test]
fn a_break_in_a_ring_is_located_at_each_position_and_costs_no_reading() {
    for at in 0..=32 {
        let mut rig = Rig::new(1, &[(PANEL, DeviceKind::Panel)]);
        let ring = Loop::whole(0..32, true);
        *rig.bus.bus_mut() = rig.bus.bus().clone().with_loops(vec![ring]);
        let mut watch = RingWatch::default();
        let mut check = None;
        for cycle in 0..12 {
            if cycle == 2 {
                rig.bus.bus_mut().loops_mut()[0].breaks.push(at);
            }
            rig.step(|outcome| {
                let check: &mut RingCheck = check.as_mut()?;
                outcome.iter().for_each(|o| check.take(o));
                check.errand()
            });
            let open = rig.master.devices()[0].io.map(|(io, _)| io.flags.has(IoFlags::LOOP_OPEN));
            if watch.step(open) {
                assert_eq!(cycle, 4, "believed after three scans");
                check = Some(RingCheck::new(PANEL, (1..=32).collect()));
            }
            assert_eq!(rig.missed(), 0, "break {at}, cycle {cycle}");
        }
        let spot = Spot {
            after: (at > 0).then_some(at as u16),
            before: (at < 32).then_some(at as u16 + 1),
        };
        assert_eq!(check.and_then(|c| c.verdict()), Some(Cable::Broken(spot)));
    }
}

#[test]
fn a_line_that_breaks_is_located_when_its_tail_falls_silent() {
    let mut rig = Rig::new(1, &[]);
    let line = Loop::whole(0..32, false);
    *rig.bus.bus_mut() = rig.bus.bus().clone().with_loops(vec![line]);
    rig.scan();
    rig.bus.bus_mut().module_mut(30).expect("a module").faults_mut().vanished = true;
    rig.scan();
    rig.bus.bus_mut().loops_mut()[0].breaks.push(20);
    for _ in 0..3 {
        rig.scan();
    }
    let order: Vec<u16> = (1..=32).collect();
    let missed: Vec<u32> = rig.master.modules().iter().map(|m| m.missed).collect();
    let spot = Spot { after: Some(20), before: Some(21) };
    assert_eq!(locate_in_line(&order, &missed), Cable::Broken(spot));
}

/// Many modules that were never addressed, without a scan in the way.
#[test]
fn two_hundred_fresh_modules_with_random_numbers_are_found() {
    let mut noise = Noise::new(3, 3);
    let mut rig = Rig::new(1, &[]);
    let mut serials: Vec<u32> = (0..200).map(|_| (noise.unit() * 4e9) as u32).collect();
    let modules = serials.iter().map(|s| module(0, ModuleKind::C20, *s)).collect();
    *rig.bus.bus_mut() = Bus::new(BAUD, modules, Noise::new(1, 1));
    rig.master = Master::new(TIMING, [], []).expect("nobody");
    let (discovery, cycles) = rig.discover();
    println!("200 random numbers: {} searches in {cycles} cycles", discovery.searches());
    serials.sort_unstable();
    assert!(discovery.found().iter().map(|f| f.serial).eq(serials));
}
