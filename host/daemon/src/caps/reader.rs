//! `evenkeel:points/reader`: reading what others publish, within the granted
//! subtrees.
//!
//! What a plugin may read is the union of everything that is granted to it,
//! under whatever logical names. Asking for a point outside denies the whole
//! call, so that a plugin cannot mistake a missing grant for a missing point.
//! All points of one call are of one moment.

use super::Site;
use super::bucket::Bucket;
use super::meter::{Beyond, Meter, Way};
use crate::clock;
use crate::grants::Subtree;
use crate::hub::Hub;
use crate::plant::Part;
use crate::plugin::bindings::points::reader as wit;
use crate::plugin::stop::Stop;
use evenkeel_core::points::names::within;
use evenkeel_core::points::{Name, NameError, Point, Quality, Value};
use evenkeel_core::time::Nanos;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The interface.
pub const INTERFACE: &str = "evenkeel:points/reader@0.1.1";
/// Points that one call may ask for.
pub const NAMES_MAX: usize = 256;
/// Calls that are answered at once.
pub const BURST: u32 = 1_000;
/// Afterwards, one call per this time; whoever asks more often waits for its
/// turn. A gateway with many clients is slowed down and never has to refuse
/// one. What calls compute is on the plugin's own account; this bounds how
/// often the hub's locks are taken.
pub const INTERVAL: Nanos = Nanos(500_000);

/// One plugin's view of the points.
#[derive(Debug)]
pub struct Reader {
    hub: Arc<Hub>,
    /// None of them lies within another.
    granted: Vec<Subtree>,
    bucket: Bucket,
    meter: Arc<Meter>,
    stop: Arc<Stop>,
}

/// Why a call is not answered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not granted.
    #[error("{name:?} is outside the granted subtrees; it may read {granted}")]
    Denied {
        /// What was asked for.
        name: String,
        /// What could be.
        granted: String,
    },
    /// No name.
    #[error("not a point name: {source}")]
    Name {
        /// What is wrong.
        source: NameError,
    },
    /// Too many at once.
    #[error("{0} points in one call, {NAMES_MAX} are possible")]
    Count(usize),
    /// Too often. A guest sees it only while it is being stopped.
    #[error("read more often than {BURST} times at once and 2000 times a second")]
    Rate,
}

impl ReadError {
    /// The code in `points.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Denied { .. } => 1,
            Self::Name { .. } | Self::Count(_) => 2,
            Self::Rate => 3,
        }
    }
}

impl Beyond for ReadError {
    fn beyond(&self) -> Option<&'static str> {
        match self {
            Self::Denied { .. } => Some("point not granted"),
            Self::Rate => Some("quota of reading points"),
            Self::Name { .. } | Self::Count(_) => None,
        }
    }
}

impl Reader {
    /// A view of what is granted.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let all: BTreeSet<&Subtree> = site.grants.read.values().flatten().collect();
        let inner = |one: &Subtree| all.iter().any(|o| *o != one && o.contains(one.prefix()));
        let granted = all.iter().filter(|one| !inner(one)).map(|one| (*one).clone()).collect();
        let bucket = Bucket::new(BURST, INTERVAL, clock::now());
        let (hub, meter) = (site.services.hub.clone(), Arc::clone(site.meter));
        Self { hub, granted, bucket, meter, stop: Arc::clone(site.stop) }
    }

    fn get_at(&mut self, names: &[String], now: Nanos) -> Result<Vec<Option<Point>>, ReadError> {
        self.admit(now)?;
        if names.len() > NAMES_MAX {
            return Err(ReadError::Count(names.len()));
        }
        let names = names.iter().map(|name| self.check(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.hub.get(&names))
    }

    fn page_at(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        max: u32,
        now: Nanos,
    ) -> Result<Vec<(String, Point)>, ReadError> {
        self.admit(now)?;
        for name in [prefix, after.unwrap_or_default()].into_iter().filter(|n| !n.is_empty()) {
            Name::parse(name).map_err(|source| ReadError::Name { source })?;
        }
        let granted = self.granted.iter().map(Subtree::prefix);
        let parts: Vec<Part<'_>> = if self.granted.iter().any(|one| one.contains(prefix)) {
            vec![Part { prefix, after }]
        } else {
            let inside = granted.filter(|one| within(one, prefix));
            inside.map(|prefix| Part { prefix, after }).collect()
        };
        if parts.is_empty() {
            return Err(self.denied(prefix));
        }
        Ok(self.hub.page(&parts, NAMES_MAX.min(max as usize)))
    }

    /// A call that waits for its turn: the next one comes within an interval.
    fn in_turn<T>(
        &mut self,
        call: impl Fn(&mut Self, Nanos) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut answer = call(self, clock::now());
        if answer.as_ref().is_err_and(|error| *error == ReadError::Rate) {
            self.stop.wait(Duration::from_nanos(INTERVAL.0));
            answer = call(self, clock::now());
        }
        self.meter.noted(answer)
    }

    fn admit(&mut self, now: Nanos) -> Result<(), ReadError> {
        if self.bucket.admit(now) { Ok(()) } else { Err(ReadError::Rate) }
    }

    fn check(&self, name: &str) -> Result<Name, ReadError> {
        let parsed = Name::parse(name).map_err(|source| ReadError::Name { source })?;
        match self.granted.iter().any(|one| one.contains(name)) {
            true => Ok(parsed),
            false => Err(self.denied(name)),
        }
    }

    fn denied(&self, name: &str) -> ReadError {
        let granted: Vec<String> = self.granted.iter().map(ToString::to_string).collect();
        let granted = if granted.is_empty() { "nothing".to_owned() } else { granted.join(", ") };
        ReadError::Denied { name: name.to_owned(), granted }
    }
}

impl wit::Host for Reader {
    fn get(&mut self, names: Vec<String>) -> Result<Vec<Option<wit::Point>>, wit::Error> {
        self.meter.sent(Way::Host, names.iter().map(String::len).sum());
        let points = self.in_turn(|reader, now| reader.get_at(&names, now));
        let points = points.map_err(|error| shown(&error))?;
        let now = clock::now();
        let pairs = names.into_iter().zip(points);
        let points: Vec<_> = pairs.map(|(name, point)| Some(told(name, point?, now))).collect();
        self.meter.received(Way::Host, points.iter().flatten().map(size).sum());
        Ok(points)
    }

    fn list(
        &mut self,
        prefix: String,
        after: Option<String>,
        max: u32,
    ) -> Result<Vec<wit::Point>, wit::Error> {
        let page = self.in_turn(|reader, now| reader.page_at(&prefix, after.as_deref(), max, now));
        let page = page.map_err(|error| shown(&error))?;
        let now = clock::now();
        let page: Vec<_> = page.into_iter().map(|(name, point)| told(name, point, now)).collect();
        self.meter.received(Way::Host, page.iter().map(size).sum());
        Ok(page)
    }
}

/// Bytes of a point: its texts, and eight for a number.
fn size(point: &wit::Point) -> usize {
    let value = match &point.value {
        wit::Value::Text(text) => text.len(),
        wit::Value::Number(_) | wit::Value::Flag(_) => 8,
    };
    point.name.len() + point.unit.len() + value
}

fn shown(error: &ReadError) -> wit::Error {
    wit::Error { code: error.code(), detail: error.to_string() }
}

fn told(name: String, point: Point, now: Nanos) -> wit::Point {
    wit::Point {
        name,
        value: match point.value {
            Value::Number(number) => wit::Value::Number(number),
            Value::Text(text) => wit::Value::Text(text),
            Value::Flag(flag) => wit::Value::Flag(flag),
        },
        unit: point.unit.symbol().to_owned(),
        state: match point.quality {
            Quality::Good => wit::State::Good,
            Quality::Estimated => wit::State::Estimated,
            Quality::Stale => wit::State::Stale,
            Quality::Bad => wit::State::Bad,
        },
        age_ms: now.since(point.at).as_millis(),
    }
}

#[cfg(test)]
mod tests {
    use super::wit::Host as _;
    use super::*;
    use crate::caps::testing::Place;
    use crate::plant::testing;
    use evenkeel_core::points::Unit;

    fn reader(granted: &[&str]) -> Reader {
        let mut here = Place::default();
        let subtrees = granted.iter().map(|text| text.parse().expect("a subtree"));
        // Under two names, which mean nothing.
        here.grants.read.insert("values".into(), subtrees.clone().take(1).collect());
        here.grants.read.insert("more".into(), subtrees.skip(1).collect());
        let hub = &here.services.hub;
        hub.set_plant(testing::plant(&[13.6, 13.5, 0.0]));
        let load = Point {
            value: Value::Number(34.0),
            unit: Unit::Percent,
            quality: Quality::Good,
            at: clock::now(),
        };
        for ups in ["ups.0", "ups.1"] {
            let name = Name::parse(&format!("{ups}.ups.load")).expect("a good name");
            hub.publish(ups, clock::now(), [(name, load.clone())]);
        }
        hub.mark_stale("ups.1");
        Reader::new(&here.site())
    }

    fn one(reader: &mut Reader, name: &str) -> Result<Option<wit::Point>, u32> {
        let mut points = reader.get(vec![name.to_owned()]).map_err(|error| error.code)?;
        Ok(points.pop().expect("one answer"))
    }

    #[test]
    fn values_come_with_unit_state_and_age() {
        let mut reader = reader(&["string.1", "ups"]);
        let names = ["ups.1.ups.load", "string.1.nothing", "string.1.block.2.voltage"];
        let points = reader.get(names.map(str::to_owned).to_vec()).expect("granted");
        let load = points[0].as_ref().expect("there");
        assert_eq!((load.unit.as_str(), load.state), ("%", wit::State::Stale));
        assert!(load.age_ms < 60_000 && points[1].is_none());
        let volts = points[2].as_ref().expect("there");
        assert!(matches!(volts.value, wit::Value::Number(n) if n == 13.5));
        let silent = one(&mut reader, "string.1.block.3.voltage").expect("granted");
        assert_eq!(silent.expect("there").state, wit::State::Bad);
    }

    #[test]
    fn what_is_not_granted_is_denied_whether_it_exists_or_not() {
        let mut reader = reader(&["ups.0", "string.1.block.1"]);
        assert!(one(&mut reader, "ups.0.ups.load").expect("granted").is_some());
        assert!(one(&mut reader, "string.1.block.1.voltage").expect("granted").is_some());
        for outside in [
            "ups.1.ups.load",
            "string.1.voltage",
            "string.1.block.10.voltage",
            "ups.9.x",
            "guard.x",
        ] {
            assert_eq!(one(&mut reader, outside).map(|_| ()), Err(1), "{outside}");
            assert_eq!(reader.list(outside.into(), None, 9).map(drop).map_err(|e| e.code), Err(1));
        }
        let mixed = vec!["ups.0.ups.load".to_owned(), "ups.1.ups.load".to_owned()];
        assert_eq!(reader.get(mixed).map(|_| ()).map_err(|e| e.code), Err(1));
        let mut nothing = self::reader(&[]);
        let error = nothing.get(vec!["ups.0.ups.load".into()]).expect_err("denied");
        assert!(error.code == 1 && error.detail.ends_with("it may read nothing"), "{error:?}");
        assert_eq!(nothing.list(String::new(), None, 9).map(drop).map_err(|e| e.code), Err(1));
    }

    #[test]
    fn a_list_shows_the_granted_part_page_by_page() {
        let mut reader = reader(&["ups.0", "string.1.block", "string.1.block.1"]);
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = reader.list(String::new(), after, 10).expect("granted");
            assert!(page.len() <= 10);
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            all.extend(page.into_iter().map(|point| point.name));
        }
        let of = |prefix: &str| all.iter().filter(|name| within(name, prefix)).count();
        assert_eq!((of("string.1.block.1"), of("string.1.block.3"), of("ups.0")), (19, 19, 1));
        assert_eq!(all.len(), 3 * 19 + 1, "and nothing else");
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        let page = reader.list("string.1.block.2".into(), None, 1_000).expect("granted");
        assert_eq!(page.len(), 19);
    }

    #[test]
    fn bad_names_many_names_and_floods_have_their_codes() {
        let mut reader = reader(&["*"]);
        assert_eq!(one(&mut reader, "Ups").map(|_| ()), Err(2));
        assert_eq!(reader.list("a..b".into(), None, 1).map(drop).map_err(|e| e.code), Err(2));
        let many = vec!["ups.0.ups.load".to_owned(); NAMES_MAX + 1];
        assert_eq!(reader.get_at(&many, Nanos(0)), Err(ReadError::Count(NAMES_MAX + 1)));
        let now = clock::now();
        let answered = (0..10_000).filter(|_| reader.get_at(&[], now).is_ok()).count();
        assert!(answered <= BURST as usize + 1);
        assert_eq!(reader.get_at(&[], now), Err(ReadError::Rate));
    }

    #[test]
    fn a_plugin_that_reads_often_is_slowed_down_and_not_refused() {
        let mut reader = reader(&["ups.0"]);
        let begun = clock::now();
        for _ in 0..BURST + 200 {
            assert!(one(&mut reader, "ups.0.ups.load").expect("answered").is_some());
        }
        assert!(clock::now().since(begun) >= Nanos(190 * INTERVAL.0), "after its burst it waits");
        assert_eq!(reader.meter.refusals().0, 0);
    }
}
