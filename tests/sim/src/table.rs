//! A world in virtual time as CSV: one row per instant, for plots and for
//! checking a scenario before anything is connected to it.

use crate::world::World;
use evenkeel_core::time::Nanos;
use std::io::{self, Write};

/// Let the world live for `length` and write a row every `every`, and one at
/// the end. Voltages in V, currents in A, temperatures in °C, charge 0 … 1.
///
/// # Errors
/// What writing to `out` brings.
pub fn write(
    world: &mut World,
    length: Nanos,
    every: Nanos,
    out: &mut dyn Write,
) -> io::Result<()> {
    header(world, out)?;
    let every = every.max(Nanos::from_millis(1));
    let mut now = Nanos::default();
    loop {
        world.advance(now);
        row(world, now, out)?;
        if now >= length || world.has_ended() {
            return out.flush();
        }
        now = length.min(now + every);
    }
}

fn header(world: &World, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "t_s,mains")?;
    for (s, string) in world.bus().plant().strings().iter().enumerate() {
        write!(out, ",s{s}_terminal_v,s{s}_a,s{s}_room_c,s{s}_breaker_closed,s{s}_unstable")?;
        for b in 1..=string.places().len() {
            write!(out, ",s{s}_b{b}_v,s{s}_b{b}_c,s{s}_b{b}_charge")?;
        }
    }
    writeln!(out)
}

fn row(world: &World, now: Nanos, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{:.3},{}", now.as_secs_f64(), u8::from(world.has_mains()))?;
    for string in world.bus().plant().strings() {
        write!(
            out,
            ",{:.3},{:.4},{:.2},{},{}",
            string.terminal_v(),
            string.amps(),
            string.surroundings().room_c,
            u8::from(string.breaker().is_closed()),
            u8::from(string.runaway().unstable_at_s.is_some()),
        )?;
        for place in string.places() {
            let block = place.block();
            write!(out, ",{:.4},{:.2},{:.4}", place.volts(), block.celsius(), block.charge())?;
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn script_runs_and_every_row_is_whole() {
        let text = "[[strings]]\nblocks = 4\nload_w = 100.0\n\
            [[script]]\nat = \"1m\"\ndo = \"mains off\"\n\
            [[script]]\nat = \"90s\"\ndo = \"string 0 breaker trip\"\n";
        let scenario = Scenario::parse(text).expect("valid");
        let mut world = World::new(&scenario).expect("valid");
        let mut csv = Vec::new();
        write(&mut world, Nanos::from_secs(125), Nanos::from_secs(30), &mut csv).expect("memory");
        let csv = String::from_utf8(csv).expect("text");
        let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
        assert!(rows.iter().all(|row| row.len() == 2 + 5 + 4 * 3));
        let column = |i: usize| rows[1..].iter().map(|row| row[i]).collect::<Vec<_>>();
        assert_eq!(column(0), ["0.000", "30.000", "60.000", "90.000", "120.000", "125.000"]);
        assert_eq!(column(1), ["1", "1", "0", "0", "0", "0"]);
        let amps: Vec<f64> = column(3).iter().map(|a| a.parse().expect("a number")).collect();
        assert!(amps[3] < -1.0 && amps[4] == 0.0, "{amps:?}");
        assert_eq!(column(5), ["1", "1", "1", "1", "0", "0"]);
    }
}
