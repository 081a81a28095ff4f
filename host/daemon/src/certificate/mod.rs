//! The certificate that the appliance shows: to browsers at the console, and to
//! whoever reaches a gateway within TLS.
//!
//! [`own`] makes the one of the first start; [`chain`] reads what an
//! administrator brings in its place; [`Certificates`] holds what is in force.
//! A new one is tried out first: for [`TRIAL`] it is shown, and unless somebody
//! who still reaches the console confirms it, the one before is shown again
//! (facts/appliance-security.md SEC-074). A restart ends a trial as well.

mod about;
mod chain;
mod own;
#[cfg(test)]
mod tests;

pub use about::{About, KeyKind};
pub use chain::{Chain, LEN_MAX, Refusal};
pub use own::TlsError;

use crate::caps::one_line;
use evenkeel_core::events::Severity;
use evenkeel_core::time::Nanos;
use rcgen::{CertificateParams, DistinguishedName, DnType};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Key and chain that an administrator installed, in the data directory.
const INSTALLED: &str = "console-installed.pem";
/// The key of a request whose certificate has not come yet.
const REQUESTED: &str = "console-request-key.pem";
/// For so long a new certificate is shown on trial.
pub const TRIAL: Nanos = Nanos::from_secs(TRIAL_S);
const TRIAL_S: u64 = 120;
/// Most names in a request.
pub const NAMES_MAX: usize = 20;
/// Longest organisation in a request, bytes.
const ORGANISATION_MAX: usize = 64;
/// So long before its end an installed certificate is a warning, and then an
/// alarm, s.
const WARN_S: i64 = 30 * 86_400;
const ALARM_S: i64 = 7 * 86_400;

/// So often the own certificate's time is looked at, ms.
const LOOK_EVERY_MS: u64 = 3_600_000;

/// What is shown, and what may be. One per appliance.
pub struct Certificates {
    dir: PathBuf,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    own: Option<Shown>,
    /// The host's name when it was looked at.
    host_name: String,
    /// When its time was looked at, ms since 1970.
    looked_ms: u64,
    installed: Option<Shown>,
    trial: Option<Trial>,
    requested: bool,
}

#[derive(Clone)]
struct Shown {
    certified: Arc<CertifiedKey>,
    about: About,
}

struct Trial {
    chain: Chain,
    until: Nanos,
}

/// What there is.
#[derive(Clone, Debug)]
pub struct Status {
    /// Shown to whoever comes now.
    pub shown: About,
    /// It is one that an administrator installed.
    pub installed: bool,
    /// It is on trial, for so many more seconds.
    pub trial_left_s: Option<u64>,
    /// A request waits for its certificate.
    pub requested: bool,
}

/// What came of a start.
#[derive(Debug)]
pub struct Opened {
    /// What is shown.
    pub shown: About,
    /// SHA-256 of the own certificate, if it was made anew: its time was over.
    pub renewed: Option<String>,
    /// Why what was installed is not shown.
    pub refused: Option<CertificateError>,
}

/// Why no listener can show a certificate.
#[derive(Debug, thiserror::Error)]
pub enum NotShown {
    /// Nobody has opened them yet.
    #[error("there is none yet; the console makes it when it starts")]
    NotOpened,
    /// The library has no version of TLS.
    #[error("no version of TLS can be had")]
    Tls(#[source] rustls::Error),
}

/// Why something about certificates does not work.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// What was brought is not taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A file, or the making of a key.
    #[error(transparent)]
    Own(#[from] TlsError),
    /// A name that no certificate can have.
    #[error("{0:?} is no host name and no address; write names as rack-7.example.org or 192.0.2.7")]
    Name(String),
    /// Too many, or none.
    #[error("a request has 1 to {NAMES_MAX} names")]
    Names,
    /// The organisation is too long or no plain text.
    #[error("an organisation has at most {ORGANISATION_MAX} bytes of plain text")]
    Organisation,
    /// There is nothing to confirm.
    #[error("no certificate is on trial; its {TRIAL_S} s may be over")]
    NoTrial,
    /// Nothing was installed.
    #[error("no certificate was installed; the appliance shows its own")]
    NotInstalled,
}

impl Certificates {
    /// Of the files in `dir`, which nobody has opened yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Arc<Self> {
        Arc::new(Self { dir, state: RwLock::default() })
    }

    /// Load what is there, and make what is not. `unix_ms` is the present time.
    ///
    /// # Errors
    /// [`TlsError`]; nothing can be shown.
    pub fn open(&self, host_name: &str, unix_ms: u64) -> Result<Opened, TlsError> {
        let own = own::identity(&self.dir, host_name, unix_ms)?;
        let renewed = own.renewed.then(|| own.about.fingerprint.clone());
        let own = Shown { certified: Arc::new(own.certified), about: own.about };
        // An expired one is shown all the same: it is what people know.
        let (installed, refused) = match self.read(INSTALLED) {
            Ok(None) => (None, None),
            Ok(Some(text)) => match chain::read(text.as_bytes(), &[], None) {
                Ok(Chain { certified, about, .. }) => (Some(Shown { certified, about }), None),
                Err(refusal) => (None, Some(refusal.into())),
            },
            Err(error) => (None, Some(error.into())),
        };
        let shown = installed.as_ref().unwrap_or(&own).about.clone();
        let requested = self.dir.join(REQUESTED).exists();
        *self.write() = State {
            own: Some(own),
            host_name: host_name.to_owned(),
            looked_ms: unix_ms,
            installed,
            trial: None,
            requested,
        };
        Ok(Opened { shown, renewed, refused })
    }

    /// Make the own certificate anew when its time is nearly over, when it does not
    /// fit a clock that was set since, and when the host has another name: to be
    /// asked often, looked at every hour, after each jump of the clock and with each
    /// name. Its fingerprint (SHA-256) when it was. May write: not on a thread of the
    /// runtime.
    ///
    /// # Errors
    /// [`TlsError`]; the old one is shown further, and it is tried again.
    pub fn renew(&self, host_name: &str, unix_ms: u64) -> Result<Option<String>, TlsError> {
        {
            let mut state = self.write();
            let looked = unix_ms.abs_diff(state.looked_ms) < LOOK_EVERY_MS;
            if state.own.is_none() || looked && state.host_name == host_name {
                return Ok(None);
            }
            (state.looked_ms, state.host_name) = (unix_ms, host_name.to_owned());
        }
        let own = own::identity(&self.dir, host_name, unix_ms)?;
        if !own.renewed {
            return Ok(None);
        }
        let fingerprint = own.about.fingerprint.clone();
        self.write().own = Some(Shown { certified: Arc::new(own.certified), about: own.about });
        Ok(Some(fingerprint))
    }

    /// What a listener for these protocols shows whatever is in force with.
    ///
    /// # Errors
    /// [`NotShown`], before [`open`](Self::open) above all.
    pub fn config(self: &Arc<Self>, protocols: &[&str]) -> Result<Arc<ServerConfig>, NotShown> {
        if self.read_state().own.is_none() {
            return Err(NotShown::NotOpened);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(NotShown::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// What there is; `None` before [`open`](Self::open).
    #[must_use]
    pub fn status(&self, now: Nanos) -> Option<Status> {
        let state = self.read_state();
        let trial = state.trial.as_ref().filter(|trial| now < trial.until);
        let shown = match trial {
            Some(trial) => trial.chain.about.clone(),
            None => state.installed.as_ref().or(state.own.as_ref())?.about.clone(),
        };
        Some(Status {
            shown,
            installed: trial.is_none() && state.installed.is_some(),
            trial_left_s: trial.map(|trial| trial.until.since(now).0 / 1_000_000_000),
            requested: state.requested,
        })
    }

    /// Make a key, and ask an authority for a certificate of these names: the
    /// request (PKCS#10) as PEM. An earlier request's key is forgotten.
    ///
    /// # Errors
    /// A name is none, or the key cannot be kept.
    pub fn request(
        &self,
        names: &[String],
        organisation: &str,
    ) -> Result<String, CertificateError> {
        if names.is_empty() || names.len() > NAMES_MAX {
            return Err(CertificateError::Names);
        }
        if let Some(wrong) = names.iter().find(|name| !is_name(name)) {
            return Err(CertificateError::Name(one_line(wrong, 80)));
        }
        if organisation.len() > ORGANISATION_MAX || organisation.chars().any(char::is_control) {
            return Err(CertificateError::Organisation);
        }
        let mut params = CertificateParams::new(names).map_err(TlsError::Make)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names[0].as_str());
        if !organisation.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, organisation);
        }
        let key = own::new_key()?;
        let request = params.serialize_request(&key).map_err(TlsError::Make)?;
        let text = request.pem().map_err(TlsError::Make)?;
        own::write(&self.dir.join(REQUESTED), &key.serialize_pem())?;
        self.write().requested = true;
        Ok(text)
    }

    /// Show what an administrator brings, on trial until [`TRIAL`] from `now`.
    /// `unix_s` is the present time, `None` while nobody set it.
    ///
    /// # Errors
    /// [`Refusal`]; what was shown before stays.
    pub fn try_out(
        &self,
        text: &[u8],
        now: Nanos,
        unix_s: Option<i64>,
    ) -> Result<About, CertificateError> {
        // The request's key first; then that of the last certificate, for one
        // that was renewed with it.
        let mut known = Vec::new();
        for file in [REQUESTED, INSTALLED] {
            known.extend(self.read(file)?);
        }
        let chain = chain::read(text, &known, unix_s)?;
        let about = chain.about.clone();
        self.write().trial = Some(Trial { chain, until: now + TRIAL });
        Ok(about)
    }

    /// Keep what is on trial: somebody reaches the console with it.
    ///
    /// # Errors
    /// Nothing is on trial any more, or it cannot be kept.
    pub fn keep(&self, now: Nanos) -> Result<About, CertificateError> {
        let chain = self
            .read_state()
            .trial
            .as_ref()
            .filter(|trial| now < trial.until)
            .map(|trial| trial.chain.clone());
        let Chain { certified, about, pem } = chain.ok_or(CertificateError::NoTrial)?;
        own::write(&self.dir.join(INSTALLED), &pem)?;
        // A request that waits for another certificate waits on.
        let fulfilled = self.read(REQUESTED)?.is_some_and(|key| chain::is_key_of(&key, &pem));
        if fulfilled {
            // Its key lies with the certificate now; left over, it fits no other.
            let _ = std::fs::remove_file(self.dir.join(REQUESTED));
        }
        let mut state = self.write();
        state.installed = Some(Shown { certified, about: about.clone() });
        state.trial = None;
        state.requested &= !fulfilled;
        Ok(about)
    }

    /// End a trial now.
    ///
    /// # Errors
    /// There is none.
    pub fn give_up(&self) -> Result<(), CertificateError> {
        self.write().trial.take().map(|_| ()).ok_or(CertificateError::NoTrial)
    }

    /// Show the appliance's own certificate again, and forget the installed one
    /// with its key.
    ///
    /// # Errors
    /// None is installed, or it cannot be removed.
    pub fn remove(&self) -> Result<(), CertificateError> {
        let path = self.dir.join(INSTALLED);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(CertificateError::NotInstalled);
            }
            Err(source) => return Err(TlsError::File { path, source }.into()),
        }
        let mut state = self.write();
        (state.installed, state.trial) = (None, None);
        Ok(())
    }

    /// What was on trial and was not confirmed in time; told once.
    pub fn lapsed(&self, now: Nanos) -> Option<About> {
        let mut state = self.write();
        let lapsed = state.trial.take_if(|trial| now >= trial.until)?;
        Some(lapsed.chain.about)
    }

    /// The name of this host; empty before [`open`](Self::open), and when it is no
    /// plain name.
    #[must_use]
    pub fn host_name(&self) -> String {
        let name = self.read_state().host_name.clone();
        if own::is_host_name(&name) { name } else { String::new() }
    }

    /// Whether one that an administrator installed is in force.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.read_state().installed.is_some()
    }

    /// How badly an installed certificate needs another one, at `unix_s`.
    #[must_use]
    pub fn expiry(&self, unix_s: Option<i64>) -> Option<Severity> {
        let left = self.read_state().installed.as_ref()?.about.until_s - unix_s?;
        let severity = if left <= ALARM_S { Severity::Alarm } else { Severity::Warning };
        (left <= WARN_S).then_some(severity)
    }

    fn read(&self, file: &str) -> Result<Option<String>, TlsError> {
        let path = self.dir.join(file);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TlsError::File { path, source }),
        }
    }

    // Every write leaves a whole state.
    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = crate::clock::now();
        let state = self.read_state();
        let trial = state.trial.as_ref().filter(|trial| now < trial.until);
        match trial {
            Some(trial) => Some(Arc::clone(&trial.chain.certified)),
            None => {
                let shown = state.installed.as_ref().or(state.own.as_ref())?;
                Some(Arc::clone(&shown.certified))
            }
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Something that a certificate can be for.
fn is_name(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok() || own::is_host_name(name.strip_prefix("*.").unwrap_or(name))
}
