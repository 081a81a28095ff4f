//! What the console costs with all that an appliance takes: 512 blocks in 16
//! strings on the simulator, the release build, and tests/browser/budgets.mjs in the
//! distribution's Chromium. Each figure stands beside its goal of
//! facts/console-ux.md §7, kept or missed.
//!
//! Simulator, browser and viewers share the machine with the appliance: what waits
//! for a processor here waits longer than on an appliance's network.

use super::figures::Budget;
use super::{Figures, plugins::said, programs};
use crate::demo::options;
use crate::run::{AnyError, command, exec, step};
use crate::test::browser_packages;
use evenkeel_e2e::Stack;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// All that an appliance takes, 32 blocks each.
const STRINGS: u16 = 16;

pub fn measure(root: &Path, figures: &mut Figures) -> Result<(), AnyError> {
    let lighthouse = step("packages of the browser, and Lighthouse", || {
        browser_packages(root)?;
        Ok(lighthouse(root))
    })?;
    let browser = root.join("target/browser");
    // Node finds packages beside the script.
    for file in ["kit.mjs", "budgets.mjs"] {
        std::fs::copy(root.join("tests/browser").join(file), browser.join(file))?;
    }
    let dir = root.join("target/bench-console");
    // Absent at the first run.
    let _ = std::fs::remove_dir_all(&dir);
    let mut options = options(root, programs(root), dir, 0, 1);
    options.strings = STRINGS;
    let mut stack = Stack::start(options)?;
    let mut script = Command::new("node");
    script.arg(browser.join("budgets.mjs")).arg(stack.address()).arg(stack.first_password()?);
    script.arg(stack.dir().join("hw/control")).arg(stack.daemon.pid().to_string());
    match &lighthouse {
        Ok(folder) => script.arg(folder),
        Err(why) => {
            println!("no figures of Lighthouse: {why}");
            &mut script
        }
    };
    let text = step("the console in Chromium (minutes)", || said(&mut script))?;
    for line in text.lines() {
        let name = line.rsplit_once(": ").map_or("", |(name, _)| name);
        match goal(name) {
            Some((goal, budget)) => figures.judge(goal, line, |_| Some(budget)),
            None if is_told(line) => println!("{line}"),
            None => figures.judge("console", line, |_| None),
        }
    }
    stack.check()?;
    for program in [&mut stack.daemon, &mut stack.guard, &mut stack.sim] {
        program.stop();
    }
    Ok(())
}

/// A line that is for people, and no figure.
fn is_told(line: &str) -> bool {
    ["problem ", "   lost by", "Lighthouse did not"].iter().any(|begin| line.starts_with(begin))
}

/// The folder with the package, or why there is none: it is big, and needed for
/// nothing else.
fn lighthouse(root: &Path) -> Result<PathBuf, String> {
    let folder = root.join("target/lighthouse");
    let install = || -> Result<(), AnyError> {
        std::fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json"] {
            let from = root.join("tests/browser/lighthouse").join(file);
            std::fs::copy(from, folder.join(file))?;
        }
        let options = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        exec(command("npm", &options).arg(&folder).stdout(Stdio::null()))
    };
    install().map(|()| folder).map_err(|e| e.to_string())
}

/// The goal that a figure belongs to, and what it allows.
fn goal(name: &str) -> Option<(&'static str, Budget)> {
    const CHARTS: [&str; 2] = ["weight /strings/1, cold", "weight /blocks/1-5, cold"];
    let most = |goal, most| Some((goal, Budget::Most(most)));
    let least = |least| Some(("G11", Budget::Least(least)));
    match name {
        name if CHARTS.contains(&name) => most("G1", 90.0),
        name if name.starts_with("weight ") && name.ends_with(", cold") => most("G1", 60.0),
        name if name.starts_with("weight ") => most("G1", 15.0),
        name if name.starts_with("requests ") => most("G1", 8.0),
        "own JavaScript, raw" => most("G2", 30.0),
        "module of the board, compressed" => most("G2", 6.0),
        "answer /, p95" => most("G3", 5.0),
        "first contentful paint of the board at 6x" => most("G4", 1_000.0),
        "largest contentful paint of the board at 6x" => most("G4", 1_500.0),
        "value to pixel, p95" => most("G5", 1_000.0),
        "value to pixel, worst" => most("G5", 2_000.0),
        "daemon with 20 viewers, share of a core" => most("G5", 25.0),
        "change of a tenth of the tiles at 6x, main thread" => most("G6", 25.0),
        "change of all tiles at 6x, main thread" => most("G6", 100.0),
        name if name.ends_with("at 6x, longest task") => most("G6", 200.0),
        "stream, whole view of 512 blocks" => most("G7", 5.0),
        "stream, a change of a tenth of the tiles" => most("G7", 1.0),
        "daemon with 20 viewers, resident" => most("G9", 64.0),
        "axe, violations" => most("G10", 0.0),
        name if name.ends_with(", performance") => {
            least(if name.starts_with("Lighthouse desktop") { 95.0 } else { 90.0 })
        }
        name if name.starts_with("Lighthouse ") => least(100.0),
        "errors in the console, and foreign requests" => most("G12", 0.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_find_their_goals() {
        for (name, found) in [
            ("weight /blocks/1-5, cold", Some(("G1", Budget::Most(90.0)))),
            ("weight /alarms, cold", Some(("G1", Budget::Most(60.0)))),
            ("weight /blocks/1-5, warm", Some(("G1", Budget::Most(15.0)))),
            ("answer /alarms, p95", None),
            ("Lighthouse mobile /, performance", Some(("G11", Budget::Least(90.0)))),
            ("Lighthouse mobile /, best practices", Some(("G11", Budget::Least(100.0)))),
        ] {
            assert_eq!(goal(name), found, "{name}");
        }
    }
}
