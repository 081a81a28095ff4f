//! Writes the hostile plugins of the end-to-end test, and as many
//! greedy ones as wanted, into a folder, signed by a development key (and the
//! key of a vendor into `trust` beside it), and prints the entries of the
//! daemon's configuration that install them:
//!
//! ```text
//! cargo run -p evenkeel-e2e --example hostile_plugins -- FOLDER target/dev-keys/plugin.key 16
//! ```

#[path = "../tests/hostile/rogues.rs"]
#[allow(dead_code, reason = "how each ends is for the test")]
mod rogues;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match arguments.as_slice() {
        [folder, key, greedy] => greedy.parse().ok().map(|n| (folder.into(), key.into(), n)),
        _ => None,
    };
    let Some((folder, key, greedy)): Option<(PathBuf, PathBuf, usize)> = parsed else {
        eprintln!("give a folder, the secret key of development plugins, and how many are greedy");
        return ExitCode::FAILURE;
    };
    print!("{}", rogues::write(&folder, &key));
    print!("{}", rogues::write_greedy(&folder, &key, greedy));
    ExitCode::SUCCESS
}
