//! `evenkeel-plugin`: what a plugin author needs besides an editor.
//!
//! * `build` – compile for wasm, make a component, check it (`build`,
//!   `toolchain`, `component`)
//! * `keygen`, `sign` – make keys and bundles (`sign`, crate evenkeel-signing)
//! * `inspect` – what a bundle is and wants (`inspect`, `sbom`)
//! * `licence` – make a licence for one appliance (`licence`)
//! * `keyring` – the platform's roots say whom to trust (`keyring`)
//! * `new` – write a plugin that builds, tests and signs (`new`)
//! * `test` – the lint and the plugin's own tests, conformance included (`check`)
//! * `replay` – a failure again, from an appliance's recording (`replay`)
//! * `run` – a driver against a real device, from this machine (`run`)
//!
//! Results go to standard output (for `build` and `sign`: one line, the path),
//! everything for people to standard error.

mod build;
mod check;
mod component;
mod inspect;
mod keyring;
mod licence;
mod new;
mod packages;
mod project;
mod replay;
mod run;
mod sbom;
mod sign;
mod toolchain;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use evenkeel_signing::{Keyring, Origin, PublicKey, Role, SecretKey};

use new::{Over, World};
use project::{Plugin, Project};
use sign::Made;
use toolchain::Source;

/// Build, sign and inspect plugins for the Evenkeel appliance.
#[derive(Parser)]
#[command(name = "evenkeel-plugin", version)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Compile a plugin into a component.
    Build {
        /// The plugin's folder.
        folder: PathBuf,
        /// Where the standard library for wasm comes from.
        #[arg(long, value_enum, default_value_t = Source::Auto)]
        std: Source,
    },
    /// Make a signing key: a secret file and, beside it, a public one (.pub).
    Keygen {
        /// What the key may sign: plugin, firmware, licence or root.
        #[arg(long, value_parser = role)]
        role: Role,
        /// Name for people, a-z 0-9 and '-'.
        #[arg(long)]
        name: String,
        /// The secret key file. The public one is named after it: acme.key
        /// gives acme.pub, any other ending is kept and .pub added.
        #[arg(long)]
        out: PathBuf,
    },
    /// Sign a built plugin: <name>-<version>.evkp.
    Sign {
        /// The secret key file.
        #[arg(long)]
        key: PathBuf,
        /// Folder for the bundle; without it, target/plugins.
        #[arg(long)]
        out_dir: Option<PathBuf>,
        /// A component that was not built by `build`: the bundle goes beside it.
        #[arg(long)]
        component: Option<PathBuf>,
        /// The plugin's folder.
        folder: PathBuf,
    },
    /// Make a licence for one appliance: a .evkl file.
    Licence {
        /// The secret licence key file.
        #[arg(long)]
        key: PathBuf,
        /// The new file.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        terms: licence::Terms,
    },
    /// Show what a bundle is and wants.
    Inspect {
        /// A public key file that you trust; may be given several times.
        #[arg(long)]
        trust: Vec<PathBuf>,
        /// The same, of a key of the platform: only such a key may sign machine
        /// code.
        #[arg(long)]
        platform: Vec<PathBuf>,
        /// The bundle.
        bundle: PathBuf,
    },
    /// Lint a plugin and run its tests on this machine.
    Test {
        /// The plugin's folder.
        folder: PathBuf,
    },
    /// Write a plugin that builds, tests and signs.
    New {
        /// Its name: a-z, 0-9 and '-'.
        name: String,
        /// What it is for.
        #[arg(long, value_enum, default_value_t = World::Driver)]
        world: World,
        /// How a driver reaches its device.
        #[arg(long, value_enum, default_value_t = Over::Serial)]
        over: Over,
        /// The folder of the SDK's crate.
        #[arg(long)]
        sdk: PathBuf,
        /// Folder in which the plugin's folder is made.
        #[arg(long, default_value = ".")]
        parent: PathBuf,
    },
    /// Run a driver on this machine against a real device: on a serial port, or
    /// on the network.
    Run {
        /// The plugin's folder.
        folder: PathBuf,
        /// A serial device under its logical name: ups=/dev/ttyUSB0.
        #[arg(long, value_name = "NAME=DEVICE")]
        port: Vec<String>,
        /// A peer under its logical name: meter=tcp://192.0.2.7:502, or udp://.
        #[arg(long, value_name = "NAME=ADDRESS")]
        peer: Vec<String>,
        /// A setting.
        #[arg(long, value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// Write the exchange as a testcase into this folder; ends after three
        /// polls, or --polls.
        #[arg(long, value_name = "DIR")]
        record: Option<PathBuf>,
        /// End after so many polls.
        #[arg(long)]
        polls: Option<u32>,
        /// Give a command after the first poll. It acts on the device.
        #[arg(long, value_name = "NAME[=VALUE]")]
        tell: Vec<String>,
    },
    /// Repeat a failure of a plugin from an appliance's recording of it.
    Replay {
        #[command(flatten)]
        recorded: replay::Recorded,
    },
    /// Make and sign keyrings, which say whom devices trust.
    Keyring {
        #[command(subcommand)]
        step: KeyringStep,
    },
}

#[derive(Subcommand)]
enum KeyringStep {
    /// Make a keyring from its description, signed by the first root.
    Make {
        /// The secret key file of the root.
        #[arg(long)]
        key: PathBuf,
        /// The bundle; it must not exist.
        #[arg(long)]
        out: PathBuf,
        /// The description, TOML.
        description: PathBuf,
    },
    /// Show a keyring that another root has signed, and sign it too.
    Sign {
        /// The secret key file of the root.
        #[arg(long)]
        key: PathBuf,
        /// The public key file of a root that has signed; may be given several times.
        #[arg(long, required = true)]
        trust: Vec<PathBuf>,
        /// The bundle with one signature more; it must not exist.
        #[arg(long)]
        out: PathBuf,
        /// The keyring bundle.
        bundle: PathBuf,
    },
}

fn main() -> ExitCode {
    match act(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn act(action: Action) -> Result<(), Box<dyn Error>> {
    match action {
        Action::Build { folder, std } => build_plugin(&folder, std),
        Action::Keygen { role, name, out } => keygen(role, &name, &out),
        Action::Sign { key, out_dir, component, folder } => {
            sign_plugin(&key, out_dir, component, &folder)
        }
        Action::Licence { key, out, terms } => {
            licence::make(&terms, &SecretKey::read(&key)?, &out)?;
            println!("{}", out.display());
            Ok(())
        }
        Action::Inspect { trust, platform, bundle } => {
            let mut ring = trusted(&trust)?;
            insert(&mut ring, &platform, Origin::Platform)?;
            print!("{}", inspect::inspect(&read(&bundle)?, &ring)?);
            Ok(())
        }
        Action::Test { folder } => Ok(check::check(&Project::open(&folder)?)?),
        Action::New { name, world, over, sdk, parent } => {
            let folder = new::new(&parent, &name, world, over, &sdk)?;
            let at = folder.display();
            eprintln!("next: evenkeel-plugin test {at}; evenkeel-plugin build {at}");
            println!("{at}");
            Ok(())
        }
        Action::Run { folder, port, peer, set, record, polls, tell } => {
            let record = record.map(|folder| env::current_dir().map(|here| here.join(folder)));
            let words = [
                ("--port", port),
                ("--peer", peer),
                ("--set", set),
                ("--tell", tell),
                ("--record", record.transpose()?.iter().map(|p| p.display().to_string()).collect()),
                ("--polls", polls.iter().map(u32::to_string).collect()),
            ];
            let words = words.into_iter().flat_map(|(option, values)| {
                values.into_iter().flat_map(move |value| [option.to_owned(), value])
            });
            Ok(run::run(&Project::open(&folder)?, &words.collect::<Vec<_>>())?)
        }
        Action::Replay { recorded } => Ok(replay::replay(&recorded)?),
        Action::Keyring { step } => keyring_step(step),
    }
}

fn build_plugin(folder: &Path, std: Source) -> Result<(), Box<dyn Error>> {
    let built = build::build(&Project::open(folder)?, std)?;
    eprintln!(
        "core module {} bytes, component {} bytes, memory up to {} KiB",
        built.module_len,
        built.component_len,
        built.component.memory_max / 1024
    );
    for name in &built.component.imports {
        eprintln!("  imports {name}");
    }
    for name in &built.component.exports {
        eprintln!("  exports {name}");
    }
    println!("{}", built.path.display());
    Ok(())
}

fn keygen(role: Role, name: &str, out: &Path) -> Result<(), Box<dyn Error>> {
    let public = public_path(out)?;
    let key = SecretKey::generate(role, name)?;
    key.write_new(out)?;
    if let Err(error) = key.public().write_new(&public) {
        // Half a pair is of no use, and nothing was signed with it yet.
        let _ = fs::remove_file(out);
        return Err(error.into());
    }
    eprintln!("secret key {}: keep it where only the signer can read it", out.display());
    eprintln!("public key {}, fingerprint", public.display());
    eprintln!("  {}", key.public().fingerprint());
    Ok(())
}

/// `acme.key` → `acme.pub`, `acme.2027` → `acme.2027.pub`: two secret keys
/// never share a public file.
fn public_path(secret: &Path) -> Result<PathBuf, String> {
    match secret.extension() {
        Some(ending) if ending == "pub" => Err(format!(
            "{} would be the secret key, and .pub is for public ones; \
            use another ending, such as .key",
            secret.display()
        )),
        Some(ending) if ending == "key" => Ok(secret.with_extension("pub")),
        _ => Ok(secret.with_added_extension("pub")),
    }
}

fn sign_plugin(
    key: &Path,
    out: Option<PathBuf>,
    component: Option<PathBuf>,
    folder: &Path,
) -> Result<(), Box<dyn Error>> {
    let (plugin, made, usual) = match component {
        None => {
            let project = Project::open(folder)?;
            let usual = project.target_dir().join("plugins");
            (project.plugin.clone(), Made::by_cargo(&project)?, usual)
        }
        Some(component) => {
            let plugin = Plugin::open(folder)?;
            let beside = component.parent().map(Path::to_owned).unwrap_or_default();
            let made = Made::elsewhere(&plugin, component)?;
            (plugin, made, beside)
        }
    };
    let out = out.unwrap_or(usual);
    let (path, len) = sign::sign(&plugin, &made, &SecretKey::read(key)?, &out)?;
    eprintln!("signed bundle of {len} bytes");
    println!("{}", path.display());
    Ok(())
}

fn keyring_step(step: KeyringStep) -> Result<(), Box<dyn Error>> {
    let (bundle, out) = match step {
        KeyringStep::Make { key, out, description } => {
            (keyring::make(&description, &SecretKey::read(&key)?)?, out)
        }
        KeyringStep::Sign { key, trust, out, bundle } => {
            let (raw, trusted) = (read(&bundle)?, trusted(&trust)?);
            // Who signs sees what.
            eprint!("{}", inspect::inspect(&raw, &trusted)?);
            (keyring::sign(&raw, &trusted, &SecretKey::read(&key)?)?, out)
        }
    };
    keyring::write_new(&out, &bundle)?;
    println!("{}", out.display());
    Ok(())
}

fn trusted(paths: &[PathBuf]) -> Result<Keyring, Box<dyn Error>> {
    let mut ring = Keyring::new();
    insert(&mut ring, paths, Origin::Administrator)?;
    Ok(ring)
}

fn insert(ring: &mut Keyring, paths: &[PathBuf], origin: Origin) -> Result<(), Box<dyn Error>> {
    for path in paths {
        ring.insert_from(PublicKey::read(path)?, origin)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn role(word: &str) -> Result<Role, String> {
    Role::from_word(word).ok_or_else(|| "use plugin, firmware, licence or root".to_owned())
}

/// An error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_file_is_named_after_the_secret_one() {
        let public = |secret: &str| public_path(Path::new(secret));
        assert_eq!(public("a/acme.key"), Ok("a/acme.pub".into()));
        assert_eq!(public("acme"), Ok("acme.pub".into()));
        assert_eq!(public("acme.2027"), Ok("acme.2027.pub".into()));
        assert!(public("acme.pub").unwrap_err().contains("use another ending"));
    }

    #[test]
    fn a_key_overwrites_nothing_and_leaves_no_half_pair() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, public) = (dir.path().join("acme.key"), dir.path().join("acme.pub"));
        let make = || keygen(Role::Plugin, "acme", &secret);
        make().unwrap();
        let (first, theirs) = (fs::read(&secret).unwrap(), fs::read(&public).unwrap());
        assert!(make().is_err(), "both are there");
        assert_eq!((fs::read(&secret).unwrap(), fs::read(&public).unwrap()), (first, theirs));
        fs::remove_file(&secret).unwrap();
        let error = make().unwrap_err().to_string();
        assert!(error.contains("cannot create the key file") && error.contains("acme.pub"));
        assert!(!secret.exists(), "no secret without its public half");
    }
}
