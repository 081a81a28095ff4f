//! Debian packages that the commands need: what is missing is installed, and
//! said.

use crate::run::{AnyError, command, exec};
use std::path::Path;
use std::process::{Command, Stdio};

/// Install those of `packages`, pairs of a file and the package that brings it,
/// whose file is not there, and `more`.
pub fn install(packages: &[(&str, &str)], more: &[&str]) -> Result<(), AnyError> {
    let missing = packages.iter().filter(|(file, _)| !Path::new(file).exists()).map(|(_, p)| *p);
    let packages: Vec<&str> = missing.chain(more.iter().copied()).collect();
    if packages.is_empty() {
        println!("   Debian packages: nothing missing");
        return Ok(());
    }
    println!("   Debian packages: {}", packages.join(" "));
    update()?;
    let options = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt(&[&options, packages.as_slice()].concat())
}

/// Fetch the lists of what can be had.
pub fn update() -> Result<(), AnyError> {
    apt(&["update", "--quiet"])
}

/// apt-get, through sudo unless we are root already.
fn apt(arguments: &[&str]) -> Result<(), AnyError> {
    let mut apt = if is_root()? {
        command("apt-get", arguments)
    } else {
        let mut sudo = command("sudo", &["apt-get"]);
        sudo.args(arguments);
        sudo
    };
    exec(apt.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()))
}

fn is_root() -> Result<bool, AnyError> {
    let id = Command::new("id").arg("-u").output()?;
    Ok(String::from_utf8_lossy(&id.stdout).trim() == "0")
}
