//! The test kit: [`Bench`], a host for tests of any plugin, and the conformance
//! kit, which replays recorded exchanges to a driver, whole and damaged, and
//! looks at what it publishes. Native only.
//!
//! A case is a folder:
//!
//! ```text
//! exchange.txt      # comment
//!                   over serial               how the device is reached, see below
//!                   set no-ratings = true
//!                   > "Q1\r"
//!                   < "(208.4 140.0 …\r"      reply to the first asking
//!                   < silence                 second asking; the last repeats
//!                   > 51 31 0d                bytes may be hexadecimal
//! expected.points   input.voltage = 208.4 V
//!                   battery.charge = 73 % estimated
//!                   ups.status = "OL BYPASS"
//! expected.err      start: … | lost: …        instead of points; a part of the text
//! expected.commands test.battery.start 600 = accepted
//!                   load.off = refused (NAK    or invalid, lost, unknown; a part of the text
//! ```
//!
//! The first line says how the device is reached; without one it is a serial line.
//!
//! ```text
//! over tcp meter            a peer by its logical name; or udp, tls
//! > xx xx 00 00 00 06 …     xx: a byte that is another one each time, and the reply has it
//! < xx xx 00 00 00 05 01 03 02 [09 03]
//!                           [ ]: values; nothing in the protocol tells one from another
//!
//! over hid ups 051d:0002    a USB device by name and ids
//! descriptor 05 84 09 04 …
//! > input                   reports that it sends by itself, all of them at each poll
//! < 13 [01]
//! > feature 0c              a feature report, its id as first byte
//! < 0c [64]
//! > write 00 01 80 33 …     an output report, asked or told; what answers it, if anything
//! < 00 80 80 [09 5a] …
//! > set 0d 01               a feature report that a command may send
//!
//! over contacts
//! contact on-battery open   an input, closed or open
//! relay shutdown open       an output
//! signal room 21.5          an analogue input
//! > switch shutdown closed  what a command may switch
//! ```
//!
//! Commands are given in order after the polls. A setting that the plugin does
//! not ask for is refused at the start, as the appliance does.
//!
//! Then every [`Fault`] that can befall this way is tried, and the driver must
//! give what it [owes](Owes) while it lasts, and come back when it is over:
//!
//! | way | fault | the driver owes |
//! |---|---|---|
//! | every | silence | the loss, said once, with the host's words for who is silent |
//! | bytes, reports | cut at every byte, bits flipped, bytes lost, bursts; late | no wrong value |
//! | network | nobody listens | the loss, with the peer's address |
//! | connection | closed at once | the same |
//! | connection | closed behind every byte of an answer | no wrong value |
//! | connection | one byte at a time | everything as ever |
//! | USB | unplugged | the loss, with the device's ids |
//! | contacts | one of them unknown, or read an hour ago | doubt: lost, or a bad point |
//! | contacts | one that bounces | everything as ever |
//! | contacts | those of another case | the points of that case |
//! | commands | rubbish or a part for an acknowledgement | not "accepted" |
//! | commands | nobody listens, unplugged, the guard refuses | the same |
//!
//! What can be promised about damage depends on the protocol. One without a
//! checksum cannot tell a digit that became another digit. So the rule is:
//! damage that changes the *shape* of a reply (its length, a separator, a digit
//! into something else, any byte outside of `[ ]` in binary) must never lead to a
//! wrong value; damage that keeps the shape must not lead to a panic, an unknown
//! point or a number that is not finite. [`shape_is_kept`] is where this line is
//! drawn.
//!
//! Plugins of other worlds that ask a peer have [`asks_a_failing_peer`].

mod asking;
mod bench;
mod case;
mod conform;
mod crypto;
mod devices;
mod fault;
mod line;
mod net;
mod notation;
mod replay;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

pub use asking::asks_a_failing_peer;
pub use bench::{Bench, Objects, OpenLine};
pub use case::{Case, CaseError, Expected, Telling, Way, spell};
pub use devices::BenchHid;
pub use fault::{At, Damage, Fault, Owes};
pub use line::{Device, Recorded};
pub use net::{Answer, Peer};
pub use notation::{Pattern, write_bytes};
pub use replay::{Replay, replay, shown};

use crate::Driver;

/// Polls after which everything is known of a device that answers.
pub const POLLS: u32 = 4;

/// Run every case in `folder` against `D`, whole and damaged in every way.
/// `free_text` lists the requests whose replies are prose, where one printable
/// character is as good as another.
///
/// # Panics
/// When a case cannot be read or the driver does not behave; the message names
/// the case and the damage.
pub fn conformance<D: Driver<Bench>>(folder: &Path, free_text: &[&[u8]]) {
    let cases = Case::load_all(folder).unwrap_or_else(|error| panic!("{error}"));
    assert!(!cases.is_empty(), "{} holds no case", folder.display());
    for case in &cases {
        conform::conforms::<D>(case, free_text);
    }
    conform::follows::<D>(&cases);
    if let Some(notes) = std::env::var_os("EVENKEEL_REPLAYED") {
        // `evenkeel-plugin test` wants to see that a driver was put to it.
        let note = format!("{}: {} cases\n", folder.display(), cases.len());
        let noted = OpenOptions::new().append(true).create(true).open(&notes);
        noted.and_then(|mut file| file.write_all(note.as_bytes())).unwrap_or_else(|error| {
            panic!("cannot note what was replayed in {}: {error}", notes.display())
        });
    }
}

/// True when nothing but a checksum could tell `damaged` from `sound`: same
/// length, and digits changed into digits only; in free text, printable
/// characters up to the terminator.
#[must_use]
pub fn shape_is_kept(sound: &[u8], damaged: &[u8], free_text: bool) -> bool {
    let Some((_, damaged_text)) = damaged.split_last() else { return false };
    if free_text {
        return damaged_text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    }
    let class_kept = |a: &u8, b: &u8| a == b || (a.is_ascii_digit() && b.is_ascii_digit());
    sound.len() == damaged.len() && sound.iter().zip(damaged).all(|(a, b)| class_kept(a, b))
}

/// SplitMix64: reproducible noise.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
