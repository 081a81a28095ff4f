//! The appliance's own software, as the daemon sees it: what runs, what is in
//! the other slot, how an installation goes, and reports of health to the
//! keeper, who decides whether a new system has proved itself.
//!
//! The daemon judges when an update may happen ([`preflight`]): measuring and
//! protecting outrank it. What may be installed is judged by the keeper, which
//! trusts nothing that comes from here.

pub mod keeper;
pub mod preflight;
pub mod selfcheck;

use crate::certificate::Certificates;
use crate::clock;
use crate::failure::chain;
use crate::hub::Hub;
use crate::plugin::trusted;
use crate::plugin_status::{PluginList, PluginState, PluginStatus};
use crate::store::Store;
use evenkeel_core::events::Event;
use evenkeel_core::time::Nanos;
use evenkeel_signing::slot::Order;
use evenkeel_signing::slot::talk::{Answer, Ask, Health, News, PLUGINS_MAX, Status};
use keeper::{Keeper, KeeperError};
use preflight::Hindrance;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Time between two reports of health.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// The guard is well when its image is not older than so many of its cycles,
/// but in any case when it is younger than [`GUARD_MIN`].
const GUARD_CYCLES: u64 = 4;
const GUARD_MIN: Nanos = Nanos::from_secs(3);
/// Pieces of an upload that wait for the keeper: with its 64 KiB or so each,
/// the sender waits and not our memory.
pub const PIECES_MAX: usize = 8;

/// Why something about the firmware is not done.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// The keeper.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// Not now.
    #[error("not now: {}", hindrances(.0))]
    NotNow(Vec<Hindrance>),
    /// It answered something that was not asked.
    #[error("the keeper of the slots answered another question")]
    Unexpected,
    /// The sender stopped.
    #[error("the upload ended early; send the rest with `from` as GET /api/v1/firmware says")]
    Broken,
}

/// The firmware.
pub struct Firmware {
    socket: PathBuf,
    hub: Arc<Hub>,
    store: Arc<Store>,
    plugins: Arc<dyn Fn() -> Vec<PluginStatus> + Send + Sync>,
    console: AtomicBool,
}

impl Firmware {
    /// With the keeper at `socket`.
    #[must_use]
    pub fn new(
        socket: PathBuf,
        hub: Arc<Hub>,
        store: Arc<Store>,
        plugins: Option<Arc<dyn PluginList>>,
    ) -> Self {
        let plugins = move || plugins.iter().flat_map(|plugins| plugins.plugins()).collect();
        Self { socket, hub, store, plugins: Arc::new(plugins), console: AtomicBool::new(false) }
    }

    /// How it stands with the slots.
    ///
    /// # Errors
    /// [`FirmwareError::Keeper`] where there are none.
    pub fn status(&self) -> Result<Status, FirmwareError> {
        match Keeper::reach(&self.socket)?.ask(&Ask::Status)? {
            Answer::Status(status) => Ok(*status),
            _ => Err(FirmwareError::Unexpected),
        }
    }

    /// What speaks against installing or restarting now.
    #[must_use]
    pub fn hindrances(&self) -> Vec<Hindrance> {
        preflight::hindrances(self.hub.whole_plant().as_deref(), &self.hub.query("ups"))
    }

    /// Take a bundle of `length` bytes in, of which `pieces` are what begins at
    /// `from`; waits until it is in or refused.
    ///
    /// # Errors
    /// [`FirmwareError`]; after [`FirmwareError::Broken`] the rest may follow.
    pub fn install(
        &self,
        length: u64,
        from: u64,
        mut pieces: mpsc::Receiver<Vec<u8>>,
    ) -> Result<(), FirmwareError> {
        self.not_hindered()?;
        let mut keeper = Keeper::reach(&self.socket)?;
        keeper.say(&Ask::Install { length, from })?;
        let mut at = from;
        while let Some(piece) = pieces.blocking_recv() {
            at += piece.len() as u64;
            if !keeper.send(&piece) {
                // It has said why, and no more is wanted.
                pieces.close();
                return match keeper.answer() {
                    Err(error) => Err(error.into()),
                    Ok(_) => Err(FirmwareError::Unexpected),
                };
            }
        }
        keeper.end();
        match keeper.answer() {
            Ok(Answer::Done) => Ok(()),
            Ok(_) => Err(FirmwareError::Unexpected),
            Err(KeeperError::Refused(_)) if at < length => Err(FirmwareError::Broken),
            Err(error) => Err(error.into()),
        }
    }

    /// Restart into what was installed.
    ///
    /// # Errors
    /// [`FirmwareError`].
    pub fn activate(&self) -> Result<(), FirmwareError> {
        self.not_hindered()?;
        // What runs now is what must run afterwards.
        self.report()?;
        self.done(&Ask::Activate)
    }

    /// Restart into the other slot, which proved itself before.
    ///
    /// # Errors
    /// [`FirmwareError`].
    pub fn go_back(&self) -> Result<(), FirmwareError> {
        self.not_hindered()?;
        self.done(&Ask::GoBack)
    }

    /// Give up what was installed and not started.
    ///
    /// # Errors
    /// [`FirmwareError`].
    pub fn abandon(&self) -> Result<(), FirmwareError> {
        self.done(&Ask::Abandon)
    }

    /// What the running firmware closed stays closed: nothing older starts any
    /// more.
    ///
    /// # Errors
    /// [`FirmwareError`].
    pub fn make_permanent(&self) -> Result<(), FirmwareError> {
        self.done(&Ask::MakePermanent)?;
        // Told before anybody asks again.
        self.take_news()
    }

    /// Take a keyring into force for firmware, which the keeper judges; nothing
    /// where there are no slots.
    ///
    /// # Errors
    /// [`FirmwareError`]; the one before is in force then.
    pub fn keyring(&self, raw: &[u8]) -> Result<(), FirmwareError> {
        let mut keeper = match Keeper::reach(&self.socket) {
            Err(KeeperError::Absent { .. }) if !Path::new(trusted::IMAGE).exists() => return Ok(()),
            reached => reached?,
        };
        let length = u32::try_from(raw.len()).unwrap_or(u32::MAX);
        let now_unix_s = Some(clock::unix_ms() / 1_000);
        keeper.say(&Ask::Keyring { length, now_unix_s })?;
        // What it does not want any more its answer explains.
        let _ = keeper.send(raw);
        keeper.end();
        match keeper.answer()? {
            Answer::Done => Ok(()),
            _ => Err(FirmwareError::Unexpected),
        }
    }

    /// Restart, and leave the factory once more: everything that is kept is
    /// erased but the serial number, by the word of `user` from the address
    /// `from`.
    ///
    /// # Errors
    /// [`FirmwareError`].
    pub fn factory_reset(&self, user: &str, from: &str) -> Result<(), FirmwareError> {
        self.not_hindered()?;
        self.done(&Ask::FactoryReset { order: Order::person(user, from) })
    }

    fn done(&self, ask: &Ask) -> Result<(), FirmwareError> {
        match Keeper::reach(&self.socket)?.ask(ask)? {
            Answer::Done => Ok(()),
            _ => Err(FirmwareError::Unexpected),
        }
    }

    /// Whether an update, or a restart, may happen now.
    ///
    /// # Errors
    /// [`FirmwareError::NotNow`].
    pub fn not_hindered(&self) -> Result<(), FirmwareError> {
        let hindrances = self.hindrances();
        if hindrances.is_empty() { Ok(()) } else { Err(FirmwareError::NotNow(hindrances)) }
    }

    /// Report to the keeper for as long as there is one; makes events of what
    /// it has to tell. `data_dir` and `certificates` are the console's.
    pub async fn run(self: Arc<Self>, data_dir: PathBuf, certificates: Arc<Certificates>) {
        let mut said = String::new();
        loop {
            tokio::time::sleep(REPORT_EVERY).await;
            if !self.socket.exists() {
                // An appliance without slots has nobody to report to.
                continue;
            }
            self.console
                .store(selfcheck::answers(&data_dir, &certificates).await, Ordering::Relaxed);
            let this = Arc::clone(&self);
            let told =
                tokio::task::spawn_blocking(move || this.report().and_then(|()| this.take_news()));
            if let Ok(Err(error)) = told.await {
                let text = chain(&error);
                if text != said {
                    tracing::warn!("{text}");
                    said = text;
                }
            }
        }
    }

    fn report(&self) -> Result<(), FirmwareError> {
        self.done(&Ask::Health(self.health()))
    }

    fn health(&self) -> Health {
        let plant = self.hub.whole_plant();
        let guard = plant.as_ref().is_some_and(|plant| {
            let cycle = &plant.snapshot.cycle;
            let allowed = Nanos(cycle.period.0.saturating_mul(GUARD_CYCLES)).max(GUARD_MIN);
            plant.connected
                && cycle.cycles > 0
                && crate::clock::now().since(cycle.published) <= allowed
        });
        let mains = preflight::is_on_mains(plant.as_deref(), &self.hub.query("ups"));
        let console = self.console.load(Ordering::Relaxed);
        with_plugins(Health { guard, console, mains, ..Health::default() }, (self.plugins)())
    }

    fn take_news(&self) -> Result<(), FirmwareError> {
        let Answer::News { news } = Keeper::reach(&self.socket)?.ask(&Ask::News)? else {
            return Err(FirmwareError::Unexpected);
        };
        for news in news {
            self.store.record(match news {
                News::Confirmed { version, without } => {
                    if !without.is_empty() {
                        let plugins = without.join(", ");
                        let version = version.clone();
                        self.store.record(Event::FirmwareWithout { version, plugins });
                    }
                    Event::FirmwareConfirmed { version }
                }
                News::Returned { version, reason } => Event::FirmwareReturned { version, reason },
                News::Permanent { version, floor } => Event::FirmwarePermanent { version, floor },
                News::Reset { serial, order } => {
                    let serial = serial.unwrap_or_else(|| "--".to_owned());
                    match order {
                        Order::Person { user, from } => Event::FactoryReset { serial, user, from },
                        Order::Button => Event::FactoryResetByButton { serial },
                    }
                }
            });
        }
        Ok(())
    }
}

/// Who of the plugins has a say about new firmware, and who has not.
fn with_plugins(mut health: Health, plugins: Vec<PluginStatus>) -> Health {
    for plugin in plugins.into_iter().take(PLUGINS_MAX) {
        let list = match plugin.state {
            PluginState::Running if plugin.platform => &mut health.plugins,
            PluginState::Running => &mut health.others,
            PluginState::Disabled => &mut health.excused,
            _ if plugin.awaits_consent => &mut health.excused,
            _ => continue,
        };
        list.push(plugin.name);
    }
    health
}

fn hindrances(list: &[Hindrance]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::board::Board;
    use crate::plugin::load::SignerName;

    #[test]
    fn the_report_tells_plugins_of_the_platform_from_others_and_who_waits_for_a_person() {
        let plugin = |name: &str, platform, state| {
            let board = Board::new(name, state);
            board.signed(&SignerName { platform, ..SignerName::default() });
            board.status()
        };
        let mut waits = plugin("waits", true, PluginState::Refused);
        waits.awaits_consent = true;
        let all = vec![
            plugin("megatec", true, PluginState::Running),
            plugin("acme", false, PluginState::Running),
            plugin("off", false, PluginState::Disabled),
            plugin("broken", true, PluginState::Quarantined),
            plugin("refused", true, PluginState::Refused),
            waits,
        ];
        let health = with_plugins(Health::default(), all);
        assert_eq!(health.plugins, ["megatec"]);
        assert_eq!(health.others, ["acme"]);
        assert_eq!(health.excused, ["off", "waits"]);
    }
}
