//! What plugins cost: size of the programs, time until one runs, calls into
//! it, memory, and how malformed ones fare.

use super::{Figures, programs};
use crate::run::{AnyError, cargo, exec, step};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Install → running of 300 kB, µs.
const INSTALL_US: f64 = 50_000.0;

/// The signed bundles that are there.
pub fn built(root: &Path) -> Result<Vec<PathBuf>, AnyError> {
    let mut bundles = Vec::new();
    for entry in std::fs::read_dir(root.join("target/plugins"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "evkp") {
            bundles.push(path);
        }
    }
    bundles.sort();
    Ok(bundles)
}

/// Program files of guard and daemon.
pub fn sizes(root: &Path, figures: &mut Figures) -> Result<(), AnyError> {
    let kb = |name| Ok::<_, AnyError>(programs(root).join(name).metadata()?.len() as f64 / 1e3);
    figures.within("evenkeel-guard program file", kb("evenkeel-guard")?, "kB", 2_000.0);
    figures.add("evenkeeld program file", kb("evenkeeld")?, "kB");
    Ok(())
}

/// A daemon that runs only what arrives compiled.
pub fn lean(root: &Path, figures: &mut Figures) -> Result<(), AnyError> {
    let lean = variant(root, "without the compiler", &["--no-default-features"], &["evenkeeld"])?;
    let kb = |path: PathBuf| Ok::<_, AnyError>(path.metadata()?.len() as f64 / 1e3);
    let without = kb(lean.join("evenkeeld"))?;
    figures.add("evenkeeld without the compiler, program file", without, "kB");
    figures.add("evenkeeld program file", kb(programs(root).join("evenkeeld"))?, "kB");
    Ok(())
}

/// The folder with another build of the daemon's `programs`. It is made in the
/// usual target folder, where all but the daemon's own crate is built already,
/// and moved out of the way of the usual build.
fn variant(
    root: &Path,
    what: &str,
    features: &[&str],
    names: &[&str],
) -> Result<PathBuf, AnyError> {
    let build = |features: &[&str]| {
        let package = ["build", "--release", "--package", "evenkeeld", "--bin", "evenkeeld"];
        let examples = names.iter().filter_map(|name| name.strip_prefix("examples/"));
        let examples = examples.flat_map(|name| ["--example", name]);
        exec(cargo(&package).args(examples).args(features))
    };
    let folder = root.join("target/bench-variants").join(what.replace(' ', "-"));
    step(&format!("build a daemon {what}"), || {
        build(features)?;
        for name in names {
            let to = folder.join(name);
            std::fs::create_dir_all(to.parent().unwrap_or(&folder))?;
            std::fs::copy(programs(root).join(name), to)?;
        }
        build(&[])
    })?;
    Ok(folder)
}

/// A driver with its device, and a plugin of 300 kB that computes nothing.
pub fn costs(root: &Path, bundles: &[PathBuf], figures: &mut Figures) -> Result<(), AnyError> {
    let measure = programs(root).join("examples/plugin_cost");
    let daemon = programs(root).join("evenkeeld");
    figures.take("megatec", &said(&mut at_work(root, bundles, &measure, &daemon)?)?, &[]);
    let budgets = [("cached: all steps", INSTALL_US), ("cold: all steps", INSTALL_US)];
    figures.take("300 kB", &said(Command::new(&measure).arg(&daemon))?, &budgets);
    Ok(())
}

/// The driver for which the measuring program has a device.
fn at_work(
    root: &Path,
    bundles: &[PathBuf],
    measure: &Path,
    daemon: &Path,
) -> Result<Command, AnyError> {
    let is_megatec = |path: &&PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("megatec-"))
    };
    let bundle = bundles.iter().find(is_megatec).ok_or("megatec is not built")?;
    let mut command = Command::new(measure);
    command.arg(daemon).arg(bundle).arg(root.join("target/dev-keys/plugin.pub"));
    Ok(command)
}

/// The same in the interpreter, as on 32-bit ARM.
pub fn interpreter(root: &Path, figures: &mut Figures) -> Result<(), AnyError> {
    let names = ["evenkeeld", "examples/plugin_cost"];
    let folder = variant(root, "with the interpreter", &["--features", "interpreter"], &names)?;
    let measure = folder.join("examples/plugin_cost");
    let daemon = folder.join("evenkeeld");
    figures.take("300 kB", &said(Command::new(&measure).arg(&daemon))?, &[]);
    figures.take("megatec", &said(&mut at_work(root, &built(root)?, &measure, &daemon)?)?, &[]);
    super::gateway::measure_with(root, &folder, figures)
}

/// Malformed components against compiler and loader.
pub fn mutations(figures: &mut Figures) -> Result<(), AnyError> {
    const COUNT: &str = "20000";
    let options = ["test", "--package", "evenkeeld", "--lib"];
    let mut command = cargo(&options);
    command.args(["malformed_components", "--", "--nocapture"]).env("EVENKEEL_MUTATIONS", COUNT);
    let text = said(&mut command)?;
    let line = text.lines().find(|line| line.contains("mutated components in"));
    println!("{}", line.ok_or("the test did not tell what it did")?);
    let numbers = line.into_iter().flat_map(|line| line.split(|c: char| !c.is_ascii_digit()));
    let numbers: Vec<f64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let names = ["mutated components", "time", "refused", "ran within limits", "compiler panics"];
    for ((name, unit), value) in names.iter().zip(["", "ms", "", "", ""]).zip(numbers) {
        figures.add(name, value, unit);
    }
    Ok(())
}

/// What a program prints; its complaints are shown.
pub fn said(command: &mut Command) -> Result<String, AnyError> {
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("{}: {}", command.get_program().display(), output.status).into()),
    }
}
