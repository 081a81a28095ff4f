//! Recording: what went over the line or the network becomes a case for the
//! conformance kit.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Driver;
use crate::testkit::{Bench, Case, Fault, Replay, shown, write_bytes};

/// Exchanges in the order of their first asking.
#[derive(Default)]
pub(super) struct Record {
    /// The way, where it is no serial line: `tcp meter`.
    over: Option<String>,
    exchanges: Vec<Exchange>,
    /// The exchange whose reply is being taken down.
    open: Option<usize>,
}

/// A request and its replies: what came first and, before that, silence. Values
/// that change between polls make no case.
type Exchange = (Vec<u8>, Vec<Option<Vec<u8>>>);

/// Most bytes of a request that count up or are drawn by lot.
const OPEN_MAX: usize = 4;

impl Record {
    /// The device is a peer, `tcp meter`.
    pub(super) fn over(&mut self, way: &str) {
        self.over = Some(way.to_owned());
    }

    /// A request and its reply; `None` is silence.
    pub(super) fn take(&mut self, request: &[u8], reply: Option<&[u8]>) {
        self.ask(request);
        if let Some(reply) = reply {
            self.hear(reply);
        }
    }

    /// A request: silence, as long as nothing is heard.
    pub(super) fn ask(&mut self, request: &[u8]) {
        self.open = None;
        if request.is_empty() {
            return;
        }
        let at =
            self.exchanges.iter().position(|(known, _)| known == request).unwrap_or_else(|| {
                self.exchanges.push((request.to_vec(), Vec::new()));
                self.exchanges.len() - 1
            });
        let replies = &mut self.exchanges[at].1;
        if !matches!(replies.last(), Some(Some(_))) {
            replies.push(None);
            self.open = Some(at);
        }
    }

    /// A part of the reply to the last request.
    pub(super) fn hear(&mut self, part: &[u8]) {
        let exchange = self.open.and_then(|at| self.exchanges.get_mut(at));
        if let Some(reply) = exchange.and_then(|(_, replies)| replies.last_mut()) {
            reply.get_or_insert_default().extend_from_slice(part);
        }
    }

    /// Write the case into `folder`; the points that it must give are those
    /// that the driver gives for the recording.
    pub(super) fn write<D: Driver<Bench>>(
        &self,
        folder: &Path,
        settings: &[(String, String)],
    ) -> Result<(), String> {
        let cannot = |e: std::io::Error| format!("cannot write {}: {e}", folder.display());
        fs::create_dir_all(folder).map_err(cannot)?;
        fs::write(folder.join("exchange.txt"), self.text(settings)).map_err(cannot)?;
        let points = folder.join("expected.points");
        fs::write(&points, "").map_err(cannot)?;
        let case = Case::load(folder).map_err(|error| error.to_string())?;
        let mut replay = Replay::<D>::start(&case, Fault::None)?;
        replay.poll(4);
        let mut text = String::new();
        for (name, value) in shown(&replay.bench) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name} = {value}");
        }
        fs::write(points, text).map_err(cannot)?;
        println!("recorded {} exchanges into {}", self.exchanges.len(), folder.display());
        Ok(())
    }

    pub(super) fn text(&self, settings: &[(String, String)]) -> String {
        let mut text = String::from("# Recorded; say here what unit this is.\n");
        if let Some(way) = &self.over {
            let _ = writeln!(text, "over {way}");
        }
        for (name, value) in settings {
            let _ = writeln!(text, "set {name} = {value}");
        }
        let (kept, open) = self.folded();
        for (request, replies) in kept {
            let _ = writeln!(text, "> {}", spelt(request, &open, request));
            for reply in replies {
                let spelt = |reply: &Vec<u8>| spelt(reply, &open, request);
                let reply = reply.as_ref().map_or("silence".to_owned(), spelt);
                let _ = writeln!(text, "< {reply}");
            }
        }
        text
    }

    /// Requests over the network often count up, and their replies with them:
    /// those that differ in such bytes alone are one, and the bytes are open.
    fn folded(&self) -> (Vec<&Exchange>, BTreeSet<usize>) {
        let (mut kept, mut open) = (Vec::<&Exchange>::new(), BTreeSet::new());
        if self.over.is_none() {
            return (self.exchanges.iter().collect(), open);
        }
        for exchange in &self.exchanges {
            let counted = kept.iter().find_map(|known| counted(known, exchange));
            match counted {
                Some(places) => open.extend(places),
                None => kept.push(exchange),
            }
        }
        (kept, open)
    }
}

/// The places in which two requests differ, when their replies have these bytes
/// in the same places.
fn counted(one: &Exchange, other: &Exchange) -> Option<Vec<usize>> {
    let differs = |at: &usize| one.0[*at] != other.0[*at];
    let is_long = one.0.len() == other.0.len();
    let places: Vec<_> =
        if is_long { (0..one.0.len()).filter(differs).collect() } else { return None };
    let is_counted = (1..=OPEN_MAX).contains(&places.len())
        && [one, other].iter().all(|exchange| has_places(exchange, &places));
    is_counted.then_some(places)
}

fn has_places((request, replies): &Exchange, places: &[usize]) -> bool {
    let mut heard = replies.iter().flatten().peekable();
    heard.peek().is_some()
        && heard.all(|reply| places.iter().all(|at| reply.get(*at) == request.get(*at)))
}

/// `bytes` of an exchange; those at `open` places that are the request's are open.
fn spelt(bytes: &[u8], open: &BTreeSet<usize>, request: &[u8]) -> String {
    if open.is_empty() {
        return write_bytes(bytes);
    }
    let byte = |(at, byte): (usize, &u8)| {
        let is_open = open.contains(&at) && request.get(at) == Some(byte);
        if is_open { "xx".to_owned() } else { format!("{byte:02x}") }
    };
    bytes.iter().enumerate().map(byte).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(record: &Record) -> Vec<String> {
        record.text(&[]).lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn what_came_first_is_kept_and_silence_before_it() {
        let mut record = Record::default();
        record.take(b"Q1\r", None);
        record.take(b"Q1\r", Some(b"(1\r"));
        record.take(b"Q1\r", Some(b"(2\r"));
        record.take(b"", None);
        record.take(b"\x01\xFF\x02", Some(b"\x00\x80\x90"));
        record.hear(b"\x91");
        // Heard before: nothing of this is taken down.
        record.take(b"Q1\r", Some(b"(3\r"));
        record.hear(b"more");
        let text = record.text(&[("quiet".into(), "true".into())]);
        let lines: Vec<_> = text.lines().skip(1).collect();
        let wanted = [
            "set quiet = true",
            "> \"Q1\\r\"",
            "< silence",
            "< \"(1\\r\"",
            "> 01 ff 02",
            "< 00 80 90 91",
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn what_counts_up_over_the_network_is_open() {
        let mut record = Record::default();
        record.over("tcp meter");
        // The identity once, the values twice, and something that gets no reply.
        record.take(&[0, 1, 9], Some(&[0, 1, 7, 7]));
        record.take(&[0, 2, 4], Some(&[0, 2, 5]));
        record.take(&[0, 3, 4], Some(&[0, 3, 6]));
        record.take(&[0, 4, 8], None);
        let wanted = [
            "over tcp meter",
            "> 00 xx 09",
            "< 00 xx 07 07",
            "> 00 xx 04",
            "< 00 xx 05",
            "> 00 xx 08",
            "< silence",
        ];
        assert_eq!(lines(&record), wanted);
        let mut serial = Record::default();
        serial.take(b"A1", Some(b"A1"));
        serial.take(b"A2", Some(b"A2"));
        assert_eq!(lines(&serial).len(), 4, "on a line nothing counts up");
    }
}
