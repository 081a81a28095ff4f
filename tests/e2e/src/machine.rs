//! The board in QEMU, started by its own boot loader where one is made for it.
//! Otherwise the loader is played here, with the same rules: it reads the state
//! record, takes the step, checks the boot image against the slot's header, and
//! starts kernel and first stage.
//!
//! Everything is emulated (TCG): what is measured here is a ratio, not a time
//! on the board.

use crate::{Program, ProgramError};
use evenkeel_image::board::{self, Board, BoardError};
use evenkeel_image::disk::{self, TooSmall};
use evenkeel_image::release::{EPOCH, PRODUCT};
use evenkeel_loader::boot::{Boot, BootError};
use evenkeel_loader::{Judge, Note, Unusable};
use evenkeel_signing::slot::record::{COPY_DISTANCE, RECORD_LEN};
use evenkeel_signing::slot::{Copies, Event, Forbidden, Reason, Record, RecordError, Slot};
use evenkeel_signing::{KeyError, Keyring, KeyringError, Origin, PublicKey};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The disk's file in the folder of an image.
pub const DISK: &str = "disk.img";
/// Public half of the key that the loader trusts, in the folder of an image.
pub const KEY: &str = "firmware.pub";

/// The board's own boot loader, in the folder of an image.
pub const LOADER: &str = "loader.bin";
/// That loader's device tree, with the key of boot images.
pub const CONTROL: &str = "loader.dtb";

/// The partition with the loader that UEFI starts, in the folder of an image.
pub const PARTITION: &str = "loader.img";
/// The variables of that firmware, with the key that it accepts.
pub const VARIABLES: &str = "variables.fd";

/// The board as the machine describes itself, in the folder of an image.
pub const TREE: &str = "machine.dtb";

/// Another address that the machine may have.
pub const OTHER: &str = "10.0.2.20";

/// QEMU's socket for orders (QMP), in the folder of a machine.
const ORDERS: &str = "orders";
/// Longest wait for what comes of one.
const ORDER_MAX: Duration = Duration::from_secs(20);
/// Room for the log of all writes.
const LOG_LEN: u64 = 4 << 30;

/// Longest time from the start to a kernel, or to the loader's end.
const LOADER_MAX: Duration = Duration::from_secs(60);

/// What a serial line of the machine is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing.
    Nothing,
    /// A serial port of this machine, e.g. a pseudo-terminal of the simulator.
    Port(PathBuf),
}

/// Who starts the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The loader is played: quickest.
    Played,
    /// U-Boot, which was built for the board.
    UBoot,
    /// UEFI and our own loader.
    Uefi,
}

/// A board with its disk.
#[derive(Debug)]
pub struct Machine {
    folder: PathBuf,
    /// Name of the board.
    board: String,
    hardware: board::Machine,
    way: Way,
    uefi: Option<board::Uefi>,
    /// Whose headers the played loader takes.
    key: PathBuf,
    port: u16,
    /// The console at [`OTHER`], for who changes the network.
    other: Option<u16>,
    lines: [Line; 2],
    /// Somebody holds the button at the next start; the played loader says so.
    pub button: bool,
    /// Everything that is done to the disk is written down here
    /// ([`crate::write_log`]).
    pub log: Option<PathBuf>,
    /// What the played loader refused, in order.
    pub refused: Vec<(Slot, Reason)>,
}

/// What went wrong with the machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A file cannot be used.
    #[error("{} cannot be used; is the image built (`cargo xtask image`)?", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The disk is none of ours.
    #[error(transparent)]
    Disk(#[from] TooSmall),
    /// The board of the image.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// A board of which there is no machine.
    #[error("QEMU has no machine for the board {0}")]
    Hardware(String),
    /// No such partition.
    #[error("the disk has no partition {0}")]
    Partition(String),
    /// Both copies of the state record are damaged.
    #[error("both copies of the state record are damaged: {0}; {1}")]
    Record(RecordError, RecordError),
    /// Nothing may start.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The slot may not start.
    #[error("the slot does not start: {0}")]
    Refused(Reason),
    /// A boot image that is signed and none.
    #[error("the boot image cannot be taken apart")]
    Boot(#[from] BootError),
    /// The loader's key.
    #[error("the loader's key cannot be used")]
    Key(#[from] KeyError),
    /// The loader's key.
    #[error("the loader's key cannot be used")]
    Keyring(#[from] KeyringError),
    /// QEMU.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A loader that starts a kernel and does not say which.
    #[error("the loader did not say which slot it starts")]
    Silent,
    /// An order to the machine that runs.
    #[error("QEMU did not do what it was told")]
    Order(#[source] io::Error),
}

impl Machine {
    /// With the disk of the image in `folder`, changed in place. The console
    /// is forwarded to `port` of this machine; `lines` are the battery bus and
    /// the UPS.
    ///
    /// # Errors
    /// [`MachineError::Board`], [`MachineError::Hardware`].
    pub fn new(folder: &Path, port: u16, lines: [Line; 2]) -> Result<Self, MachineError> {
        let board = Board::read(folder)?;
        let u_boot = board.loader.is_some_and(|loader| loader.defconfig.is_some());
        let (name, hardware) = (board.name, board.machine);
        let hardware = hardware.ok_or_else(|| MachineError::Hardware(name.clone()))?;
        Ok(Self {
            folder: folder.to_owned(),
            board: name,
            hardware,
            way: if u_boot { Way::UBoot } else { Way::Played },
            uefi: board.uefi,
            key: folder.join(KEY),
            port,
            other: None,
            lines,
            button: false,
            log: None,
            refused: Vec::new(),
        })
    }

    /// With a copy of the disk of `image` in `folder`, and any free port.
    ///
    /// # Errors
    /// [`MachineError::File`], and those of [`Self::new`].
    pub fn copy(image: &Path, folder: &Path, lines: [Line; 2]) -> Result<Self, MachineError> {
        let some_have = [LOADER, CONTROL, PARTITION, VARIABLES];
        for name in [DISK, KEY, board::FILE].into_iter().chain(some_have) {
            let path = image.join(name);
            if some_have.contains(&name) && !path.exists() {
                continue;
            }
            let copied = Command::new("cp").arg("--sparse=always").arg(&path).arg(folder).status();
            let failed = || io::Error::other("cp failed");
            copied
                .and_then(|status| status.success().then_some(()).ok_or_else(failed))
                .map_err(|source| MachineError::File { path, source })?;
        }
        // Both at the same time: otherwise they may be the same.
        let free = || TcpListener::bind("127.0.0.1:0");
        let ports = free().and_then(|one| Ok([one.local_addr()?, free()?.local_addr()?]));
        let [port, other] = ports
            .map_err(|source| MachineError::File { path: PathBuf::from("127.0.0.1"), source })?;
        let machine = Self::new(folder, port.port(), lines)?;
        Ok(Self { other: Some(other.port()), ..machine })
    }

    /// Started by its firmware, under Secure Boot, and by our own loader; where
    /// the image has one.
    #[must_use]
    pub fn verified(self) -> Self {
        let there = self.uefi.is_some() && self.folder.join(PARTITION).exists();
        let way = if there { Way::Uefi } else { self.way };
        Self { way, ..self }
    }

    /// Address of the console on this machine.
    #[must_use]
    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Address on this machine of the console at [`OTHER`], of a copy.
    #[must_use]
    pub fn other_address(&self) -> Option<String> {
        self.other.map(|port| format!("https://127.0.0.1:{port}"))
    }

    /// Play the loader once; gives the slot that starts, whose parts are in the
    /// machine's folder. `None`: the board has a loader of its own.
    ///
    /// # Errors
    /// [`MachineError`] when nothing may start.
    pub fn load(&mut self) -> Result<Option<Slot>, MachineError> {
        if self.way != Way::Played {
            return Ok(None);
        }
        let (slot, image) = self.played()?;
        let boot = Boot::unpack(&image)?;
        self.keep("kernel", boot.kernel)?;
        self.keep("archive", boot.archive)?;
        self.keep("command-line", boot.command_line.as_bytes())?;
        Ok(Some(slot))
    }

    /// Take the steps of a loader in the state record, up to a slot whose boot
    /// image is the one of its header.
    ///
    /// # Errors
    /// [`MachineError`] when nothing may start.
    pub fn choose(&mut self) -> Result<Slot, MachineError> {
        Ok(self.played()?.0)
    }

    /// The slot and its boot image.
    fn played(&mut self) -> Result<(Slot, Vec<u8>), MachineError> {
        let judge = self.judge()?;
        let mut played = Played { machine: self, refused: Vec::new() };
        let started = evenkeel_loader::run(&mut played, &judge);
        let refused = played.refused;
        self.refused.extend(refused);
        Ok(started?)
    }

    /// Whom and what the loader accepts.
    fn judge(&self) -> Result<Judge, MachineError> {
        let mut trusted = Keyring::new();
        trusted.insert_from(PublicKey::read(&self.key)?, Origin::Platform)?;
        let (product, board) = (PRODUCT.to_owned(), self.board.clone());
        Ok(Judge { product, board, least: EPOCH, trusted })
    }

    /// QEMU for the slot that was loaded, with the serial console on the
    /// terminal.
    ///
    /// # Errors
    /// [`MachineError::File`] when nothing was loaded.
    pub fn command(&self, slot: Option<Slot>) -> Result<Command, MachineError> {
        let mut qemu = self.hardware(slot)?;
        qemu.args(["-nographic", "-serial", "mon:stdio"]);
        self.connect(&mut qemu);
        Ok(qemu)
    }

    /// Load, and start in the background; the serial console is the program's
    /// output. It ends when the appliance restarts.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn start(&mut self) -> Result<(Slot, Program), MachineError> {
        self.start_after(|_| ())
    }

    /// [`Self::start`], and do something between the loader and the start.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn start_after(
        &mut self,
        meanwhile: impl FnOnce(&Self),
    ) -> Result<(Slot, Program), MachineError> {
        let slot = self.load()?;
        meanwhile(self);
        let mut qemu = self.hardware(slot)?;
        qemu.args(["-display", "none", "-monitor", "none", "-serial", "stdio", "-qmp"]);
        qemu.arg(format!("unix:{},server=on,wait=off", self.folder.join(ORDERS).display()));
        self.connect(&mut qemu);
        let log = self.folder.join("console.log");
        let mut qemu = Program::start(&self.hardware.program, &mut qemu, &log)?;
        let slot = match slot {
            Some(slot) => slot,
            None => chosen(&mut qemu, self.way)?,
        };
        Ok((slot, qemu))
    }

    /// Plug the network's cable in, or pull it out, while the machine runs.
    ///
    /// # Errors
    /// [`MachineError::Order`].
    pub fn plug(&self, plugged: bool) -> Result<(), MachineError> {
        let arguments = json!({"name": "n", "up": plugged});
        self.order(&json!({"execute": "set_link", "arguments": arguments}))
    }

    /// Switch off at once, and keep what it had written by then.
    ///
    /// # Errors
    /// [`MachineError::Order`].
    pub fn halt(&self) -> Result<(), MachineError> {
        self.order(&json!({"execute": "quit"}))
    }

    fn order(&self, order: &Value) -> Result<(), MachineError> {
        let orders = [json!({"execute": "qmp_capabilities"}), order.clone()];
        self.orders(&orders).map_err(MachineError::Order)
    }

    /// Have QEMU do this, one after the other.
    fn orders(&self, orders: &[Value]) -> io::Result<()> {
        let stream = UnixStream::connect(self.folder.join(ORDERS))?;
        stream.set_read_timeout(Some(ORDER_MAX))?;
        let mut lines = BufReader::new(&stream).lines();
        // The first line says who is there.
        lines.next().transpose()?;
        for order in orders {
            writeln!(&stream, "{order}")?;
            // What happens besides is told in between.
            let said = lines.find(|line| !line.as_ref().is_ok_and(|l| l.contains("\"event\"")));
            let said = said.ok_or(io::ErrorKind::UnexpectedEof)??;
            if !said.contains("\"return\"") {
                return Err(io::Error::other(said));
            }
        }
        Ok(())
    }

    fn hardware(&self, slot: Option<Slot>) -> Result<Command, MachineError> {
        let mut qemu = Command::new(&self.hardware.program);
        qemu.args(&self.hardware.arguments).arg("-no-reboot");
        if let Some(slot) = slot {
            let path = self.folder.join("command-line");
            let line = fs::read_to_string(&path).map_err(|source| file(&path, source))?;
            qemu.arg("-kernel").arg(self.folder.join("kernel"));
            qemu.arg("-initrd").arg(self.folder.join("archive"));
            let button = if self.button { " evenkeel.button=held" } else { "" };
            qemu.args(["-append", &format!("{line}{button} evenkeel.slot={}", slot.letter())]);
        } else if let (Way::Uefi, Some(uefi)) = (self.way, &self.uefi) {
            qemu.args(&uefi.arguments);
            let flash = format!("if=pflash,format=raw,readonly=on,file={}", uefi.code.display());
            let variables = self.folder.join(VARIABLES);
            let variables = format!("if=pflash,format=raw,file={}", variables.display());
            let partition = self.folder.join(PARTITION);
            let partition =
                format!("format=raw,if=none,id=l,readonly=on,file={}", partition.display());
            for drive in [flash, variables, partition] {
                qemu.args(["-drive", &drive]);
            }
            qemu.args(["-device", &format!("{},drive=l,bootindex=0", self.hardware.disk)]);
        } else {
            qemu.arg("-bios").arg(self.folder.join(LOADER));
            qemu.arg("-dtb").arg(self.folder.join(CONTROL));
        }
        let disk = self.folder.join(DISK);
        let disk = disk.display();
        match &self.log {
            None => qemu.arg("-drive").arg(format!("file={disk},format=raw,if=none,id=d")),
            Some(log) => {
                // It grows no file by itself; what is empty takes no room.
                File::create(log)
                    .and_then(|file| file.set_len(LOG_LEN))
                    .map_err(|source| file(log, source))?;
                let log = log.display();
                let nodes = [
                    format!("raw,node-name=f,file.driver=file,file.filename={disk}"),
                    format!("file,node-name=l,filename={log}"),
                ];
                for node in nodes {
                    // This machine's own disk loses nothing in between.
                    qemu.arg("-blockdev").arg(format!("driver={node},cache.no-flush=on"));
                }
                qemu.args(["-blockdev", "driver=blklogwrites,node-name=d,file=f,log=l"])
            }
        };
        // The first is what QEMU's own server of addresses lends.
        let mut forward = format!("user,id=n,hostfwd=tcp:127.0.0.1:{}-10.0.2.15:443", self.port);
        if let Some(port) = self.other {
            forward += &format!(",hostfwd=tcp:127.0.0.1:{port}-{OTHER}:443");
        }
        qemu.args(["-netdev", &forward, "-device", &self.hardware.random]);
        qemu.args(["-device", &format!("{},drive=d", self.hardware.disk)]);
        qemu.args(["-device", &format!("{},netdev=n", self.hardware.network)]);
        Ok(qemu)
    }

    /// The battery bus as `line0` and the UPS as `line1`, where the board has
    /// its ports.
    fn connect(&self, qemu: &mut Command) {
        for (at, line) in self.lines.iter().enumerate() {
            let device = match line {
                Line::Nothing => format!("null,id=line{at}"),
                Line::Port(path) => format!("serial,id=line{at},path={}", path.display()),
            };
            qemu.args(["-chardev", &device]);
        }
        qemu.args(&self.hardware.lines);
    }

    /// The state record as it stands.
    ///
    /// # Errors
    /// [`MachineError`] when neither copy can be read.
    pub fn record(&self) -> Result<Record, MachineError> {
        Ok(self.copies()?.record)
    }

    /// Write into a partition, as a fault or somebody with a soldering iron
    /// does.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn write(&self, partition: &str, at: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let (start, _) = self.partition(partition)?;
        self.disk()?.write_all_at(bytes, start + at).map_err(|e| file(&self.disk_path(), e))
    }

    /// Read from a partition.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn read(&self, partition: &str, at: u64, len: usize) -> Result<Vec<u8>, MachineError> {
        let (start, _) = self.partition(partition)?;
        let mut bytes = vec![0; len];
        self.disk()?
            .read_exact_at(&mut bytes, start + at)
            .map_err(|e| file(&self.disk_path(), e))?;
        Ok(bytes)
    }

    /// Change the state record as `event` says.
    ///
    /// # Errors
    /// [`MachineError::Forbidden`] and others.
    pub fn step(&self, event: Event) -> Result<Record, MachineError> {
        Ok(self.advance(&self.copies()?, event)?.record)
    }

    fn advance(&self, found: &Copies, event: Event) -> Result<Copies, MachineError> {
        let record = found.record.step(event)?;
        self.write("state", found.write_to as u64 * COPY_DISTANCE, &record.encode())?;
        Ok(Copies { record, write_to: 1 - found.write_to })
    }

    fn copies(&self) -> Result<Copies, MachineError> {
        let copies = [0, COPY_DISTANCE].map(|at| {
            let bytes = self.read("state", at, RECORD_LEN).ok()?;
            <[u8; RECORD_LEN]>::try_from(bytes).ok()
        });
        Copies::judge(copies.each_ref().map(Option::as_ref))
            .map_err(|[a, b]| MachineError::Record(a, b))
    }

    /// The boot image of a slot that may start.
    ///
    /// # Errors
    /// [`MachineError::Refused`] when it may not.
    pub fn boot_image(&self, slot: Slot) -> Result<Vec<u8>, MachineError> {
        let judge = self.judge()?;
        let mut played = Played { machine: self, refused: Vec::new() };
        evenkeel_loader::image(&mut played, &judge, slot)
            .map_err(|refusal| MachineError::Refused(refusal.reason()))
    }

    /// Beginning and length of a partition, in bytes.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn partition(&self, name: &str) -> Result<(u64, u64), MachineError> {
        let len = fs::metadata(self.disk_path()).map_err(|e| file(&self.disk_path(), e))?.len();
        let found = disk::layout(len)?.into_iter().find(|partition| partition.name == name);
        let found = found.ok_or_else(|| MachineError::Partition(name.to_owned()))?;
        Ok((found.start, found.len))
    }

    /// The disk's file.
    #[must_use]
    pub fn disk_path(&self) -> PathBuf {
        self.folder.join(DISK)
    }

    fn disk(&self) -> Result<File, MachineError> {
        let opened = OpenOptions::new().read(true).write(true).open(self.disk_path());
        opened.map_err(|e| file(&self.disk_path(), e))
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), MachineError> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).map_err(|source| file(&path, source))
    }
}

/// The loader that is played, up to where another one starts something.
struct Played<'a> {
    machine: &'a Machine,
    refused: Vec<(Slot, Reason)>,
}

impl evenkeel_loader::Board for Played<'_> {
    type Started = (Slot, Vec<u8>);

    fn read_copy(&mut self, copy: usize) -> Option<[u8; RECORD_LEN]> {
        self.machine.read("state", copy as u64 * COPY_DISTANCE, RECORD_LEN).ok()?.try_into().ok()
    }

    fn write_copy(&mut self, copy: usize, bytes: &[u8; RECORD_LEN]) -> Result<(), Unusable> {
        self.machine.write("state", copy as u64 * COPY_DISTANCE, bytes).map_err(|_| Unusable)
    }

    fn boot_len(&self, slot: Slot) -> u64 {
        self.machine.partition(disk::boot(slot)).map_or(0, |(_, len)| len)
    }

    fn read_boot(&mut self, slot: Slot, at: u64, bytes: &mut [u8]) -> Result<(), Unusable> {
        let read = self.machine.read(disk::boot(slot), at, bytes.len()).map_err(|_| Unusable)?;
        bytes.copy_from_slice(&read);
        Ok(())
    }

    fn start(&mut self, slot: Slot, image: &[u8]) -> Result<Self::Started, Reason> {
        Ok((slot, image.to_vec()))
    }

    fn say(&mut self, note: Note) {
        if let Note::Refused(slot, refusal) = note {
            self.refused.push((slot, refusal.reason()));
        }
    }
}

/// The slot whose kernel the board's own loader started.
fn chosen(qemu: &mut Program, way: Way) -> Result<Slot, MachineError> {
    let words = if way == Way::Uefi { "loader: starting the kernel" } else { "Starting kernel" };
    qemu.await_words(words, LOADER_MAX)?;
    let log = qemu.log();
    let last = log.lines().rev().find_map(|line| line.trim().strip_prefix("loader: slot "));
    match last {
        Some("a") => Ok(Slot::A),
        Some("b") => Ok(Slot::B),
        _ => Err(MachineError::Silent),
    }
}

/// A data partition of `len` bytes with the content of `folder`, as the file
/// `image`; the same bytes each time.
///
/// # Errors
/// [`MachineError::File`].
pub fn format_data(folder: &Path, image: &Path, len: u64) -> Result<(), MachineError> {
    const IDENTITY: &str = "00000000-0000-0000-0000-000000000001";
    let made = File::create(image).and_then(|file| file.set_len(len)).and_then(|()| {
        Command::new("/sbin/mke2fs")
            .args(["-q", "-F", "-t", "ext4", "-U", IDENTITY, "-E"])
            .arg(format!("root_owner=0:0,hash_seed={IDENTITY}"))
            .arg("-d")
            .args([folder, image])
            .env("E2FSPROGS_FAKE_TIME", "1")
            .status()
    });
    let failed = || io::Error::other("mke2fs failed");
    made.and_then(|status| status.success().then_some(()).ok_or_else(failed))
        .map_err(|e| file(image, e))
}

/// The file system of a root with the content of `folder`, as the file `image`;
/// the same bytes each time.
///
/// # Errors
/// [`MachineError::File`].
pub fn squash(folder: &Path, image: &Path) -> Result<(), MachineError> {
    let options = ["-comp", "zstd", "-b", "128K", "-all-root", "-noappend", "-mkfs-time", "0"];
    let made = Command::new("mksquashfs")
        .args([folder, image])
        .args(options)
        .args(["-all-time", "0", "-quiet", "-no-progress"])
        .stdout(Stdio::null())
        .status();
    let failed = || io::Error::other("mksquashfs failed");
    made.and_then(|status| status.success().then_some(()).ok_or_else(failed))
        .map_err(|e| file(image, e))
}

fn file(path: &Path, source: io::Error) -> MachineError {
    MachineError::File { path: path.to_owned(), source }
}
