//! Reading and writing addresses: from a span to the points that it shows and
//! the commands that it means. One read is one look at the appliance, as long
//! as it shows no more than [`NAMES_MAX`] points.

use crate::pdu::{Exception, Span};
use crate::table::{Bits, COILS, Coils, INPUTS, Row, SECTIONS, Section};
use crate::value::Reading;
use std::collections::BTreeMap;

/// Points that the appliance shows at one look.
pub const NAMES_MAX: usize = 256;

/// The appliance, as this gateway needs it.
pub trait Appliance {
    /// Seconds since it started.
    fn seconds(&mut self) -> u64;

    /// The points with these names, at most [`NAMES_MAX`], at one moment.
    ///
    /// # Errors
    /// [`Unread`]; one name that is denied denies all.
    fn read(&mut self, names: &[String]) -> Result<Vec<Option<Reading>>, Unread>;

    /// Have something done, and wait for it.
    ///
    /// # Errors
    /// Why it was not.
    fn command(&mut self, command: &Command) -> Result<(), Exception>;
}

/// Why points cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// One of them is not granted.
    Denied,
    /// Not now.
    Busy,
}

/// A command to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Subtree of the device.
    pub target: String,
    /// Its name.
    pub name: &'static str,
    /// What comes with it.
    pub value: Option<String>,
}

/// How 32-bit values are put into two registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WordOrder {
    /// As most do.
    #[default]
    HighFirst,
    /// For clients that cannot be told otherwise.
    LowFirst,
}

/// The registers of a span.
///
/// # Errors
/// [`Exception::Address`] when one of them is in no section, or what the
/// appliance says.
pub fn registers(
    appliance: &mut dyn Appliance,
    unit: u8,
    span: Span,
    order: WordOrder,
) -> Result<Vec<u16>, Exception> {
    let places = span.addresses().map(place).collect::<Result<Vec<_>, _>>()?;
    let mut wanted = Wanted::default();
    let points: Vec<Option<usize>> = places
        .iter()
        .map(|place| {
            let row = place.row.filter(|row| !row.point.is_empty())?;
            Some(wanted.want(place.section.root.name(place.entry, unit), row.point))
        })
        .collect();
    let readings = wanted.read(appliance)?;
    let seconds = appliance.seconds();
    let register = |(place, point): (&Place, &Option<usize>)| {
        let Some(row) = place.row else { return 0xFFFF };
        let reading = point.and_then(|at| readings.get(at)).and_then(Option::as_ref);
        let words = row.kind.encode(reading, seconds);
        match (order, row.kind.registers()) {
            (WordOrder::LowFirst, 2) => words[1 - usize::from(place.word)],
            _ => words[usize::from(place.word)],
        }
    };
    Ok(places.iter().zip(&points).map(register).collect())
}

/// The discrete inputs of a span.
///
/// # Errors
/// As of [`registers`].
pub fn inputs(appliance: &mut dyn Appliance, unit: u8, span: Span) -> Result<Vec<bool>, Exception> {
    bits(appliance, unit, span, &INPUTS.iter().collect::<Vec<_>>())
}

/// The coils of a span.
///
/// # Errors
/// As of [`registers`].
pub fn coils(appliance: &mut dyn Appliance, unit: u8, span: Span) -> Result<Vec<bool>, Exception> {
    bits(appliance, unit, span, &COILS.iter().map(|coils| &coils.bits).collect::<Vec<_>>())
}

/// What writing coils means. Nothing has been done yet.
///
/// # Errors
/// [`Exception::Address`] where there is no coil, [`Exception::Value`] for a
/// value that means nothing.
pub fn coil_commands(span: Span, values: &[bool]) -> Result<Vec<Command>, Exception> {
    let coil = |address| {
        COILS.iter().find_map(|coils: &Coils| Some((coils, entry(&coils.bits, address)?)))
    };
    let coils = span.addresses().map(coil).collect::<Option<Vec<_>>>().ok_or(Exception::Address)?;
    let command = |((coils, entry), on): ((&Coils, u16), &bool)| {
        let target = coils.bits.root.name(entry, 0);
        let (name, value) = match (on, coils.off) {
            (true, _) => coils.on,
            (false, Some(off)) => (off, None),
            (false, None) => return Err(Exception::Value),
        };
        Ok(Command { target, name, value: value.map(str::to_owned) })
    };
    coils.into_iter().zip(values).map(command).collect()
}

/// What writing registers means. Nothing has been done yet.
///
/// # Errors
/// [`Exception::Address`] where nothing can be written.
pub fn register_commands(span: Span, values: &[u16]) -> Result<Vec<Command>, Exception> {
    let command = |(address, value): (u16, &u16)| {
        let place = place(address)?;
        let target = place.section.root.name(place.entry, 0);
        let (name, value) = match (place.section.base, value) {
            (PAUSE_BASE, 0) => ("equalization.resume", None),
            (PAUSE_BASE, seconds) => ("equalization.pause", Some(seconds.to_string())),
            (MEASURE_BASE, block) => ("resistance.measure", Some(block.to_string())),
            _ => return Err(Exception::Address),
        };
        Ok(Command { target, name, value })
    };
    span.addresses().zip(values).map(command).collect()
}

/// First addresses of the sections that can be written.
const PAUSE_BASE: u16 = 2_100;
const MEASURE_BASE: u16 = 2_150;

/// What a register is.
struct Place {
    section: &'static Section,
    /// From 1.
    entry: u16,
    /// None: a gap.
    row: Option<&'static Row>,
    /// The first or the second register of the row.
    word: u16,
}

fn place(address: u16) -> Result<Place, Exception> {
    let inside = |section: &&Section| {
        let len = section.stride * section.entries;
        (section.base..section.base + len).contains(&address)
    };
    let section = SECTIONS.iter().find(inside).ok_or(Exception::Address)?;
    let from_base = address - section.base;
    let (entry, offset) = (from_base / section.stride + 1, from_base % section.stride);
    let holds = |row: &&Row| (row.offset..row.offset + row.kind.registers()).contains(&offset);
    let row = section.rows.iter().find(holds);
    let word = row.map_or(0, |row| offset - row.offset);
    Ok(Place { section, entry, row, word })
}

fn entry(bits: &Bits, address: u16) -> Option<u16> {
    let index = address.checked_sub(bits.base).filter(|index| *index < bits.entries)?;
    Some(index + 1)
}

fn bits(
    appliance: &mut dyn Appliance,
    unit: u8,
    span: Span,
    table: &[&Bits],
) -> Result<Vec<bool>, Exception> {
    let end = table.last().map_or(0, |last| last.base + last.entries);
    if span.addresses().last().is_some_and(|last| last >= end) {
        return Err(Exception::Address);
    }
    let mut wanted = Wanted::default();
    let points: Vec<_> = span
        .addresses()
        .map(|address| {
            let found = table.iter().find_map(|bits| Some((*bits, entry(bits, address)?)));
            let (bits, entry) = found.filter(|(bits, _)| !bits.point.is_empty())?;
            Some((bits.bit, wanted.want(bits.root.name(entry, unit), bits.point)))
        })
        .collect();
    let readings = wanted.read(appliance)?;
    let bit = |point: &Option<(crate::value::Bit, usize)>| {
        let reading = |at: usize| readings.get(at).and_then(Option::as_ref);
        point.is_some_and(|(bit, at)| bit.encode(reading(at)))
    };
    Ok(points.iter().map(bit).collect())
}

/// What a grant is usually about: `string.1` of `string.1.block.2.voltage`.
fn device(name: &str) -> &str {
    let mut dots = name.match_indices('.').map(|(at, _)| at);
    dots.nth(1).map_or(name, |at| &name[..at])
}

/// Names of points, each once.
#[derive(Default)]
struct Wanted {
    names: Vec<String>,
    known: BTreeMap<String, usize>,
}

impl Wanted {
    fn want(&mut self, root: String, point: &str) -> usize {
        let name = format!("{root}.{point}");
        *self.known.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            self.names.len() - 1
        })
    }

    fn read(&self, appliance: &mut dyn Appliance) -> Result<Vec<Option<Reading>>, Exception> {
        let mut readings = Vec::with_capacity(self.names.len());
        for names in self.names.chunks(NAMES_MAX) {
            match appliance.read(names) {
                Ok(mut more) => readings.append(&mut more),
                Err(Unread::Busy) => return Err(Exception::Busy),
                // A part is granted, perhaps: what is not looks absent.
                Err(Unread::Denied) => {
                    for names in names.chunk_by(|a, b| device(a) == device(b)) {
                        match appliance.read(names) {
                            Ok(mut more) => readings.append(&mut more),
                            Err(Unread::Busy) => return Err(Exception::Busy),
                            Err(Unread::Denied) => {
                                readings.extend(std::iter::repeat_n(None, names.len()));
                            }
                        }
                    }
                }
            }
        }
        Ok(readings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sections_do_not_overlap_and_rows_fit() {
        let mut end = 0;
        for section in SECTIONS {
            assert!(section.base >= end, "{}", section.title);
            end = section.base + section.stride * section.entries;
            let mut next = 0;
            for row in section.rows {
                assert!(row.offset >= next, "{} {}", section.title, row.offset);
                next = row.offset + row.kind.registers();
            }
            assert!(next <= section.stride, "{}", section.title);
        }
        for table in [INPUTS.iter().collect(), COILS.iter().map(|c| &c.bits).collect::<Vec<_>>()] {
            assert!(table.windows(2).all(|w| w[0].base + w[0].entries <= w[1].base));
        }
        for base in [PAUSE_BASE, MEASURE_BASE] {
            assert!(SECTIONS.iter().any(|section| section.base == base));
        }
    }

    #[test]
    fn what_is_written_means_a_command() {
        let one = |start| Span { start, count: 1 };
        let command = |target: &str, name, value: Option<&str>| {
            Ok(vec![Command { target: target.into(), name, value: value.map(str::to_owned) }])
        };
        assert_eq!(coil_commands(one(0), &[true]), command("guard", "beeper.mute", None));
        assert_eq!(coil_commands(one(0), &[false]), Err(Exception::Value));
        assert_eq!(coil_commands(one(1), &[true]), Err(Exception::Address));
        assert_eq!(
            coil_commands(one(101), &[true]),
            command("string.2", "equalization.pause", Some("3600"))
        );
        assert_eq!(coil_commands(one(301), &[false]), command("ups.1", "test.battery.stop", None));
        let both = coil_commands(Span { start: 100, count: 2 }, &[true, false]);
        assert_eq!(both.map(|both| both.len()), Ok(2));
        let mixed = coil_commands(Span { start: 131, count: 2 }, &[true, true]);
        assert_eq!(mixed, Err(Exception::Address), "all or none");
        assert_eq!(
            register_commands(one(2_100), &[90]),
            command("string.1", "equalization.pause", Some("90"))
        );
        assert_eq!(
            register_commands(one(2_151), &[7]),
            command("string.2", "resistance.measure", Some("7"))
        );
        for readable in [2_000, 3_000, 10_000] {
            assert_eq!(register_commands(one(readable), &[1]), Err(Exception::Address));
        }
    }

    proptest! {
        #[test]
        fn every_address_has_one_meaning_or_none(address: u16) {
            if let Ok(place) = place(address) {
                prop_assert!((1..=place.section.entries).contains(&place.entry));
                let offset = place.row.map(|row| row.offset + place.word);
                let entry = place.section.base + (place.entry - 1) * place.section.stride;
                prop_assert!(offset.is_none_or(|offset| entry + offset == address));
            }
        }
    }
}
