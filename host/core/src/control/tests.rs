//! The whole of [`Control`] against masters that are fed by hand.

use super::*;
use crate::image::{Publisher, Reader, Snapshot, WORDS};
use core::sync::atomic::AtomicU32;

const BODY: &str = "[[bus]]\nport = \"/dev/null\"\n\
    [[battery]]\nname = \"b\"\nchemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n\
    [[string]]\nname = \"B\"\nmodule = \"C20\"\nbattery = \"b\"\nfirst_address = 10\nblocks = 2\n\
    [[string]]\nname = \"A\"\nmodule = \"C20\"\nbattery = \"b\"\nfirst_address = 1\nblocks = 3\n";

#[test]
fn what_is_published_is_a_snapshot() {
    let settings = GuardSettings::parse(BODY).expect("valid");
    let control = Control::new(&settings, &Kept::default());
    let image: Vec<AtomicU32> = (0..WORDS).map(|_| AtomicU32::new(0)).collect();
    Publisher::default().publish(&image, &control.published()).expect("fits");
    let read: Snapshot = Reader::default().read(&image).expect("an image");
    assert_eq!(read.strings.len(), 2);
    assert_eq!(read.blocks_of(0)[1].address, 11);
    assert_eq!(read.blocks_of(1)[2].address, 3);
    assert_eq!(read.buses.len(), 1);
}
