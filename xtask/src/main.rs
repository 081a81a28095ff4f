//! `cargo xtask`: the project's commands, for people and for CI alike.

mod bench;
mod campaign;
mod debian;
mod demo;
mod fuzz;
mod image;
mod load;
mod plugins;
mod run;
mod sdk;
mod soak;
mod test;
mod wit;

use clap::{Parser, Subcommand};
use run::AnyError;
use std::path::PathBuf;
use std::process::ExitCode;

/// The project's commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything, start simulated hardware, guard and daemon, show the console.
    Demo(demo::Arguments),
    /// Install what the tests need and run them all.
    Test(test::Arguments),
    /// Build and sign every plugin of plugins/ with a development key.
    Plugins,
    /// Pack what a plugin vendor needs into one file.
    Sdk(sdk::Arguments),
    /// Measure what DESIGN.md budgets, on this machine.
    Bench(bench::Arguments),
    /// Run the guard under load for an hour, killing the daemon again and again.
    Soak(soak::Arguments),
    /// Run random worlds against the guard's core and check what must always hold.
    Campaign(campaign::Arguments),
    /// Run the fuzz targets of tests/fuzz (coverage-guided).
    Fuzz(fuzz::Arguments),
    /// Build the appliance's image, and start it in QEMU.
    Image(image::Arguments),
    /// See that released WIT is unchanged, or release the newest.
    Wit {
        #[command(subcommand)]
        action: wit::Action,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            let mut source = std::error::Error::source(&*error);
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), AnyError> {
    let root = root();
    std::env::set_current_dir(&root)?;
    match command {
        Command::Demo(arguments) => demo::run(&root, &arguments),
        Command::Test(arguments) => test::run(&root, &arguments),
        Command::Plugins => {
            run::build_programs()?;
            for bundle in plugins::build(&root)? {
                println!("{}", bundle.display());
            }
            Ok(())
        }
        Command::Sdk(arguments) => {
            println!("{}", sdk::run(&root, &arguments)?.display());
            Ok(())
        }
        Command::Bench(arguments) => bench::run(&root, &arguments),
        Command::Soak(arguments) => soak::run(&root, &arguments),
        Command::Campaign(arguments) => campaign::run(&root, &arguments),
        Command::Fuzz(arguments) => fuzz::run(&root, &arguments),
        Command::Image(arguments) => image::run(&root, &arguments),
        Command::Wit { action } => wit::run(&root, &action),
    }
}

/// The workspace's root: the parent of this crate's folder.
fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
