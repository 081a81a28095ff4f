//! What of a report descriptor matters to the host: whether reports bear a
//! number (USB HID 1.11 §6.2.2). Pure.

/// A long item, which nobody uses: its size is in the next byte.
const LONG: u8 = 0xFE;
/// Global item "report id", whatever its size.
const REPORT_ID: u8 = 0x84;

/// True when the reports of a device begin with their id. Any bytes are read;
/// those that are cut off say nothing more.
#[must_use]
pub fn numbers_reports(mut bytes: &[u8]) -> bool {
    while let [prefix, rest @ ..] = bytes {
        if prefix & 0xFC == REPORT_ID {
            return true;
        }
        let skipped = match (*prefix, rest.first()) {
            (LONG, Some(size)) => 2 + usize::from(*size),
            (LONG, None) => return false,
            (short, _) => [0, 1, 2, 4][usize::from(short & 3)],
        };
        bytes = rest.get(skipped..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_report_id_is_found_among_other_items() {
        // Usage page (power), usage (UPS), collection, report id 1.
        let ups = [0x05, 0x84, 0x09, 0x04, 0xA1, 0x01, 0x85, 0x01, 0xC0];
        assert!(numbers_reports(&ups));
        // The same without it: 0x84 and 0x85 as data are none.
        assert!(!numbers_reports(&[0x05, 0x84, 0x09, 0x85, 0xA1, 0x01, 0xC0]));
        assert!(!numbers_reports(&[0xFE, 0x02, 0x10, 0x85, 0x01]), "inside a long item");
        assert!(numbers_reports(&[0xFE, 0x02, 0x10, 0x00, 0x00, 0x85, 0x01]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes: Vec<u8>) {
            let _ = numbers_reports(&bytes);
        }
    }
}
