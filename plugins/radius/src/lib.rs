//! Asks a RADIUS server who may sign in (RFC 2865 with PAP, over UDP or TLS).
//!
//! * [`packet`]: requests and answers as bytes, and what is believed.
//! * [`client`]: one exchange with the server.
//! * [`words`]: what an answer says about a person.
//!
//! One copy of the plugin asks one server. A second server is a second copy:
//! the console asks the next authenticator when one cannot be asked.

pub mod client;
pub mod packet;
pub mod words;

use core::net::Ipv4Addr;
use evenkeel_sdk::host::{Clock, Config, Crypto, Net, Random};
use evenkeel_sdk::worlds::{Attempt, SignIn};
use evenkeel_sdk::{Authenticator, Plugin, Settings};

use crate::client::Question;
use crate::packet::{Attributes, PASSWORD_MAX, Reply, Request, VALUE_MAX, kind};
use crate::words::Source;

evenkeel_sdk::register_authenticator!(Radius);

/// Services for which an Access-Accept may be: Login, Administrative, NAS
/// Prompt, Authenticate Only. Any other is as good as a Reject (RFC 2865 §5.6).
const SERVICES: [u32; 4] = [1, 6, 7, 8];

/// The plugin: its settings.
pub struct Radius {
    nas_identifier: String,
    nas_address: Option<Ipv4Addr>,
    timeout_ms: u64,
    sources: Vec<Source>,
}

impl<H: Config> Plugin<H> for Radius {
    fn start(host: &mut H) -> Result<Self, String> {
        let mut settings = Settings::of(host);
        let nas_identifier = settings.text("nas-identifier")?.unwrap_or("evenkeel".into());
        if !(1..=VALUE_MAX).contains(&nas_identifier.len()) {
            return Err(format!("setting nas-identifier has 1 to {VALUE_MAX} bytes"));
        }
        let address = settings.text("nas-address")?.filter(|text| !text.is_empty());
        let nas_address = address.map(|text| {
            text.parse().map_err(|_| format!("setting nas-address: {text:?} is no IPv4 address"))
        });
        let timeout_s = settings.number("timeout-s", 1.0..=9.0, "1 to 9 seconds")?.unwrap_or(4.0);
        let list = settings.text("attributes")?.unwrap_or(words::DEFAULT.into());
        Ok(Self {
            nas_identifier,
            nas_address: nas_address.transpose()?,
            timeout_ms: (timeout_s * 1e3) as u64,
            sources: words::parse(&list)?,
        })
    }
}

impl<H: Clock + Config + Crypto + Net + Random> Authenticator<H> for Radius {
    fn authenticate(&mut self, host: &mut H, attempt: &Attempt) -> Result<SignIn, String> {
        let Attempt { user, password, peer, state } = attempt;
        let fits = (1..=VALUE_MAX).contains(&user.len())
            && password.len() <= PASSWORD_MAX
            && !password.contains('\0')
            && state.as_ref().is_none_or(|state| (1..=VALUE_MAX).contains(&state.len()));
        if !fits {
            // No such person can exist on the server.
            return Ok(SignIn::Rejected);
        }
        let request = Request {
            identifier: 0,
            authenticator: [0; 16],
            user,
            password: password.as_bytes(),
            calling: if peer.len() <= VALUE_MAX { peer } else { "" },
            nas_identifier: &self.nas_identifier,
            nas_address: self.nas_address,
            state: state.as_deref(),
        };
        let reply = client::ask(host, &Question { request, timeout_ms: self.timeout_ms })?;
        Ok(match reply {
            Reply::Accept(attributes) if !is_ours(&attributes) => SignIn::Rejected,
            Reply::Accept(attributes) => SignIn::Accepted(words::of(&self.sources, &attributes)),
            Reply::Reject => SignIn::Rejected,
            Reply::Challenge { state, prompt } => SignIn::Challenge { state, prompt },
        })
    }
}

/// Whether every Service-Type is one for which somebody may sign in here.
fn is_ours(attributes: &Attributes) -> bool {
    let known = |value: &[u8]| {
        <[u8; 4]>::try_from(value).is_ok_and(|v| SERVICES.contains(&u32::from_be_bytes(v)))
    };
    attributes.of(kind::SERVICE_TYPE).all(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::{Shared, reply};
    use evenkeel_sdk::host::{NetError, Transport};
    use evenkeel_sdk::testkit::{Bench, Peer, asks_a_failing_peer};
    use std::cell::RefCell;
    use std::rc::Rc;

    const SECRET: Shared = Shared(b"xyzzy5461");
    const MAC: (u8, &[u8]) = (kind::MESSAGE_AUTHENTICATOR, &[0; 16]);

    /// A host whose server makes `answer` of (identifier, authenticator).
    fn bench(
        transport: Transport,
        answer: impl Fn(u8, &[u8; 16]) -> Option<Vec<u8>> + 'static,
    ) -> (Bench, Rc<RefCell<Peer>>) {
        let mut bench = Bench::default();
        bench.secrets.insert("server".into(), b"xyzzy5461".to_vec());
        let peer = bench.add_peer("server", transport, move |request| {
            answer(request[1], request[4..20].try_into().expect("16 bytes"))
        });
        (bench, peer)
    }

    fn attempt() -> Attempt {
        Attempt {
            user: "ada".into(),
            password: "engine".into(),
            peer: "192.0.2.9".into(),
            state: None,
        }
    }

    fn ask(bench: &mut Bench) -> Result<SignIn, String> {
        Radius::start(bench).expect("good settings").authenticate(bench, &attempt())
    }

    #[test]
    fn an_accept_gives_words_over_udp_and_tls() {
        for transport in [Transport::Udp, Transport::Tls] {
            let (mut bench, peer) = bench(transport, |id, authenticator| {
                Some(reply(2, id, authenticator, &[MAC, (11, b"ops"), (25, b"all")], SECRET))
            });
            assert_eq!(ask(&mut bench), Ok(SignIn::Accepted(vec!["ops".into(), "all".into()])));
            assert_eq!(peer.borrow().heard.len(), 1, "no repetition after an answer");
        }
    }

    #[test]
    fn a_reject_and_a_foreign_service_are_no() {
        let (mut reject, _) = bench(Transport::Udp, |id, a| Some(reply(3, id, a, &[MAC], SECRET)));
        assert_eq!(ask(&mut reject), Ok(SignIn::Rejected));
        let (mut framed, _) = bench(Transport::Udp, |id, a| {
            Some(reply(2, id, a, &[MAC, (11, b"ops"), (6, &[0, 0, 0, 2])], SECRET))
        });
        assert_eq!(ask(&mut framed), Ok(SignIn::Rejected));
    }

    #[test]
    fn a_challenge_is_answered_with_its_state() {
        let (mut bench, peer) = bench(Transport::Udp, |id, a| {
            Some(reply(11, id, a, &[MAC, (24, b"S1"), (18, b"Token?")], SECRET))
        });
        let asked = ask(&mut bench).expect("an answer");
        let SignIn::Challenge { state, prompt } = asked else { panic!("{asked:?}") };
        assert_eq!((state.as_slice(), prompt.as_str()), (&b"S1"[..], "Token?"));
        let answer = Attempt { password: "123456".into(), state: Some(state), ..attempt() };
        let mut radius = Radius::start(&mut bench).expect("good settings");
        radius.authenticate(&mut bench, &answer).expect("an answer");
        assert!(peer.borrow().heard[1].ends_with(&[24, 4, b'S', b'1']));
    }

    #[test]
    fn silence_is_asked_three_times_with_the_same_bytes_and_says_what_to_check() {
        let (mut bench, peer) = bench(Transport::Udp, |_, _| None);
        let error = ask(&mut bench).expect_err("nobody decided");
        assert!(error.contains("no answer from the server in 4 s"), "{error}");
        assert!(error.contains("shared secret"), "{error}");
        let heard = &peer.borrow().heard;
        assert!(heard.len() == 3 && heard.iter().all(|packet| *packet == heard[0]));
    }

    /// Refused, silent, late, cut, garbled, closed half way: the error has the
    /// server's address, and nobody is let in or turned away by an accident.
    #[test]
    fn a_server_that_fails_is_named_and_decides_nothing() {
        for transport in [Transport::Udp, Transport::Tls] {
            let (mut bench, peer) = bench(transport, |id, authenticator| {
                Some(reply(2, id, authenticator, &[MAC, (11, b"ops")], SECRET))
            });
            let is_sealed = true;
            asks_a_failing_peer(&mut bench, "server", is_sealed, ask);
            assert!(peer.borrow().heard.len() > 500, "{transport:?}");
        }
    }

    #[test]
    fn a_forger_is_not_believed_and_the_right_answer_still_is() {
        let unsigned = |id: u8, a: &[u8; 16]| reply(2, id, a, &[(11, b"ops")], SECRET);
        let (mut stripped, _) = bench(Transport::Udp, move |id, a| Some(unsigned(id, a)));
        let error = ask(&mut stripped).expect_err("not believed");
        assert!(error.contains("no Message-Authenticator"), "{error}");
        let (mut forged, _) = bench(Transport::Udp, |id, a| {
            Some(reply(2, id, a, &[MAC, (11, b"ops")], Shared(b"guessed")))
        });
        let error = ask(&mut forged).expect_err("not believed");
        assert!(error.contains("shared secret the same"), "{error}");
        let first = std::cell::Cell::new(true);
        let (mut late, _) = bench(Transport::Udp, move |id, a| {
            let secret = if first.replace(false) { Shared(b"guessed") } else { SECRET };
            Some(reply(3, id, a, &[MAC], secret))
        });
        assert_eq!(ask(&mut late), Ok(SignIn::Rejected));
    }

    #[test]
    fn what_cannot_be_sent_is_no_and_asks_nobody() {
        let (mut bench, peer) = bench(Transport::Udp, |_, _| None);
        let mut radius = Radius::start(&mut bench).expect("good settings");
        for odd in [
            Attempt { user: String::new(), ..attempt() },
            Attempt { user: "x".repeat(254), ..attempt() },
            Attempt { password: "x".repeat(129), ..attempt() },
            Attempt { password: "a\0b".into(), ..attempt() },
            Attempt { state: Some(vec![]), ..attempt() },
        ] {
            assert_eq!(radius.authenticate(&mut bench, &odd), Ok(SignIn::Rejected));
        }
        assert_eq!(peer.borrow().heard.len(), 0);
    }

    #[test]
    fn failures_of_the_network_are_said_in_its_words() {
        let (mut tcp, _) = bench(Transport::Tcp, |_, _| None);
        assert!(ask(&mut tcp).expect_err("not offered").contains("udp:// or tls://"));
        let (mut closed, peer) = bench(Transport::Udp, |_, _| None);
        peer.borrow_mut().fails = Some(NetError::REFUSED);
        assert!(ask(&mut closed).expect_err("refused").contains("check address and port"));
        assert!(ask(&mut Bench::default()).expect_err("no secret").contains("not granted"));
    }

    #[test]
    fn settings_that_cannot_work_are_said() {
        for (name, value) in [
            ("nas-address", "fe80::1"),
            ("timeout-s", "10"),
            ("attributes", "Group"),
            ("nas-identifier", ""),
        ] {
            let started = Radius::start(&mut Bench::with_settings(&[(name, value)]));
            assert!(started.err().expect(name).contains(name));
        }
    }
}
