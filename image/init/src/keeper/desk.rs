//! What the keeper knows, and what it does about a question or about time.

use super::health::{Before, Trial, Verdict};
use super::install::{Install, InstallError, Places, read_header, write_header};
use super::lock;
use crate::state::{State, StateError};
use crate::trust::{Identity, IdentityError};
use crate::{log, partition};
use evenkeel_signing::Device;
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::talk::{self, Answer, Ask, Health, News, Other, Progress, Status};
use evenkeel_signing::slot::{Event, Header, HeaderError, Reason, Slot, SlotState};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Whom the image trusts, on the verified root.
const IDENTITY: &str = "/etc/evenkeel/firmware";
/// Plugins of the platform that ran before the update, one name a line.
const BEFORE: &str = "/data/slots/before";
/// Plugins of others.
const BEFORE_OTHERS: &str = "/data/slots/before-others";
/// A start that lasted for so long was no crash.
const SETTLED: Duration = Duration::from_secs(600);
/// One that lasted for so long makes good for earlier changes of slot.
const STEADY: Duration = Duration::from_secs(3_600);
/// Most news that wait for the daemon.
const NEWS_MAX: usize = 16;

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The system.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No word of the loader.
    #[error("the loader did not say which slot it started")]
    NoSlot,
    /// Whom to trust is not known.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What runs has no header.
    #[error("the header of the running slot is refused: {0}")]
    Running(HeaderError),
    /// The state record.
    #[error(transparent)]
    State(#[from] StateError),
    /// The bundle.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// One at a time.
    #[error("a bundle is being taken in already; wait for its end")]
    Busy,
    /// The rest of something else.
    #[error("the bundle goes on at byte {taken}, and this begins at {from}; send it from 0")]
    Place {
        /// What was taken.
        taken: u64,
        /// What is offered.
        from: u64,
    },
    /// Too early.
    #[error("the appliance is restarting")]
    Restarting,
}

/// The desk.
#[derive(Debug)]
pub struct Desk {
    slot: Slot,
    header: Header,
    identity: Identity,
    state: State,
    because: Reason,
    trial: Option<Trial>,
    /// The newest report of the daemon.
    health: Health,
    settled: bool,
    steady: bool,
    restarting: bool,
    installing: Option<Progress>,
    /// What was taken, when nobody sends more.
    install: Option<Install>,
    news: Vec<News>,
}

impl Desk {
    /// Of the running `slot`, with the state record on the device `state`.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn open(slot: Slot, state: &Path) -> Result<Self, DeskError> {
        let identity = Identity::load(Path::new(IDENTITY))?;
        let mut state = State::open(state)?;
        let bytes = read_header(&open("boot", slot)?)
            .map_err(|source| DeskError::System { what: "read the slot's header", source })?;
        let header =
            Header::verify(&bytes, identity.trust.trusted()).map_err(DeskError::Running)?;
        let because = state.record().boot_reason;
        // Unless somebody says otherwise until then, the next start is because
        // the power was off.
        state.step(Event::Because(Reason::Power))?;
        let trial = (state.record().slot(slot).state == SlotState::Trial)
            .then(|| Trial::new(before(), Duration::ZERO));
        let mut this = Self {
            slot,
            header,
            identity,
            state,
            because,
            trial,
            health: Health::default(),
            settled: false,
            steady: false,
            restarting: false,
            installing: None,
            install: None,
            news: Vec::new(),
        };
        if !matches!(because, Reason::None | Reason::Power | Reason::Restart | Reason::Person)
            && this.trial.is_none()
        {
            let version = this.other_version();
            this.tell(News::Returned { version, reason: because.to_string() });
        }
        Ok(this)
    }

    /// Time has passed.
    pub fn look(&mut self, now: Duration) {
        if self.restarting {
            return;
        }
        let done = match self.trial.as_mut().map(|trial| trial.look(now)) {
            Some(Verdict::Confirm) => self.confirm(now),
            Some(Verdict::GiveUp(reason)) => self.give_up(reason),
            Some(Verdict::Wait) => Ok(()),
            None => self.last(now),
        };
        if let Err(error) = done {
            log::say(&log::chain(&error));
        }
    }

    fn confirm(&mut self, now: Duration) -> Result<(), DeskError> {
        self.state.step(Event::Confirm)?;
        let without = self.trial.take().map_or_else(Vec::new, |trial| trial.without(now));
        let version = self.header.version.clone();
        log::say(&format!("slot {}: version {version} has proved healthy", self.slot));
        self.tell(News::Confirmed { version, without });
        Ok(())
    }

    fn give_up(&mut self, reason: Reason) -> Result<(), DeskError> {
        // Whatever comes of it, it is not tried every second.
        self.trial = None;
        log::say(&format!("slot {} is given up: {reason}", self.slot));
        self.state.step(Event::GoBack(reason))?;
        self.restart(reason)
    }

    /// A start that lasted is no crash loop.
    fn last(&mut self, now: Duration) -> Result<(), DeskError> {
        if !self.settled && now >= SETTLED {
            self.settled = true;
            self.state.step(Event::Settled)?;
        }
        if !self.steady && now >= STEADY {
            self.steady = true;
            self.state.step(Event::Steady)?;
        }
        Ok(())
    }

    /// The answer to everything but [`Ask::Install`].
    pub fn answer(&mut self, ask: Ask, now: Duration) -> Answer {
        match ask {
            Ask::Status => Answer::Status(Box::new(self.status(now))),
            Ask::News => Answer::News { news: std::mem::take(&mut self.news) },
            Ask::Health(mut health) => {
                for names in [&mut health.plugins, &mut health.others, &mut health.excused] {
                    names.truncate(talk::PLUGINS_MAX);
                }
                self.health = health.clone();
                if let Some(trial) = &mut self.trial {
                    trial.report(health, now);
                }
                Answer::Done
            }
            Ask::Abandon => super::answer(self.abandon()),
            Ask::Activate => super::answer(self.activate()),
            Ask::GoBack => super::answer(self.go_back()),
            Ask::Install { .. } => super::answer(Err(DeskError::Busy)),
        }
    }

    fn status(&self, now: Duration) -> Status {
        let record = self.state.record();
        let other = record.slot(self.slot.other());
        let trial = self.trial.as_ref().map(|trial| {
            let (healthy, missing) = trial.told(now);
            let (tries_left, healthy_s) = (record.tries_left, healthy.as_secs());
            talk::Trial { tries_left, healthy_s, missing, without: trial.without(now) }
        });
        let installing =
            self.installing.clone().or_else(|| self.install.as_ref().map(Install::progress));
        Status {
            slot: self.slot.to_string(),
            version: self.header.version.clone(),
            epoch: self.header.epoch,
            floor: record.floor,
            development: self.header.development,
            root: self.header.root.to_string(),
            started_because: self.because.to_string(),
            trial,
            other: Other {
                state: other.state.name().to_owned(),
                version: self.other_version(),
                reason: (other.reason != Reason::None).then(|| other.reason.to_string()),
            },
            installing,
        }
    }

    fn other_version(&self) -> Option<String> {
        let bytes = read_header(&open("boot", self.slot.other()).ok()?).ok()?;
        Some(Header::verify(&bytes, self.identity.trust.trusted()).ok()?.version)
    }

    fn abandon(&mut self) -> Result<(), DeskError> {
        if self.installing.is_some() {
            return Err(DeskError::Busy);
        }
        self.install = None;
        Ok(self.state.step(Event::Abandon)?)
    }

    fn activate(&mut self) -> Result<(), DeskError> {
        if self.installing.is_some() {
            return Err(DeskError::Busy);
        }
        // What ran before is what must run afterwards; without the list nothing
        // would be asked for.
        keep_before(&self.health)
            .map_err(|source| DeskError::System { what: "keep the list of plugins", source })?;
        self.state.step(Event::Activate)?;
        self.restart(Reason::Restart)
    }

    fn go_back(&mut self) -> Result<(), DeskError> {
        self.state.step(Event::GoBack(Reason::Person))?;
        self.restart(Reason::Person)
    }

    /// Ask the supervisor for a restart in good order.
    fn restart(&mut self, reason: Reason) -> Result<(), DeskError> {
        self.state.step(Event::Because(reason))?;
        self.restarting = true;
        kill_process(Pid::INIT, Signal::TERM)
            .map_err(|e| DeskError::System { what: "restart", source: e.into() })
    }

    fn tell(&mut self, news: News) {
        if self.news.len() < NEWS_MAX {
            self.news.push(news);
        }
    }
}

/// Take a bundle of `length` bytes from `input`, which begins at `from`. The
/// desk goes on answering meanwhile.
///
/// # Errors
/// [`DeskError`]; what was taken before a broken connection stays taken.
pub fn install(
    desk: &Mutex<Desk>,
    input: &mut impl Read,
    length: u64,
    from: u64,
) -> Result<(), DeskError> {
    let (mut install, places) = begin(desk, input, length, from)?;
    let taken = loop {
        lock(desk).installing = Some(install.progress());
        match install.piece(input, &places) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let mut desk = lock(desk);
    desk.installing = None;
    if let Err(error) = taken {
        if matches!(error, InstallError::Io(..)) {
            desk.install = Some(install);
        } else {
            desk.state.step(Event::Abandon)?;
        }
        return Err(error.into());
    }
    match install.finish(&desk.identity, &places) {
        Ok((header, bytes)) => {
            let event = Event::Written { header: Header::tag(&bytes), epoch: header.epoch };
            log::say(&format!("version {} is in slot {}", header.version, desk.slot.other()));
            Ok(desk.state.step(event)?)
        }
        Err(error) => {
            desk.state.step(Event::Abandon)?;
            Err(error.into())
        }
    }
}

/// The installation that goes on or begins.
fn begin(
    desk: &Mutex<Desk>,
    input: &mut impl Read,
    length: u64,
    from: u64,
) -> Result<(Install, Places), DeskError> {
    let places = {
        let mut desk = lock(desk);
        if desk.restarting {
            return Err(DeskError::Restarting);
        }
        if desk.installing.is_some() {
            return Err(DeskError::Busy);
        }
        let other = desk.slot.other();
        let places = Places { boot: open("boot", other)?, root: open("root", other)? };
        let taken = desk.install.as_ref().map_or(0, |install| install.progress().taken);
        if from != 0 {
            return match desk.install.take() {
                Some(install) if taken == from => Ok((install, places)),
                _ => Err(DeskError::Place { taken, from }),
            };
        }
        desk.install = None;
        desk.installing = Some(Progress { version: String::new(), taken: 0, total: length });
        places
    };
    // Reading the head waits for the sender: not while the desk is locked.
    let head = super::install::read_head(input);
    let mut desk = lock(desk);
    desk.installing = None;
    let install = {
        let identity = &desk.identity;
        let device = Device {
            product: &identity.product,
            board: &identity.board,
            floor: desk.state.record().floor,
            running: desk.header.epoch,
            schema: desk.header.schema,
        };
        Install::begin(&head?, length, identity, &device, &places)?
    };
    desk.state.step(Event::Begin)?;
    write_header(&places.boot, &[0; HEADER_LEN])?;
    desk.installing = Some(install.progress());
    Ok((install, places))
}

/// A partition of a slot.
fn open(kind: &str, slot: Slot) -> Result<File, DeskError> {
    let name = format!("{kind}_{}", slot.letter());
    partition::find(&name)
        .and_then(|path| OpenOptions::new().read(true).write(true).open(path))
        .map_err(|source| DeskError::System { what: "open a slot", source })
}

/// The plugins that ran before the update.
fn before() -> Before {
    let names = |path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().take(talk::PLUGINS_MAX).map(str::to_owned).collect()
    };
    Before { platform: names(BEFORE), others: names(BEFORE_OTHERS) }
}

fn keep_before(health: &Health) -> io::Result<()> {
    for (path, names) in [(BEFORE, &health.plugins), (BEFORE_OTHERS, &health.others)] {
        let path = PathBuf::from(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::create(&path)?;
        let text: String = names.iter().map(|name| format!("{name}\n")).collect();
        io::Write::write_all(&mut &file, text.as_bytes())?;
        file.sync_all()?;
    }
    Ok(())
}
