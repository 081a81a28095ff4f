//! A recording: comma-separated values, read line by line.
//!
//! The first line names the columns, in any order: `time_s`, `current_A`
//! (positive into the battery), `voltage_V`, and if there is one
//! `temperature_C`. Columns named like `block_1_V` are voltages of blocks;
//! others are not looked at. An empty field is a missing measurement.
//! Semicolons and tabs may separate too; lines that begin with `#` are skipped.

use std::io::{BufRead, Read as _};

/// Longest line, bytes: a time and the voltages of 1,024 blocks take an eighth.
const LINE_MAX: u64 = 64 * 1024;

/// A line of the recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Time, s from any start.
    pub time_s: f64,
    /// Current, A, positive into the battery.
    pub current_a: Option<f64>,
    /// Voltage of the whole string, V.
    pub voltage_v: Option<f64>,
    /// Temperature of the battery, °C.
    pub temperature_c: Option<f64>,
    /// Voltages of the blocks, V, in the order of their numbers.
    pub blocks_v: Vec<Option<f64>>,
}

/// Why a recording cannot be read, and where.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Reading failed.
    #[error("line {line}: {source}")]
    Read {
        /// Counted from 1.
        line: u64,
        /// Cause.
        source: std::io::Error,
    },
    /// A line without an end.
    #[error("line {line} has more than {LINE_MAX} bytes; is this a text file?")]
    TooLong {
        /// Counted from 1.
        line: u64,
    },
    /// There is not even a header.
    #[error("the file is empty; its first line must name the columns time_s,current_A,voltage_V")]
    Empty,
    /// There is a header and nothing after it.
    #[error("the file holds no measurement, only the names of its columns")]
    NoSamples,
    /// The header lacks a column or has one twice.
    #[error("line {line}: {problem}; columns are time_s,current_A,voltage_V,temperature_C")]
    Header {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// A field that is no number.
    #[error("line {line}, column {column}: {problem}")]
    Field {
        /// Counted from 1.
        line: u64,
        /// Name from the header.
        column: String,
        /// What is wrong.
        problem: String,
    },
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Column {
    Time,
    Current,
    Voltage,
    Temperature,
    /// With the place among the blocks.
    Block(usize),
    Other,
}

/// Reads a recording.
#[derive(Debug)]
pub struct Trace<R> {
    source: R,
    separator: char,
    names: Vec<String>,
    columns: Vec<Column>,
    blocks: usize,
    text: String,
    line: u64,
    last_s: f64,
}

impl<R: BufRead> Trace<R> {
    /// Read the header.
    ///
    /// # Errors
    /// When there is none, or a column is missing.
    pub fn new(source: R) -> Result<Self, TraceError> {
        let mut trace = Self {
            source,
            separator: ',',
            names: Vec::new(),
            columns: Vec::new(),
            blocks: 0,
            text: String::new(),
            line: 0,
            last_s: f64::NEG_INFINITY,
        };
        if !trace.next_line()? {
            return Err(TraceError::Empty);
        }
        let header = trace.text.trim_start_matches('\u{feff}').trim().to_owned();
        if let Some(other) = [';', '\t'].into_iter().find(|c| header.contains(*c)) {
            trace.separator = other;
        }
        trace.names = header.split(trace.separator).map(|name| unquote(name).to_owned()).collect();
        trace.sort_columns()?;
        Ok(trace)
    }

    /// How many blocks have a column.
    #[must_use]
    pub const fn blocks(&self) -> usize {
        self.blocks
    }

    /// The line that was read last, counted from 1.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// Read the next sample; `false` at the end.
    ///
    /// # Errors
    /// Names line and column of what is no number, and a time that goes back.
    pub fn read(&mut self, sample: &mut Sample) -> Result<bool, TraceError> {
        if !self.next_line()? {
            let none = self.last_s == f64::NEG_INFINITY;
            return if none { Err(TraceError::NoSamples) } else { Ok(false) };
        }
        sample.blocks_v.clear();
        sample.blocks_v.resize(self.blocks, None);
        (sample.current_a, sample.voltage_v, sample.temperature_c) = (None, None, None);
        let mut time_s = None;
        let mut fields = self.text.trim_end_matches(['\r', '\n']).split(self.separator);
        for (column, name) in self.columns.iter().zip(&self.names) {
            let error = |problem: String| TraceError::Field {
                line: self.line,
                column: name.clone(),
                problem,
            };
            let Some(text) = fields.next() else {
                return Err(error("the line ends before this column".to_owned()));
            };
            if *column == Column::Other {
                continue;
            }
            let value = number(text, self.separator).map_err(error)?;
            match column {
                Column::Time => time_s = value,
                Column::Current => sample.current_a = value,
                Column::Voltage => sample.voltage_v = value,
                Column::Temperature => sample.temperature_c = value,
                Column::Block(place) => sample.blocks_v[*place] = value,
                Column::Other => {}
            }
        }
        let error = |problem: String| TraceError::Field {
            line: self.line,
            column: "time_s".to_owned(),
            problem,
        };
        if fields.next().is_some() {
            let problem = format!("more than the header's {} fields", self.names.len());
            return Err(TraceError::Header { line: self.line, problem });
        }
        sample.time_s = time_s.ok_or_else(|| error("there is no time".to_owned()))?;
        if sample.time_s < self.last_s {
            let problem = format!(
                "{} s comes after {} s; sort the lines by time",
                sample.time_s, self.last_s
            );
            return Err(error(problem));
        }
        self.last_s = sample.time_s;
        Ok(true)
    }

    /// Read on to a line that is neither empty nor a comment.
    fn next_line(&mut self) -> Result<bool, TraceError> {
        loop {
            self.text.clear();
            self.line += 1;
            let read = (&mut self.source).take(LINE_MAX).read_line(&mut self.text);
            match read.map_err(|source| TraceError::Read { line: self.line, source })? {
                0 => return Ok(false),
                read if read as u64 == LINE_MAX && !self.text.ends_with('\n') => {
                    return Err(TraceError::TooLong { line: self.line });
                }
                _ if self.text.trim().is_empty() || self.text.starts_with('#') => {}
                _ => return Ok(true),
            }
        }
    }

    fn sort_columns(&mut self) -> Result<(), TraceError> {
        let mut numbers: Vec<u32> = self.names.iter().filter_map(|n| block_number(n)).collect();
        numbers.sort_unstable();
        let error = |problem: String| TraceError::Header { line: self.line, problem };
        if let Some(twice) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(error(format!("block {} has two columns", twice[0])));
        }
        let place = |number: u32| numbers.binary_search(&number).unwrap_or_default();
        self.columns = self.names.iter().map(|name| column(name, place)).collect();
        self.blocks = numbers.len();
        for (wanted, name) in [
            (Column::Time, "time_s"),
            (Column::Current, "current_A"),
            (Column::Voltage, "voltage_V"),
            (Column::Temperature, "temperature_C"),
        ] {
            let count = self.columns.iter().filter(|c| **c == wanted).count();
            let enough = count == 1
                || (count == 0 && wanted == Column::Temperature)
                || (count == 0 && wanted == Column::Voltage && self.blocks > 0);
            if !enough {
                return Err(error(match count {
                    0 => format!("there is no column {name} in \"{}\"", self.names.join(",")),
                    _ => format!("there are {count} columns for {name}"),
                }));
            }
        }
        Ok(())
    }
}

fn column(name: &str, place: impl Fn(u32) -> usize) -> Column {
    match plain(name).as_str() {
        "times" | "time" | "t" | "ts" | "seconds" => Column::Time,
        "currenta" | "current" | "i" | "ia" | "amps" => Column::Current,
        "voltagev" | "voltage" | "v" | "vv" | "u" | "uv" | "volts" => Column::Voltage,
        "temperaturec" | "temperature" | "temp" | "tempc" | "tc" => Column::Temperature,
        _ => block_number(name).map_or(Column::Other, |number| Column::Block(place(number))),
    }
}

/// The number in a name that looks like a block's voltage: `block_1_V`,
/// `V_block3`, `block12_voltage`, `cell_2_V`, `V1`.
fn block_number(name: &str) -> Option<u32> {
    let plain = plain(name);
    let words: String = plain.chars().filter(|c| !c.is_ascii_digit()).collect();
    let kind = words.replace("voltage", "").replace(['v', 'u'], "");
    let volts = words.contains('v') || words.contains('u') || words == kind;
    let digits: Vec<&str> =
        plain.split(|c: char| !c.is_ascii_digit()).filter(|d| !d.is_empty()).collect();
    match (kind.as_str(), digits.as_slice()) {
        ("block" | "blk" | "b" | "cell" | "battery" | "bat" | "module" | "jar", [digits])
            if volts =>
        {
            digits.parse().ok()
        }
        ("", [digits]) if words.starts_with(['v', 'u']) => digits.parse().ok(),
        _ => None,
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

fn unquote(field: &str) -> &str {
    field.trim().trim_matches('"').trim()
}

/// A number; `None` for an empty field and for NaN.
fn number(field: &str, separator: char) -> Result<Option<f64>, String> {
    let text = unquote(field);
    if text.is_empty() || text.eq_ignore_ascii_case("nan") {
        return Ok(None);
    }
    let parsed = match text.parse() {
        Err(_) if separator != ',' && text.contains(',') => text.replace(',', ".").parse(),
        parsed => parsed,
    };
    match parsed {
        Ok(value) if f64::is_finite(value) => Ok(Some(value)),
        _ => Err(format!("\"{text}\" is no number; leave the field empty if it was not measured")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Sample>, TraceError> {
        let mut trace = Trace::new(text.as_bytes())?;
        let (mut sample, mut samples) = (Sample::default(), Vec::new());
        while trace.read(&mut sample)? {
            samples.push(sample.clone());
        }
        Ok(samples)
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let text = "\u{feff}# recorded at noon\n";
        assert!(matches!(all(text), Err(TraceError::Header { .. } | TraceError::Empty)));
        let samples = all("voltage_V,note,time_s,block_2_V,current_A,block_1_V\r\n\
             25.3,ok,0,12.6,-10,12.7\r\n\r\n# later\n25.2,,60,12.5,-10,\n")
        .expect("readable");
        assert_eq!(samples[0].blocks_v, [Some(12.7), Some(12.6)]);
        assert_eq!(samples[1].blocks_v, [None, Some(12.5)]);
        assert_eq!(samples[1].time_s, 60.0);
        assert_eq!(samples[0].temperature_c, None);
    }

    #[test]
    fn other_separators_and_decimal_commas() {
        let samples = all("time_s;current_A;voltage_V;temperature_C\n0;-1,5;12,6;25\n");
        assert_eq!(samples.expect("readable")[0].current_a, Some(-1.5));
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let text = format!("time_s,current_A,voltage_V\n0,-1,12\n{}", "1".repeat(1 << 20));
        let error = all(&text).expect_err("too long");
        assert_eq!(error.to_string(), "line 3 has more than 65536 bytes; is this a text file?");
    }

    #[test]
    fn names_of_blocks() {
        for (name, number) in [
            ("block_1_V", Some(1)),
            ("Block 12 voltage", Some(12)),
            ("V_block3", Some(3)),
            ("cell_07_V", Some(7)),
            ("V4", Some(4)),
            ("block_2_temperature_C", None),
            ("voltage_V", None),
            ("true_soc_1", None),
        ] {
            assert_eq!(block_number(name), number, "{name}");
        }
    }

    #[test]
    fn errors_name_line_and_column() {
        for (text, what) in [
            ("", "empty"),
            ("time_s,voltage_V\n", "there is no column current_A"),
            ("0,-1,12\n1,-1,12\n", "there is no column time_s"),
            ("time_s,current_A,voltage_V\n# later\n", "no measurement"),
            ("time_s,current_A,voltage_V,block_1_V,V1\n", "block 1 has two"),
            ("time_s,current_A,voltage_V\n0,-1,12\n1,x,12\n", "line 3, column current_A"),
            ("time_s,current_A,voltage_V\n0,-1\n", "line 2, column voltage_V"),
            ("time_s,current_A,voltage_V\n0,-1,12,5\n", "line 2"),
            ("time_s,current_A,voltage_V\n,-1,12\n", "column time_s: there is no time"),
            ("time_s,current_A,voltage_V\n5,-1,12\n4,-1,12\n", "4 s comes after 5 s"),
            ("time_s,current_A,voltage_V\n5,-1,inf\n", "column voltage_V"),
        ] {
            let error = all(text).expect_err(text).to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
