//! Sends each event as one datagram.
// asks: evenkeel:net-client/net-client@0.1.0 peer sends the events there

use evenkeel_sdk::host::{Event, Net};
use evenkeel_sdk::register_notifier;
use evenkeel_sdk::worlds::{Notifier, NotifyError, Plugin};

register_notifier!(Datagram);

/// The notifier.
pub struct Datagram;

impl<H: Net> Plugin<H> for Datagram {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self)
    }
}

impl<H: Net> Notifier<H> for Datagram {
    fn notify(&mut self, host: &mut H, event: &Event) -> Result<(), NotifyError> {
        let later = |error: evenkeel_sdk::host::NetError| NotifyError::Later(error.to_string());
        let text = format!("{} {}", event.kind, event.text);
        host.open_datagrams("peer").map_err(later)?.send(text.as_bytes()).map_err(later)
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_sdk::host::{NetError, Transport};
    use evenkeel_sdk::testkit::Bench;

    use super::*;

    #[test]
    fn an_event_is_sent_or_kept() {
        let mut bench = Bench::default();
        let peer = bench.add_peer("peer", Transport::Udp, |_| None);
        let mut notifier: Datagram = Plugin::start(&mut bench).unwrap();
        let event =
            Event { kind: "module_lost".into(), text: "Block 17".into(), ..Event::default() };
        notifier.notify(&mut bench, &event).unwrap();
        assert_eq!(peer.borrow().heard, [b"module_lost Block 17"]);
        peer.borrow_mut().fails = Some(NetError::UNREACHABLE);
        assert!(matches!(notifier.notify(&mut bench, &event), Err(NotifyError::Later(_))));
    }
}
