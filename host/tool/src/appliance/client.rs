//! Requests to an appliance and what it answers: JSON, or a problem
//! (RFC 9457). Whatever the peer does, an answer is bounded in size and time.

use super::Address;
use super::pin::{Fingerprint, PinnedTls, Seen};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::Response;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, TcpConnector};
use ureq::{Agent, Body};

/// Longest time to connect, name look-up and TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest time of a request: the appliance itself gives up after 20 s, and a
/// bundle may come to it over a slow line.
const WHOLE: Duration = Duration::from_secs(90);
/// Slowest line over which a file is sent, bytes a second.
const LINE: u64 = 64 << 10;
const COOKIE: &str = "Cookie";
const AUTHORIZATION: &str = "Authorization";
/// The refusal of what wants a password that is not old.
const STEP_UP: &str = "step-up";
/// Longest answer, bytes.
const ANSWER_MAX: u64 = 8 << 20;

/// An appliance, and at most one session with it.
#[derive(Debug)]
pub struct Appliance {
    agent: Agent,
    address: Address,
    wanted: Option<Fingerprint>,
    seen: Seen,
    proof: Option<Proof>,
    /// Of who signed in: the appliance asks for it again when it is old.
    password: Option<Password>,
}

/// A password, which is shown to nobody.
struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a password")
    }
}

/// By what the appliance knows who asks: one header, which it shows to nobody.
struct Proof {
    header: &'static str,
    value: String,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.header)
    }
}

/// What came of an attempt to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Signed in.
    In {
        /// The password must be changed before anything else is answered.
        must_change: bool,
    },
    /// Whoever keeps the account asks this, too.
    Asked(String),
}

/// What the appliance said instead of doing it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// A stable word for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// What went wrong, in short.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What to do about it.
    #[serde(default)]
    pub detail: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail.as_ref().unwrap_or(&self.title))
    }
}

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody there.
    #[error("{at} is not reached; check the address and that the appliance is on")]
    Unreachable {
        /// Where.
        at: Address,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// Somebody else there.
    #[error(
        "{at} shows the certificate {found}, not {wanted}. Either the appliance has a new one \
        (it tells so in its events), or somebody is in between: send nothing before you know"
    )]
    Stranger {
        /// Where.
        at: Address,
        /// What it shows.
        found: Fingerprint,
        /// What it should show.
        wanted: Fingerprint,
    },
    /// No appliance there.
    #[error("{at} does not answer as an appliance does: {what}")]
    Strange {
        /// Where.
        at: Address,
        /// In which way.
        what: String,
    },
    /// It said no.
    #[error("{0}")]
    Refused(Refusal),
    /// TLS cannot be set up here.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl Appliance {
    /// The appliance at `address` with this certificate. Without one, nothing
    /// can be asked but [`fingerprint`](Self::fingerprint).
    ///
    /// # Errors
    /// [`ClientError::Tls`].
    pub fn new(address: Address, wanted: Option<Fingerprint>) -> Result<Self, ClientError> {
        let seen = Seen::default();
        let tls = PinnedTls::new(wanted, Arc::clone(&seen)).map_err(ClientError::Tls)?;
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(WHOLE))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .https_only(true)
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .build();
        let connector = TcpConnector::default().chain(tls);
        let agent = Agent::with_parts(config, connector, DefaultResolver::default());
        Ok(Self { agent, address, wanted, seen, proof: None, password: None })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The certificate that it shows. Nothing is sent to find out.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`].
    pub fn fingerprint(&self) -> Result<Fingerprint, ClientError> {
        let asked = self.agent.get(format!("{}/", self.address)).call();
        match (self.seen.get(), asked) {
            (Some(seen), _) => Ok(*seen),
            (None, Err(source)) => Err(self.unreachable(source)),
            (None, Ok(_)) => Err(self.strange("it showed no certificate")),
        }
    }

    /// Ask with this token of a program, without a session.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        let proof = Proof { header: AUTHORIZATION, value: format!("Bearer {token}") };
        Self { proof: Some(proof), ..self }
    }

    /// Sign in.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the appliance's reason, and all others.
    pub fn sign_in(&mut self, user: &str, password: &str) -> Result<Entry, ClientError> {
        let entry = self.post("/api/v1/login", &json!({"user": user, "password": password}))?;
        self.password = Some(Password(password.to_owned()));
        self.entry(entry)
    }

    /// Answer what was asked while signing in.
    ///
    /// # Errors
    /// As [`sign_in`](Self::sign_in).
    pub fn answer(&mut self, answer: &str) -> Result<Entry, ClientError> {
        let entry = self.post("/api/v1/login/answer", &json!({"answer": answer}))?;
        self.entry(entry)
    }

    /// End the session, if there is one.
    ///
    /// # Errors
    /// [`ClientError`]; the appliance ends it after a quarter of an hour then.
    pub fn sign_out(&mut self) -> Result<(), ClientError> {
        if self.proof.as_ref().is_some_and(|proof| proof.header == COOKIE) {
            self.post("/api/v1/logout", &Value::Null)?;
            (self.proof, self.password) = (None, None);
        }
        Ok(())
    }

    /// GET a document.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get(&mut self, path: &str) -> Result<Value, ClientError> {
        let answer = self.ask(path);
        self.read(answer)
    }

    /// GET a file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get_file(&mut self, path: &str) -> Result<Vec<u8>, ClientError> {
        let answer = self.ask(path);
        match self.body(answer)? {
            (200..300, bytes) => Ok(bytes),
            (status, bytes) => Err(self.refusal(status, serde_json::from_slice(&bytes).ok())),
        }
    }

    fn ask(&self, path: &str) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.get(format!("{}{path}", self.address));
        if let Some(Proof { header, value }) = &self.proof {
            request = request.header(*header, value);
        }
        request.call()
    }

    /// POST a document; null when the answer is empty.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn post(&mut self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.send(path, "application/json", body.to_string().as_bytes())
    }

    /// POST the bytes of a file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn post_file(&mut self, path: &str, body: &[u8]) -> Result<Value, ClientError> {
        self.send(path, "application/octet-stream", body)
    }

    /// What `value` says, as far as it is understood.
    ///
    /// # Errors
    /// [`ClientError::Strange`].
    pub fn understand<T: DeserializeOwned>(&self, value: &Value) -> Result<T, ClientError> {
        T::deserialize(value).map_err(|e| self.strange(&e.to_string()))
    }

    fn send(&mut self, path: &str, kind: &str, body: &[u8]) -> Result<Value, ClientError> {
        match self.try_send(path, kind, body) {
            Err(ClientError::Refused(refusal)) if refusal.kind == STEP_UP => {
                let Some(Password(password)) = &self.password else {
                    return Err(ClientError::Refused(refusal));
                };
                let again = json!({ "password": password }).to_string();
                self.try_send("/api/v1/step-up", "application/json", again.as_bytes())?;
                self.try_send(path, kind, body)
            }
            answer => answer,
        }
    }

    fn try_send(&mut self, path: &str, kind: &str, body: &[u8]) -> Result<Value, ClientError> {
        let url = format!("{}{path}", self.address);
        let request = self.agent.post(url).header("Origin", self.address.base());
        // A file may come over a slow line.
        let time = WHOLE + Duration::from_secs(body.len() as u64 / LINE);
        let request = request.config().timeout_global(Some(time)).build();
        let mut request = request.header("Content-Type", kind);
        if let Some(Proof { header, value }) = &self.proof {
            request = request.header(*header, value);
        }
        let answer = request.send(body);
        self.read(answer)
    }

    fn read(&mut self, answer: Result<Response<Body>, ureq::Error>) -> Result<Value, ClientError> {
        let (status, body) = self.body(answer)?;
        let value: Option<Value> = serde_json::from_slice(&body).ok();
        match (status, value) {
            (200..300, _) if body.is_empty() => Ok(Value::Null),
            (200..300, Some(value)) => Ok(value),
            (_, value) => Err(self.refusal(status, value)),
        }
    }

    /// Status and body of an answer.
    fn body(
        &mut self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<(u16, Vec<u8>), ClientError> {
        let mut answer = answer.map_err(|source| self.unreachable(source))?;
        let cookies = answer.headers().get_all("set-cookie").iter();
        if let Some(cookie) = cookies.filter_map(|c| c.to_str().ok()).next_back() {
            let pair = cookie.split(';').next().map(str::to_owned);
            self.proof = pair.map(|value| Proof { header: COOKIE, value });
        }
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        body.map(|body| (status, body)).map_err(|source| self.unreachable(source))
    }

    /// An answer that is none, in the appliance's words where it has some.
    fn refusal(&self, status: u16, value: Option<Value>) -> ClientError {
        match value.map(|value| Refusal::deserialize(&value)) {
            Some(Ok(refusal)) => ClientError::Refused(refusal),
            Some(Err(_)) => self.strange(&format!("status {status}")),
            None => self.strange(&format!("status {status}, and no JSON")),
        }
    }

    fn entry(&self, entry: Value) -> Result<Entry, ClientError> {
        if let Some(challenge) = entry["challenge"].as_str() {
            return Ok(Entry::Asked(challenge.to_owned()));
        }
        let must_change = entry["must_change_password"].as_bool();
        let must_change = must_change.ok_or_else(|| self.strange("the sign-in is not as ever"))?;
        Ok(Entry::In { must_change })
    }

    fn strange(&self, what: &str) -> ClientError {
        ClientError::Strange { at: self.address.clone(), what: what.to_owned() }
    }

    fn unreachable(&self, source: ureq::Error) -> ClientError {
        let at = self.address.clone();
        match (self.seen.get(), self.wanted) {
            (Some(found), Some(wanted)) if *found != wanted => {
                ClientError::Stranger { at, found: *found, wanted }
            }
            _ => ClientError::Unreachable { at, source: Box::new(source) },
        }
    }
}
