//! The console: one live page and the HTTP API, over HTTPS only.
//!
//! Reading order: [`routes`] lists every path and who may use it, [`gate`]
//! enforces that and sets the headers, [`access`] signs people in and out,
//! [`claim`] is the first run, [`step_up`] asks for the password again,
//! [`remote`] asks others who may,
//! [`view`] says what there is to see, [`page`] and [`stream`] show it,
//! [`api`] gives it to programs, [`orders`] and [`commands`] take what people want done,
//! [`server`] carries it all over TLS.
//!
//! Follows facts/console-ux.md and facts/appliance-security.md §2.1 – §2.6.

pub mod access;
mod accounts_page;
mod alarms_page;
pub mod api;
mod by;
mod challenge;
mod claim;
pub mod commands;
mod compress;
pub mod configuration;
mod gate;
mod metrics;
mod openapi;
pub mod orders;
pub mod page;
mod pages;
pub mod password;
mod path;
mod plugins_form;
mod plugins_page;
mod problem;
pub mod remote;
mod required_factor;
pub mod routes;
mod second_factor;
pub mod server;
pub mod session;
mod settings_form;
mod setup;
pub mod sign_in_settings;
mod step_up;
pub mod stream;
pub mod support;
pub(crate) mod throttle;
pub mod view;
mod who;

use crate::accounts::Accounts;
use crate::accounts::rights::Rights;
use crate::alarms::Alarms;
use crate::certificate::Certificates;
use crate::clock;
use crate::commands::Switchboard;
use crate::failure::chain;
use crate::firmware::Firmware;
use crate::guard::Orders;
use crate::hub::Hub;
use crate::jobs::Automation;
use crate::licence::Licences;
use crate::network::NetworkKeeper;
use crate::notify::Deliveries;
use crate::plugin_admin::PluginAdmin;
use crate::site::{self, Site};
use crate::store::{Store, StoreError};
use crate::telemetry::settings::Telemetry;
use evenkeel_core::events::{Event, FailedSignIns};
use session::Sessions;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use throttle::Throttle;
use tokio::sync::Semaphore;

/// Reads from the disk at the same time.
const READS_MAX: usize = 2;
/// Time between two rounds of [`Console::run`].
const CHORES_EVERY: Duration = Duration::from_secs(5);

/// Everything that a request may need.
pub struct Console {
    hub: Arc<Hub>,
    store: Arc<Store>,
    plugins: Arc<dyn PluginAdmin>,
    deliveries: Deliveries,
    orders: Arc<Orders>,
    commands: Arc<Switchboard>,
    automation: Arc<Automation>,
    licences: Arc<Licences>,
    alarms: Arc<Alarms>,
    accounts: Accounts,
    data_dir: PathBuf,
    notices: Vec<view::Row>,
    sessions: Mutex<Sessions>,
    throttle: Mutex<Throttle>,
    hasher: password::Hasher,
    live: stream::Live,
    stream_slots: Arc<Semaphore>,
    failed: Mutex<FailedSignIns>,
    remote: remote::Remote,
    challenges: Mutex<challenge::Challenges>,
    enrolments: Mutex<second_factor::Enrolments>,
    telemetry: Telemetry,
    firmware: Arc<Firmware>,
    certificates: Arc<Certificates>,
    network: NetworkKeeper,
    site: Mutex<Site>,
    /// Reads from the disk at the same time: each holds its answer in memory.
    reads: Semaphore,
    /// Imports of history at the same time: one.
    imports: Semaphore,
}

/// What a console is made of.
pub struct Parts {
    /// The present values.
    pub hub: Arc<Hub>,
    /// Events, history, users.
    pub store: Arc<Store>,
    /// The plugins, for the administrator.
    pub plugins: Arc<dyn PluginAdmin>,
    /// How far the notifiers are.
    pub deliveries: Deliveries,
    /// The way to the guard.
    pub orders: Arc<Orders>,
    /// The edition in force.
    pub licences: Arc<Licences>,
    /// What people must deal with.
    pub alarms: Arc<Alarms>,
    /// Who can be told what.
    pub commands: Arc<Switchboard>,
    /// Rules, jobs and calendar.
    pub automation: Arc<Automation>,
    /// Where the first password is written.
    pub data_dir: PathBuf,
    /// The accounts that are kept elsewhere.
    pub remote: remote::Remote,
    /// Who may read metrics, and what the store lies on.
    pub telemetry: Telemetry,
    /// The slots.
    pub firmware: Arc<Firmware>,
    /// What it shows to browsers.
    pub certificates: Arc<Certificates>,
    /// The network, where it is the appliance's.
    pub network: NetworkKeeper,
}

/// Why there is no first user.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The users cannot be read or kept.
    #[error("the first user cannot be kept in the store")]
    Users(#[source] StoreError),
    /// The first user cannot be made.
    #[error("the first password cannot be made, check the disk: {0}")]
    FirstPassword(String),
}

impl Console {
    /// A console of these parts. Without any user it makes the first one
    /// ([`claim::ensure_first_user`]); while the store cannot take it, it is
    /// tried again ([`run`](Self::run)). `notices` stay on the page until the
    /// restart.
    pub async fn new(parts: Parts, notices: Vec<String>) -> Arc<Self> {
        let Parts {
            hub,
            store,
            plugins,
            deliveries,
            orders,
            commands,
            automation,
            licences,
            data_dir,
            remote,
            alarms,
            telemetry,
            firmware,
            certificates,
            network,
        } = parts;
        let accounts = Accounts::new(store.clone());
        let site = site::kept(&store).unwrap_or_else(|e| {
            tracing::error!("{}; the site has no name until the restart", chain(&e));
            None
        });
        let notices = notices.into_iter().map(|n| view::Row(view::Status::Warning, vec![n]));
        let console = Arc::new(Self {
            hub,
            store,
            plugins,
            deliveries,
            orders,
            commands,
            automation,
            licences,
            alarms,
            accounts,
            data_dir,
            notices: notices.collect(),
            sessions: Mutex::default(),
            throttle: Mutex::default(),
            hasher: password::Hasher::default(),
            live: stream::Live::default(),
            stream_slots: Arc::new(Semaphore::new(stream::STREAMS_MAX)),
            failed: Mutex::default(),
            remote,
            challenges: Mutex::default(),
            enrolments: Mutex::default(),
            telemetry,
            firmware,
            certificates,
            network,
            site: Mutex::new(site.unwrap_or_default()),
            reads: Semaphore::new(READS_MAX),
            imports: Semaphore::new(1),
        });
        if let Err(e) = claim::ensure_first_user(&console).await {
            tracing::error!("{}; nobody can sign in until it works", chain(&e));
        }
        console
    }

    /// What is to be done every few seconds, until the task is dropped.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(CHORES_EVERY).await;
            // Why not was told at the start, and by the store's health since.
            let _ = claim::ensure_first_user(&self).await;
            self.tell_failed_sign_ins();
            if let Some(about) = self.certificates.lapsed(clock::now()) {
                self.store.record(Event::CertificateLapsed { fingerprint: about.fingerprint });
            }
            if let Some(count) = self.network.lapsed().await {
                self.store.record(Event::NetworkLapsed { count });
            }
            self.renew_certificate().await;
        }
    }

    async fn renew_certificate(&self) {
        let certificates = Arc::clone(&self.certificates);
        let renew = tokio::task::spawn_blocking(move || {
            certificates.renew(&crate::network::host_name(), clock::unix_ms())
        });
        match renew.await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(fingerprint))) => {
                tracing::info!("certificate SHA-256 {fingerprint}, made anew");
                self.store.record(Event::CertificateRenewed { fingerprint });
            }
            Ok(Err(e)) => tracing::error!("the certificate is not renewed: {}", chain(&e)),
            Err(e) => tracing::error!("the certificate is not renewed: {e}"),
        }
    }

    /// `by`: the authenticator that says so.
    fn sign_in_failed(&self, user: &str, from: IpAddr, by: Option<&str>) {
        let told = lock(&self.failed).failed(user, &from.to_string(), by, clock::now());
        told.into_iter().for_each(|event| self.store.record(event));
    }

    fn tell_failed_sign_ins(&self) {
        let told = lock(&self.failed).over(clock::now());
        told.into_iter().for_each(|event| self.store.record(event));
    }

    /// What an account may do now; `None`: not even be signed in.
    fn rights(&self, account: &session::Account) -> Option<Rights> {
        match &account.via {
            None => {
                let rights = self.accounts.rights_of_user(&account.user)?;
                Some(if self.must_enrol(account) { Rights::NONE } else { rights })
            }
            Some(_) => {
                Some(self.accounts.rights_of_roles(&account.roles)).filter(|r| *r != Rights::NONE)
            }
        }
    }

    /// Whether somebody must turn on a second factor before anything else: then they
    /// may do nothing until it is on. Of accounts that are kept elsewhere, whoever
    /// keeps them asks for it.
    fn must_enrol(&self, account: &session::Account) -> bool {
        account.via.is_none() && self.accounts.must_enrol(&account.user)
    }

    /// What the site is called.
    fn site(&self) -> Site {
        lock(&self.site).clone()
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        lock(&self.throttle)
    }
}

// What these locks guard is whole after every single operation.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
