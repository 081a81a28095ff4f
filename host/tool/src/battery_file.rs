//! The battery file: a battery type of the appliance, and how many blocks of
//! it stand in series and in parallel.
//!
//! ```toml
//! chemistry = "agm"          # flooded agm gel nicd nimh lfp nmc
//! cells = 6                  # in series in a block
//! capacity_ah = 100          # rated capacity of a new block
//! blocks = 32                # in series in the string; 1 if not given
//! cutoff_v_per_cell = 1.75   # or cutoff_v = 336.0 for the whole string
//! ```

use evenkeel_core::battery::{BatteryType, BatteryTypeError};

/// A battery as the replay needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayBattery {
    /// The block.
    pub battery: BatteryType,
    /// Blocks in series.
    pub blocks: usize,
    /// Strings in parallel that share the recorded current.
    pub parallel: u32,
}

/// Why a battery file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BatteryFileError {
    /// Not TOML, a field missing, unknown or of the wrong kind.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A value that cannot be.
    #[error("{0}")]
    Value(#[from] BatteryTypeError),
    /// A value of the replay's own fields that cannot be.
    #[error("{field}: {problem}")]
    Own {
        /// The field.
        field: &'static str,
        /// What is wrong and what is right.
        problem: String,
    },
}

/// Cells of a block at most; what has more is taken as several blocks.
const CELLS_MAX: u64 = 24;

impl ReplayBattery {
    /// Read a battery file.
    ///
    /// # Errors
    /// [`BatteryFileError`] names the field.
    pub fn parse(text: &str) -> Result<Self, BatteryFileError> {
        let mut table: toml::Table = toml::from_str(text)?;
        let given = table.contains_key("blocks");
        let mut blocks = whole(&mut table, "blocks", 1..=1_000)?.unwrap_or(1);
        let parallel = whole(&mut table, "parallel", 1..=100)?.unwrap_or(1);
        let string_v = number(&mut table, "cutoff_v")?;
        let cell_v = number(&mut table, "cutoff_v_per_cell")?;
        if let Some(chemistry) = table.get_mut("chemistry")
            && let Some(name) = chemistry.as_str()
        {
            *chemistry = usual_name(name).into();
        }
        if let Some(cells) = table.get("cells").and_then(toml::Value::as_integer)
            && let Ok(cells) = u64::try_from(cells)
            && cells > CELLS_MAX
            && !given
        {
            let of_block = (1..=CELLS_MAX).rev().find(|n| cells.is_multiple_of(*n)).unwrap_or(1);
            blocks = cells / of_block;
            table.insert("cells".to_owned(), toml::Value::Integer(of_block as i64));
        }
        let mut battery: BatteryType = table.try_into()?;
        let cells = battery.cells_f64() * blocks as f64;
        battery.cutoff_v_per_cell = match (cell_v, string_v) {
            (Some(_), Some(_)) => {
                let problem = "give either cutoff_v or cutoff_v_per_cell".to_owned();
                return Err(BatteryFileError::Own { field: "cutoff_v", problem });
            }
            (Some(volts), None) => Some(volts),
            (None, Some(volts)) => Some(volts / cells),
            (None, None) => None,
        };
        battery.check()?;
        Ok(Self { battery, blocks: blocks as usize, parallel: parallel as u32 })
    }

    /// Cells in series in the string.
    #[must_use]
    pub fn cells(&self) -> f64 {
        self.battery.cells_f64() * self.blocks as f64
    }
}

/// The appliance's name for what people call a chemistry.
fn usual_name(name: &str) -> String {
    let plain: String = name.to_lowercase().replace(['_', ' '], "-");
    match plain.as_str() {
        "lead" | "lead-acid" | "pb" | "sla" | "vrla" => "agm",
        "vla" | "vented" | "wet" => "flooded",
        "lifepo4" | "lfp" | "li-fe-po4" => "lfp",
        "nca" | "lco" | "lmo" | "li-ion" | "lithium" | "liion" | "nmc" => "nmc",
        "ni-cd" => "nicd",
        "ni-mh" => "nimh",
        other => other,
    }
    .to_owned()
}

fn number(table: &mut toml::Table, field: &'static str) -> Result<Option<f64>, BatteryFileError> {
    match table.remove(field) {
        None => Ok(None),
        Some(toml::Value::Float(value)) if value.is_finite() => Ok(Some(value)),
        Some(toml::Value::Integer(value)) => Ok(Some(value as f64)),
        Some(other) => {
            Err(BatteryFileError::Own { field, problem: format!("{other} is no number") })
        }
    }
}

fn whole(
    table: &mut toml::Table,
    field: &'static str,
    range: core::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, BatteryFileError> {
    let Some(value) = number(table, field)? else { return Ok(None) };
    if value.fract() == 0.0 && value >= 0.0 && range.contains(&(value as u64)) {
        return Ok(Some(value as u64));
    }
    let problem = format!("{value} is no whole number from {} to {}", range.start(), range.end());
    Err(BatteryFileError::Own { field, problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::battery::Chemistry;

    const THREE: &str = "chemistry = \"agm\"\ncells = 6\ncapacity_ah = 100\n";

    #[test]
    fn three_fields_are_enough() {
        let battery = ReplayBattery::parse(THREE).expect("a battery");
        assert_eq!((battery.blocks, battery.parallel, battery.cells()), (1, 1, 6.0));
        assert_eq!(battery.battery, BatteryType::new(Chemistry::Agm, 6, 100.0));
    }

    #[test]
    fn cutoff_may_be_of_the_string_or_of_a_cell() {
        let string = ReplayBattery::parse(&format!("{THREE}blocks = 32\ncutoff_v = 336\n"));
        let cell = ReplayBattery::parse(&format!("{THREE}blocks = 32\ncutoff_v_per_cell = 1.75\n"));
        assert_eq!(string.expect("string"), cell.expect("cell"));
        let nmc =
            "chemistry = \"Li-ion\"\ncells = 14\ncapacity_ah = 50.0\ncutoff_v_per_cell = 2.5\n";
        assert!(ReplayBattery::parse(nmc).is_ok(), "a maker's low limit");
    }

    #[test]
    fn many_cells_are_several_blocks() {
        let text = "chemistry = \"lead\"\ncells = 192\ncapacity_ah = 100\n";
        let battery = ReplayBattery::parse(text).expect("a string");
        assert_eq!((battery.battery.cells, battery.blocks), (24, 8));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, what) in [
            ("blocks = 0", "blocks"),
            ("blocks = \"two\"", "blocks"),
            ("cutoff_v = 21.0", "3.500 V is no end voltage"),
            ("cutoff_v = 10.5\ncutoff_v_per_cell = 1.75", "either"),
            ("capacity = 5", "unknown field `capacity`"),
            ("rated_hours = 0", "rated_hours"),
            ("cutoff_v_per_cell = 1.4", "1.50 … 1.95 V"),
        ] {
            let error = ReplayBattery::parse(&format!("{THREE}{line}\n")).expect_err(line);
            assert!(error.to_string().contains(what), "{line}: {error}");
        }
        let error = ReplayBattery::parse("cells = 6\ncapacity_ah = 1.0").expect_err("no chemistry");
        assert!(error.to_string().contains("chemistry"), "{error}");
    }
}
