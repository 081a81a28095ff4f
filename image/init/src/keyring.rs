//! The newest keyring that was accepted, where it is kept: on the partition of
//! the state record ([`ring`](evenkeel_signing::slot::ring)). One that is
//! damaged is as nothing: then the image's own counts.

use crate::log;
use evenkeel_signing::Trust;
use evenkeel_signing::slot::ring::{RING_PLACE_LEN, RING_PLACES, decode_ring, encode_ring};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What stands in each of the places, on the device `state`.
fn read(state: &Path) -> io::Result<[Option<Vec<u8>>; 2]> {
    let file = File::open(state)?;
    Ok(RING_PLACES.map(|at| {
        let mut place = vec![0; RING_PLACE_LEN];
        file.read_exact_at(&mut place, at).ok()?;
        decode_ring(&place).map(<[u8]>::to_vec)
    }))
}

/// Take the newest keyring that was kept into force, unless `trust` knows a
/// newer one; gives its bytes.
pub fn take(state: &Path, trust: &mut Trust) -> Option<Vec<u8>> {
    let kept = read(state).unwrap_or_else(|error| {
        log::say(&format!("kept keyrings cannot be read: {error}"));
        Default::default()
    });
    let mut taken = None;
    for raw in kept.into_iter().flatten() {
        // What was accepted once stays in force when it expires.
        if trust.accept_keyring(&raw, None).is_ok() {
            taken = Some(raw);
        }
    }
    taken
}

/// Keep the keyring `raw`, in both places when this returns: a loader may know no
/// other. While the one is written the other has `before`, which was
/// [taken](take) or kept last, or the new one.
///
/// # Errors
/// When it cannot be written, or reads differently.
pub fn keep(state: &Path, raw: &[u8], before: Option<&[u8]>) -> io::Result<()> {
    let [first, _] = read(state)?;
    for place in order(first.as_deref(), before) {
        write(state, place, raw)?;
    }
    Ok(())
}

/// Which place is written first, where `first` stands in the first: not the one
/// that may be the only one with `before`.
fn order(first: Option<&[u8]>, before: Option<&[u8]>) -> [usize; 2] {
    if before.is_some() && first == before { [1, 0] } else { [0, 1] }
}

/// Put it into one of the places; on the disk when this returns.
fn write(state: &Path, place: usize, raw: &[u8]) -> io::Result<()> {
    let bytes = encode_ring(raw).ok_or_else(|| io::Error::other("it is too long"))?;
    let file = OpenOptions::new().read(true).write(true).open(state)?;
    file.write_all_at(&bytes, RING_PLACES[place])?;
    file.sync_all()?;
    match read(state)?[place].as_deref() == Some(raw) {
        true => Ok(()),
        false => Err(io::Error::other("it was written and reads differently")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::{KeyringManifest, Role, Roots, SecretKey, seal_keyring};
    use std::path::PathBuf;

    struct Bench {
        dir: tempfile::TempDir,
        root: SecretKey,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("state"), vec![0; 1 << 20]).unwrap();
            Self { dir, root: SecretKey::generate(Role::Root, "root-1").unwrap() }
        }

        fn state(&self) -> PathBuf {
            self.dir.path().join("state")
        }

        fn trust(&self) -> Trust {
            Trust::new(Roots::new(vec![self.root.public()], 1).unwrap(), true).unwrap()
        }

        fn ring(&self, sequence: u32) -> Vec<u8> {
            let manifest = KeyringManifest::new(sequence, [1, 2], Vec::new());
            seal_keyring(&manifest, &[&self.root]).unwrap()
        }

        /// The number of what is kept.
        fn newest(&self) -> Option<u32> {
            let mut trust = self.trust();
            take(&self.state(), &mut trust)?;
            trust.keyring().map(|keyring| keyring.sequence)
        }
    }

    #[test]
    fn the_newest_counts_and_stands_twice() {
        let bench = Bench::new();
        assert_eq!(bench.newest(), None);
        let mut before: Option<Vec<u8>> = None;
        for sequence in 1..6 {
            let raw = bench.ring(sequence);
            keep(&bench.state(), &raw, before.as_deref()).unwrap();
            assert_eq!(bench.newest(), Some(sequence));
            assert_eq!(read(&bench.state()).unwrap(), [Some(raw.clone()), Some(raw.clone())]);
            before = Some(raw);
        }
    }

    #[test]
    fn a_cut_leaves_the_one_before_or_the_new_one() {
        let bench = Bench::new();
        let [one, two, three] = [1, 2, 3].map(|sequence| bench.ring(sequence));
        // What the places hold, what is in force, and what is after a cut in the
        // first and in the second write.
        for (places, before, after) in [
            ([&one, &one], &one, [1, 3]),
            ([&two, &one], &two, [2, 3]),
            ([&one, &two], &two, [2, 3]),
        ] {
            for (writes, left) in after.into_iter().enumerate() {
                for place in [0, 1] {
                    write(&bench.state(), place, places[place]).unwrap();
                }
                let order = order(Some(places[0]), Some(before));
                order[..writes].iter().for_each(|place| {
                    write(&bench.state(), *place, &three).unwrap();
                });
                let torn = File::options().write(true).open(bench.state()).unwrap();
                torn.write_all_at(&[0xff; 200], RING_PLACES[order[writes]] + 20).unwrap();
                assert_eq!(bench.newest(), Some(left), "{writes}");
            }
        }
    }

    #[test]
    fn damage_leaves_the_other_and_then_the_image_s_own() {
        let bench = Bench::new();
        keep(&bench.state(), &bench.ring(2), None).unwrap();
        let mut bytes = std::fs::read(bench.state()).unwrap();
        for (place, left) in [(1, Some(2)), (0, None)] {
            bytes[RING_PLACES[place] as usize + 100] ^= 1;
            std::fs::write(bench.state(), &bytes).unwrap();
            assert_eq!(bench.newest(), left);
        }
        // A disk that ends.
        bytes.truncate(RING_PLACES[0] as usize + 5);
        std::fs::write(bench.state(), &bytes).unwrap();
        assert_eq!(bench.newest(), None);
    }

    #[test]
    fn an_image_with_a_newer_one_goes_by_its_own() {
        let bench = Bench::new();
        keep(&bench.state(), &bench.ring(3), None).unwrap();
        let mut trust = bench.trust();
        trust.accept_keyring(&bench.ring(4), None).unwrap();
        assert_eq!(take(&bench.state(), &mut trust), None);
        assert_eq!(trust.keyring().map(|keyring| keyring.sequence), Some(4));
    }
}
