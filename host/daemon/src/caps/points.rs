//! `evenkeel:points`: publishing measured values under the granted subtree.
//!
//! Names are relative, so that there is no way to spell a point of somebody
//! else. A list of updates is checked whole before any of it is published.

use super::Site;
use super::bucket::Bucket;
use super::log::{Level, Log};
use super::meter::{Beyond, Meter, Way};
use super::{Who, one_line};
use crate::clock;
use crate::hub::Hub;
use crate::plugin::bindings::points::points as wit;
use evenkeel_core::points::names::unit_of_ups_variable;
use evenkeel_core::points::{Name, NameError, Point, Quality, Unit, Value};
use evenkeel_core::time::Nanos;
use evenkeel_signing::is_printable;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The interface.
pub const INTERFACE: &str = "evenkeel:points/points@0.1.1";
/// Points that one plugin may have.
pub const POINTS_MAX: usize = 256;
/// Calls of `publish` that are accepted at once.
pub const BURST: u32 = 100;
/// Afterwards, one call per this time.
pub const INTERVAL: Nanos = Nanos::from_millis(20);

/// The points of one plugin.
#[derive(Debug)]
pub struct Points {
    who: Who,
    log: Log,
    hub: Arc<Hub>,
    bucket: Bucket,
    meter: Arc<Meter>,
    /// Every name published so far, by earlier instances too.
    names: BTreeSet<Name>,
    /// True while the device is thought to answer.
    answering: bool,
}

/// Why an update is not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointsError {
    /// Malformed.
    #[error("{} is no point name: {source}", Shown(name))]
    Name {
        /// The name as the guest gave it.
        name: String,
        /// What is wrong.
        source: NameError,
    },
    /// Not on the list.
    #[error(
        "{name:?} is not in the list of variables; use one of NUT's names or \"experimental.…\""
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// Another unit than the list says.
    #[error("{name} is given in {}, but in the list it is {wanted:?}", Shown(found))]
    Unit {
        /// The name.
        name: String,
        /// Symbol given.
        found: String,
        /// Symbol in the list.
        wanted: &'static str,
    },
    /// A unit that does not exist.
    #[error("{name} is given in {}, which is no unit of the appliance", Shown(found))]
    NoUnit {
        /// The name.
        name: String,
        /// Symbol given.
        found: String,
    },
    /// Text or a flag with a unit.
    #[error("{name} has a unit, so its value must be a number")]
    NotANumber {
        /// The name.
        name: String,
    },
    /// NaN or infinite.
    #[error("the number for {name} is not finite")]
    NotFinite {
        /// The name.
        name: String,
    },
    /// Control characters and others that cannot be shown.
    #[error("the text for {name} contains a control character or one that cannot be seen")]
    Control {
        /// The name.
        name: String,
    },
    /// Text too long.
    #[error("the text for {name} has {len} bytes, at most {max} are accepted", max = Value::TEXT_MAX)]
    Text {
        /// The name.
        name: String,
        /// Its length in bytes.
        len: usize,
    },
    /// Too many points.
    #[error("more than {POINTS_MAX} points")]
    Count,
    /// Too often.
    #[error(
        "published more often than {BURST} times at once and 50 times a second; poll less often"
    )]
    Rate,
}

impl PointsError {
    /// The code in `points.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Count | Self::Rate | Self::Text { .. } => 3,
            _ => 2,
        }
    }
}

impl Beyond for PointsError {
    fn beyond(&self) -> Option<&'static str> {
        match self {
            Self::Count | Self::Rate => Some("quota of points"),
            _ => None,
        }
    }
}

impl Points {
    /// Publish into the hub, under the granted subtree.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let (who, log, hub) = (site.who.clone(), site.log.clone(), site.services.hub.clone());
        let bucket = Bucket::new(BURST, INTERVAL, clock::now());
        let earlier = hub.query(&who.points);
        let names = earlier.iter().filter_map(|(name, _)| Name::parse(name).ok()).collect();
        let meter = Arc::clone(site.meter);
        Self { who, log, hub, bucket, meter, names, answering: true }
    }

    fn accept(&mut self, updates: Vec<wit::Update>, now: Nanos) -> Result<(), PointsError> {
        if !self.bucket.admit(now) {
            return Err(PointsError::Rate);
        }
        if updates.len() > POINTS_MAX {
            return Err(PointsError::Count);
        }
        let check = |update| check(&self.who.points, update, now);
        let points = updates.into_iter().map(check).collect::<Result<Vec<_>, _>>()?;
        let new: BTreeSet<_> = points
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !self.names.contains(*name))
            .collect();
        if self.names.len() + new.len() > POINTS_MAX {
            return Err(PointsError::Count);
        }
        let new: Vec<Name> = new.into_iter().cloned().collect();
        self.names.extend(new);
        self.hub.publish(&self.who.points, now, points);
        if !self.answering {
            self.answering = true;
            self.log.say(Level::Info, "the device answers again");
        }
        Ok(())
    }
}

impl wit::Host for Points {
    fn publish(&mut self, updates: Vec<wit::Update>) -> Result<(), wit::Error> {
        self.meter.sent(Way::Host, updates.iter().map(size).sum());
        let accepted = self.accept(updates, clock::now());
        self.meter
            .noted(accepted)
            .map_err(|error| wit::Error { code: error.code(), detail: error.to_string() })
    }

    fn lost(&mut self, reason: String) {
        // Said at every poll while the device is away: told and marked once.
        if std::mem::replace(&mut self.answering, false) {
            self.log.say(Level::Warn, &format!("device lost: {reason}"));
            self.hub.mark_stale(&self.who.points);
        }
    }
}

/// Bytes of an update: its texts, and eight for a number.
fn size(update: &wit::Update) -> usize {
    let value = match &update.value {
        wit::Value::Text(text) => text.len(),
        wit::Value::Number(_) | wit::Value::Flag(_) => 8,
    };
    update.name.len() + update.unit.len() + value
}

/// A guest's text in a message: quoted and short.
struct Shown<'a>(&'a str);

impl core::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", one_line(self.0, Name::LEN_MAX))
    }
}

fn check(subtree: &str, update: wit::Update, at: Nanos) -> Result<(Name, Point), PointsError> {
    let wit::Update { name, value, unit, quality } = update;
    let malformed = |name: &str, source| PointsError::Name { name: name.to_owned(), source };
    Name::parse(&name).map_err(|source| malformed(&name, source))?;
    let full = format!("{subtree}.{name}");
    let full = Name::parse(&full).map_err(|source| malformed(&full, source))?;
    let unit = check_unit(&name, &unit)?;
    let value = check_value(&name, value, unit)?;
    let quality = match quality {
        wit::Quality::Good => Quality::Good,
        wit::Quality::Estimated => Quality::Estimated,
        wit::Quality::Bad => Quality::Bad,
    };
    Ok((full, Point { value, unit, quality, at }))
}

fn check_unit(name: &str, symbol: &str) -> Result<Unit, PointsError> {
    let wanted =
        unit_of_ups_variable(name).ok_or_else(|| PointsError::Unknown { name: name.to_owned() })?;
    let (name, found) = (name.to_owned(), symbol.to_owned());
    match (Unit::from_symbol(symbol), wanted) {
        (Some(unit), Some(wanted)) if unit == wanted => Ok(unit),
        (Some(unit), None) => Ok(unit),
        (_, Some(wanted)) => Err(PointsError::Unit { name, found, wanted: wanted.symbol() }),
        (None, None) => Err(PointsError::NoUnit { name, found }),
    }
}

fn check_value(name: &str, value: wit::Value, unit: Unit) -> Result<Value, PointsError> {
    let name = || name.to_owned();
    match value {
        wit::Value::Number(n) if n.is_finite() => Ok(Value::Number(n)),
        wit::Value::Number(_) => Err(PointsError::NotFinite { name: name() }),
        _ if unit != Unit::None => Err(PointsError::NotANumber { name: name() }),
        wit::Value::Flag(flag) => Ok(Value::Flag(flag)),
        wit::Value::Text(text) if text.len() > Value::TEXT_MAX => {
            Err(PointsError::Text { name: name(), len: text.len() })
        }
        wit::Value::Text(text) if !text.chars().all(is_printable) => {
            Err(PointsError::Control { name: name() })
        }
        wit::Value::Text(text) => Ok(Value::Text(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::wit::Host as _;
    use super::*;
    use crate::caps::testing::Place;

    fn points() -> Points {
        Points::new(&Place::default().site())
    }

    fn update(name: &str, value: wit::Value, unit: &str) -> wit::Update {
        wit::Update { name: name.into(), value, unit: unit.into(), quality: wit::Quality::Good }
    }

    fn charge(n: f64) -> wit::Update {
        update("battery.charge", wit::Value::Number(n), "%")
    }

    #[test]
    fn a_value_arrives_with_unit_quality_and_time() {
        let mut points = points();
        let before = clock::now();
        points.publish(vec![charge(80.0)]).expect("accepted");
        let point = points.hub.device("ups.0.battery.charge").expect("published");
        assert_eq!((point.value, point.unit), (Value::Number(80.0), Unit::Percent));
        assert_eq!(point.quality, Quality::Good);
        assert!(point.at >= before && point.at <= clock::now());
    }

    #[test]
    fn one_bad_update_publishes_none() {
        let text = |t: &str| wit::Value::Text(t.into());
        let number = wit::Value::Number;
        for (bad, code, word) in [
            (update("", number(1.0), "V"), 2, "no point name"),
            (update("../string.1.voltage", number(1.0), "V"), 2, "no point name"),
            (update("Battery.Charge", number(1.0), "%"), 2, "'B' at byte 0"),
            (update(&format!("experimental.{}", "a".repeat(83)), number(1.0), ""), 2, "96 bytes"),
            (update("battery.colour", number(1.0), ""), 2, "not in the list"),
            (update("battery.charge", number(1.0), "V"), 2, "in the list it is \"%\""),
            (update("experimental.x", number(1.0), "furlong"), 2, "no unit"),
            (update("battery.charge", text("80"), "%"), 2, "must be a number"),
            (update("battery.charge", number(f64::NAN), "%"), 2, "not finite"),
            (update("battery.charge", number(f64::INFINITY), "%"), 2, "not finite"),
            (update("ups.model", text("a\u{1b}[2J"), ""), 2, "control"),
            (update("ups.model", text("a\u{202e}b"), ""), 2, "cannot be seen"),
            (update("ups.model", text(&"x".repeat(257)), ""), 3, "257 bytes"),
        ] {
            let mut points = points();
            let error = points.publish(vec![charge(80.0), bad]).expect_err(word);
            assert!(error.code == code && error.detail.contains(word), "{word}: {error:?}");
            assert!(points.hub.query("").is_empty(), "{word}");
        }
    }

    #[test]
    fn the_number_of_points_is_limited_in_one_call_and_over_many() {
        let numbered = |range: std::ops::Range<usize>| {
            let name = |i| format!("experimental.p{i}");
            range.map(|i| update(&name(i), wit::Value::Flag(true), "")).collect::<Vec<_>>()
        };
        assert_eq!(points().publish(numbered(0..257)).map_err(|e| e.code), Err(3));
        let here = Place::default();
        let mut points = Points::new(&here.site());
        points.publish(numbered(0..200)).expect("accepted");
        assert_eq!(points.publish(numbered(190..257)).map_err(|e| e.code), Err(3));
        points.publish(numbered(100..256)).expect("256 in all");
        points.publish(numbered(0..256)).expect("the same again");
        assert_eq!(points.hub.query("").len(), POINTS_MAX);
        let mut restarted = Points::new(&here.site());
        assert_eq!(restarted.publish(numbered(300..301)).map_err(|e| e.code), Err(3));
    }

    #[test]
    fn publishing_in_a_loop_is_quota() {
        let mut points = points();
        let now = clock::now();
        let accepted = (0..1_000).filter(|_| points.accept(vec![charge(1.0)], now).is_ok()).count();
        assert_eq!(accepted, BURST as usize);
        assert_eq!(points.accept(Vec::new(), now), Err(PointsError::Rate));
    }

    #[test]
    fn lost_makes_stale_and_a_new_value_good_again() {
        let mut points = points();
        points.publish(vec![charge(80.0)]).expect("accepted");
        let quality = |points: &Points| points.hub.query("ups.0")[0].1.quality;
        points.lost("no reply".into());
        assert_eq!(quality(&points), Quality::Stale);
        points.publish(vec![charge(79.0)]).expect("accepted");
        assert_eq!(quality(&points), Quality::Good);
    }
}
