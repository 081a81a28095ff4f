//! Recording: what went over the line becomes a case for the conformance kit.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Driver;
use crate::testkit::{Bench, Case, Fault, Replay, shown, write_bytes};

/// Exchanges in the order of their first asking.
#[derive(Default)]
pub(super) struct Record(Vec<Exchange>);

/// A request and its replies: what came first and, before that, silence. Values
/// that change between polls make no case.
type Exchange = (Vec<u8>, Vec<Option<Vec<u8>>>);

impl Record {
    /// A request and its reply; `None` is silence.
    pub(super) fn take(&mut self, request: &[u8], reply: Option<&[u8]>) {
        if request.is_empty() {
            return;
        }
        let at = self.0.iter().position(|(known, _)| known == request).unwrap_or_else(|| {
            self.0.push((request.to_vec(), Vec::new()));
            self.0.len() - 1
        });
        let replies = &mut self.0[at].1;
        if !matches!(replies.last(), Some(Some(_))) {
            replies.push(reply.map(<[u8]>::to_vec));
        }
    }

    /// A further part of the reply to the last request.
    pub(super) fn take_more(&mut self, part: &[u8]) {
        if let Some((_, replies)) = self.0.last_mut()
            && let Some(Some(reply)) = replies.last_mut()
        {
            reply.extend_from_slice(part);
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
        println!("recorded {} exchanges into {}", self.0.len(), folder.display());
        Ok(())
    }

    fn text(&self, settings: &[(String, String)]) -> String {
        let mut text = String::from("# Recorded; say here what unit this is.\n");
        for (name, value) in settings {
            let _ = writeln!(text, "set {name} = {value}");
        }
        for (request, replies) in &self.0 {
            let _ = writeln!(text, "> {}", write_bytes(request));
            for reply in replies {
                let reply = reply.as_ref().map_or("silence".to_owned(), |r| write_bytes(r));
                let _ = writeln!(text, "< {reply}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_first_is_kept_and_silence_before_it() {
        let mut record = Record::default();
        record.take(b"Q1\r", None);
        record.take(b"Q1\r", Some(b"(1\r"));
        record.take(b"Q1\r", Some(b"(2\r"));
        record.take(b"", None);
        record.take(b"\x01\xFF\x02", Some(b"\x00\x80\x90"));
        record.take_more(b"\x91");
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
}
