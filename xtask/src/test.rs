//! `cargo xtask test`: everything that must hold, in the order in which it
//! fails fastest. Installs what is missing and says what it installs; a tool
//! that cannot be had is a failure, never a skip.

use crate::image::{Choice, How, Keys};
use crate::run::{AnyError, build_programs, cargo, command, exec, programs, step};
use crate::{debian, fuzz, image, plugins};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Debian packages by the program or file that they bring.
const PACKAGES: &[(&str, &str)] = &[
    ("/usr/bin/chromium", "chromium"),
    ("/lib/nut/nutdrv_qx", "nut-server"),
    ("/bin/upsc", "nut-client"),
    ("/lib/nut/snmp-ups", "nut-snmp"),
    ("/usr/sbin/snmpd", "snmpd"),
    ("/usr/bin/python3", "python3"),
    ("/usr/bin/g++", "g++"),
    ("/usr/bin/make", "make"),
    ("/usr/bin/clang", "clang"),
    ("/usr/bin/wasm-ld", "lld"),
    ("/usr/sbin/freeradius", "freeradius"),
    ("/usr/bin/mbpoll", "mbpoll"),
    ("/usr/share/doc/python3-venv", "python3-venv"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/sbin/rsyslogd", "rsyslog"),
    ("/usr/share/doc/rsyslog-openssl", "rsyslog-openssl"),
    ("/usr/sbin/dnsmasq", "dnsmasq-base"),
    ("/usr/sbin/chronyd", "chrony"),
    ("/usr/bin/newuidmap", "uidmap"),
    ("/sbin/ip", "iproute2"),
    ("/sbin/veritysetup", "cryptsetup-bin"),
    ("/sbin/sfdisk", "fdisk"),
    ("/bin/cpio", "cpio"),
    ("/usr/bin/mkimage", "u-boot-tools"),
    ("/usr/bin/dtc", "device-tree-compiler"),
];

/// Seconds of `demo` in a test run: the strings close in about 5 minutes.
const DEMO_SECONDS: &str = "420";
/// Seconds per fuzz target in a test run.
const FUZZ_SECONDS: u64 = 10;

#[derive(clap::Args)]
pub struct Arguments {
    /// Stop before everything that needs a running appliance.
    #[arg(long)]
    quick: bool,
}

pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    let start = Instant::now();
    step("format", || run_cargo(&["fmt", "--all", "--check"]))?;
    if !arguments.quick {
        step("install what the tests need", || install(root))?;
    }
    step("clippy, warnings are errors", || {
        run_cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
        // The part that only UEFI runs is compiled for here, to be looked at.
        let loader = ["clippy", "--package", "evenkeel-loader", "--lib", "--features", "firmware"];
        run_cargo(&[&loader[..], &["--", "--deny", "warnings"]].concat())
    })?;
    build_programs()?;
    let bundles = step("build and sign the plugins", || Ok(plugins::build(root)?))?;
    step("unit, property, simulation, conformance, hostile and tidy tests", || {
        run_cargo(&["test", "--workspace", "--exclude", "evenkeel-fuzz", "--no-fail-fast"])
    })?;
    if !arguments.quick {
        step("the appliance's images in emulation", || {
            images(root, &bundles, IMAGES, Choice::Stock, &[])
        })?;
        step("fuzz targets, short", || fuzz::short(root, FUZZ_SECONDS))?;
        step("the running appliance: demo, and end to end with real peers", || appliance(root))?;
    }
    println!("── all tests passed in {:.1} min", start.elapsed().as_secs_f64() / 60.0);
    Ok(())
}

fn run_cargo(arguments: &[&str]) -> Result<(), AnyError> {
    exec(&mut cargo(arguments))
}

/// The end-to-end tests; the same packages as before, so that nothing heavy is
/// built again with other features.
const END_TO_END: &[&str] = &[
    "test",
    "--workspace",
    "--exclude",
    "evenkeel-fuzz",
    "--features",
    "evenkeel-e2e/appliance",
    "--no-fail-fast",
    "--test",
    "alarms",
    "--test",
    "battery",
    "--test",
    "c_plugin",
    "--test",
    "certificate",
    "--test",
    "commissioning",
    "--test",
    "contract",
    "--test",
    "drivers",
    "--test",
    "guard",
    "--test",
    "jobs",
    "--test",
    "history",
    "--test",
    "hostile",
    "--test",
    "licence",
    "--test",
    "manage",
    "--test",
    "many",
    "--test",
    "network_peers",
    "--test",
    "trust",
    "--test",
    "modbus",
    "--test",
    "radius",
    "--test",
    "refusals",
    "--test",
    "snmp_ups",
    "--test",
    "store",
    "--test",
    "syslog",
    "--test",
    "ups",
    "--test",
    "browser",
];

/// A board in emulation, and the tests of its image and its loader.
type Image = (&'static str, &'static [&'static str]);
const X86_64: Image = ("qemu-x86_64", &["image", "loader_x86"]);
const IMAGES: &[Image] = &[X86_64];
/// The programs for ARM take as long to build again: `cargo xtask soak` does it.
pub const ALL_IMAGES: &[Image] = &[X86_64, ("qemu-arm", &["loader", "image_arm"])];
/// Also the tests that wait for minutes.
pub const SLOW_TOO: &str = "--include-ignored";

/// How they are run; the same packages as above.
const IMAGE: &[&str] = &[
    "test",
    "--workspace",
    "--exclude",
    "evenkeel-fuzz",
    "--features",
    "evenkeel-e2e/appliance",
    "--no-fail-fast",
];

/// Build the images with this kernel, and switch them on; `more` are words for the test programs.
pub fn images(
    root: &Path,
    bundles: &[PathBuf],
    images: &[Image],
    kernel: Choice,
    more: &[&str],
) -> Result<(), AnyError> {
    let mut test = cargo(IMAGE);
    let source = image::revision(root)?;
    let keys = Keys::development(root)?;
    let how = How { kernel, keys: &keys, source: &source, no_build: false };
    for &(name, tests) in images {
        let board = image::board(root, name)?;
        image::install(&board, kernel)?;
        image::build(root, &board, bundles, how)?;
        test.args(tests.iter().flat_map(|name| ["--test", name]));
    }
    // An image for production, by a platform that is nobody's.
    let keys = Keys::of_platform(&image::platform::example(root)?)?;
    let how = How { keys: &keys, no_build: true, ..how };
    image::build(root, &image::board(root, X86_64.0)?, bundles, how)?;
    // Each of them has a machine of its own, and there are few processors.
    exec(test.args(["--", "--nocapture", "--test-threads=1"]).args(more))
}

/// The demo watches its strings close for minutes; the end-to-end tests run
/// beside it, on their own stacks.
fn appliance(root: &Path) -> Result<(), AnyError> {
    run_cargo(&[END_TO_END, &["--no-run"]].concat())?;
    let log = root.join("target/demo-test.log");
    let output = std::fs::File::create(&log)?;
    let arguments = ["demo", "--no-build", "--seconds", DEMO_SECONDS, "--port", "0", "--json"];
    // Not the file that runs us: building the workspace has replaced that one.
    let mut demo = Command::new(programs(root).join("xtask"))
        .args(arguments)
        .arg(root.join("target/demo-test.json"))
        .arg("--dir")
        .arg(fresh(&root.join("target/demo-test"))?)
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    let end_to_end = run_cargo(END_TO_END);
    if end_to_end.is_err() {
        // Its own failure is shown; the demo would only delay it. It ends in
        // order, so that its programs end with it.
        exec(&mut command("kill", &["-TERM", &demo.id().to_string()]))?;
    }
    let status = demo.wait()?;
    end_to_end?;
    let said = std::fs::read_to_string(&log)?;
    print!("{said}");
    if status.success() { Ok(()) } else { Err(format!("demo: {status}").into()) }
}

fn fresh(dir: &Path) -> Result<&Path, AnyError> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    Ok(dir)
}

/// What the scripts of tests/browser need, into target/browser.
pub fn browser_packages(root: &Path) -> Result<(), AnyError> {
    println!("   npm packages of tests/browser/package-lock.json, into target/browser");
    let browser = root.join("target/browser");
    std::fs::create_dir_all(&browser)?;
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(root.join("tests/browser").join(file), browser.join(file))?;
    }
    let options = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
    exec(command("npm", &options).arg(&browser).stdout(Stdio::null()))
}

fn install(root: &Path) -> Result<(), AnyError> {
    let node: &[&str] = if has("node") && has("npm") { &[] } else { &["nodejs", "npm"] };
    debian::install(PACKAGES, node)?;
    browser_packages(root)?;
    println!("   Python packages of tests/e2e/requirements.txt, into target/python");
    let python = root.join("target/python");
    exec(command("python3", &["-m", "venv"]).arg(&python))?;
    let options = ["-m", "pip", "install", "--quiet", "--requirement"];
    let mut pip = Command::new(python.join("bin/python"));
    exec(pip.args(options).arg(root.join("tests/e2e/requirements.txt")))
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}
