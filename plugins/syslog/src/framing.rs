//! Where one message ends and the next begins. Pure.
//!
//! A datagram holds one message (RFC 5426 §3.1). In a stream each message
//! follows its length (RFC 6587 §3.4.1, RFC 5425 §4.3); within TLS there is
//! no other way. Old receivers of plain TCP want a line feed behind each
//! (RFC 6587 §3.4.2); no message has one inside, see [`crate::message`].

/// How messages are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One in each datagram.
    Datagram,
    /// Each behind its length in bytes.
    OctetCounting,
    /// A line feed behind each.
    LineFeed,
}

impl Framing {
    /// `message` as it goes onto the wire.
    #[must_use]
    pub fn frame(self, message: String) -> Vec<u8> {
        match self {
            Self::Datagram => message.into_bytes(),
            Self::OctetCounting => format!("{} {message}", message.len()).into_bytes(),
            Self::LineFeed => (message + "\n").into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_counted_in_bytes() {
        assert_eq!(Framing::OctetCounting.frame("<13>1 °".into()), "8 <13>1 °".as_bytes());
        assert_eq!(Framing::LineFeed.frame("<13>1 a".into()), b"<13>1 a\n");
        assert_eq!(Framing::Datagram.frame("<13>1 a".into()), b"<13>1 a");
    }

    proptest! {
        #[test]
        fn a_receiver_finds_every_message_again(messages in prop::collection::vec("(?s).{1,40}", 0..9)) {
            let stream: Vec<u8> =
                messages.iter().flat_map(|m| Framing::OctetCounting.frame(m.clone())).collect();
            let mut rest = stream.as_slice();
            for message in messages {
                let space = rest.iter().position(|b| *b == b' ').expect("a length");
                let len: usize = String::from_utf8_lossy(&rest[..space]).parse().expect("a number");
                prop_assert_eq!(&rest[space + 1..space + 1 + len], message.as_bytes());
                rest = &rest[space + 1 + len..];
            }
            prop_assert!(rest.is_empty());
        }
    }
}
