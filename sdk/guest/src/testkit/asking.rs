//! What any plugin owes that asks a peer, whatever it asks for: an
//! authenticator, a notifier.

use std::fmt::Debug;

use super::bench::Bench;
use super::fault::{At, Damage, Fault};
use crate::host::Transport;

/// Let a plugin ask the peer `endpoint` of `bench` while that fails in every
/// way. `ask` does all that is done for one answer, with sound answers always
/// with the same outcome. What it owes:
///
/// * nobody listens, and, where the peer answers at all, it is silent or closes
///   at once: an error that names the peer's address
/// * an answer that is cut, or ends early: an error, or the same outcome, and
///   never another one
/// * an answer that comes late: the same
/// * an answer in pieces: the same outcome
/// * `is_sealed`: nothing in an answer can be changed unseen, and so any damage
///   to it gives an error or the same outcome; otherwise it must not panic
///
/// and the same outcome as before as soon as the peer is sound again.
///
/// # Panics
/// When the plugin does not behave; the message names the fault.
pub fn asks_a_failing_peer<T: PartialEq + Debug>(
    bench: &mut Bench,
    endpoint: &str,
    is_sealed: bool,
    mut ask: impl FnMut(&mut Bench) -> Result<T, String>,
) {
    let peer = bench.peers.get(endpoint).cloned();
    let peer = peer.unwrap_or_else(|| panic!("the bench has no peer {endpoint:?}"));
    let sound = ask(bench).unwrap_or_else(|text| panic!("a sound peer: {text}"));
    let (address, is_stream) = {
        let peer = peer.borrow();
        (peer.address(), peer.transport != Transport::Udp)
    };
    let len = peer.borrow().said.iter().map(Vec::len).max();
    let mut under = |fault: &Fault| {
        peer.borrow_mut().fault = fault.clone();
        let outcome = ask(bench);
        peer.borrow_mut().fault = Fault::None;
        // What came late may be heard now; it must not be taken for an answer.
        let after = [ask(bench), ask(bench)];
        let is_back =
            after.iter().all(|after| after.as_ref().map_or(true, |after| *after == sound));
        assert!(is_back && after[1].is_ok(), "after {fault}: {after:?}");
        outcome
    };
    let at_once = Fault::Closed(At::Every, 0);
    let mute = [Fault::Silent, at_once]
        .into_iter()
        .filter(|fault| len.is_some() && (is_stream || *fault == Fault::Silent));
    for fault in [Fault::Refused].into_iter().chain(mute) {
        match under(&fault) {
            Ok(outcome) => panic!("{outcome:?} out of {fault}"),
            Err(text) => assert!(text.contains(&address), "{fault} does not name it: {text:?}"),
        }
    }
    if is_stream {
        assert_eq!(under(&Fault::Pieces).as_ref(), Ok(&sound), "answers in pieces");
    }
    let Some(len) = len else { return };
    let ends = (0..if is_stream { len } else { 0 }).map(|after| Fault::Closed(At::Every, after));
    let damages = Damage::all(len).map(|damage| Fault::Damaged(At::Every, damage));
    for fault in [Fault::Late].into_iter().chain(ends).chain(damages) {
        let outcome = under(&fault);
        let is_seen =
            is_sealed || !matches!(&fault, Fault::Damaged(_, d) if !matches!(d, Damage::Cut(_)));
        let is_same = outcome.as_ref().map_or(true, |outcome| *outcome == sound);
        assert!(!is_seen || is_same, "{outcome:?} under {fault}, wanted an error or {sound:?}");
    }
}
