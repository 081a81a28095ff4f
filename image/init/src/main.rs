//! `init`: the appliance's first program, twice, and the keeper of its slots.
//!
//! As `/init` in the kernel's first file system it is the **first stage**
//! ([`stage1`]): it finds the slot that the loader chose, checks the slot's
//! signed header against the keys of its own boot image, opens the root under
//! its hash tree, and goes over to it. As `/sbin/init` on that root it is the
//! **supervisor** ([`supervisor`]): it starts the guard first and the daemon
//! second, starts them again when they end, and stops in good order.
//!
//! As `/sbin/evenkeel-keeper` it keeps the slots ([`keeper`]): takes new systems
//! in, and decides whether they have proved themselves.
//!
//! There is no shell and no other login. What goes wrong stands in the kernel's
//! log and in the state record.

mod command_line;
mod host_name;
mod keeper;
mod kept;
mod keyring;
mod log;
mod mapper;
mod partition;
mod ports;
mod reset;
mod service;
mod stage1;
mod state;
mod supervisor;
mod trust;
mod watchdog;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_else(|| OsString::from("init"));
    if Path::new(&name) == Path::new(supervisor::KEEPER) {
        log::open();
        return keeper::run();
    }
    if !rustix::process::getpid().is_init() {
        eprintln!("init: this is the first program of the appliance; the kernel starts it");
        return ExitCode::from(2);
    }
    log::open();
    let reason = match Path::new(&name) {
        name if name == Path::new("/init") => stage1::run(),
        _ => supervisor::run(),
    };
    log::say(&format!("restarting: {reason}"));
    state::remember(reason);
    rustix::fs::sync();
    // There is nobody to tell when this fails, and the watchdog bites then.
    let _ = rustix::system::reboot(rustix::system::RebootCommand::Restart);
    loop {
        std::thread::park();
    }
}
