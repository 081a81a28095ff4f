//! `cargo xtask soak`: the hour-long form of what `test` checks in minutes:
//! the images as they are released, with a kernel of our own and their slow
//! tests, random worlds, power cuts of the store, damaged
//! components by the thousand, and the daemon killed under load.
//! Run by hand; the figures go into the release notes.

use crate::bench::print_guard;
use crate::demo::stack;
use crate::image::Choice;
use crate::load::Load;
use crate::plugins;
use crate::run::{AnyError, build_programs, cargo, exec, step};
use crate::test::{ALL_IMAGES, SLOW_TOO, images};
use crate::{campaign, debian};
use evenkeel_e2e::{Missing, Stack, Witness};
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// Leave out the images and their tests, which come first.
    #[arg(long)]
    no_images: bool,
    /// How long.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Kill the daemon this often, seconds; 0: never.
    #[arg(long, default_value_t = 30)]
    kill_every: u64,
    /// Endless loops beside it.
    #[arg(long, default_value_t = 2)]
    busy: usize,
    /// Seeds of the campaign that runs first; 0: none.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// Points at which the store's power is cut, before that; 0: none.
    #[arg(long, default_value_t = 50_000)]
    cuts: u64,
    /// Seed of the first of them.
    #[arg(long, default_value_t = 1)]
    cuts_seed: u64,
    /// Damaged components of the real plugins on the running appliance; 0: none.
    #[arg(long, default_value_t = 3_000)]
    mutants: u64,
    /// Use the release programs and plugins that are built already.
    #[arg(long)]
    no_build: bool,
}

/// Random worlds against the core, then the guard under load, its daemon killed again and again: no missed cycle.
pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    if !arguments.no_images {
        all_images(root)?;
    }
    if !arguments.no_build {
        step("build, release", || {
            let programs = ["evenkeel-guard", "evenkeeld", "evenkeel-sim", "evenkeel-plugin"];
            let packages = programs.iter().flat_map(|p| ["--package", p]);
            exec(cargo(&["build", "--release"]).args(packages))
        })?;
        plugins::build(root)?;
    }
    if arguments.seeds > 0 {
        campaign::run(root, &campaign::Arguments::of(arguments.seeds))?;
    }
    if arguments.cuts > 0 {
        step("power cuts of the store, release", || cut(arguments))?;
    }
    if arguments.mutants > 0 {
        mutants(root, arguments.mutants)?;
    }
    if arguments.minutes == 0 {
        return Ok(());
    }
    let dir = root.join("target/soak");
    // Absent at the first run.
    let _ = std::fs::remove_dir_all(&dir);
    let mut stack = stack(root, root.join("target/release"), dir, 0, 1)?;
    let started = Instant::now();
    let end = started + Duration::from_secs(60 * arguments.minutes);
    let load = Load::start(arguments.busy)?;
    let (mut kills, mut told, mut witness) = (0, 0, Witness::default());
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now());
        let pause = if arguments.kill_every == 0 { 10 } else { arguments.kill_every };
        let mut client = stack.sign_in()?;
        witness.keep_busy(&mut client, left.min(Duration::from_secs(pause)))?;
        stack.check()?;
        if arguments.kill_every > 0 {
            stack.daemon.kill();
            stack.restart_daemon()?;
            kills += 1;
            let missing = witness.missing(&mut stack.sign_in()?)?;
            if missing != Missing::default() {
                return Err(format!("kill {kills}: gone: {missing:?}").into());
            }
        }
        let minutes = started.elapsed().as_secs() / 60;
        if minutes >= told + 5 {
            told = minutes;
            println!("{minutes} min, {kills} kills, guard {:?} kB", stack.guard.resident_kb());
        }
    }
    drop(load);
    let [events, entries, rows, values, jobs] = witness.seen();
    println!(
        "{events} events, {entries} audit entries, {rows} rows of history, {values} values of \
         points and {jobs} waiting jobs were seen, {} settings taken; all of it outlived the kills",
        witness.taken()
    );
    report(&mut stack, kills)
}

/// All images, and what `cargo xtask test` leaves out for its time.
fn all_images(root: &Path) -> Result<(), AnyError> {
    debian::install(&[("/usr/bin/qemu-arm-static", "qemu-user-static")], &[])?;
    build_programs()?;
    let bundles = plugins::build(root)?;
    step("images of all boards in emulation, slow tests too", || {
        images(root, &bundles, ALL_IMAGES, Choice::Own, &[SLOW_TOO])
    })
}

/// The end-to-end test of hostile plugins with other numbers.
fn mutants(root: &Path, count: u64) -> Result<(), AnyError> {
    build_programs()?;
    plugins::build(root)?;
    let test = ["test", "--package", "evenkeel-e2e", "--features", "evenkeel-e2e/appliance"];
    step("damaged components on the running appliance", || {
        let name = ["--test", "hostile", "mutants", "--", "--nocapture"];
        exec(cargo(&test).args(name).env("EVENKEEL_MUTANTS", count.to_string()))
    })
}

/// The store's own test with other numbers: what it does is told there.
fn cut(arguments: &Arguments) -> Result<(), AnyError> {
    let test = ["test", "--release", "--package", "evenkeeld", "--lib"];
    exec(
        cargo(&test)
            .args(["power_may_fail_at_any_point", "--", "--nocapture"])
            .env("EVENKEEL_CUTS", arguments.cuts.to_string())
            .env("EVENKEEL_CUTS_SEED", arguments.cuts_seed.to_string()),
    )
}

fn report(stack: &mut Stack, kills: u32) -> Result<(), AnyError> {
    let mut client = stack.sign_in()?;
    let deadline = Instant::now() + Duration::from_secs(30);
    let guard = loop {
        match client.get("/api/v1/guard") {
            Ok(guard) => break guard,
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            // The daemon has just been started and has not heard the guard yet.
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    };
    print_guard(&guard, &mut []);
    println!("daemon killed {kills} times; guard {:?} kB", stack.guard.resident_kb());
    for program in [&mut stack.daemon, &mut stack.guard, &mut stack.sim] {
        program.stop();
    }
    match guard["deadline_misses"].as_u64() {
        Some(0) => Ok(()),
        misses => Err(format!("the guard missed {misses:?} cycles").into()),
    }
}
