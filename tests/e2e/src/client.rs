//! An HTTPS client of the appliance: trusts exactly its certificate, logs in
//! as a person does.

use rustls::crypto::ring;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

/// Longest wait of [`Client::await_answer`]; nothing on an appliance of a test
/// takes longer, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Time between two questions.
const LOOK: Duration = Duration::from_millis(200);

/// A client with at most one session.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    base: String,
    cookie: Option<String>,
    /// Of who is signed in: a long test is asked for it again.
    password: Option<String>,
}

/// What went wrong between client and appliance.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The certificate is no certificate.
    #[error("the appliance's certificate cannot be read")]
    Certificate(#[source] ureq::Error),
    /// No answer, or not an HTTP one.
    #[error("{method} {path} failed")]
    Transport {
        /// HTTP method.
        method: &'static str,
        /// Path asked.
        path: String,
        /// Why.
        #[source]
        source: ureq::Error,
    },
    /// The appliance said no.
    #[error("{method} {path} was answered {status}: {body}")]
    Status {
        /// HTTP method.
        method: &'static str,
        /// Path asked.
        path: String,
        /// HTTP status.
        status: u16,
        /// Body of the answer.
        body: String,
    },
}

impl Client {
    /// For the appliance at `base` with this certificate (PEM).
    ///
    /// # Errors
    /// [`ClientError::Certificate`].
    pub fn new(base: &str, certificate_pem: &[u8]) -> Result<Self, ClientError> {
        let certificate =
            Certificate::from_pem(certificate_pem).map_err(ClientError::Certificate)?.to_owned();
        let roots = RootCerts::new_with_certs(&[certificate]);
        Ok(Self::over(base, tls().root_certs(roots).build()))
    }

    /// For a machine in emulation at `base`, whose certificate is inside:
    /// nobody is between it and us.
    #[must_use]
    pub fn unverified(base: &str) -> Self {
        Self::over(base, tls().disable_verification(true).build())
    }

    fn over(base: &str, tls: TlsConfig) -> Self {
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(Duration::from_secs(20)))
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .into();
        Self { agent, base: base.to_owned(), cookie: None, password: None }
    }

    /// Log in.
    ///
    /// # Errors
    /// [`ClientError::Status`] with the appliance's reason.
    pub fn login(&mut self, user: &str, password: &str) -> Result<(), ClientError> {
        self.post("/api/v1/login", &json!({"user": user, "password": password}))?;
        self.password = Some(password.to_owned());
        Ok(())
    }

    /// Change the own password.
    ///
    /// # Errors
    /// [`ClientError::Status`] with the appliance's reason.
    pub fn change_password(&mut self, old: &str, new: &str) -> Result<(), ClientError> {
        self.post("/api/v1/password", &json!({"old": old, "new": new, "again": new}))?;
        self.password = Some(new.to_owned());
        Ok(())
    }

    /// GET a JSON document.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get(&mut self, path: &str) -> Result<Value, ClientError> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie);
        }
        let answer = request.call();
        self.json("GET", path, answer)
    }

    /// GET text, with the session or with a token.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get_text(&mut self, path: &str, bearer: Option<&str>) -> Result<String, ClientError> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(bearer) = bearer {
            request = request.header("Authorization", format!("Bearer {bearer}"));
        } else if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie);
        }
        let answer = request.call();
        self.body("GET", path, answer)
    }

    /// GET a file as it is, to the end of what the appliance sends.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get_bytes(&mut self, path: &str) -> Result<Vec<u8>, ClientError> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie);
        }
        let transport =
            |source| ClientError::Transport { method: "GET", path: path.to_owned(), source };
        let mut answer = request.call().map_err(transport)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_vec().map_err(transport)?;
        if !(200..300).contains(&status) {
            let body = String::from_utf8_lossy(&body).into_owned();
            return Err(ClientError::Status { method: "GET", path: path.to_owned(), status, body });
        }
        Ok(body)
    }

    /// GET a JSON document again and again until `wanted` holds of it; the
    /// answer in which it does. A daemon that is just starting is asked again.
    ///
    /// # Panics
    /// When it never holds within [`PATIENCE`]: the test has failed.
    pub fn await_answer(&mut self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut last = Value::Null;
        while Instant::now() < deadline {
            if let Ok(answer) = self.get(path) {
                if wanted(&answer) {
                    return answer;
                }
                last = answer;
            }
            std::thread::sleep(LOOK);
        }
        panic!("{path} never became as wanted; last {last:#}");
    }

    /// POST a JSON document.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn post(&mut self, path: &str, body: &Value) -> Result<Value, ClientError> {
        match self.try_post(path, body) {
            Err(error) if self.proves(&error)? => self.try_post(path, body),
            answer => answer,
        }
    }

    fn try_post(&mut self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let mut request =
            self.agent.post(format!("{}{path}", self.base)).header("Origin", &self.base);
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie);
        }
        let answer = request.send_json(body);
        self.json("POST", path, answer)
    }

    /// POST bytes as they are, however long the appliance takes to judge them;
    /// the answer is a JSON document.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn post_bytes(&mut self, path: &str, body: &[u8]) -> Result<Value, ClientError> {
        match self.try_post_bytes(path, body) {
            Err(error) if self.proves(&error)? => self.try_post_bytes(path, body),
            answer => answer,
        }
    }

    /// Gives the password again when that is what was missing.
    fn proves(&mut self, error: &ClientError) -> Result<bool, ClientError> {
        let asked = matches!(error, ClientError::Status { status: 401, body, .. }
            if body.contains("\"step-up\""));
        let Some(password) = self.password.clone().filter(|_| asked) else { return Ok(false) };
        self.try_post("/api/v1/step-up", &json!({"password": password})).map(|_| true)
    }

    fn try_post_bytes(&mut self, path: &str, body: &[u8]) -> Result<Value, ClientError> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("Origin", &self.base)
            .config()
            .timeout_global(Some(PATIENCE))
            .build();
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie);
        }
        let answer = request.send(body);
        self.json("POST", path, answer)
    }

    fn json(
        &mut self,
        method: &'static str,
        path: &str,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<Value, ClientError> {
        let body = self.body(method, path, answer)?;
        Ok(serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn body(
        &mut self,
        method: &'static str,
        path: &str,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<String, ClientError> {
        let transport = |source| ClientError::Transport { method, path: path.to_owned(), source };
        let mut answer = answer.map_err(transport)?;
        let cookies = answer.headers().get_all("set-cookie");
        for cookie in cookies.iter().filter_map(|c| c.to_str().ok()) {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_string().map_err(transport)?;
        if !(200..300).contains(&status) {
            return Err(ClientError::Status { method, path: path.to_owned(), status, body });
        }
        Ok(body)
    }
}

fn tls() -> ureq::tls::TlsConfigBuilder {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
}
