//! Syslog notifier: sends every event that it is given to one server
//! (facts/radius-syslog-smtp.md §8).
//!
//! * `message` – an event as a message of RFC 5424
//! * `framing` – where one message ends, per transport
//! * `delivery` – connections that die, and what is sent again
//! * `options` – what the administrator can choose
//! * `network` – the server behind the host's connections

mod delivery;
pub mod framing;
pub mod message;
mod network;
mod options;

use delivery::{Delivery, LOOK_MS, Network};
use evenkeel_sdk::host::{Clock, Config, Event, Net, Transport};
use evenkeel_sdk::worlds::NotifyError;
use evenkeel_sdk::{Notifier, Plugin, Settings};
use framing::Framing;
use network::Server;
use options::Options;

evenkeel_sdk::register_notifier!(Syslog);

/// The notifier.
pub struct Syslog {
    options: Options,
    delivery: Delivery,
    /// Messages since the start.
    count: u64,
}

impl<H: Clock + Config + Net> Plugin<H> for Syslog {
    fn start(host: &mut H) -> Result<Self, String> {
        Ok(Self::new(Options::read(&mut Settings::of(host))?))
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        self.look(&mut Server(host))
    }
}

impl<H: Clock + Config + Net> Notifier<H> for Syslog {
    fn notify(&mut self, host: &mut H, event: &Event) -> Result<(), NotifyError> {
        // Nothing is refused for good: whatever is wrong with the server or
        // its grant, somebody can put it right.
        self.send(&mut Server(host), event).map_err(NotifyError::Later)
    }
}

impl Syslog {
    fn new(options: Options) -> Self {
        Self { options, delivery: Delivery::default(), count: 0 }
    }

    fn send(&mut self, network: &mut dyn Network, event: &Event) -> Result<(), String> {
        let (framing, len_max) = self.framing(network.transport()?);
        let count = self.count.saturating_add(1);
        let message = message::format(event, &self.options.sender, count, len_max);
        self.delivery.send(network, framing.frame(message))?;
        self.count = count;
        Ok(())
    }

    /// Look after the connection; ms until the next time.
    fn look(&mut self, network: &mut dyn Network) -> u32 {
        self.delivery.check(network);
        LOOK_MS
    }

    /// How messages are told apart, and how long one may be.
    fn framing(&self, transport: Transport) -> (Framing, usize) {
        match transport {
            Transport::Udp => (Framing::Datagram, message::DATAGRAM_BYTES_MAX),
            Transport::Tcp if self.options.line_feeds => {
                (Framing::LineFeed, message::STREAM_BYTES_MAX)
            }
            Transport::Tcp | Transport::Tls => (Framing::OctetCounting, message::STREAM_BYTES_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Channel;
    use evenkeel_sdk::testkit::{Bench, asks_a_failing_peer};

    struct Wire(Transport, std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

    impl Network for Wire {
        fn transport(&mut self) -> Result<Transport, String> {
            Ok(self.0)
        }

        fn connect(&mut self) -> Result<Box<dyn Channel>, String> {
            Ok(Box::new(Wire(self.0, self.1.clone())))
        }

        fn now_ms(&mut self) -> u64 {
            0
        }
    }

    impl Channel for Wire {
        fn send(&mut self, data: &[u8]) -> Result<(), String> {
            self.1.borrow_mut().extend(data);
            Ok(())
        }

        fn is_open(&mut self) -> bool {
            true
        }
    }

    fn event() -> Event {
        Event {
            sequence: 7,
            utc_ms: 0,
            severity: 0,
            category: "system".into(),
            kind: "daemon_started".into(),
            text: "started".into(),
            details: Vec::new(),
        }
    }

    fn sent(transport: Transport, options: Options) -> String {
        let sent = std::rc::Rc::default();
        let mut wire = Wire(transport, std::rc::Rc::clone(&sent));
        let mut syslog = Syslog::new(options);
        for _ in 0..2 {
            syslog.send(&mut wire, &event()).expect("sent");
        }
        assert_eq!(syslog.look(&mut wire), LOOK_MS);
        let bytes = sent.borrow().clone();
        String::from_utf8(bytes).expect("text")
    }

    /// A server says nothing at all: what it can do is refuse.
    #[test]
    fn a_server_that_refuses_is_named_and_gets_everything_when_it_is_back() {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            let mut bench = Bench::default();
            let peer = bench.add_peer("server", transport, |_| None);
            let mut syslog = <Syslog as Plugin<Bench>>::start(&mut bench).expect("no settings");
            asks_a_failing_peer(&mut bench, "server", false, |bench| {
                syslog.notify(bench, &event()).map_err(|error| match error {
                    NotifyError::Later(words) | NotifyError::Never(words) => words,
                })
            });
            let heard = peer.borrow().heard.concat();
            let heard = String::from_utf8(heard).expect("text");
            for count in 1..=3 {
                let message = format!("sequenceId=\"{count}\"");
                assert!(heard.contains(&message), "{transport:?}: {message} of {heard}");
            }
        }
    }

    #[test]
    fn each_transport_has_its_framing() {
        let message = |n| {
            format!(
                "<134>1 1970-01-01T00:00:00.000Z - evenkeel - daemon_started [meta \
                sequenceId=\"{n}\"][event@32473 sequence=\"7\" category=\"system\"] started"
            )
        };
        let (one, two) = (message(1), message(2));
        let counted = format!("{} {one}{} {two}", one.len(), two.len());
        let options = Options::default;
        assert_eq!(sent(Transport::Udp, options()), format!("{one}{two}"));
        assert_eq!(sent(Transport::Tcp, options()), counted);
        assert_eq!(sent(Transport::Tls, options()), counted);
        let lines = Options { line_feeds: true, ..options() };
        assert_eq!(sent(Transport::Tcp, lines.clone()), format!("{one}\n{two}\n"));
        assert_eq!(sent(Transport::Tls, lines), counted, "RFC 5425 knows no other");
    }
}
