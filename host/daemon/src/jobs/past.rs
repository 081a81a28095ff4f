//! The past as a dry run goes through it: the log of events, and the samples of
//! the blocks that rules read.

use crate::store::{Store, StoreError};
use evenkeel_core::events::Event;
use evenkeel_core::points::{Name, Quality, Value};
use evenkeel_core::rehearsal::Frame;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Most samples of a block that are read.
const SAMPLES_MAX: usize = 20_000;
/// Events that are read at once.
const BATCH: usize = 1_000;

/// What happened in `times` (ms since 1970), oldest first. Of the points in
/// `inputs` those that history keeps: voltage and temperature of blocks.
///
/// # Errors
/// When the store cannot be read.
pub fn frames(
    store: &Store,
    inputs: &[Name],
    times: RangeInclusive<u64>,
) -> Result<Vec<Frame>, StoreError> {
    let mut frames: BTreeMap<u64, Frame> = BTreeMap::new();
    let mut after = 0;
    loop {
        let batch = store.events(Some(after), BATCH);
        let Some(last) = batch.last() else { break };
        after = last.id;
        for stored in batch {
            // What rules, jobs and calendar made of it then is made anew.
            if times.contains(&stored.unix_ms) && !is_ours(&stored.event) {
                frame(&mut frames, stored.unix_ms).events.push(stored.event);
            }
        }
    }
    let mut blocks: BTreeMap<(u16, u16), Vec<(&Name, bool)>> = BTreeMap::new();
    for name in inputs {
        if let Some((string, block, is_voltage)) = kept(name.as_str()) {
            blocks.entry((string, block)).or_default().push((name, is_voltage));
        }
    }
    for ((string, block), points) in blocks {
        let index = usize::from(block.saturating_sub(1));
        for sample in store.history(string, index, times.clone(), SAMPLES_MAX)? {
            let usable = sample.block.quality < Quality::Stale;
            let value = |is_voltage| match is_voltage {
                true => f64::from(sample.block.voltage_mv) / 1e3,
                false => f64::from(sample.block.temperature_dc) / 10.0,
            };
            let set = points.iter().map(|(name, is_voltage)| {
                ((*name).clone(), usable.then(|| Value::Number(value(*is_voltage))))
            });
            frame(&mut frames, sample.unix_ms).points.extend(set);
        }
    }
    Ok(frames.into_values().collect())
}

fn frame(frames: &mut BTreeMap<u64, Frame>, unix_ms: u64) -> &mut Frame {
    frames.entry(unix_ms).or_insert_with(|| Frame { unix_ms, ..Frame::default() })
}

/// `string.1.block.2.voltage`: string, block, and that it is the voltage.
fn kept(name: &str) -> Option<(u16, u16, bool)> {
    let parts: Vec<&str> = name.splitn(6, '.').collect();
    match parts[..] {
        ["string", string, "block", block, what @ ("voltage" | "temperature")] => {
            Some((string.parse().ok()?, block.parse().ok()?, what == "voltage"))
        }
        _ => None,
    }
}

const fn is_ours(event: &Event) -> bool {
    matches!(
        event,
        Event::RuleRaised { .. }
            | Event::RuleCleared { .. }
            | Event::ScheduleDue { .. }
            | Event::ScheduleMissed { .. }
            | Event::JobSaid { .. }
            | Event::JobDone { .. }
            | Event::JobFailed { .. }
            | Event::JobsDropped { .. }
            | Event::SequenceEnded { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_history_keeps_is_found_by_name() {
        assert_eq!(kept("string.2.block.17.voltage"), Some((2, 17, true)));
        assert_eq!(kept("string.2.block.17.temperature"), Some((2, 17, false)));
        for other in ["string.2.voltage", "string.2.block.17.voltage.x", "ups.0.ups.load", ""] {
            assert_eq!(kept(other), None, "{other}");
        }
    }
}
