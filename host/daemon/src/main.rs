//! `evenkeeld --config FILE`: wires the parts together, says when it is ready,
//! and stops in order. A part that cannot run is told of, and the others run.
//! `evenkeeld compile-plugin` is the process in which it has plugins compiled:
//! a component on standard input, machine code on standard output; `evenkeeld
//! replay-plugin` repeats a plugin's failure from its recording.

use clap::{Parser, Subcommand};
use evenkeel_core::events::{Category, Event};
use evenkeeld::alarms::{Alarms, Itself};
use evenkeeld::caps::Services;
use evenkeeld::caps::hid::raw::Linux;
use evenkeeld::caps::net_server::Servers;
use evenkeeld::certificate::{Certificates, NotShown, TlsError};
use evenkeeld::commands::Switchboard;
use evenkeeld::config::{self, Config, InForce};
use evenkeeld::console::remote::Remote;
use evenkeeld::console::{Console, Parts, server, sign_in_settings};
use evenkeeld::failure::chain;
use evenkeeld::firmware::Firmware;
use evenkeeld::guard::Orders;
use evenkeeld::hub::Hub;
use evenkeeld::jobs::{Automation, Executor, Messenger, NoNotifiers, Receivers};
use evenkeeld::licence::{Gate, Licences, NoGate, TrustNow};
use evenkeeld::login::{Authenticators, Nobody};
use evenkeeld::network::{self, NetworkKeeper};
use evenkeeld::notify::{Notifiers, nudge};
use evenkeeld::plugin::Supervisor;
#[cfg(feature = "compiler")]
use evenkeeld::plugin::compile::{Compiler, child, helper};
use evenkeeld::plugin::report::Reports;
#[cfg(feature = "compiler")]
use evenkeeld::plugin::roster;
use evenkeeld::plugin::supervisor::RosterIn;
use evenkeeld::plugin::trusted::{self, Places};
use evenkeeld::plugin::world::World;
#[cfg(feature = "compiler")]
use evenkeeld::plugin::{engine, replay};
use evenkeeld::plugin_admin::{NoPlugins, PluginAdmin};
use evenkeeld::store::{self, Limits, Store};
use evenkeeld::upses::{Source, Sources};
use evenkeeld::{clock, discharges, files, guard, watch};
use rustix::fs::Mode;
use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch as flag};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Time between two attempts to open the console.
const RETRY: Duration = Duration::from_secs(5);

/// Plugins, store and console of the Evenkeel appliance.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Form of the log on standard error: for people, or a JSON object per line.
    #[arg(long, value_enum, default_value_t = LogForm::Text)]
    log: LogForm,
    #[command(subcommand)]
    other: Option<Other>,
}

/// How the log is written.
#[derive(Clone, Copy, clap::ValueEnum)]
enum LogForm {
    Text,
    Json,
}

/// What the program is, too.
#[derive(Subcommand)]
enum Other {
    /// Compile the component on standard input, within limits.
    #[cfg(feature = "compiler")]
    #[command(hide = true)]
    CompilePlugin {
        /// For this target, and any processor of it; otherwise for this machine.
        #[arg(long, value_name = "TRIPLE")]
        target: Option<String>,
    },
    /// Say what the code that `compile-plugin --target` makes is called in a
    /// bundle's manifest: a row of `code`, in JSON.
    #[cfg(feature = "compiler")]
    #[command(hide = true)]
    DescribeCode {
        /// The target.
        #[arg(long, value_name = "TRIPLE")]
        target: String,
    },
    /// Repeat a failure of a plugin from its recording in data_dir/reports.
    #[cfg(feature = "compiler")]
    #[command(hide = true)]
    ReplayPlugin {
        /// The bundle that failed.
        #[arg(long, value_name = "FILE")]
        bundle: PathBuf,
        /// Its recording, `<plugin>.<time>.rec`.
        #[arg(long, value_name = "FILE")]
        recording: PathBuf,
        /// Directory with the public key that signed the bundle.
        #[arg(long, value_name = "DIR")]
        trust: PathBuf,
    },
}

/// Why nobody can reach the console.
#[derive(Debug, thiserror::Error)]
enum ConsoleDown {
    #[error("console has no certificate")]
    Certificate(#[source] TlsError),
    #[error("console cannot show its certificate")]
    NotShown(#[source] NotShown),
    #[error("console cannot listen on {address}; is the port taken, or the address not ours?")]
    Listen { address: SocketAddr, source: std::io::Error },
}

fn main() -> ExitCode {
    // Before any file is made: what the daemon keeps is for its user alone.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let arguments = Arguments::parse();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log {
        LogForm::Text => log.init(),
        LogForm::Json => log.json().flatten_event(true).init(),
    }
    let config = match (arguments.other, arguments.config) {
        #[cfg(feature = "compiler")]
        (Some(Other::CompilePlugin { target }), _) => {
            let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
            let limits = helper::Limits::default();
            return child::run(&limits, target.as_deref(), input, output).into();
        }
        #[cfg(feature = "compiler")]
        (Some(Other::DescribeCode { target }), _) => {
            let wasmtime = engine::WASMTIME.to_owned();
            let row = evenkeel_signing::CodePart { target, wasmtime, compat: engine::compat() };
            println!("{}", serde_json::to_string(&row).expect("texts alone"));
            return ExitCode::SUCCESS;
        }
        #[cfg(feature = "compiler")]
        (Some(Other::ReplayPlugin { bundle, recording, trust }), _) => {
            return replay_plugin(&bundle, &recording, &trust).unwrap_or_else(|error| {
                tracing::error!("{}", chain(&*error));
                ExitCode::FAILURE
            });
        }
        (_, config) => config.expect("required where there is no other command"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&config)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Prints the failure as it was and as it is now; succeeds when they agree.
#[cfg(feature = "compiler")]
fn replay_plugin(
    bundle: &Path,
    recording: &Path,
    trust: &Path,
) -> Result<ExitCode, Box<dyn Error>> {
    let compiler = Compiler::without_cache(engine::start()?, helper::Helper::default());
    let places = Places::new(trust, trust);
    let (trust, problems) = trusted::load(&places, &roster::Decisions::default());
    problems.iter().for_each(|problem| tracing::error!("{}", chain(problem)));
    let replayed = replay::replay(&compiler, &trust, bundle, recording)?;
    let then = replayed.report.failure;
    let now = replayed.failure.map_or("no call failed".to_owned(), |failure| failure.to_string());
    println!("then: {then}\nnow:  {now}");
    if let Some(last) = replayed.last_call {
        println!("last call: {last}");
    }
    let withheld = (replayed.withheld > 0).then(|| {
        let count = replayed.withheld;
        format!(
            "{count} answers computed with a secret are not in a recording; zeros stood for them"
        )
    });
    for missing in [replayed.report.gap, withheld, replayed.diverged].into_iter().flatten() {
        println!("but:  {missing}");
    }
    Ok(if then == now { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut notices = Vec::new();
    let (config, store) = begin(path, &mut notices).await?;
    let base = Base::new(config, store)?;
    let plugins = start_plugins(&base, &mut notices);
    let mut tasks = JoinSet::new();
    let alarms = start_watching(&base, plugins.as_ref(), &mut tasks);
    let notifiers = start_notifiers(&base, plugins.as_ref(), &mut tasks);
    let automation = start_automation(&base, plugins.as_ref(), &mut tasks);
    let licences = start_licences(&base, plugins.as_ref(), &mut tasks)?;
    let admin = admin(plugins.as_ref());
    let parts = Parts {
        firmware: start_firmware(&base, admin.clone(), &mut tasks),
        network: NetworkKeeper::new(PathBuf::from(evenkeel_core::network::SOCKET)),
        hub: base.hub.clone(),
        store: base.store.clone(),
        plugins: admin,
        deliveries: Arc::new(move || notifiers.progress()),
        orders: base.orders.clone(),
        commands: base.commands.clone(),
        automation: automation.clone(),
        licences,
        alarms,
        data_dir: base.config.data_dir.clone(),
        remote: remote(&base, plugins.as_ref()),
        telemetry: base.config.telemetry.clone(),
        certificates: base.certificates.clone(),
    };
    serve_until_told(Console::new(parts, notices).await, &base).await?;
    tasks.shutdown().await;
    automation.finish();
    drop(automation);
    if let Some(plugins) = plugins {
        // Joins threads: nothing else runs on this one any more.
        plugins.stop();
    }
    // The last holder of the store writes what waits; nothing holds it but this
    // function and the plugins: their event sink and what they keep.
    drop(base);
    Ok(())
}

/// What everything else is built upon.
struct Base {
    config: Config,
    store: Arc<Store>,
    hub: Arc<Hub>,
    orders: Arc<Orders>,
    commands: Arc<Switchboard>,
    /// Rung when a plugin came, went or failed.
    bell: Arc<Notify>,
    /// What is shown within TLS.
    certificates: Arc<Certificates>,
}

impl Base {
    /// Reaches for the guard, and goes on whether it answers or not.
    fn new(config: Config, store: Arc<Store>) -> Result<Self, Box<dyn Error>> {
        let hub = Arc::new(Hub::default());
        guard::spawn(config.guard_socket.clone(), hub.clone())?;
        let orders = Arc::new(Orders::new(config.guard_socket.clone()));
        let (sink, runtime) = (store.clone(), tokio::runtime::Handle::current());
        let events = Arc::new(move |event| sink.record(event));
        let commands = Switchboard::new(hub.clone(), orders.clone(), runtime, events);
        let bell = Arc::new(Notify::new());
        let (commands, certificates) =
            (Arc::new(commands), Certificates::new(config.data_dir.clone()));
        Ok(Self { config, store, hub, orders, commands, bell, certificates })
    }
}

/// What looks at the batteries and at the plugins' points: alarms, history and
/// discharges.
fn start_watching(
    base: &Base,
    plugins: Option<&Arc<Supervisor>>,
    tasks: &mut JoinSet<()>,
) -> Arc<Alarms> {
    let Base { config, store, hub, orders, .. } = base;
    let sources = sources(config, plugins.cloned());
    let alarms = start_alarms(base, sources.clone(), plugins.cloned());
    tasks.spawn(alarms.clone().run());
    tasks.spawn(watch::run(hub.clone(), store.clone(), config.history_period, sources));
    tasks.spawn(discharges::run(hub.clone(), store.clone(), orders.clone()));
    alarms
}

/// What tells notifiers of events, as long as there are plugins.
fn start_notifiers(
    base: &Base,
    plugins: Option<&Arc<Supervisor>>,
    tasks: &mut JoinSet<()>,
) -> Arc<Notifiers> {
    let notifiers = Arc::new(Notifiers::new(base.store.clone()));
    if let Some(plugins) = plugins.cloned() {
        let (notifiers, store) = (notifiers.clone(), base.store.clone());
        tasks.spawn(async move {
            let telling = notifiers.run(|| plugins.of_world(World::Notifier));
            tokio::join!(telling, nudge::run(store, || plugins.all()));
        });
    }
    notifiers
}

/// Rules, jobs and calendar.
fn start_automation(
    base: &Base,
    plugins: Option<&Arc<Supervisor>>,
    tasks: &mut JoinSet<()>,
) -> Arc<Automation> {
    let automation =
        Automation::open(base.hub.clone(), base.store.clone(), executor(base, plugins));
    let automation = Arc::new(automation);
    tasks.spawn(automation.clone().run());
    automation
}

/// The edition in force, judged by the gate among the plugins.
fn start_licences(
    base: &Base,
    plugins: Option<&Arc<Supervisor>>,
    tasks: &mut JoinSet<()>,
) -> Result<Arc<Licences>, Box<dyn Error>> {
    let Base { config, store, hub, bell, .. } = base;
    let gate: Arc<dyn Gate> = match plugins {
        Some(plugins) => plugins.clone(),
        None => Arc::new(NoGate),
    };
    let (hub, store, trust) = (hub.clone(), store.clone(), trust_now(config, store));
    let licences = Licences::open(&config.data_dir, trust, hub, store, gate, bell.clone())?;
    let licences = Arc::new(licences);
    tasks.spawn(licences.clone().run());
    Ok(licences)
}

/// The plugins for the administrator, also when none can run.
fn admin(plugins: Option<&Arc<Supervisor>>) -> Arc<dyn PluginAdmin> {
    match plugins {
        Some(plugins) => plugins.clone(),
        None => Arc::new(NoPlugins::default()),
    }
}

/// Who else decides about sign-ins, as it was decided last.
fn remote(base: &Base, plugins: Option<&Arc<Supervisor>>) -> Remote {
    let authenticators: Arc<dyn Authenticators> = match plugins {
        Some(plugins) => plugins.clone(),
        None => Arc::new(Nobody),
    };
    let remote = Remote::new(base.config.login.clone(), authenticators);
    match sign_in_settings::kept(&base.store) {
        Ok(kept) => kept.into_iter().for_each(|kept| remote.set(kept)),
        Err(e) => tracing::error!("who else may sign in is not known: {}", chain(&e)),
    }
    remote
}

/// The slots, as far as this appliance has any.
fn start_firmware(
    base: &Base,
    listed: Arc<dyn PluginAdmin>,
    tasks: &mut JoinSet<()>,
) -> Arc<Firmware> {
    let slots = PathBuf::from(evenkeel_signing::slot::talk::SOCKET);
    let firmware = Firmware::new(slots, base.hub.clone(), base.store.clone(), Some(listed));
    let firmware = Arc::new(firmware);
    tasks.spawn(firmware.clone().run(base.config.data_dir.clone(), base.certificates.clone()));
    firmware
}

/// Serve the console until the system says that it is enough.
async fn serve_until_told(console: Arc<Console>, base: &Base) -> Result<(), Box<dyn Error>> {
    let (stop, stopped) = flag::channel(false);
    let serving = serve(console, base, stopped);
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let signalled = async {
        tokio::select! { _ = terminated.recv() => {}, _ = interrupted.recv() => {} }
        tracing::info!("stopping");
        // The receiver lives as long as the server.
        let _ = stop.send(true);
    };
    tokio::join!(serving, signalled);
    Ok(())
}

/// The configuration in force and the store, which depend on each other: the
/// file says where the store is, and the store has the last good file.
async fn begin(
    path: &Path,
    notices: &mut Vec<String>,
) -> Result<(Config, Arc<Store>), Box<dyn Error>> {
    let asked = config::read(path);
    let data_dir = match &asked {
        Ok((config, _)) => config.data_dir.clone(),
        Err(refused) => refused.data_dir.clone(),
    };
    let asked = match asked {
        // No new store where none is expected.
        Err(refused) if !data_dir.join(store::FILE).exists() => return Err(refused.error.into()),
        asked => asked,
    };
    if let Err(e) = files::private_dir(&data_dir) {
        tracing::error!("data_dir {} cannot be closed to others: {e}", data_dir.display());
    }
    let store = Arc::new(Store::open(&data_dir, Limits::default())?);
    store.record(Event::DaemonStarted { version: env!("CARGO_PKG_VERSION").to_owned() });
    let kept = match &asked {
        Ok((_, text)) => {
            if let Err(e) = store.keep_settings(&config::DOCUMENT, text).done().await {
                tracing::warn!("the configuration is not kept as the last good one: {}", chain(&e));
            }
            Vec::new()
        }
        Err(_) => store.settings(&config::DOCUMENT).unwrap_or_else(|e| {
            tracing::error!("no older configuration: {}", chain(&e));
            Vec::new()
        }),
    };
    let InForce { config, refused, revision } =
        config::in_force(asked.map(|(config, _)| config), kept)?;
    if let (Some(refused), Some(revision)) = (refused, revision) {
        let reason = chain(&refused);
        tracing::error!("{reason}; running with revision {revision} of the configuration");
        let what = config::DOCUMENT.name.to_owned();
        notices.push(format!(
            "The configuration was refused; revision {revision}, the last good one, is in force. \
             {reason}"
        ));
        store.record(Event::SettingsRefused { what, reason });
    }
    Ok((config, store))
}

/// The plugins; without an engine the appliance runs without them.
fn start_plugins(base: &Base, notices: &mut Vec<String>) -> Option<Arc<Supervisor>> {
    let Base { config, store, hub, commands, bell, certificates, .. } = base;
    let (sink, changed) = (store.clone(), bell.clone());
    let events = Arc::new(move |event: Event| {
        // The licence gate is one of them: it came, went or failed.
        if event.category() == Category::Plugin {
            changed.notify_one();
        }
        sink.record(event);
    });
    let reports = Reports::open(&config.data_dir).map(Arc::new);
    if let Err(e) = &reports {
        tracing::error!("failures of plugins are not kept; check the disk: {e}");
    }
    let servers = Servers::new(tokio::runtime::Handle::current(), certificates.clone());
    let services = Services {
        hub: hub.clone(),
        commands: commands.clone(),
        servers: Arc::new(servers),
        hid: Arc::new(Linux::default()),
        rates: Arc::default(),
        epoch: clock::now(),
        store: Some(store.clone()),
        reports: reports.ok(),
    };
    Supervisor::start(config, services, events, Box::new(RosterIn(store.clone())))
        .map(Arc::new)
        .map_err(|e| {
            let reason = chain(&e);
            tracing::error!("{reason}");
            notices.push(format!("No plugin runs; restart the appliance. {reason}"));
        })
        .ok()
}

/// Where UPSes are looked for: what the plugins say at the time. Where none can
/// run, those of the configuration are missed.
fn sources(config: &Config, plugins: Option<Arc<Supervisor>>) -> Sources {
    if let Some(plugins) = plugins {
        return Arc::new(move || plugins.sources());
    }
    let wanted = config.plugins.iter().filter(|p| p.enabled && !p.points.is_empty());
    let sources: Vec<Source> =
        wanted.map(|p| Source { subtree: p.points.clone(), due: true }).collect();
    Arc::new(move || sources.clone())
}

/// The alarms, which know which plugins are off and should not be, and when a
/// certificate runs out.
fn start_alarms(base: &Base, sources: Sources, plugins: Option<Arc<Supervisor>>) -> Arc<Alarms> {
    let Base { hub, store, certificates, .. } = base;
    let certificates = certificates.clone();
    let itself = move || Itself {
        plugins_off: plugins.as_ref().map_or_else(Vec::new, |plugins| plugins.off()),
        certificate: certificates.expiry(clock::set_s(clock::unix_ms())),
    };
    Arc::new(Alarms::open(hub.clone(), store.clone(), sources, Box::new(itself)))
}

/// What jobs are done with.
fn executor(base: &Base, plugins: Option<&Arc<Supervisor>>) -> Arc<Executor> {
    let Base { store, hub, orders, commands, .. } = base;
    let notify: Arc<dyn Messenger> = match plugins {
        Some(plugins) => plugins.clone(),
        None => Arc::new(NoNotifiers),
    };
    let receivers = Arc::new(Receivers::open(store.clone()));
    Arc::new(Executor::new(orders.clone(), commands.clone(), notify, receivers, hub.clone()))
}

/// Whom the appliance trusts, as the roster says at the time.
fn trust_now(config: &Config, store: &Arc<Store>) -> TrustNow {
    let places = Places::new(&config.trust_dir, &config.data_dir);
    let events = store.clone();
    trusted::now(places, RosterIn(store.clone()), move |why| {
        let reason = format!("{why}; licences count that a key of the platform signed");
        tracing::error!("what was decided about keys cannot be read: {reason}");
        events.record(Event::DecisionsLost { reason });
    })
}

/// Serve the console as soon as it can be reached, until `stop` changes.
async fn serve(console: Arc<Console>, base: &Base, mut stop: flag::Receiver<bool>) {
    let mut said = String::new();
    loop {
        match listen(base).await {
            Ok((listener, acceptor)) => {
                return server::serve(console, listener, acceptor, stop).await;
            }
            Err(e) => {
                let reason = chain(&e);
                if reason != said {
                    tracing::error!("{reason}; tried again every {} s", RETRY.as_secs());
                    said = reason;
                }
            }
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn listen(base: &Base) -> Result<(TcpListener, TlsAcceptor), ConsoleDown> {
    let Base { config, certificates, .. } = base;
    // Once: what is tried again is the address.
    if certificates.status(clock::now()).is_none() {
        open_certificates(base)?;
    }
    let tls = certificates.config(&["h2", "http/1.1"]).map_err(ConsoleDown::NotShown)?;
    let failed = |source| ConsoleDown::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    announce(&config.data_dir, address);
    Ok((listener, TlsAcceptor::from(tls)))
}

/// Load what is shown to browsers, and tell what came of it.
fn open_certificates(base: &Base) -> Result<(), ConsoleDown> {
    let Base { store, certificates, .. } = base;
    let opened = certificates
        .open(&network::host_name(), clock::unix_ms())
        .map_err(ConsoleDown::Certificate)?;
    tracing::info!("certificate SHA-256 {}", opened.shown.fingerprint);
    if let Some(fingerprint) = opened.renewed {
        store.record(Event::CertificateRenewed { fingerprint });
    }
    if let Some(refused) = opened.refused {
        let reason = chain(&refused);
        tracing::error!("the installed certificate is not shown, the own one is: {reason}");
        store.record(Event::SettingsRefused { what: "certificate".to_owned(), reason });
    }
    Ok(())
}

/// Say on standard output and in a file where the console is: scripts that let
/// the system choose the port read it there.
fn announce(data_dir: &Path, address: SocketAddr) {
    let file = data_dir.join("address");
    if let Err(e) = std::fs::write(&file, format!("{address}\n")) {
        tracing::warn!("{} cannot be written, check the disk: {e}", file.display());
    }
    let mut out = std::io::stdout().lock();
    let said = writeln!(out, "evenkeeld ready https://{address}").and_then(|()| out.flush());
    if let Err(e) = said {
        tracing::warn!("standard output is closed: {e}");
    }
}
