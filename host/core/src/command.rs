//! Requests to the guard over its local socket, and its answers.
//!
//! Each message is a `postcard` encoding behind its length as a little-endian
//! `u16`. The guard checks every request and acknowledges it; it never waits
//! for a client. After [`Request::Hello`] the process image's memory follows
//! as a file descriptor beside the answer (`SCM_RIGHTS`), sealed so that it
//! can be mapped for reading only.

use serde::{Deserialize, Serialize};

/// Version of this protocol; a guard answers only its own.
pub const VERSION: u16 = 1;
/// Longest encoded message: a welcome with 32 names of 60 characters.
pub const MESSAGE_MAX: usize = 8192;
/// Longest pause of equalization, seconds (7 days).
pub const PAUSE_MAX_S: u32 = 7 * 24 * 3600;

/// What a client may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// First message: who are you, and where is the image?
    Hello {
        /// [`VERSION`] of the client.
        version: u16,
    },
    /// Switch the bypasses of a string off for a while.
    Pause {
        /// String, counted from 1.
        string: u16,
        /// Seconds, 1 … [`PAUSE_MAX_S`].
        seconds: u32,
    },
    /// End a pause.
    Resume {
        /// String, counted from 1.
        string: u16,
    },
}

/// What the guard answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Request::Hello`]; the image's file descriptor comes with it.
    Welcome {
        /// [`VERSION`] of the guard.
        version: u16,
        /// Names of the strings, in the image's order.
        strings: Vec<String>,
    },
    /// Done, and in force from the next cycle on.
    Done,
    /// Not done, and why.
    Refused(String),
}

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than [`MESSAGE_MAX`].
    #[error("message of {0} bytes; {MESSAGE_MAX} are possible")]
    TooLong(usize),
    /// Not a message of this version.
    #[error("not a message of protocol version {VERSION}")]
    Malformed,
}

/// Encode with the length in front.
///
/// # Errors
/// [`CodecError::TooLong`] when it exceeds [`MESSAGE_MAX`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    let body = postcard::to_allocvec(message).map_err(|_| CodecError::Malformed)?;
    if body.len() > MESSAGE_MAX {
        return Err(CodecError::TooLong(body.len()));
    }
    let mut bytes = (body.len() as u16).to_le_bytes().to_vec();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Length of the body behind these two length bytes.
///
/// # Errors
/// [`CodecError::TooLong`] when it exceeds [`MESSAGE_MAX`].
pub fn body_len(prefix: [u8; 2]) -> Result<usize, CodecError> {
    let len = usize::from(u16::from_le_bytes(prefix));
    if len > MESSAGE_MAX { Err(CodecError::TooLong(len)) } else { Ok(len) }
}

/// Decode a body.
///
/// # Errors
/// [`CodecError::Malformed`] unless the body is exactly one message.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(CodecError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_come_back() {
        for request in [
            Request::Hello { version: VERSION },
            Request::Pause { string: 2, seconds: 3_600 },
            Request::Resume { string: 2 },
        ] {
            let bytes = encode(&request).expect("short message");
            let (prefix, body) = bytes.split_first_chunk::<2>().expect("a prefix");
            assert_eq!(body_len(*prefix), Ok(body.len()));
            assert_eq!(decode::<Request>(body), Ok(request));
        }
    }

    #[test]
    fn the_longest_names_fit_a_welcome() {
        let strings = vec!["\u{1F50B}".repeat(60); crate::image::STRINGS_MAX];
        assert!(encode(&Answer::Welcome { version: VERSION, strings }).is_ok());
    }

    #[test]
    fn trailing_bytes_and_long_messages_are_refused() {
        assert_eq!(decode::<Request>(&[2, 1, 0]), Err(CodecError::Malformed));
        assert_eq!(body_len([0xFF, 0xFF]), Err(CodecError::TooLong(65_535)));
        let long = Answer::Refused("x".repeat(MESSAGE_MAX + 1));
        assert!(matches!(encode(&long), Err(CodecError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Request>(&bytes);
            let _ = decode::<Answer>(&bytes);
        }
    }
}
