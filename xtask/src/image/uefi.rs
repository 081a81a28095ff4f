//! The boot loader of a board with UEFI: `image/loader`, with the product, the
//! board, the least epoch and the keys of headers compiled in, signed for Secure
//! Boot, on a partition of its own; and the firmware's variables with the key.

use super::cross::Rust;
use super::keys::Keys;
use super::programs::renamed;
use crate::run::{AnyError, cargo, exec};
use evenkeel_e2e::machine::{PARTITION, VARIABLES};
use evenkeel_e2e::uefi;
use evenkeel_image::board::Board;
use evenkeel_image::release::PRODUCT;
use std::fs;
use std::path::Path;

/// What the loader is built with, by the program that it brings.
pub const PACKAGES: &[(&str, &str)] = &[(LINKER, "lld")];
const LINKER: &str = "/usr/bin/lld-link";

/// Make the loader of `board`, when its firmware is UEFI. It starts nothing
/// whose epoch is below `least`.
pub fn make(
    root: &Path,
    out: &Path,
    board: &Board,
    keys: &Keys,
    least: u32,
) -> Result<(), AnyError> {
    let Some(settings) = &board.uefi else { return Ok(()) };
    let folder = keys.uefi()?;
    let (headers, keyring) = keys.of_headers();
    let ring = out.join("loader.evkk");
    fs::write(&ring, keyring)?;
    let rust = Rust::find(&root.join("target/image/toolchain"))?;
    let target = root.join("target/image/loader");
    let mut flags = renamed(root, Some(rust.place()));
    flags.extend([
        format!("-Clinker={LINKER}"),
        // No time, no name of a file beside it.
        "-Clink-arg=/Brepro".to_owned(),
        "-Clink-arg=/DEBUG:NONE".to_owned(),
        // Nobody sees to the wide registers before there is a kernel.
        "--cfg=curve25519_dalek_backend=\"serial\"".to_owned(),
        "--cfg=sha2_backend=\"soft\"".to_owned(),
    ]);
    let mut build = cargo(&["build", "--locked", "--release", "--package", "evenkeel-loader"]);
    build.args(["--bin", "evenkeel-loader", "--features", "firmware"]);
    build.args(["--target", &settings.target, "-Zbuild-std=core,alloc,compiler_builtins"]);
    build.arg("-Zbuild-std-features=compiler-builtins-mem").current_dir(root);
    rust.prepare(&mut build);
    build
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_INCREMENTAL", "0")
        .env("EVENKEEL_PRODUCT", PRODUCT)
        .env("EVENKEEL_BOARD", &board.name)
        .env("EVENKEEL_EPOCH", least.to_string())
        .env("EVENKEEL_FIRMWARE_KEYS", headers)
        .env("EVENKEEL_KEYRING", ring.canonicalize()?);
    exec(&mut build)?;
    let program = target.join(&settings.target).join("release/evenkeel-loader.efi");
    let signed = uefi::sign(&fs::read(program)?, folder, out)?;
    println!("   loader for UEFI, {} bytes", signed.len());
    uefi::partition(&out.join(PARTITION), &signed)?;
    let variables = uefi::variables(&fs::read(&settings.variables)?, folder)?;
    Ok(fs::write(out.join(VARIABLES), variables)?)
}
