//! Bytes of the Megatec protocol: frames, acknowledgements, refusals
//! (facts/ups-serial-protocols.md §1).
//!
//! ```text
//! Q1  (MMM.M NNN.N PPP.P QQQ RR.R SS.S TT.T b7b6b5b4b3b2b1b0\r
//!     0     6     12    18  22   27   32   37              46
//! F   #MMM.M QQQ SS.SS RR.R\r
//!     0     6   10    16   21
//! I   #maker 15 chars  model 10   version 10\r
//!     0                16         27        38 (or 37)
//! ```

use evenkeel_sdk::ReplyEnd;
use evenkeel_sdk::table::{Ack, Frame};

/// Skeleton of the reply to `Q1`.
pub(crate) const STATUS: Frame = Frame {
    length: (47, 47),
    fixed: &[
        (0, b'('),
        (6, b' '),
        (12, b' '),
        (18, b' '),
        (22, b' '),
        (27, b' '),
        (32, b' '),
        (37, b' '),
        (46, b'\r'),
    ],
    bits: (38, 46),
    ..Frame::DEFAULT
};

/// Skeleton of the reply to `F`.
pub(crate) const RATINGS: Frame = Frame {
    length: (22, 22),
    fixed: &[(0, b'#'), (6, b' '), (10, b' '), (16, b' '), (21, b'\r')],
    ..Frame::DEFAULT
};

/// Skeleton of the reply to `I`; some units leave out the last character.
pub(crate) const IDENTITY: Frame =
    Frame { length: (38, 39), fixed: &[(0, b'#'), (16, b' '), (27, b' ')], ..Frame::DEFAULT };

/// Accepted commands are answered by silence or one of these words; refused and
/// unknown ones come back verbatim, or as NAK.
pub(crate) const ACK: Ack = Ack {
    replies: &[b"ACK", b"(ACK", b"OK"],
    silence: true,
    end: ReplyEnd::Terminator(b'\r'),
    timeout_ms: 1000,
};

/// True when the unit does not know `request`: classic units send it back,
/// others say NAK in one of three ways.
pub(crate) fn is_refusal(request: &[u8], reply: &[u8]) -> bool {
    reply == request || matches!(reply, b"NAK\r" | b"(NAK\r" | b"N\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_known_and_replies_are_not_refusals() {
        for refusal in [&b"I\r"[..], b"NAK\r", b"(NAK\r", b"N\r"] {
            assert!(is_refusal(b"I\r", refusal));
        }
        assert!(!is_refusal(b"I\r", b"F\r"));
        assert!(!is_refusal(b"I\r", b"#-------------   ------     VT12046Q  \r"));
    }
}
