//! Running programs with visible progress.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Any failure of a command: xtask only shows it.
pub type AnyError = Box<dyn std::error::Error>;

/// Do `work` under a headline, with its duration.
pub fn step<T>(title: &str, work: impl FnOnce() -> Result<T, AnyError>) -> Result<T, AnyError> {
    println!("── {title}");
    let start = Instant::now();
    let done = work().map_err(|e| format!("{title}: {e}"))?;
    println!("   done in {:.1} s", start.elapsed().as_secs_f64());
    Ok(done)
}

/// A program with arguments, ready to run in the workspace's root.
pub fn command<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// The cargo that runs us.
pub fn cargo<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments);
    // What cargo said about xtask is not about what is built next: build
    // scripts that watch such a variable would run again at each change
    // between this command and a plain one.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Run to its end; an error names the command when it fails.
pub fn exec(command: &mut Command) -> Result<(), AnyError> {
    let status = command.status().map_err(|e| format!("{}: {e}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}`: {status}", line(command)).into()) }
}

/// The same for one that talks too much: what it said is shown when it fails.
pub fn quiet(command: &mut Command) -> Result<(), AnyError> {
    let output = command.output().map_err(|e| format!("{}: {e}", line(command)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rev().take(SHOWN).collect::<Vec<_>>();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    Err(format!("`{}`: {}:\n{last}", line(command), output.status).into())
}

/// Most lines of a program's words in an error.
const SHOWN: usize = 40;

/// The command as one would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// The files below `paths` (git's pathspecs) that the version control knows, or
/// would: as they are now, from the root.
pub fn sources(root: &Path, paths: &[&str]) -> Result<Vec<String>, AnyError> {
    let known = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"];
    let listed = command("git", &known).args(paths).current_dir(root).output()?;
    if !listed.status.success() {
        return Err("git cannot list the sources; is this a clone?".into());
    }
    let names = String::from_utf8(listed.stdout)?;
    // One that was removed and not yet committed is listed, too.
    let there = |name: &&str| root.join(name).exists();
    Ok(names.split_terminator('\0').filter(there).map(str::to_owned).collect())
}

/// Build the programs of the appliance, the simulator and the tools.
pub fn build_programs() -> Result<(), AnyError> {
    step("build programs (the first time this takes minutes)", || {
        let options = ["build", "--workspace", "--bins", "--exclude", "evenkeel-plugin-*"];
        exec(cargo(&options).args(["--exclude", "evenkeel-fuzz"]))
    })
}

/// Where `cargo build` puts programs.
pub fn programs(root: &Path) -> PathBuf {
    root.join("target/debug")
}
