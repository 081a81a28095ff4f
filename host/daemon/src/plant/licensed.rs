//! What the licence lets be seen of the plant. The one place where values of
//! blocks are withheld: whoever reads the hub, page, API, gateways, trends and
//! history alike, gets a plant that went through here.
//!
//! Of a block over the licence stay its status, its alarms and what is wrong
//! with its module; of a string that is over it altogether, these and what its
//! breaker does. Those who tell of faults read the plant itself
//! (`Hub::whole_plant`).

use super::Plant;
use evenkeel_core::estimate::BlockEstimate;
use evenkeel_core::health::BlockHealth;
use evenkeel_core::image::{BlockRecord, StringRecord};
use evenkeel_core::licence::Limits;

impl Plant {
    /// The plant without the values that `limits` do not cover.
    #[must_use]
    pub fn limited(&self, limits: Limits) -> Self {
        let mut plant = self.clone();
        let blocks = self.snapshot.strings.iter().map(|string| string.blocks.len());
        plant.over = limits.within(blocks);
        for (string, first) in plant.snapshot.strings.iter_mut().zip(&plant.over) {
            withhold(string, *first);
        }
        plant
    }

    /// True when the block (both from 0) is over the licence.
    #[must_use]
    pub fn is_over(&self, string: usize, block: usize) -> bool {
        self.over.get(string).is_some_and(|first| block >= *first)
    }

    /// True when no block of the string (from 0) is within the licence.
    #[must_use]
    pub fn is_string_over(&self, string: usize) -> bool {
        let blocks = self.snapshot.strings.get(string).map_or(0, |string| string.blocks.len());
        blocks > 0 && self.is_over(string, 0)
    }
}

/// Take the values of the blocks from `first` on out of a string.
fn withhold(string: &mut StringRecord, first: usize) {
    if first >= string.blocks.len() {
        return;
    }
    for block in &mut string.blocks[first..] {
        *block = BlockRecord {
            bus: block.bus,
            address: block.address,
            module: block.module,
            cells: block.cells,
            flags: block.flags,
            fault: block.fault,
            serial: block.serial,
            bypass_a: f32::NAN,
            ..BlockRecord::default()
        };
    }
    string.estimate.blocks.iter_mut().skip(first).for_each(|b| *b = BlockEstimate::UNKNOWN);
    string.health.blocks.iter_mut().skip(first).for_each(|b| *b = BlockHealth::UNKNOWN);
    if let Some(record) = &mut string.discharge {
        record.blocks.iter_mut().skip(first).for_each(|b| *b = Default::default());
    }
    if first == 0 {
        withhold_whole(string);
    }
}

/// Take the values of a string out of which no block is shown.
fn withhold_whole(string: &mut StringRecord) {
    (string.current_a, string.voltage_v, string.ambient_c) = (None, None, None);
    let equalize = &mut string.equalize;
    (equalize.target_v, equalize.sum_v, equalize.worst_v) = (f64::NAN, f64::NAN, f64::NAN);
    (equalize.mean_duty, equalize.truth.bound_v) = (f64::NAN, f64::NAN);
    string.estimate.whole = BlockEstimate::UNKNOWN;
    string.estimate.runtime_s = None;
    string.health.advice = Default::default();
    string.discharge = None;
}

#[cfg(test)]
mod tests {
    use super::super::{findings, testing};
    use super::*;
    use evenkeel_core::image::Fault;
    use evenkeel_core::points::{Quality, Value};
    use evenkeel_core::protect::{Condition, Level};

    fn limits(blocks: u32) -> Limits {
        Limits { blocks: Some(blocks), ups_va: None }
    }

    fn two_strings() -> Plant {
        let mut plant = testing::plant(&[13.6, 13.7, 13.8]);
        let mut second = testing::string(&[13.6, 0.0]);
        second.current_a = Some(1.5);
        second.estimate.whole.soc = 0.9;
        testing::mark(&mut second, 1, Condition::TemperatureHigh, Level::Alarm);
        plant.snapshot.strings.push(second);
        plant
    }

    #[test]
    fn values_over_the_licence_are_gone_and_alarms_are_not() {
        let (whole, seen) = (two_strings(), two_strings().limited(limits(2)));
        assert_eq!(seen.over, [2, 0]);
        let (first, second) = (&seen.snapshot.strings[0], &seen.snapshot.strings[1]);
        assert_eq!(first.blocks[..2], whole.snapshot.strings[0].blocks[..2]);
        for block in first.blocks[2..].iter().chain(&second.blocks) {
            assert_eq!((block.voltage_mv, block.quality), (0, Quality::Bad));
            assert_eq!((block.temperature_dc, block.temperature_quality), (0, Quality::Bad));
            assert!(block.resistance.is_none() && block.equalize.deviation_v.is_nan());
        }
        assert_eq!(second.blocks[1].fault, Fault::Silent, "a fault of a module stays");
        assert_eq!((second.current_a, second.estimate.whole.soc.is_nan()), (None, true));
        assert_eq!(findings(second), findings(&whole.snapshot.strings[1]));
        assert_eq!(second.protect.blocks, whole.snapshot.strings[1].protect.blocks);
        assert!(seen.is_over(0, 2) && !seen.is_over(0, 1) && seen.is_string_over(1));
    }

    #[test]
    fn points_over_the_licence_say_so_and_are_never_good() {
        let mut points = Vec::new();
        two_strings().limited(limits(2)).points("string", &mut points);
        let find = |name: &str| &points.iter().find(|(n, _)| n == name).expect(name).1;
        for value in ["voltage", "temperature", "charge", "bypass", "bypass.commanded", "target"] {
            let name = format!("string.1.block.3.{value}");
            assert_eq!(find(&name).quality, Quality::Bad, "{name}");
        }
        let over = Value::Text("over the licence: watched for safety only".into());
        assert_eq!(find("string.1.block.3.fault").value, over);
        assert_eq!(find("string.2.block.2.status").value, Value::Text("alarm".into()));
        assert_eq!(
            find("string.2.block.2.alarms").value,
            Value::Text("block temperature high".into())
        );
        assert_eq!(find("string.1.block.2.voltage").quality, Quality::Good);
        assert_eq!(find("string.2.current").quality, Quality::Bad);
    }

    #[test]
    fn without_a_limit_nothing_changes() {
        let seen = two_strings().limited(Limits { blocks: None, ups_va: None });
        assert_eq!(seen.over, [3, 2]);
        assert_eq!(seen.snapshot.strings[0].blocks, two_strings().snapshot.strings[0].blocks);
        assert!(!seen.is_string_over(1));
    }
}
