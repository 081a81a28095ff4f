//! Strings, banks, faults and runaway of the simulated plant against the
//! numbers of facts/battery-science.md §2.3, §2.4, §2.7 and §2.9.

use evenkeel_sim::module::{Sense, Sensed};
use evenkeel_sim::plant::{
    Block, BlockFault, BlockParams, Charger, Load, Ntc, Place, Plant, PlantString, Supply,
    Surroundings,
};
use proptest::prelude::*;

const LOAD: Load = Load { watts: 1_500.0, cutoff_v: 307.0 };
const HOUR_S: f64 = 3_600.0;

fn plant(charger: Charger, load: Load, strings: Vec<Vec<Place>>, room_c: f64) -> Plant {
    let string = |places| PlantString::new(places, 90.7, Surroundings::open(room_c));
    let strings = strings.into_iter().map(string).collect();
    Plant::new(vec![(Supply::new(charger, load), strings)])
}

/// Places of equal blocks with their nodes at these voltages.
fn places(node_v: &[f64], capacity_ah: f64) -> Vec<Place> {
    let params = BlockParams::agm(6, capacity_ah);
    node_v.iter().map(|v| Place::new(Block::full(params, *v, 25.0), 0.0175)).collect()
}

/// One string on a charger at its voltage.
fn string(node_v: &[f64], capacity_ah: f64) -> Plant {
    let charger = Charger::new(node_v.iter().sum(), 2.0, 0.05);
    plant(charger, LOAD, vec![places(node_v, capacity_ah)], 25.0)
}

fn block_v(plant: &Plant, place: usize) -> f64 {
    plant.strings()[0].places()[place].volts()
}

#[test]
fn bypassed_block_falls_and_the_others_rise() {
    let mut plant = string(&[13.62; 32], 7.0);
    plant.set_duty(4, 1.0);
    plant.step(12.0);
    let places = plant.strings()[0].places();
    let fall_mv_per_min = 5e3 * (13.62 - places[4].block().source_v());
    assert!((fall_mv_per_min - 257.0 * 31.0 / 32.0).abs() < 8.0, "{fall_mv_per_min}");
    assert!(places[5].volts() > 13.62);
}

#[test]
fn recharge_of_100_ah_tapers_as_in_the_facts() {
    let params = BlockParams { heat_j_per_k: 1e12, ..BlockParams::agm(6, 100.0) };
    let place = Place::new(Block::at_charge(params, 0.5, 25.0), 0.0);
    let mut plant = plant(Charger::new(13.62, 20.0, 0.0), LOAD, vec![vec![place]], 25.0);
    let mut at = 0.0;
    for (hours, amps) in
        [(2.0, 7.9), (4.0, 3.9), (8.0, 1.1), (14.0, 0.23), (24.0, 0.060), (40.0, 0.054)]
    {
        plant.step((hours - at) * HOUR_S);
        at = hours;
        let got = plant.strings()[0].amps();
        assert!((got / amps - 1.0).abs() < 0.10, "{hours} h: {got} A");
    }
}

#[test]
fn discharge_delivers_the_load_until_cut_off() {
    let mut plant = string(&[13.62; 32], 7.0);
    plant.set_mains(false);
    plant.step(60.0);
    let watts = plant.strings()[0].amps() * plant.strings()[0].volts();
    assert!((watts + 1_500.0).abs() < 1e-6, "{watts} W");
    plant.step(2.0 * HOUR_S);
    let amps = plant.strings()[0].amps();
    assert!(plant.banks()[0].supply().is_cut_off() && amps.abs() < 0.01, "{amps} A");
    plant.set_mains(true);
    plant.step(60.0);
    assert!(!plant.banks()[0].supply().is_cut_off());
    let amps = plant.strings()[0].amps();
    assert!((amps - 2.0).abs() < 1e-9, "bulk charge at the limit: {amps}");
}

#[test]
fn open_breaker_stops_the_current_and_nothing_else() {
    let mut plant = string(&[13.62; 8], 7.0);
    plant.string_mut(0).expect("a string").breaker_mut().trip();
    plant.step(1.0);
    assert_eq!(plant.strings()[0].amps(), 0.0);
    assert_eq!(plant.banks()[0].volts(), 0.0);
    assert!((block_v(&plant, 3) - 13.62).abs() < 0.01);
    // The modules go on drawing their supply.
    assert!((plant.strings()[0].places()[3].amps() + 0.0175).abs() < 1e-9);
    plant.string_mut(0).expect("a string").breaker_mut().close();
    plant.step(60.0);
    assert!(plant.strings()[0].amps() > 0.0);
}

#[test]
fn parallel_strings_share_voltage_and_split_by_resistance() {
    let charger = || Charger::new(8.0 * 13.62, 4.0, 0.02);
    let load = Load { watts: 1_000.0, cutoff_v: 76.0 };
    let two = vec![places(&[13.62; 8], 100.0), places(&[13.62; 8], 40.0)];
    let mut both = plant(charger(), load, two, 25.0);
    both.set_mains(false);
    both.step(0.05);
    let [large, small] = both.strings() else { panic!("two strings") };
    assert!((large.terminal_v() - small.terminal_v()).abs() < 1e-9);
    assert!((both.banks()[0].volts() - large.terminal_v()).abs() < 1e-9);
    let sum_a = large.amps() + small.amps();
    assert!((sum_a * large.terminal_v() + 1_000.0).abs() < 1e-6);
    // The EMFs are nearly equal yet, so the currents are as the conductances.
    let expected = (100f64 / 40.0).powf(0.62);
    assert!((large.amps() / small.amps() / expected - 1.0).abs() < 0.15);
    // The breaker of one leaves the whole load to the other.
    both.string_mut(0).expect("a string").breaker_mut().trip();
    both.step(5.0);
    let [large, small] = both.strings() else { panic!("two strings") };
    assert_eq!(large.amps(), 0.0);
    assert!((small.amps() * small.terminal_v() + 1_000.0).abs() < 1e-6);
    // A flat string draws its charge from charger and neighbour alike.
    both.set_mains(true);
    both.step(10.0 * HOUR_S);
    both.string_mut(0).expect("a string").breaker_mut().close();
    both.step(5.0);
    assert!(
        (both.banks()[0].amps() - both.strings().iter().map(PlantString::amps).sum::<f64>()).abs()
            < 1e-9
    );
}

// ── §2.9, row by row ────────────────────────────────────────────────────────

const SICK: usize = 7;
const WELL: usize = 20;

/// The same string twice, hours later: healthy, and with the fault.
fn after(fault: BlockFault, hours: f64, capacity_ah: f64) -> (Plant, Plant) {
    let mut healthy = string(&[13.62; 32], capacity_ah);
    let mut faulty = healthy.clone();
    faulty.string_mut(0).expect("a string").inject(SICK, fault);
    for plant in [&mut healthy, &mut faulty] {
        plant.step(hours * HOUR_S);
    }
    (healthy, faulty)
}

fn sick_ohm(plant: &Plant) -> f64 {
    let block = plant.strings()[0].places()[SICK].block();
    // At 25 °C, so that warmth does not hide it.
    block.ohm() / (1.0 - 0.008 * (block.celsius() - 25.0))
}

fn sick_c(plant: &Plant) -> f64 {
    plant.strings()[0].places()[SICK].block().celsius()
}

fn discharge(plant: &mut Plant, watts: f64, seconds: f64) {
    plant.bank_of_mut(0).expect("a bank").supply_mut().load.watts = watts;
    plant.set_mains(false);
    plant.step(seconds);
}

#[test]
fn shorted_cell() {
    let (healthy, mut faulty) = after(BlockFault::ShortedCells(1), 3.0, 100.0);
    assert!((block_v(&faulty, SICK) - 11.4).abs() < 0.15, "{}", block_v(&faulty, SICK));
    let others_mv = 1e3 * (block_v(&faulty, WELL) - block_v(&healthy, WELL));
    assert!((others_mv - 2_200.0 / 31.0).abs() < 10.0, "others up by {others_mv} mV");
    assert!((sick_ohm(&faulty) / sick_ohm(&healthy) - 1.0).abs() < 0.10);
    let warmer = |p: &Plant| p.strings()[0].places()[WELL].block().float_w();
    assert!(warmer(&faulty) > 1.2 * warmer(&healthy));
    discharge(&mut faulty, 3_000.0, 600.0);
    let step_v = block_v(&faulty, WELL) - block_v(&faulty, SICK);
    assert!((1.8..2.3).contains(&step_v), "{step_v}");
}

#[test]
fn open_cell() {
    let (_, mut faulty) = after(BlockFault::Open, 14.0, 7.0);
    assert!(faulty.strings()[0].amps() < 0.001);
    // The modules' own draw goes on, so a little below 12.95 V.
    assert!((12.7..12.96).contains(&block_v(&faulty, WELL)), "{}", block_v(&faulty, WELL));
    let rest_v = 32.0 * 13.62 - 31.0 * block_v(&faulty, WELL);
    assert!((block_v(&faulty, SICK) - rest_v).abs() < 0.1 && rest_v > 30.0, "{rest_v}");
    faulty.set_mains(false);
    faulty.step(2.0);
    assert!(block_v(&faulty, SICK) < -150.0, "{}", block_v(&faulty, SICK));
    assert!(faulty.strings()[0].places()[SICK].is_fuse_blown());
    assert_eq!(faulty.sense(SICK).volts, 0.0);
}

#[test]
fn weak_cell_reverses() {
    let (_, mut faulty) = after(BlockFault::WeakCell(0.3), 0.1, 100.0);
    assert!((block_v(&faulty, SICK) - block_v(&faulty, WELL)).abs() < 0.02, "hidden on float");
    let below = |p: &Plant| block_v(p, WELL) - block_v(p, SICK);
    discharge(&mut faulty, 8_000.0, HOUR_S);
    assert!(below(&faulty) < 0.3, "not yet: {}", below(&faulty));
    faulty.step(HOUR_S);
    assert!((2.2..2.7).contains(&below(&faulty)), "reversed: {}", below(&faulty));
    faulty.set_mains(true);
    faulty.step(0.5 * HOUR_S);
    assert!(below(&faulty) > 0.03, "lags in recharge: {}", below(&faulty));
}

#[test]
fn dry_out() {
    let (healthy, mut faulty) = after(BlockFault::DryOut(0.5), 6.0, 100.0);
    assert!(block_v(&faulty, SICK) < block_v(&healthy, SICK) - 0.1, "more leakage, lower");
    assert!((1.2..2.0).contains(&(sick_ohm(&faulty) / sick_ohm(&healthy))));
    discharge(&mut faulty, 12_000.0, 4_500.0);
    assert!(block_v(&faulty, SICK) < block_v(&faulty, WELL) - 0.3, "drops early");
    let neighbour_c = faulty.strings()[0].places()[WELL].block().celsius();
    assert!(sick_c(&faulty) > neighbour_c + 0.3, "warmer");
}

#[test]
fn sulphation() {
    let (healthy, mut faulty) = after(BlockFault::Sulphation(0.5), 0.5, 100.0);
    assert!((1.1..1.5).contains(&(sick_ohm(&faulty) / sick_ohm(&healthy))));
    discharge(&mut faulty, 3_000.0, HOUR_S);
    assert!(block_v(&faulty, SICK) < block_v(&faulty, WELL) - 0.05, "sags");
    faulty.bank_of_mut(0).expect("a bank").supply_mut().charger.limit_a = 25.0;
    faulty.set_mains(true);
    faulty.step(60.0);
    assert!(block_v(&faulty, SICK) > block_v(&faulty, WELL), "higher early in recharge");
    let mut resting = after(BlockFault::Sulphation(0.5), 0.0, 100.0).1;
    resting.string_mut(0).expect("a string").breaker_mut().trip();
    resting.step(24.0 * HOUR_S);
    let lower_v = block_v(&resting, WELL) - block_v(&resting, SICK);
    assert!((0.05..0.2).contains(&lower_v), "rest voltage lower by {lower_v}");
}

#[test]
fn corrosion() {
    let (healthy, faulty) = after(BlockFault::Corrosion(0.5), 6.0, 100.0);
    assert!((block_v(&faulty, SICK) - block_v(&healthy, SICK)).abs() < 0.01, "inconspicuous");
    assert!((1.3..2.0).contains(&(sick_ohm(&faulty) / sick_ohm(&healthy))));
    let sag_v = |watts: f64| {
        let mut plant = faulty.clone();
        discharge(&mut plant, watts, 60.0);
        block_v(&plant, WELL) - block_v(&plant, SICK)
    };
    assert!(sag_v(24_000.0) > 5.0 * sag_v(3_000.0), "fails at high rate first");
}

#[test]
fn loose_link() {
    let (healthy, mut faulty) = after(BlockFault::LooseLink(0.005), 1.0, 100.0);
    assert!((block_v(&faulty, SICK) - block_v(&healthy, SICK)).abs() < 0.001, "invisible");
    discharge(&mut faulty, 8_000.0, 60.0);
    let string = &faulty.strings()[0];
    let lost_v = string.volts() - string.terminal_v();
    assert!((lost_v + 0.005 * string.amps()).abs() < 1e-9 && lost_v > 0.09, "{lost_v}");
}

#[test]
fn soft_short() {
    for (ohm, capacity_ah) in [(50.0, 40.0), (200.0, 7.0), (25.0, 100.0)] {
        let (healthy, faulty) = after(BlockFault::SoftShort(ohm), 12.0, capacity_ah);
        let low_v = block_v(&healthy, SICK) - block_v(&faulty, SICK);
        assert!((0.05..0.3).contains(&low_v), "{ohm} Ω, {capacity_ah} Ah: {low_v}");
        assert!((sick_ohm(&faulty) / sick_ohm(&healthy) - 1.0).abs() < 0.01, "little in Ri");
    }
}

#[test]
fn stratification_is_cleared_by_a_cycle() {
    let (_, mut faulty) = after(BlockFault::Stratification(0.5), 0.5, 40.0);
    let faults = |p: &Plant| p.strings()[0].places()[SICK].block().faults().len();
    assert_eq!(faults(&faulty), 1);
    discharge(&mut faulty, 3_000.0, 2.5 * HOUR_S);
    assert!(block_v(&faulty, SICK) < block_v(&faulty, WELL) + 0.035);
    faulty.set_mains(true);
    faulty.step(48.0 * HOUR_S);
    assert_eq!(faults(&faulty), 0);
}

#[test]
fn ground_fault_tilts_the_string() {
    let mut plant = string(&[13.62; 32], 40.0);
    plant.string_mut(0).expect("a string").set_ground_fault(Some((9, 20_000.0)));
    plant.step(4.0 * HOUR_S);
    let places = plant.strings()[0].places();
    let leak_a = places[9].amps() - places[10].amps();
    assert!((leak_a - 22.0 * 13.6 / 20_000.0).abs() < 0.001, "{leak_a}");
    assert!(places[0].volts() > places[20].volts() + 0.1, "a gradient along the string");
}

#[test]
fn poor_cooling_warms_one_block() {
    let (healthy, faulty) = after(BlockFault::PoorCooling(0.2), 24.0, 100.0);
    assert!(sick_c(&faulty) > sick_c(&healthy) + 1.0);
}

#[test]
fn sensor_faults_are_impossible_combinations() {
    let mut plant = string(&[13.62; 4], 40.0);
    plant.set_duty(2, 1.0);
    plant.step(60.0);
    let truth: Vec<Sensed> = (0..4).map(|m| plant.sense(m)).collect();
    let probe = plant.probe_mut(0).expect("a module");
    (probe.gain, probe.offset_v, probe.ntc) = (1.005, -0.02, Ntc::Open);
    let seen = plant.sense(0);
    assert!((seen.volts - (truth[0].volts * 1.005 - 0.02)).abs() < 1e-12);
    assert_eq!(seen.celsius, -35.0);
    plant.probe_mut(0).expect("a module").ntc = Ntc::Short;
    assert_eq!(plant.sense(0).celsius, 85.0);
    // Swapped modules measure and bypass each other's block.
    plant.swap_modules(2, 3);
    assert_eq!((plant.sense(2), plant.sense(3)), (truth[3], truth[2]));
    plant.set_duty(2, 0.5);
    assert_eq!(plant.strings()[0].places()[3].duty(), 0.5);
    plant.string_mut(0).expect("a string").blow_fuse(1);
    assert_eq!(plant.sense(1).volts, 0.0);
}

// ── §2.7 ────────────────────────────────────────────────────────────────────

/// One block of 100 Ah at constant voltage: hours to +50 K, or the rise after
/// 120 h.
fn runaway(i0_ma_per_ah: f64, over_mv_per_cell: f64, room_c: f64) -> Result<f64, f64> {
    let params = BlockParams {
        i0_a_per_ah: i0_ma_per_ah / 1e3,
        parasitic_max_a_per_ah: 3.0,
        ..BlockParams::agm(6, 100.0)
    };
    let volts = 6.0 * (2.27 + over_mv_per_cell / 1e3);
    let place = Place::new(Block::full(params, volts, room_c), 0.0);
    let mut plant = plant(Charger::new(volts, 1e3, 0.0), LOAD, vec![vec![place]], room_c);
    for minute in 1..120 * 60 {
        plant.step(60.0);
        let rise_k = plant.strings()[0].places()[0].block().celsius() - room_c;
        if rise_k >= 60.0 {
            assert!(plant.strings()[0].runaway().unstable_at_s.is_some());
            return Ok(f64::from(minute) / 60.0);
        }
    }
    assert_eq!(plant.strings()[0].runaway().unstable_at_s, None, "stable is not unstable");
    Err(plant.strings()[0].runaway().worst_rise_k)
}

#[test]
fn runaway_takes_as_long_as_in_the_facts() {
    for (i0, over_mv, room_c, hours) in [
        (0.5, 130.0, 25.0, 11.0),
        (0.5, 130.0, 35.0, 4.5),
        (2.0, 60.0, 45.0, 2.6),
        (2.0, 0.0, 45.0, 17.0),
        (5.0, 0.0, 35.0, 11.0),
    ] {
        let got = runaway(i0, over_mv, room_c).expect("runs away");
        assert!((got / hours - 1.0).abs() < 0.2, "{i0} mA/Ah, +{over_mv} mV, {room_c} °C: {got} h");
    }
    for (i0, over_mv, room_c, rise_k) in
        [(0.5, 60.0, 35.0, 7.7), (2.0, 0.0, 35.0, 7.8), (2.0, 30.0, 25.0, 7.7)]
    {
        let got = runaway(i0, over_mv, room_c).expect_err("stays");
        assert!((got - rise_k).abs() < 0.8, "{i0} mA/Ah, +{over_mv} mV, {room_c} °C: {got} K");
    }
}

#[test]
fn an_open_breaker_ends_a_runaway() {
    let params = BlockParams { i0_a_per_ah: 5e-3, ..BlockParams::agm(6, 100.0) };
    let block = Block::full(params, 13.8, 40.0);
    let blocks = vec![Place::new(block, 0.0175); 4];
    let mut plant = plant(Charger::new(4.0 * 13.8, 25.0, 0.0), LOAD, vec![blocks], 40.0);
    let unstable = |p: &Plant| p.strings()[0].runaway().unstable_at_s.is_some();
    while !unstable(&plant) {
        plant.step(60.0);
    }
    let mut left_alone = plant.clone();
    plant.string_mut(0).expect("a string").breaker_mut().trip();
    for p in [&mut plant, &mut left_alone] {
        p.step(12.0 * HOUR_S);
    }
    assert!(sick_like(&plant) < 50.0, "{}", sick_like(&plant));
    assert!(left_alone.strings()[0].runaway().lost_at_s.is_some());
    assert!(plant.strings()[0].runaway().lost_at_s.is_none());
}

fn sick_like(plant: &Plant) -> f64 {
    plant.strings()[0].places()[0].block().celsius()
}

#[test]
fn neighbours_and_cabinet_share_heat() {
    let rise = |cabinet_w_per_k: f64, neighbour_w_per_k: f64| {
        let mut blocks = places(&[13.62; 3], 100.0);
        let hot = Block::full(BlockParams::agm(6, 100.0), 13.62, 45.0);
        blocks[1] = Place::new(hot, 0.0175);
        let surroundings =
            Surroundings { cabinet_w_per_k, neighbour_w_per_k, ..Surroundings::open(25.0) };
        let string = PlantString::new(blocks, 90.7, surroundings);
        let supply = Supply::new(Charger::new(3.0 * 13.62, 2.0, 0.05), LOAD);
        let mut plant = Plant::new(vec![(supply, vec![string])]);
        plant.step(2.0 * HOUR_S);
        plant.strings()[0].places()[0].block().celsius() - 25.0
    };
    let alone = rise(f64::INFINITY, 0.0);
    assert!(rise(f64::INFINITY, 1.0) > alone + 2.0);
    assert!(rise(1.0, 0.0) > alone + 1.0);
}

#[test]
fn a_room_warms_evenly() {
    let mut plant = string(&[13.62; 2], 40.0);
    plant.set_ambient(35.0, 2.0 * HOUR_S);
    plant.step(HOUR_S);
    assert!((plant.strings()[0].surroundings().room_c - 30.0).abs() < 0.01);
    plant.step(2.0 * HOUR_S);
    assert!((plant.strings()[0].surroundings().room_c - 35.0).abs() < 1e-9);
}

proptest! {
    #[test]
    fn kirchhoff_holds(
        node_v in proptest::collection::vec(12.96f64..14.6, 2..12),
        duties in proptest::collection::vec(0.0f64..=1.0, 12),
        mains: bool, capacity_ah in 7.0f64..200.0,
        fault in 0usize..8, leak: bool,
    ) {
        let charger = Charger::new(node_v.iter().sum(), 2.0, 0.05);
        let load = Load { cutoff_v: 0.0, ..LOAD };
        let mut plant = plant(charger, load, vec![places(&node_v, capacity_ah)], 25.0);
        let faults = [
            None, Some(BlockFault::ShortedCells(1)), Some(BlockFault::LooseLink(0.003)),
            Some(BlockFault::SoftShort(50.0)), Some(BlockFault::DryOut(1.0)),
            Some(BlockFault::Sulphation(1.0)), Some(BlockFault::WeakCell(0.5)),
            Some(BlockFault::Corrosion(0.3)),
        ];
        if let Some(fault) = faults[fault] {
            plant.string_mut(0).expect("a string").inject(1, fault);
        }
        if leak {
            plant.string_mut(0).expect("a string").set_ground_fault(Some((0, 10_000.0)));
        }
        plant.set_mains(mains);
        for (place, duty) in duties.iter().enumerate() {
            plant.set_duty(place, *duty);
        }
        plant.step(1.0);
        let string = &plant.strings()[0];
        for (k, place) in string.places().iter().enumerate() {
            let bypass_a = place.duty() * place.volts() / 90.7;
            let other_a = string.amps() - 0.0175 - bypass_a - place.amps();
            let leak_a = if leak && k > 0 { 0.02 } else { 0.0 };
            prop_assert!((-1e-9..=leak_a + 1e-9).contains(&other_a), "{}", other_a);
            let behind_v = place.block().source_v() + place.amps() * place.block().ohm();
            prop_assert!((place.volts() - behind_v).abs() < 1e-9);
        }
        prop_assert!((plant.banks()[0].volts() - string.terminal_v()).abs() < 1e-6);
        if !mains {
            prop_assert!((string.amps() * string.terminal_v() + LOAD.watts).abs() < 1e-6);
        } else if string.amps() > 0.0 && string.amps() < 2.0 {
            let drop_v = charger.volts - string.terminal_v() - string.amps() * charger.wiring_ohm;
            prop_assert!(drop_v.abs() < 1e-9, "{}", drop_v);
        }
    }
}
