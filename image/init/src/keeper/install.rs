//! Takes a firmware bundle into the other slot: the head is judged first, each
//! piece before it is written, the whole again as it stands on the disk, and
//! the slot's header is written last (facts/firmware-trust.md §5).
//!
//! What was taken stays taken when the connection breaks; the rest can follow
//! on another one, as long as the appliance runs.

use crate::trust::Identity;
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::talk::Progress;
use evenkeel_signing::slot::{Header, HeaderError};
use evenkeel_signing::{
    BundleError, Device, Digest, Envelope, FirmwareManifest, Intake, IntakeError, Refusal,
};
use rustix::fs::{Advice, fadvise};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;

/// Bytes that are read back at once.
const READ: usize = 1 << 20;
/// What is taken in is on the disk after so many bytes, and at the end of each
/// part: a power cut takes no more.
const FLUSH: u64 = 4 << 20;

/// Where the parts of a slot lie.
#[derive(Debug)]
pub struct Places {
    /// Boot image, and the header in the last 4 KiB.
    pub boot: File,
    /// Root and its hash tree.
    pub root: File,
}

/// Why a bundle is not taken.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The head is none.
    #[error("this is no firmware bundle: {0}")]
    Bundle(#[from] BundleError),
    /// Not trusted, or not for this device.
    #[error("{0}")]
    Refused(String),
    /// A piece is wrong.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The connection ended or the disk failed.
    #[error("{0}")]
    Io(&'static str, #[source] io::Error),
    /// Another length than the head says.
    #[error("the file has {given} bytes and its head states {stated}; download it again")]
    Length {
        /// As it was announced.
        given: u64,
        /// As it is signed.
        stated: u64,
    },
    /// Too large for a slot.
    #[error("the part {part:?} has {size} bytes and the slot has room for {room}")]
    Room {
        /// Which part.
        part: String,
        /// Its size.
        size: u64,
        /// Room for it.
        room: u64,
    },
    /// The disk forgets.
    #[error("the part {0:?} was written and reads differently; the flash may be worn out")]
    NotKept(String),
    /// The header inside is not trusted.
    #[error("the slot's header in the bundle is refused: {0}")]
    Header(#[from] HeaderError),
    /// Header and manifest disagree.
    #[error("the slot's header and the bundle's manifest do not agree about the {0}")]
    Disagree(&'static str),
}

/// An installation under way.
#[derive(Debug)]
pub struct Install {
    manifest: FirmwareManifest,
    intake: Intake,
    header: Vec<u8>,
}

impl Install {
    /// Judge the head of a bundle of `length` bytes.
    ///
    /// # Errors
    /// [`InstallError`]; nothing was written.
    pub fn begin(
        head: &[u8],
        length: u64,
        identity: &Identity,
        device: &Device<'_>,
        places: &Places,
    ) -> Result<Self, InstallError> {
        let (manifest, head_len) = identity
            .trust
            .firmware(head, device)
            .map_err(|refusal| InstallError::Refused(told(&refusal)))?;
        if manifest.total_length != length {
            return Err(InstallError::Length { given: length, stated: manifest.total_length });
        }
        for part in &manifest.parts {
            let room = match part.name.as_str() {
                FirmwareManifest::BOOT => len(&places.boot)?.saturating_sub(HEADER_LEN as u64),
                FirmwareManifest::ROOT => len(&places.root)?,
                _ => part.size,
            };
            if part.size > room {
                let (part, size) = (part.name.clone(), part.size);
                return Err(InstallError::Room { part, size, room });
            }
        }
        let intake = Intake::new(&manifest, head_len)?;
        Ok(Self { manifest, intake, header: Vec::new() })
    }

    /// Pass over the pieces that are in the slot already, from an installation
    /// that a restart cut off: each is known by its hash.
    ///
    /// # Errors
    /// [`InstallError`] when the slot cannot be read, or no piece can follow.
    pub fn find(&mut self, places: &Places) -> Result<(), InstallError> {
        while let Some(piece) = self.intake.next() {
            let place = match piece.part {
                FirmwareManifest::BOOT => &places.boot,
                FirmwareManifest::ROOT => &places.root,
                // Not on the disk before everything is in.
                _ => break,
            };
            let mut bytes = vec![0; piece.len];
            place
                .read_exact_at(&mut bytes, piece.at)
                .map_err(|e| disk("the slot cannot be read", e))?;
            bytes.resize(piece.len + piece.padding, 0);
            match self.intake.take(&bytes) {
                Ok(()) => {}
                Err(IntakeError::Hash { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (taken, total) = self.intake.progress();
        Progress { version: self.manifest.version.clone(), taken, total }
    }

    /// Take one piece of `input` and write it; false when the last is in.
    ///
    /// # Errors
    /// [`InstallError`]; an [`InstallError::Io`] of the connection can be gone
    /// on from.
    pub fn piece(&mut self, input: &mut impl Read, places: &Places) -> Result<bool, InstallError> {
        let Some(piece) = self.intake.next() else { return Ok(false) };
        let (part, at, len) = (piece.part.to_owned(), piece.at, piece.len);
        let mut bytes = vec![0; len + piece.padding];
        input
            .read_exact(&mut bytes)
            .map_err(|e| InstallError::Io("the connection ended early; send the rest", e))?;
        self.intake.take(&bytes)?;
        // Each part is a device of its own: flushing the next would leave the end
        // of this one behind, and nothing goes on behind a piece that is missing.
        let ends = self.intake.next().is_none_or(|next| next.part != part);
        let place = match part.as_str() {
            FirmwareManifest::BOOT => Some(&places.boot),
            FirmwareManifest::ROOT => Some(&places.root),
            FirmwareManifest::HEADER => {
                self.header = bytes[..len].to_vec();
                None
            }
            // The bill of materials is for people who read the bundle.
            _ => None,
        };
        if let Some(place) = place {
            place
                .write_all_at(&bytes[..len], at)
                .and_then(|()| match ends || at.is_multiple_of(FLUSH) {
                    true => place.sync_data(),
                    false => Ok(()),
                })
                .map_err(|e| disk("the slot is not written", e))?;
        }
        Ok(true)
    }

    /// Everything is in: flush, read back, judge the header, write it. Gives
    /// the header and its bytes.
    ///
    /// # Errors
    /// [`InstallError`]; the slot holds nothing that may start.
    pub fn finish(
        &self,
        identity: &Identity,
        places: &Places,
    ) -> Result<(Header, [u8; HEADER_LEN]), InstallError> {
        for (name, place) in
            [(FirmwareManifest::BOOT, &places.boot), (FirmwareManifest::ROOT, &places.root)]
        {
            place.sync_all().map_err(|e| disk("the slot is not flushed", e))?;
            for part in self.manifest.parts.iter().filter(|part| part.name == name) {
                if read_back(place, part.size)? != part.sha256 {
                    return Err(InstallError::NotKept(name.to_owned()));
                }
            }
        }
        let bytes: [u8; HEADER_LEN] =
            self.header.as_slice().try_into().map_err(|_| InstallError::Disagree("header"))?;
        let header = Header::verify(&bytes, identity.trust.trusted())?;
        self.compare(&header, identity)?;
        write_header(&places.boot, &bytes)?;
        Ok((header, bytes))
    }

    /// The header is what the first stage judges by: it must say what the
    /// manifest said.
    fn compare(&self, header: &Header, identity: &Identity) -> Result<(), InstallError> {
        let manifest = &self.manifest;
        let boot = manifest.parts.iter().find(|part| part.name == FirmwareManifest::BOOT);
        let boot = boot.map(|part| (part.sha256, part.size));
        for (what, agree) in [
            ("product", header.product == manifest.product),
            ("board", header.board == identity.board),
            ("version", header.version == manifest.version),
            ("epoch", header.epoch == manifest.epoch),
            ("schema", header.schema == manifest.schema),
            ("schema", header.readable_from == manifest.readable_from),
            ("boot image", boot == Some((header.boot, header.boot_len))),
        ] {
            if !agree {
                return Err(InstallError::Disagree(what));
            }
        }
        Ok(())
    }
}

/// Write the header of a slot; zeros take away what was there.
///
/// # Errors
/// [`InstallError::Io`].
pub fn write_header(boot: &File, bytes: &[u8; HEADER_LEN]) -> Result<(), InstallError> {
    let at = len(boot)?.saturating_sub(HEADER_LEN as u64);
    boot.write_all_at(bytes, at)
        .and_then(|()| boot.sync_all())
        .map_err(|e| disk("the slot's header is not written", e))
}

/// The header of a slot as it stands.
///
/// # Errors
/// What the system says.
pub fn read_header(boot: &File) -> io::Result<[u8; HEADER_LEN]> {
    let mut boot = boot;
    let len = boot.seek(SeekFrom::End(0))?;
    let at = len.checked_sub(HEADER_LEN as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut bytes = [0; HEADER_LEN];
    boot.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// Everything in front of the payload, which is as long as its beginning says.
///
/// # Errors
/// [`InstallError`] when it ends early or is the beginning of something else.
pub fn read_head(input: &mut impl Read) -> Result<Vec<u8>, InstallError> {
    let mut head = Vec::new();
    let mut wanted = 1;
    loop {
        let from = head.len();
        head.resize(wanted, 0);
        input
            .read_exact(&mut head[from..])
            .map_err(|e| InstallError::Io("the file ends within its head", e))?;
        match Envelope::read(&head) {
            Err(BundleError::Truncated { needed, .. })
                if (wanted + 1..=Envelope::HEAD_LEN_MAX).contains(&needed) =>
            {
                wanted = needed;
            }
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(head),
        }
    }
}

/// The hash of the first `size` bytes, from the disk and not from memory.
fn read_back(place: &File, size: u64) -> Result<Digest, InstallError> {
    let failed = |e| disk("the slot cannot be read back", e);
    fadvise(place, 0, None, Advice::DontNeed).map_err(|e| failed(e.into()))?;
    let (mut hash, mut at) = (Sha256::new(), 0);
    let mut bytes = vec![0; READ];
    while at < size {
        let len = (size - at).min(READ as u64) as usize;
        place.read_exact_at(&mut bytes[..len], at).map_err(failed)?;
        hash.update(&bytes[..len]);
        at += len as u64;
    }
    Ok(Digest(hash.finalize().into()))
}

/// Length of a device or file.
fn len(mut file: &File) -> Result<u64, InstallError> {
    file.seek(SeekFrom::End(0)).map_err(|e| disk("the slot cannot be measured", e))
}

const fn disk(what: &'static str, error: io::Error) -> InstallError {
    InstallError::Io(what, error)
}

/// A refusal and its reason in one line.
fn told(refusal: &Refusal) -> String {
    crate::log::chain(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::{Role, Roots, SecretKey, Trust, seal_firmware};

    const BOOT: &[u8] = &[7; 9_000];

    struct Bench {
        dir: tempfile::TempDir,
        key: SecretKey,
        identity: Identity,
        root: Vec<u8>,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let key = SecretKey::generate(Role::Firmware, "development").unwrap();
            let mut trust = Trust::new(Roots::none(), false).unwrap();
            trust.add_development_key(key.public()).unwrap();
            let identity = Identity { product: "evenkeel".into(), board: "test".into(), trust };
            for (name, len) in [("boot", 64 << 10), ("root", 4 << 20)] {
                File::create(dir.path().join(name)).unwrap().set_len(len).unwrap();
            }
            let root = (0..(2 << 20) + 77u32).map(|at| (at >> 9) as u8 | 1).collect();
            Self { dir, key, identity, root }
        }

        fn places(&self) -> Places {
            let open = |name| {
                File::options().read(true).write(true).open(self.dir.path().join(name)).unwrap()
            };
            Places { boot: open("boot"), root: open("root") }
        }

        fn bundle(&self, change: impl FnOnce(&mut Header)) -> Vec<u8> {
            let mut header = Header {
                epoch: 1,
                development: true,
                product: "evenkeel".into(),
                board: "test".into(),
                version: "0.2.0".into(),
                boot: Digest::of(BOOT),
                boot_len: BOOT.len() as u64,
                root: Digest([2; 32]),
                salt: [3; 32],
                data_blocks: 500,
                schema: 1,
                readable_from: 1,
            };
            change(&mut header);
            let header = header.seal(&self.key).unwrap();
            let manifest = FirmwareManifest {
                format: FirmwareManifest::FORMAT,
                kind: FirmwareManifest::KIND.into(),
                product: "evenkeel".into(),
                boards: vec!["test".into()],
                version: "0.2.0".into(),
                epoch: 1,
                built_unix_s: 0,
                source: "test".into(),
                security: false,
                schema: 1,
                readable_from: 1,
                notes: Vec::new(),
                parts: Vec::new(),
                total_length: 0,
            };
            let parts = [("boot", BOOT), ("root", &self.root), ("header", &header[..])];
            seal_firmware(manifest, &parts, &[&self.key]).unwrap()
        }

        fn begin(&self, mut raw: &[u8]) -> Result<Install, InstallError> {
            let device =
                Device { product: "evenkeel", board: "test", floor: 1, running: 1, schema: 1 };
            let length = raw.len() as u64;
            Install::begin(&read_head(&mut raw)?, length, &self.identity, &device, &self.places())
        }
    }

    /// Feed what `raw` has behind the place where `install` is.
    fn feed(install: &mut Install, raw: &[u8], places: &Places) -> Result<(), InstallError> {
        let mut rest = &raw[install.progress().taken as usize..];
        while install.piece(&mut rest, places)? {}
        Ok(())
    }

    #[test]
    fn a_bundle_ends_up_in_the_slot_header_last() {
        let bench = Bench::new();
        let (raw, places) = (bench.bundle(|_| {}), bench.places());
        let mut install = bench.begin(&raw).unwrap();
        feed(&mut install, &raw, &places).unwrap();
        assert_eq!(read_header(&places.boot).unwrap(), [0; HEADER_LEN], "not yet");
        let (header, bytes) = install.finish(&bench.identity, &places).unwrap();
        assert_eq!(header.version, "0.2.0");
        assert_eq!(read_header(&places.boot).unwrap(), bytes);
        let root = std::fs::read(bench.dir.path().join("root")).unwrap();
        assert!(root.starts_with(&bench.root));
    }

    #[test]
    fn a_connection_that_breaks_is_gone_on_from() {
        let bench = Bench::new();
        let (raw, places) = (bench.bundle(|_| {}), bench.places());
        let mut install = bench.begin(&raw).unwrap();
        for end in [raw.len() / 3, raw.len() / 2, raw.len() - 1] {
            let broken = feed(&mut install, &raw[..end], &places);
            assert!(matches!(broken, Err(InstallError::Io(..))), "{broken:?}");
            assert!(install.progress().taken as usize <= end);
        }
        feed(&mut install, &raw, &places).unwrap();
        install.finish(&bench.identity, &places).unwrap();
    }

    #[test]
    fn after_a_restart_what_is_in_the_slot_is_found_again() {
        let bench = Bench::new();
        let (raw, places) = (bench.bundle(|_| {}), bench.places());
        let mut first = bench.begin(&raw).unwrap();
        let begun = first.progress().taken;
        assert!(feed(&mut first, &raw[..raw.len() - 5_000], &places).is_err(), "cut off");
        let taken = first.progress().taken;
        assert!(taken > begun + (1 << 20));
        // Nothing of it is left but the slot.
        let mut second = bench.begin(&raw).unwrap();
        second.find(&places).unwrap();
        assert_eq!(second.progress().taken, taken);
        // A piece that the power cut tore is taken in once more.
        places.root.write_all_at(&[0xff; 512], (1 << 20) + 512).unwrap();
        let mut third = bench.begin(&raw).unwrap();
        third.find(&places).unwrap();
        assert_eq!(third.progress().taken, begun + 12_288 + (1 << 20));
        feed(&mut third, &raw, &places).unwrap();
        third.finish(&bench.identity, &places).unwrap();
    }

    #[test]
    fn what_is_altered_is_not_written() {
        let bench = Bench::new();
        let (mut raw, places) = (bench.bundle(|_| {}), bench.places());
        let mut install = bench.begin(&raw).unwrap();
        let at = install.progress().taken as usize + 12_288 + (1 << 20) + 5;
        raw[at] ^= 1;
        let refused = feed(&mut install, &raw, &places);
        assert!(matches!(refused, Err(InstallError::Intake(IntakeError::Hash { .. }))));
        let root = std::fs::read(bench.dir.path().join("root")).unwrap();
        assert!(root[1 << 20..].iter().all(|byte| *byte == 0), "the second piece is not there");
    }

    #[test]
    fn a_head_that_is_cut_off_altered_or_of_a_stranger_is_refused() {
        let bench = Bench::new();
        let raw = bench.bundle(|_| {});
        assert!(matches!(bench.begin(&raw[..100]), Err(InstallError::Io(..))));
        assert!(matches!(bench.begin(b"PK\x03\x04"), Err(InstallError::Bundle(_))));
        let mut altered = raw.clone();
        altered[200] ^= 1;
        assert!(matches!(bench.begin(&altered), Err(InstallError::Refused(_))));
        let foreign = Bench::new().bundle(|_| {});
        assert!(matches!(bench.begin(&foreign), Err(InstallError::Refused(_))));
        let longer = [&raw[..], b"x"].concat();
        assert!(matches!(bench.begin(&longer), Err(InstallError::Length { .. })));
    }

    #[test]
    fn header_and_manifest_must_agree() {
        type Change = fn(&mut Header);
        let cases: [(&str, Change); 4] = [
            ("version", |h| h.version = "9.0.0".into()),
            ("epoch", |h| h.epoch = 9),
            ("boot image", |h| h.boot = Digest([9; 32])),
            ("board", |h| h.board = "other".into()),
        ];
        for (what, change) in cases {
            let bench = Bench::new();
            let (raw, places) = (bench.bundle(change), bench.places());
            let mut install = bench.begin(&raw).unwrap();
            feed(&mut install, &raw, &places).unwrap();
            let refused = install.finish(&bench.identity, &places);
            assert!(matches!(refused, Err(InstallError::Disagree(w)) if w == what), "{what}");
            assert_eq!(read_header(&places.boot).unwrap(), [0; HEADER_LEN]);
        }
    }
}
