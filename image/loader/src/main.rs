//! The boot loader for UEFI. What it accepts is compiled in and so under its
//! own signature: nothing beside it on its partition is read.

#![no_main]
#![no_std]

use evenkeel_loader::firmware::{self, Identity};
use evenkeel_loader::trust::Given;
use uefi::Status;

/// As `cargo xtask image` says it to the compiler.
const IDENTITY: Identity = Identity {
    product: env!("EVENKEEL_PRODUCT"),
    board: env!("EVENKEEL_BOARD"),
    least: env!("EVENKEEL_EPOCH"),
    given: Given {
        keys: env!("EVENKEEL_FIRMWARE_KEYS"),
        keyring: include_bytes!(env!("EVENKEEL_KEYRING")),
    },
};

#[uefi::entry]
fn main() -> Status {
    firmware::main(&IDENTITY)
}
