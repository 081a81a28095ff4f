//! Tells the program which Wasmtime it is built with, to the patch, and for
//! which target: compiled plugins are kept under these names, and an update
//! that repairs the compiler must not go on with what the old one made.

use std::{env, fs, path::PathBuf};

fn main() {
    let lock = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
        .join("../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    println!("cargo::rerun-if-changed=build.rs");
    let text = fs::read_to_string(&lock).expect("the workspace's Cargo.lock can be read");
    let version = text
        .split("[[package]]")
        .find_map(|entry| entry.trim_start().strip_prefix("name = \"wasmtime\"\nversion = \""))
        .and_then(|rest| rest.split('"').next())
        .expect("wasmtime is in Cargo.lock");
    println!("cargo::rustc-env=EVENKEEL_WASMTIME={version}");
    println!("cargo::rustc-env=EVENKEEL_TARGET={}", env::var("TARGET").expect("set by cargo"));
}
