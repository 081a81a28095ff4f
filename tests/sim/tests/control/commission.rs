//! Work on a bus that a person orders, and breaks of its cable, while
//! everything else is scanned as always.

use crate::rig::{PANEL, Rig, scenario, settings};
use evenkeel_core::battery::ModuleKind;
use evenkeel_core::bus::topology::{Cable, Spot};
use evenkeel_core::command::{Commission, Order, Refusal};
use evenkeel_core::image::{AddressNote, BusWork};
use evenkeel_core::points::Quality;
use evenkeel_sim::line::{CharTime, Loop};
use evenkeel_sim::module::{Module, ModuleSpec};
use evenkeel_sim::noise::Noise;

fn rig(blocks: u16) -> Rig {
    let scenario = scenario(1, blocks);
    Rig::new(&settings(1_000, &scenario, "", ""), &[scenario])
}

/// Put another module on a place of the string.
fn replace(rig: &mut Rig, place: usize, address: u16, serial: u32) {
    let spec = ModuleSpec {
        address,
        kind: ModuleKind::C20,
        serial,
        hardware: 3,
        firmware: (1, 0),
        noise_v: 0.001,
        clock: 1.0,
        external_sensor: true,
        char_time: CharTime::at(115_200),
    };
    rig.bus_mut().modules_mut()[place] = Module::new(spec, Noise::new(7, serial.into()));
}

fn press(rig: &mut Rig, place: usize, down: bool) {
    rig.bus_mut().modules_mut()[place].faults_mut().button = down;
}

fn work(rig: &Rig) -> BusWork {
    rig.snapshot().buses[0].work
}

fn commission(rig: &mut Rig, commission: Commission) {
    assert_eq!(rig.order(Order::Commission(commission)), Ok(()));
}

#[test]
fn discovery_finds_duplicates_strangers_and_the_unaddressed() {
    let mut rig = rig(8);
    replace(&mut rig, 4, 3, 777); // a second module 3
    replace(&mut rig, 5, 0, 778); // factory-new
    replace(&mut rig, 6, 600, 779); // of another plant
    commission(&mut rig, Commission::Discover { bus: 1 });
    // A search a cycle, and serial numbers of two batches to be told apart.
    rig.until(300, "discovered", |rig| matches!(work(rig), BusWork::Discovered { .. }));
    assert_eq!(work(&rig), BusWork::Discovered { incomplete: false, unclear: 0 });
    let found = &rig.snapshot().buses[0].found;
    assert_eq!(found.len(), 8 + 3);
    let serials = |address: u16| -> Vec<u32> {
        found.iter().filter(|f| f.address == address).map(|f| f.serial).collect()
    };
    assert_eq!(serials(3), [777, 100_003]);
    assert_eq!((serials(0), serials(600)), (vec![778], vec![779]));
    assert_eq!((serials(5), serials(PANEL).len()), (vec![], 1));
}

#[test]
fn eight_fresh_modules_get_their_addresses_by_button() {
    let mut rig = rig(8);
    for place in 0..8 {
        replace(&mut rig, place, 0, 5_000 + place as u32);
    }
    rig.run(3);
    assert!(rig.string(0).blocks().iter().all(|b| b.quality == Quality::Bad));
    let wrong = Order::Commission(Commission::Address { bus: 1, first: 5, count: 8 });
    assert!(matches!(rig.order(wrong), Err(Refusal::NotNow(_))), "9 … 12 are nobody's");
    commission(&mut rig, Commission::Address { bus: 1, first: 1, count: 8 });
    rig.run(3);
    let waiting = BusWork::Addressing { next: 1, done: 0, of: 8, note: AddressNote::Waiting };
    assert_eq!(work(&rig), waiting);
    for place in 0..8 {
        press(&mut rig, place, true);
        rig.until(10, "addressed", |rig| match work(rig) {
            BusWork::Addressing { done, note, .. } => {
                usize::from(done) == place + 1 && note == AddressNote::Taken
            }
            other => place == 7 && other == BusWork::Addressed { count: 8 },
        });
        let at_work = matches!(work(&rig), BusWork::Addressing { .. });
        assert!(!at_work || rig.is_idle(0), "no bypass while somebody works on the string");
        press(&mut rig, place, false);
    }
    rig.run(3);
    for (block, serial) in rig.string(0).blocks().iter().zip(5_000..) {
        assert_eq!((block.serial, block.quality), (serial, Quality::Good));
    }
}

#[test]
fn a_swap_costs_nobody_else_a_reading() {
    let mut rig = rig(16);
    rig.run(5);
    replace(&mut rig, 8, 40, 6_000);
    commission(&mut rig, Commission::Swap { bus: 1, address: 9 });
    for second in 0.. {
        press(&mut rig, 8, second == 4);
        let start = rig.now;
        rig.cycle();
        let others = rig.string(0).blocks().iter().filter(|b| b.address != 9);
        for block in others {
            assert!(block.read >= start && block.quality == Quality::Good, "{block:?}");
        }
        if work(&rig) == (BusWork::Addressed { count: 1 }) {
            break;
        }
        assert!(second < 15, "{:?}", work(&rig));
    }
    rig.run(2);
    let block = rig.string(0).blocks()[8];
    assert_eq!((block.serial, block.quality), (6_000, Quality::Good));
}

#[test]
fn a_broken_ring_is_located_by_itself_and_told_whole_again() {
    let scenario = scenario(1, 16);
    let body = settings(1_000, &scenario, "", "");
    let body = body.replacen("port = \"/dev/null\"\n", "port = \"/dev/null\"\nring = true\n", 1);
    let mut rig = Rig::new(&body, &[scenario]);
    let bus = rig.bus_mut();
    *bus = bus.clone().with_loops(vec![Loop::whole(0..16, true)]);
    rig.run(5);
    let cable = |rig: &Rig| rig.snapshot().buses[0].cable;
    assert_eq!(cable(&rig), Cable::Whole);
    rig.bus_mut().loops_mut()[0].breaks.push(11);
    let spot = Spot { after: Some(11), before: Some(12) };
    rig.until(15, "located", |rig| cable(rig) == Cable::Broken(spot));
    assert_eq!(work(&rig), BusWork::None, "nobody ordered it");
    assert!(rig.string(0).blocks().iter().all(|b| b.quality == Quality::Good));
    rig.bus_mut().loops_mut()[0].breaks.clear();
    rig.until(10, "mended", |rig| cable(rig) == Cable::Whole);
    // By order it is looked at again.
    commission(&mut rig, Commission::LocateBreak { bus: 1 });
    rig.until(10, "looked at", |rig| work(rig) == BusWork::None);
    assert_eq!(cable(&rig), Cable::Whole);
}

#[test]
fn a_broken_line_is_located_to_the_pair() {
    let mut rig = rig(16);
    let bus = rig.bus_mut();
    *bus = bus.clone().with_loops(vec![Loop::whole(0..16, false)]);
    rig.run(5);
    let cable = |rig: &Rig| rig.snapshot().buses[0].cable;
    assert_eq!(cable(&rig), Cable::Whole);
    rig.bus_mut().loops_mut()[0].breaks.push(11);
    let spot = Spot { after: Some(11), before: Some(12) };
    rig.until(15, "located", |rig| cable(rig) == Cable::Broken(spot));
    let good = rig.string(0).blocks().iter().filter(|b| b.quality == Quality::Good).count();
    assert_eq!(good, 11, "those before it are read as always");
    rig.bus_mut().loops_mut()[0].breaks.clear();
    rig.until(15, "mended", |rig| cable(rig) == Cable::Whole);
}
