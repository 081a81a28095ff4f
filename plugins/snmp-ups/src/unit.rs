//! One UPS behind an agent: which MIB it has, which of its objects are there,
//! and reading them in requests that the card can bear.

use evenkeel_sdk::host::{Agent, Binding, SnmpError, SnmpValue};
use evenkeel_sdk::{CommandError, Update};

use crate::mib::{Column, Mib, Object, Set};
use crate::powernet::POWERNET;
use crate::reading::Reading;
use crate::rfc1628::RFC1628;

/// Every MIB that is known; a private one comes before the standard, which is
/// often thinner on the same card (facts/snmp.md §3).
pub(crate) const MIBS: [&Mib; 2] = [&POWERNET, &RFC1628];

const SYS_OBJECT_ID: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 2, 0];
const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
/// Objects in one request; more are dropped by some cards.
const BATCH: usize = 10;
/// Cells of a table of phases.
const CELLS_MAX: u32 = 64;
/// Alarms that are read.
const ALARMS_MAX: u32 = 32;
/// Phases of a line.
const PHASES_MAX: usize = 3;

/// Why a unit cannot be read.
#[derive(Debug)]
pub(crate) enum UnitError {
    /// What the host says about the agent.
    Agent(SnmpError),
    /// The agent is no UPS that is known.
    Unknown(String),
    /// The agent was started anew: everything may be different.
    Restarted,
    /// The card has lost its UPS.
    Detached,
}

impl From<SnmpError> for UnitError {
    fn from(error: SnmpError) -> Self {
        Self::Agent(error)
    }
}

impl core::fmt::Display for UnitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Agent(error) => f.write_str(&error.detail),
            Self::Unknown(what) => write!(
                f,
                "the agent ({what}) has neither {} nor {}: is it the card of a UPS?",
                MIBS[0].name, MIBS[1].name
            ),
            Self::Restarted => f.write_str("the agent was started anew"),
            Self::Detached => f.write_str("the card answers, but has lost its UPS"),
        }
    }
}

/// A unit that was recognised.
pub(crate) struct Unit {
    mib: &'static Mib,
    /// Scalars end in `.0` here, as they should.
    zero: bool,
    batch: usize,
    up_time: u32,
    /// The changing scalars that are there.
    present: Vec<&'static Object>,
    cells: Vec<Cell>,
    counts: Vec<(&'static str, usize)>,
}

/// A cell of a table of phases that is there.
struct Cell {
    oid: Vec<u32>,
    column: &'static Column,
    phase: usize,
    count: usize,
}

impl Unit {
    /// Find out what answers, and read what does not change.
    pub(crate) fn identify(agent: &mut dyn Agent) -> Result<(Self, Vec<Update>), UnitError> {
        let system = agent.get(&[SYS_OBJECT_ID, SYS_UP_TIME])?;
        let kind = match system.first().map(|b| &b.value) {
            Some(SnmpValue::Oid(oid)) => oid.clone(),
            _ => Vec::new(),
        };
        let (mib, zero) = recognise(agent, &kind)?;
        let mut unit = Self {
            mib,
            zero,
            batch: BATCH,
            up_time: up_time(&system),
            present: Vec::new(),
            cells: Vec::new(),
            counts: Vec::new(),
        };
        let mut reading = Reading::default();
        for (object, value) in unit.values(agent, mib.constant)? {
            if value != SnmpValue::Absent {
                reading.take(object, &value);
            }
        }
        let there = unit.values(agent, mib.changing)?.into_iter();
        unit.present = there.filter(|(_, v)| *v != SnmpValue::Absent).map(|(o, _)| o).collect();
        for table in mib.phases {
            let root = [mib.base, table.at].concat();
            let found = agent.walk(&root, CELLS_MAX)?;
            let (cells, count) = cells(&root, table.columns, &found);
            unit.cells.extend(cells);
            unit.counts.push((table.count, count));
        }
        for (name, count) in unit.counts.iter().filter(|(_, count)| *count > 0) {
            reading.count(name, *count);
        }
        Ok((unit, reading.finish_constants()))
    }

    /// The MIB that was found.
    pub(crate) const fn mib(&self) -> &'static Mib {
        self.mib
    }

    /// Read everything that changes.
    pub(crate) fn read(&mut self, agent: &mut dyn Agent) -> Result<Vec<Update>, UnitError> {
        let system = agent.get(&[SYS_UP_TIME])?;
        let up_time = up_time(&system);
        // It wraps after 497 days; identifying once more then does no harm.
        if up_time < std::mem::replace(&mut self.up_time, up_time) {
            return Err(UnitError::Restarted);
        }
        let mut reading = Reading::default();
        let alarms = self.mib.alarms.as_ref();
        let mut oids: Vec<Vec<u32>> = self.present.iter().map(|o| self.scalar(o.at)).collect();
        oids.extend(self.cells.iter().map(|cell| cell.oid.clone()));
        oids.extend(alarms.map(|alarms| self.scalar(alarms.count)));
        let mut values = self.get(agent, &oids)?.into_iter();
        for (object, value) in self.present.iter().zip(&mut values) {
            reading.take(object, &value);
        }
        for (cell, value) in self.cells.iter().zip(&mut values) {
            reading.take_phase(cell.column, cell.phase, cell.count, &value);
        }
        if let (Some(alarms), Some(count)) = (alarms, values.next()) {
            let none = [SnmpValue::Integer(0), SnmpValue::Unsigned(0)].contains(&count);
            let column = [self.mib.base, alarms.column].concat();
            let rows = if none { Vec::new() } else { agent.walk(&column, ALARMS_MAX)? };
            for row in &rows {
                if reading.take_alarm(alarms, self.mib.base, &row.value) {
                    return Err(UnitError::Detached);
                }
            }
        }
        Ok(reading.finish())
    }

    /// Carry out a command.
    pub(crate) fn command(&self, agent: &mut dyn Agent, name: &str) -> Result<(), CommandError> {
        let order = self.mib.orders.iter().find(|order| order.name == name);
        let order = order.ok_or_else(|| {
            CommandError::Refused(format!("{} has no command {name}", self.mib.name))
        })?;
        let mut bindings = Vec::new();
        for (at, set) in order.set {
            let oid = self.scalar(at);
            let value = match *set {
                Set::Number(number) => SnmpValue::Integer(number),
                Set::Name(of) => SnmpValue::Oid([self.mib.base, of].concat()),
                Set::Lock => match agent.get(&[&oid]).map_err(refused)?.pop() {
                    Some(Binding { value: SnmpValue::Absent, .. }) | None => continue,
                    Some(lock) => lock.value,
                },
            };
            bindings.push(Binding { oid, value });
        }
        agent.set(&bindings).map_err(refused)
    }

    fn scalar(&self, at: &[u32]) -> Vec<u32> {
        let end: &[u32] = if self.zero { &[0] } else { &[] };
        [self.mib.base, at, end].concat()
    }

    fn values(
        &mut self,
        agent: &mut dyn Agent,
        objects: &'static [Object],
    ) -> Result<Vec<(&'static Object, SnmpValue)>, UnitError> {
        let oids: Vec<_> = objects.iter().map(|object| self.scalar(object.at)).collect();
        Ok(objects.iter().zip(self.get(agent, &oids)?).collect())
    }

    /// Values in the order of `oids`. A card that chokes on several objects in
    /// a request is asked for one by one from then on; an object that it
    /// chokes on even then is absent.
    fn get(
        &mut self,
        agent: &mut dyn Agent,
        oids: &[Vec<u32>],
    ) -> Result<Vec<SnmpValue>, UnitError> {
        let mut values = Vec::with_capacity(oids.len());
        while values.len() < oids.len() {
            let rest = &oids[values.len()..];
            let part: Vec<&[u32]> = rest.iter().take(self.batch).map(Vec::as_slice).collect();
            match agent.get(&part) {
                Ok(found) => values.extend(found.into_iter().map(|binding| binding.value)),
                Err(error) if chokes(&error) && part.len() > 1 => self.batch = 1,
                Err(error) if error.code == SnmpError::AGENT => values.push(SnmpValue::Absent),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(values)
    }
}

/// Errors that a smaller request may not meet. What does not answer a small one
/// either is lost.
fn chokes(error: &SnmpError) -> bool {
    [SnmpError::AGENT, SnmpError::TIMEOUT, SnmpError::GARBLED].contains(&error.code)
}

fn refused(error: SnmpError) -> CommandError {
    match error.code {
        SnmpError::TIMEOUT | SnmpError::UNREACHABLE | SnmpError::GARBLED => {
            CommandError::Lost(error.detail)
        }
        _ => CommandError::Refused(error.detail),
    }
}

fn up_time(system: &[Binding]) -> u32 {
    let ticks = system.iter().find(|binding| binding.oid == SYS_UP_TIME);
    match ticks.map(|binding| &binding.value) {
        Some(SnmpValue::Ticks(ticks)) => *ticks,
        _ => 0,
    }
}

/// The MIB of which the probe answers: those first that the device's kind
/// speaks for. True when its scalars end in `.0`.
fn recognise(agent: &mut dyn Agent, kind: &[u32]) -> Result<(&'static Mib, bool), UnitError> {
    let fits = |mib: &&Mib| mib.recognised_by.iter().any(|begin| kind.starts_with(begin));
    let first = MIBS.into_iter().filter(|mib| fits(mib));
    for mib in first.chain(MIBS.into_iter().filter(|mib| !fits(mib))) {
        for zero in [true, false] {
            let end: &[u32] = if zero { &[0] } else { &[] };
            let probe = [mib.base, mib.probe, end].concat();
            match agent.get(&[&probe]) {
                Ok(found) if found.first().is_some_and(|b| b.value != SnmpValue::Absent) => {
                    return Ok((mib, zero));
                }
                Ok(_) => {}
                Err(error) if error.code == SnmpError::AGENT => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let dotted: Vec<_> = kind.iter().take(20).map(u32::to_string).collect();
    Err(UnitError::Unknown(dotted.join(".")))
}

/// The cells of a table that are there, and how many phases it has. Rows are
/// counted in their order, whatever their index begins with or ends in.
fn cells(root: &[u32], columns: &'static [Column], found: &[Binding]) -> (Vec<Cell>, usize) {
    let split = |binding: &Binding| match binding.oid.strip_prefix(root) {
        Some([number, row @ ..]) if !row.is_empty() => Some((*number, row.to_vec())),
        _ => None,
    };
    let mut rows: Vec<Vec<u32>> = found.iter().filter_map(split).map(|(_, row)| row).collect();
    rows.sort_unstable();
    rows.dedup();
    rows.truncate(PHASES_MAX);
    let cell = |binding: &Binding| {
        let (number, row) = split(binding)?;
        let column = columns.iter().find(|column| column.number == number)?;
        let phase = rows.iter().position(|known| *known == row)? + 1;
        Some(Cell { oid: binding.oid.clone(), column, phase, count: rows.len() })
    };
    (found.iter().filter_map(cell).collect(), rows.len())
}
