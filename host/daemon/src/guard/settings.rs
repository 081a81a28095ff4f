//! The guard's settings, as it hands them out and takes them: part by part, over
//! the socket. The guard judges them and keeps them; the daemon never writes its
//! file.

use super::orders::OrderError;
use super::talk::{Talk, TalkError};
use evenkeel_core::command::{Answer, PART_MAX, Request, Taking};
use evenkeel_core::settings::{GuardSettings, TEXT_MAX};
use std::io;
use std::time::Duration;

/// The guard takes requests at this pace, after a burst of [`BURST`].
const EVERY: Duration = Duration::from_millis(60);
const BURST: usize = 24;

/// The settings by which the guard protects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// Their text, without the seal.
    pub text: String,
    /// Their number: the check sum of the text.
    pub number: u32,
    /// Why these, the last good ones, and not those of its file.
    pub fallback: Option<String>,
}

/// What is in force at the guard that was greeted.
///
/// # Errors
/// When it says something else.
pub fn in_force(talk: &mut Talk) -> Result<InForce, TalkError> {
    let garbled = |why: &str| TalkError::Talk(io::Error::other(why.to_owned()));
    let mut all = Vec::new();
    for part in 0.. {
        pace(part);
        let from = u32::try_from(all.len()).map_err(|_| garbled("settings without an end"))?;
        let answer = talk.ask(&Request::Settings { from })?;
        let Answer::Settings { crc, len, bytes, fallback } = answer else {
            return Err(TalkError::Unexpected);
        };
        let (len, got) = (len as usize, bytes.len());
        all.extend(bytes);
        if all.len() >= len {
            let text = String::from_utf8(all).map_err(|_| garbled("settings that are no text"))?;
            // Those of another guard that came between two parts.
            if GuardSettings::number(&text) != crc {
                return Err(garbled("settings with another check sum than their own"));
            }
            return Ok(InForce { text, number: crc, fallback });
        }
        if got == 0 || len > TEXT_MAX {
            return Err(garbled("settings that are cut short"));
        }
    }
    Err(TalkError::Unexpected)
}

/// Have `text` in force instead of the settings with the number `instead_of`.
///
/// # Errors
/// [`OrderError::Refused`] with the guard's reason, or that nobody knows.
pub fn take(
    talk: &mut Talk,
    text: &str,
    instead_of: u32,
    despite_alarm: bool,
) -> Result<(), OrderError> {
    for (number, part) in text.as_bytes().chunks(PART_MAX).enumerate() {
        pace(number);
        let at = u32::try_from(number * PART_MAX).unwrap_or(u32::MAX);
        done(talk.ask(&Request::Offer { at, bytes: part.to_vec() }))?;
    }
    let crc = GuardSettings::number(text);
    done(talk.ask(&Request::Take(Taking { crc, instead_of, despite_alarm })))
}

fn done(answer: Result<Answer, TalkError>) -> Result<(), OrderError> {
    match answer {
        Ok(Answer::Done) => Ok(()),
        Ok(_) => Err(OrderError::Unanswered(TalkError::Unexpected)),
        Err(TalkError::Refused(why)) => Err(OrderError::Refused(why)),
        Err(error) => Err(OrderError::Unanswered(error)),
    }
}

fn pace(part: usize) {
    if part >= BURST {
        std::thread::sleep(EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeGuard, SETTINGS};
    use super::*;

    #[tokio::test]
    async fn settings_are_read_and_taken_part_by_part() {
        let guard = FakeGuard::start(|_| Answer::Done);
        let (mut talk, _) = Talk::begin(&guard.socket()).expect("greeted");
        let before = in_force(&mut talk).expect("settings");
        assert_eq!((before.text.as_str(), before.fallback), (SETTINGS, None));
        let long = format!("{SETTINGS}{}", "# a remark\n".repeat(8_000));
        assert!(long.len() > BURST * PART_MAX);
        // It has one client at a time.
        drop(talk);
        let orders = guard.orders();
        let stale = orders.change_settings(long.clone(), before.number ^ 1, false).await;
        assert!(matches!(stale, Err(OrderError::Refused(why)) if why.contains("meanwhile")));
        orders.change_settings(long.clone(), before.number, false).await.expect("taken");
        let (mut talk, _) = Talk::begin(&guard.socket()).expect("greeted");
        assert_eq!(in_force(&mut talk).expect("settings").text, long);
    }
}
