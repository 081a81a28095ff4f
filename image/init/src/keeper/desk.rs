//! What the keeper knows, and what it does about a question or about time.

mod keyring;
mod upload;

pub use keyring::accept;
pub use upload::install;

use super::health::{Before, REPORT_MAX, Trial, Verdict};
use super::install::{Install, InstallError, read_header};
use super::permanent::{self, Wellness};
use crate::state::{State, StateError};
use crate::trust::{Identity, IdentityError};
use crate::{kept, log, partition};
use evenkeel_signing::TrustError;
use evenkeel_signing::slot::talk::{self, Answer, Ask, Health, News, Other, Progress, Status};
use evenkeel_signing::slot::{
    Event, Forbidden, Header, HeaderError, Order, Reason, Slot, SlotState,
};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whom the image trusts, on the verified root.
const IDENTITY: &str = "/etc/evenkeel/firmware";
/// Plugins of the platform that ran before the update, one name a line.
const BEFORE: &str = "/data/slots/before";
/// Plugins of others.
const BEFORE_OTHERS: &str = "/data/slots/before-others";
/// How long what runs was well.
const WELL: &str = "/data/slots/well";
/// The data partition.
const DATA: &str = "/data";
/// A start that lasted for so long was no crash.
const SETTLED: Duration = Duration::from_secs(600);
/// One that lasted for so long makes good for earlier changes of slot.
const STEADY: Duration = Duration::from_secs(3_600);
/// Most news that wait for the daemon.
const NEWS_MAX: usize = 16;
/// Most changes of what a sudden end is put down to, in one trial: each is a
/// write of the state record.
const BLAMES_MAX: u8 = 20;
/// Time between two looks for a serial number that is not kept yet.
const COLLECT_EVERY: Duration = Duration::from_secs(60);

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
    /// The block beside the state record.
    #[error("who orders it cannot be kept, so it is not done")]
    Kept(#[source] io::Error),
    /// A keyring that does not count.
    #[error("the keyring is not taken into force: {0}")]
    Keyring(TrustError),
    /// It would end what runs.
    #[error(
        "the keyring is not taken into force: it takes back the key that signed the running \
        firmware, which would not start again; install firmware that another key signed first"
    )]
    RevokesRunning,
    /// It would end the only way back.
    #[error(
        "the keyring is not taken into force: it takes back the key that signed the other slot, \
        and the running system has not proved healthy; wait until it has"
    )]
    RevokesWayBack,
}

/// The desk.
#[derive(Debug)]
pub struct Desk {
    slot: Slot,
    header: Header,
    identity: Identity,
    state: State,
    /// The partition of the state record.
    place: PathBuf,
    because: Reason,
    trial: Option<Trial>,
    /// What a sudden end of the trial would be put down to, and how often that
    /// changed.
    blamed: (Option<Reason>, u8),
    /// The newest report of the daemon, and when it came.
    health: Health,
    reported: Option<Duration>,
    /// `None`: what runs is permanent.
    wellness: Option<Wellness>,
    /// When to look for a serial number.
    collects: Duration,
    settled: bool,
    steady: bool,
    restarting: bool,
    installing: Option<Progress>,
    /// What was taken, when nobody sends more.
    install: Option<Install>,
    news: Vec<News>,
    /// The keyring that stands beside the state record.
    keyring: Option<Vec<u8>>,
}

impl Desk {
    /// Of the running `slot`, with the state record on the device `state`.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn open(slot: Slot, place: &Path) -> Result<Self, DeskError> {
        let mut identity = Identity::load(Path::new(IDENTITY))?;
        let keyring = crate::keyring::take(place, &mut identity.trust);
        let mut state = State::open(place)?;
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
        let well = fs::read_to_string(WELL).ok();
        let wellness = Wellness::new(Header::tag(&bytes), well.as_deref(), Duration::ZERO);
        let mut this = Self {
            slot,
            wellness: (header.epoch > state.record().floor).then_some(wellness),
            header,
            identity,
            state,
            place: place.to_owned(),
            because,
            trial,
            blamed: (None, 0),
            health: Health::default(),
            reported: None,
            collects: COLLECT_EVERY,
            settled: false,
            steady: false,
            restarting: false,
            installing: None,
            install: None,
            news: Vec::new(),
            keyring,
        };
        if because.is_failure() && this.trial.is_none() {
            let version = this.other_version();
            this.tell(News::Returned { version, reason: because.to_string() });
        }
        this.tell_of_reset();
        this.go_on();
        match &this.keyring {
            Some(raw) => keyring::show(raw),
            // One on trial may go again, and its keyring with it.
            None if this.trial.is_none() => this.adopt(),
            None => {}
        }
        Ok(this)
    }

    /// The data partition was made anew, and nobody was told.
    fn tell_of_reset(&mut self) {
        match kept::read(&self.place) {
            Ok(kept) => {
                if let (Some(order), false) = (&kept.order, self.state.record().erase) {
                    let serial = kept.serial().map(|serial| serial.to_string());
                    self.tell(News::Reset { serial, order: order.clone() });
                }
            }
            Err(error) => log::say(&format!("what outlives the data partition: {error}")),
        }
    }

    /// Time has passed.
    pub fn look(&mut self, now: Duration) {
        if self.restarting {
            return;
        }
        let done = match self.trial.as_mut().map(|trial| trial.look(now)) {
            Some(Verdict::Confirm) => self.confirm(now),
            Some(Verdict::GiveUp(reason)) => self.give_up(reason),
            Some(Verdict::Wait) => self.blame(now),
            None => self.last(now),
        };
        if let Err(error) = done {
            log::say(&log::chain(&error));
        }
        if now >= self.collects {
            self.collects = now + COLLECT_EVERY;
            kept::collect(&self.place, Path::new(DATA));
        }
    }

    /// When the watchdog bites nobody can say any more what was missing.
    fn blame(&mut self, now: Duration) -> Result<(), DeskError> {
        let blamed = self.trial.as_ref().and_then(|trial| trial.blamed(now));
        let (before, times) = self.blamed;
        if blamed == before || times >= BLAMES_MAX {
            return Ok(());
        }
        self.blamed = (blamed, times + 1);
        Ok(self.state.step(Event::Because(blamed.unwrap_or(Reason::Power)))?)
    }

    fn confirm(&mut self, now: Duration) -> Result<(), DeskError> {
        self.state.step(Event::Confirm)?;
        self.adopt();
        if self.blamed.0.take().is_some() {
            self.state.step(Event::Because(Reason::Power))?;
        }
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
        let is_well = self.is_well(now);
        match self.wellness.as_mut().map(|wellness| wellness.look(is_well, now)) {
            Some(permanent::Verdict::Permanent) => self.make_permanent(),
            Some(permanent::Verdict::Keep) => self.keep_well(),
            Some(permanent::Verdict::Wait) | None => Ok(()),
        }
    }

    /// Guard and console are as they must be, and that was said just now.
    fn is_well(&self, now: Duration) -> bool {
        let fresh = self.reported.is_some_and(|at| now.saturating_sub(at) <= REPORT_MAX);
        fresh && self.health.guard && self.health.console
    }

    fn keep_well(&self) -> Result<(), DeskError> {
        let text = self.wellness.as_ref().map(Wellness::text).unwrap_or_default();
        write_whole(Path::new(WELL), text.as_bytes())
            .map_err(|source| DeskError::System { what: "keep how long it was well", source })
    }

    /// Nothing older starts any more.
    fn make_permanent(&mut self) -> Result<(), DeskError> {
        if self.trial.is_some() {
            return Err(StateError::Forbidden(Forbidden::NotGood).into());
        }
        if self.state.record().floor >= self.header.epoch {
            return Ok(());
        }
        self.state.step(Event::CommitFloor)?;
        self.wellness = None;
        let (version, floor) = (self.header.version.clone(), self.state.record().floor);
        log::say(&format!("version {version} is permanent: nothing below epoch {floor} starts"));
        self.tell(News::Permanent { version, floor });
        Ok(())
    }

    /// Restart, and leave the factory once more.
    fn factory_reset(&mut self, order: Order) -> Result<(), DeskError> {
        if self.installing.is_some() {
            return Err(DeskError::Busy);
        }
        kept::collect(&self.place, Path::new(DATA));
        let kept = kept::read(&self.place).and_then(|mut kept| {
            kept.order = Some(order);
            kept::write(&self.place, &kept)
        });
        kept.map_err(DeskError::Kept)?;
        self.state.step(Event::Erase)?;
        self.restart(Reason::Reset)
    }

    /// The answer to everything but [`Ask::Install`].
    pub fn answer(&mut self, ask: Ask, now: Duration) -> Answer {
        match ask {
            Ask::Status => Answer::Status(Box::new(self.status(now))),
            Ask::News => {
                let news = std::mem::take(&mut self.news);
                if news.iter().any(|news| matches!(news, News::Reset { .. })) {
                    self.reset_is_told();
                }
                Answer::News { news }
            }
            Ask::Health(mut health) => {
                for names in [&mut health.plugins, &mut health.others, &mut health.excused] {
                    names.truncate(talk::PLUGINS_MAX);
                }
                (self.health, self.reported) = (health.clone(), Some(now));
                if let Some(trial) = &mut self.trial {
                    trial.report(health, now);
                }
                Answer::Done
            }
            Ask::Abandon => super::answer(self.abandon()),
            Ask::Activate => super::answer(self.activate()),
            Ask::GoBack => super::answer(self.go_back()),
            Ask::MakePermanent => super::answer(self.make_permanent()),
            Ask::FactoryReset { order } => super::answer(self.factory_reset(order)),
            Ask::Install { .. } | Ask::Keyring { .. } => super::answer(Err(DeskError::Busy)),
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
            keyring: self.identity.trust.keyring().map(|keyring| keyring.sequence),
            root: self.header.root.to_string(),
            started_because: self.because.to_string(),
            trial,
            other: Other {
                state: other.state.name().to_owned(),
                version: self.other_version(),
                reason: (other.reason != Reason::None).then(|| other.reason.to_string()),
            },
            installing,
            permanent_in_s: self.wellness.as_ref().map(|wellness| wellness.left().as_secs()),
        }
    }

    fn reset_is_told(&self) {
        let done = kept::read(&self.place).and_then(|mut kept| {
            kept.order = None;
            kept::write(&self.place, &kept)
        });
        if let Err(error) = done {
            log::say(&format!("that the reset was told is not kept: {error}"));
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
        upload::forget();
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
        let text: String = names.iter().map(|name| format!("{name}\n")).collect();
        write_whole(Path::new(path), text.as_bytes())?;
    }
    Ok(())
}

/// A file on the data partition, on the disk when this returns: the old one or
/// the new one, whatever happens.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(DATA));
    fs::create_dir_all(folder)?;
    let fresh = path.with_extension("fresh");
    let file = File::create(&fresh)?;
    io::Write::write_all(&mut &file, bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}
