//! `evenkeeld --config FILE`: wires the parts together, says when it is ready,
//! and stops in order. Decides nothing.

use clap::Parser;
use evenkeel_core::events::Event;
use evenkeeld::config::{self, Config};
use evenkeeld::console::{Console, server, tls};
use evenkeeld::failure::chain;
use evenkeeld::hub::Hub;
use evenkeeld::plugin::Supervisor;
use evenkeeld::store::{Limits, Store};
use evenkeeld::{guard, watch};
use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Plugins, store and console of the Evenkeel appliance.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    match run(&arguments.config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(path: &Path) -> Result<(), Box<dyn Error>> {
    let config::Loaded { config, refused } = config::load(path)?;
    std::fs::create_dir_all(&config.data_dir)?;
    let store = Arc::new(Store::open(&config.data_dir, Limits::default())?);
    store.record(Event::DaemonStarted { version: env!("CARGO_PKG_VERSION").to_owned() });
    let notices = keep_or_report(path, &config, refused, &store);

    let hub = Arc::new(Hub::default());
    guard::spawn(config.guard_socket.clone(), hub.clone())?;
    let sink = store.clone();
    let events = Arc::new(move |event| sink.record(event));
    let plugins = Arc::new(Supervisor::start(&config, hub.clone(), events)?);
    let watch = tokio::spawn(watch::run(hub.clone(), store.clone(), config.history_period));

    let data_dir = config.data_dir.clone();
    let console = Console::new(hub, store.clone(), plugins.clone(), data_dir, notices).await?;
    let identity = tls::identity(&config.data_dir, &host_name())?;
    tracing::info!("certificate SHA-256 {}", identity.fingerprint);
    let listener = TcpListener::bind(config.listen).await?;
    let address = listener.local_addr()?;
    announce(&config.data_dir, address)?;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let serving = server::serve(console, listener, &identity, stopped);
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let signalled = async {
        tokio::select! { _ = terminated.recv() => {}, _ = interrupted.recv() => {} }
        tracing::info!("stopping");
        // The receiver lives as long as the server.
        let _ = stop.send(true);
    };
    tokio::join!(serving, signalled);
    watch.abort();
    // Joins threads: nothing else runs on this one any more.
    plugins.stop();
    drop(plugins);
    // The last holder of the store writes what waits; nothing holds it but this
    // function and the plugins' event sink.
    drop(store);
    Ok(())
}

/// Keep a good configuration as the last good one; tell of a refused one.
fn keep_or_report(
    path: &Path,
    config: &Config,
    refused: Option<config::ConfigError>,
    store: &Store,
) -> Vec<String> {
    let Some(refused) = refused else {
        if let Err(e) = config::keep_last_good(path, &config.data_dir) {
            tracing::warn!("no copy of the configuration is kept: {e}");
        }
        return Vec::new();
    };
    let reason = chain(&refused);
    tracing::error!("{reason}; running with the last good configuration");
    store.record(Event::SettingsRefused { what: "configuration".into(), reason: reason.clone() });
    vec![format!("The configuration was refused; the last good one is in force. {reason}")]
}

/// Say on standard output and in a file where the console is: scripts that let
/// the system choose the port read it there.
fn announce(data_dir: &Path, address: SocketAddr) -> std::io::Result<()> {
    std::fs::write(data_dir.join("address"), format!("{address}\n"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "evenkeeld ready https://{address}")?;
    out.flush()
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
