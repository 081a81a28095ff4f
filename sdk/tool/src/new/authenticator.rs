//! Asks a peer whether a person may sign in: `name password` as a datagram,
//! `yes` and words for roles back, on a whole line. To be replaced by a protocol that keeps the
//! password secret.
// asks: evenkeel:net-client/net-client@0.1.0 peer asks there whether a person may sign in

use evenkeel_sdk::host::Net;
use evenkeel_sdk::register_authenticator;
use evenkeel_sdk::worlds::{Attempt, Authenticator, Plugin, SignIn};

register_authenticator!(Asker);

/// The authenticator.
pub struct Asker;

impl<H: Net> Plugin<H> for Asker {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self)
    }
}

impl<H: Net> Authenticator<H> for Asker {
    fn authenticate(&mut self, host: &mut H, attempt: &Attempt) -> Result<SignIn, String> {
        let words = |error: evenkeel_sdk::host::NetError| error.to_string();
        let mut peer = host.open_datagrams("peer").map_err(words)?;
        let question = format!("{} {}", attempt.user, attempt.password);
        peer.send(question.as_bytes()).map_err(words)?;
        let answer = String::from_utf8_lossy(&peer.receive(3000).map_err(words)?).into_owned();
        // What is cut off may be the end of a role, or another one.
        let line = answer.strip_suffix('\n').ok_or("the peer's answer is no whole line")?;
        let mut answer = line.split_whitespace();
        Ok(match answer.next() {
            Some("yes") => SignIn::Accepted(answer.map(str::to_owned).collect()),
            _ => SignIn::Rejected,
        })
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_sdk::host::Transport;
    use evenkeel_sdk::testkit::{Bench, asks_a_failing_peer};

    use super::*;

    fn attempt(user: &str, password: &str) -> Attempt {
        let (user, password) = (user.to_owned(), password.to_owned());
        Attempt { user, password, ..Attempt::default() }
    }

    #[test]
    fn the_peer_decides_and_silence_is_no_verdict() {
        let mut bench = Bench::default();
        bench.add_peer("peer", Transport::Udp, |question| match question {
            b"anna secret" => Some(b"yes operators\n".to_vec()),
            b"anna wrong" => Some(b"no\n".to_vec()),
            _ => None,
        });
        let mut asker: Asker = Plugin::start(&mut bench).unwrap();
        let mut ask = |user: &str, password: &str| {
            asker.authenticate(&mut bench, &attempt(user, password))
        };
        assert_eq!(ask("anna", "secret"), Ok(SignIn::Accepted(vec!["operators".into()])));
        assert_eq!(ask("anna", "wrong"), Ok(SignIn::Rejected));
        assert!(ask("nobody", "").is_err());
    }
    /// Refused, silent, late, cut, garbled: nobody signs in by accident, and the
    /// reason has the peer's address.
    #[test]
    fn a_peer_that_fails_decides_nothing() {
        let mut bench = Bench::default();
        bench.add_peer("peer", Transport::Udp, |_| Some(b"yes operators\n".to_vec()));
        let mut asker: Asker = Plugin::start(&mut bench).unwrap();
        // Nothing in this protocol protects an answer from being changed.
        let is_sealed = false;
        asks_a_failing_peer(&mut bench, "peer", is_sealed, |bench| {
            asker.authenticate(bench, &attempt("anna", "secret"))
        });
    }
}
