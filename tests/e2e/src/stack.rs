//! Simulated hardware, guard and daemon in one folder.
//!
//! ```text
//! <dir>/hw/       ports and control socket of the simulator
//! <dir>/guard/    sealed settings, last good copy, socket
//! <dir>/data/     the daemon's data
//! <dir>/trust/    trusted plugin and licence keys
//! <dir>/*.log     what each program said
//! ```
//! Nothing here is a way into the product that a user does not have: settings
//! are sealed by the guard's own command, plugins are the signed bundles.

use crate::plant::{self, STRINGS};
use crate::{Client, ClientError, Program, ProgramError};
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const READY: Duration = Duration::from_secs(30);

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of this stack; made when absent. Keep the path short: local
    /// sockets allow about 100 bytes.
    pub dir: PathBuf,
    /// Folder of the built programs, e.g. `target/debug`.
    pub programs: PathBuf,
    /// Folder of the signed plugins, e.g. `target/plugins`.
    pub plugins: PathBuf,
    /// Public key that signed them.
    pub plugin_key: PathBuf,
    /// Secret key by which the stack's licence is made, and whose public half
    /// it trusts, e.g. `target/dev-keys/licence.key`.
    pub licence_key: PathBuf,
    /// Whether it has a licence from the start; without one it is LC.
    pub licensed: bool,
    /// Port of the console; 0 lets the system choose.
    pub port: u16,
    /// Seed of the simulated hardware.
    pub seed: u64,
    /// Strings of 32 blocks on the bus, each with a current sensor and a relay module;
    /// 2 is the simulator's own scenario, 16 is all that an appliance takes.
    pub strings: u16,
    /// Seconds between history samples; `None` leaves the default.
    pub history_period_s: Option<u32>,
    /// Whether the daemon's configuration installs the driver of the UPS;
    /// without, somebody does so while it runs.
    pub ups: bool,
    /// The daemon's data lie on a disk of their own of so many bytes, in memory,
    /// which nothing but the daemon's and the test's own processes see. Needs
    /// `unshare` and `nsenter` (util-linux), and root or user namespaces.
    pub data_bytes: Option<u64>,
    /// A program, with its words, that stands in for hardware of the daemon and then
    /// becomes it; empty: none.
    pub daemon_through: Vec<OsString>,
    /// The daemon's log as JSON, a line per event.
    pub json_log: bool,
    /// Added to the guard's settings, e.g. `[recorder]`.
    pub guard_settings: &'static str,
    /// Added to the daemon's configuration, e.g. `[[plugin]]` entries.
    pub daemon_settings: String,
}

impl Options {
    /// What [`Stack::for_test`] starts.
    ///
    /// # Errors
    /// [`StackError::NotBuilt`] names what is missing.
    pub fn for_test(dir: &Path) -> Result<Self, StackError> {
        // target/debug/deps/<test> → target/debug
        let test = std::env::current_exe()
            .map_err(|source| StackError::Io { path: PathBuf::from("the test"), source })?;
        let programs = test.ancestors().nth(2).unwrap_or(Path::new(".")).to_owned();
        let target = programs.parent().unwrap_or(Path::new(".")).to_owned();
        let options = Self {
            dir: dir.to_owned(),
            plugins: target.join("plugins"),
            plugin_key: target.join("dev-keys/plugin.pub"),
            licence_key: target.join("dev-keys/licence.key"),
            licensed: true,
            port: 0,
            seed: 1,
            strings: STRINGS,
            history_period_s: Some(5),
            ups: true,
            data_bytes: None,
            daemon_through: Vec::new(),
            json_log: false,
            guard_settings: "",
            daemon_settings: String::new(),
            programs,
        };
        let programs = ["evenkeel-sim", "evenkeel-guard", "evenkeeld", "evenkeel-plugin"];
        let wanted = programs.map(|p| options.programs.join(p));
        let missing = wanted
            .into_iter()
            .chain([options.plugin_key.clone(), options.licence_key.clone()])
            .find(|p| !p.exists());
        match missing {
            Some(missing) => Err(StackError::NotBuilt(missing)),
            None => Ok(options),
        }
    }
}

/// What went wrong with a stack.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A file of the stack cannot be written or read.
    #[error("{} of the stack cannot be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program does not do what it should.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The plugin tool made no licence.
    #[error("no licence was made: {0}")]
    Licence(String),
    /// The guard's command refused the settings.
    #[error("settings were not sealed: {0}")]
    Seal(String),
    /// The simulator refused a control word.
    #[error("simulator: {0}")]
    Control(String),
    /// The console refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The programs are not built.
    #[error("{} is not built; run `cargo xtask test`, which builds everything first", .0.display())]
    NotBuilt(PathBuf),
    /// The daemon printed no address.
    #[error("daemon printed no address: {0}")]
    Address(String),
}

/// A running appliance with simulated hardware.
#[derive(Debug)]
pub struct Stack {
    options: Options,
    /// The simulated hardware.
    pub sim: Program,
    /// The guard.
    pub guard: Program,
    /// The daemon.
    pub daemon: Program,
    disk: Option<Disk>,
    address: String,
    /// The password of `admin` once it was changed.
    password: Option<String>,
}

impl Stack {
    /// Start everything; what an earlier stack left in the folder is kept.
    ///
    /// # Errors
    /// [`StackError`] names the program and shows its last words.
    pub fn start(options: Options) -> Result<Self, StackError> {
        prepare(&options)?;
        let sim = start_sim(&options)?;
        let guard = start_guard(&options)?;
        let disk = options.data_bytes.map(|bytes| Disk::new(&options.dir, bytes)).transpose()?;
        let (daemon, address) = start_daemon(&options, disk.as_ref())?;
        Ok(Self { options, sim, guard, daemon, disk, address, password: None })
    }

    /// A fresh stack in `dir` from what `cargo xtask test` has built, for a
    /// test that runs from the same target folder.
    ///
    /// # Errors
    /// As [`Self::start`], and when something is not built.
    pub fn for_test(dir: &Path) -> Result<Self, StackError> {
        Self::start(Options::for_test(dir)?)
    }

    /// Sign in as `admin`; the first time with the first password, which is
    /// changed as the console demands.
    ///
    /// # Errors
    /// The console's refusal.
    pub fn sign_in(&mut self) -> Result<Client, StackError> {
        let mut client = Client::new(&self.address, &self.certificate()?)?;
        if let Some(password) = &self.password {
            client.login("admin", password)?;
        } else {
            let first = self.first_password()?;
            client.login("admin", &first)?;
            let password = format!("{first}-changed");
            client.change_password(&first, &password)?;
            self.password = Some(password);
        }
        Ok(client)
    }

    /// The password of `admin`, once [`sign_in`](Self::sign_in) changed it.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Folder of the stack.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// Folder of the daemon's data, as the test sees it.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        let data = self.options.dir.join("data");
        self.disk.as_ref().map_or(data.clone(), |disk| disk.seen(&data))
    }

    /// Base address of the console, e.g. `https://127.0.0.1:8443`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The first password, while it is still to be changed.
    ///
    /// # Errors
    /// When the daemon keeps no such file.
    pub fn first_password(&self) -> Result<String, StackError> {
        let path = self.data().join("first-password");
        let text = fs::read_to_string(&path).map_err(|source| StackError::Io { path, source })?;
        Ok(text.trim().to_owned())
    }

    /// The console's certificate, PEM.
    ///
    /// # Errors
    /// When the daemon keeps no such file.
    pub fn certificate(&self) -> Result<Vec<u8>, StackError> {
        let path = self.data().join("console-certificate.pem");
        fs::read(&path).map_err(|source| StackError::Io { path, source })
    }

    /// Start the daemon again, after it was stopped or killed.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart_daemon(&mut self) -> Result<(), StackError> {
        let (daemon, address) = start_daemon(&self.options, self.disk.as_ref())?;
        (self.daemon, self.address) = (daemon, address);
        Ok(())
    }

    /// Start the guard again, after it was stopped or killed.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart_guard(&mut self) -> Result<(), StackError> {
        self.guard = start_guard(&self.options)?;
        Ok(())
    }

    /// Say control words to the simulated hardware; returns what it tells.
    ///
    /// # Errors
    /// When the simulator refuses or does not answer.
    pub fn control(&self, words: &str) -> Result<String, StackError> {
        let path = self.options.dir.join("hw/control");
        let io = |source| StackError::Io { path: path.clone(), source };
        let mut stream = UnixStream::connect(&path).map_err(io)?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(io)?;
        writeln!(stream, "{words}").map_err(io)?;
        let mut answer = String::new();
        for line in BufReader::new(stream).lines() {
            let line = line.map_err(io)?;
            if line.starts_with("error") {
                return Err(StackError::Control(line));
            }
            if line.starts_with("ok") {
                return Ok(answer);
            }
            answer.push_str(&line);
            answer.push('\n');
        }
        Err(StackError::Control("closed the connection without an answer".to_owned()))
    }

    /// An error when a program has ended.
    ///
    /// # Errors
    /// [`StackError::Program`] names it.
    pub fn check(&mut self) -> Result<(), StackError> {
        self.sim.check()?;
        self.guard.check()?;
        Ok(self.daemon.check()?)
    }
}

/// A small disk in memory over the folder of the data. It lives in a mount namespace
/// of its own, which a process that does nothing holds.
#[derive(Debug)]
struct Disk {
    holder: Program,
    /// How a process comes in.
    enter: &'static [&'static str],
}

impl Disk {
    /// With what is in the folder so far.
    fn new(dir: &Path, bytes: u64) -> Result<Self, StackError> {
        const MOUNT: &str = "mount -t tmpfs -o size=$1,mode=700 tmpfs \"$3\" && \
            cp -a \"$2/.\" \"$3\" && mount --bind \"$3\" \"$2\" && echo mounted && exec sleep infinity";
        let (data, beside) = (dir.join("data"), dir.join("data.disk"));
        fs::create_dir_all(&beside)
            .map_err(|source| StackError::Io { path: beside.clone(), source })?;
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let (make, enter): (_, &[_]) = match is_root {
            true => ("-m", &["-m"]),
            false => ("-rm", &["-U", "-m", "--preserve-credentials"]),
        };
        let mut command = Command::new("unshare");
        command.args([make, "sh", "-c", MOUNT, "sh", &bytes.to_string()]).arg(data).arg(beside);
        let mut holder = Program::start("unshare", &mut command, &dir.join("disk.log"))?;
        holder.await_line("mounted", READY)?;
        Ok(Self { holder, enter })
    }

    /// `path` through the eyes of those inside.
    fn seen(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.pid()));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// `program`, started inside.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.pid().to_string()]).args(self.enter).arg(program);
        command
    }
}

fn prepare(options: &Options) -> Result<(), StackError> {
    for folder in ["hw", "guard", "data", "trust"] {
        let path = options.dir.join(folder);
        fs::create_dir_all(&path).map_err(|source| StackError::Io { path, source })?;
    }
    for key in [options.plugin_key.clone(), options.licence_key.with_extension("pub")] {
        let name = key.file_name().unwrap_or_default();
        fs::copy(&key, options.dir.join("trust").join(name))
            .map_err(|source| StackError::Io { path: key.clone(), source })?;
    }
    if options.licensed {
        provision_licence(options)?;
    }
    write_if_absent(&options.dir.join("daemon.toml"), &daemon_config(options))?;
    let settings = options.dir.join("guard/settings.toml");
    if settings.exists() {
        return Ok(());
    }
    let bus = options.dir.join("hw/bus0");
    let text = plant::guard_settings(&bus, options.strings) + options.guard_settings;
    write_if_absent(&settings, &text)?;
    let sealed = Command::new(options.programs.join("evenkeel-guard"))
        .arg("seal")
        .arg(&settings)
        .output()
        .map_err(|source| StackError::Io { path: options.programs.clone(), source })?;
    match sealed.status.success() {
        true => Ok(()),
        false => Err(StackError::Seal(String::from_utf8_lossy(&sealed.stderr).into_owned())),
    }
}

/// Serial number of a stack that is licensed from the start.
const SERIAL: &str = "7QK4-M2ZD-9XWB-U";

/// As an appliance leaves the factory: with its number and its licence.
fn provision_licence(options: &Options) -> Result<(), StackError> {
    let licences = options.dir.join("data/licences");
    fs::create_dir_all(&licences)
        .map_err(|source| StackError::Io { path: licences.clone(), source })?;
    write_if_absent(&options.dir.join("data/serial"), SERIAL)?;
    let file = licences.join("development.evkl");
    if file.exists() {
        return Ok(());
    }
    let made = Command::new(options.programs.join("evenkeel-plugin"))
        .args(["licence", "--serial", SERIAL, "--edition", "development licence"])
        .args(["--customer", "Development", "--id", "development", "--not-before", "0"])
        .arg("--key")
        .arg(&options.licence_key)
        .arg("--out")
        .arg(&file)
        .output()
        .map_err(|source| StackError::Io { path: options.programs.clone(), source })?;
    match made.status.success() {
        true => Ok(()),
        false => Err(StackError::Licence(String::from_utf8_lossy(&made.stderr).into_owned())),
    }
}

fn write_if_absent(path: &Path, text: &str) -> Result<(), StackError> {
    if path.exists() {
        return Ok(());
    }
    fs::write(path, text).map_err(|source| StackError::Io { path: path.to_owned(), source })
}

fn daemon_config(options: &Options) -> String {
    let dir = options.dir.display();
    let ups = options.ups.then(|| {
        format!(
            "[[plugin]]\nname = \"megatec\"\npoints = \"ups.0\"\n\
             grant.serial.ups = \"{dir}/hw/ups0\"\n\n"
        )
    });
    let history = options.history_period_s.map(|s| format!("history_period_s = {s}\n"));
    format!(
        "data_dir = \"{dir}/data\"\nlisten = \"127.0.0.1:{port}\"\n\
         guard_socket = \"{dir}/guard/guard.sock\"\nplugin_dir = \"{plugins}\"\n\
         trust_dir = \"{dir}/trust\"\n{history}\n\
         {ups}[[plugin]]\nname = \"licence-lc\"\n\n{more}",
        port = options.port,
        plugins = options.plugins.display(),
        history = history.unwrap_or_default(),
        ups = ups.unwrap_or_default(),
        more = options.daemon_settings,
    )
}

fn start_sim(options: &Options) -> Result<Program, StackError> {
    let mut command = Command::new(options.programs.join("evenkeel-sim"));
    command.arg("run").arg("--dir").arg(options.dir.join("hw"));
    command.arg("--seed").arg(options.seed.to_string());
    if options.strings != STRINGS {
        let path = options.dir.join("scenario.toml");
        write_if_absent(&path, &plant::scenario(options.strings))?;
        command.arg("--scenario").arg(path);
    }
    let mut sim = Program::start("evenkeel-sim", &mut command, &options.dir.join("sim.log"))?;
    sim.await_line("ready", READY)?;
    Ok(sim)
}

fn start_guard(options: &Options) -> Result<Program, StackError> {
    let dir = options.dir.join("guard");
    let mut command = Command::new(options.programs.join("evenkeel-guard"));
    command.arg("run").arg("--settings").arg(dir.join("settings.toml"));
    command.arg("--state").arg(&dir).arg("--socket").arg(dir.join("guard.sock"));
    let mut guard = Program::start("evenkeel-guard", &mut command, &options.dir.join("guard.log"))?;
    guard.await_line("ready", READY)?;
    Ok(guard)
}

fn start_daemon(options: &Options, disk: Option<&Disk>) -> Result<(Program, String), StackError> {
    let program = options.programs.join("evenkeeld").into_os_string();
    let mut words = options.daemon_through.iter().chain([&program]);
    let first = Path::new(words.next().unwrap_or(&program));
    let mut command = disk.map_or_else(|| Command::new(first), |disk| disk.command(first));
    command.args(words);
    command.arg("--config").arg(options.dir.join("daemon.toml"));
    if options.json_log {
        command.args(["--log", "json"]);
    }
    let mut daemon = Program::start("evenkeeld", &mut command, &options.dir.join("daemon.log"))?;
    let line = daemon.await_line("evenkeeld ready ", READY)?;
    let address = line.split_whitespace().find(|w| w.starts_with("https://"));
    let address =
        address.ok_or(StackError::Address(line.clone()))?.trim_end_matches('/').to_owned();
    Ok((daemon, address))
}
