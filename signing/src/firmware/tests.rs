//! The manifest's rules, and an intake against everything that can be wrong
//! with a payload.

use super::*;
use crate::{Envelope, Kind, Role, SecretKey, seal_firmware};
use alloc::vec;
use proptest::prelude::*;

fn part(len: usize, salt: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31) ^ salt ^ (at >> 12) as u8).collect()
}

fn manifest() -> FirmwareManifest {
    FirmwareManifest {
        format: 1,
        kind: "firmware".into(),
        product: "evenkeel".into(),
        boards: vec!["qemu-x86_64".into()],
        version: "1.2.3".into(),
        epoch: 3,
        built_unix_s: 1_800_000_000,
        source: "0123abcd".into(),
        security: false,
        schema: 2,
        readable_from: 1,
        notes: vec!["Something is better.".into()],
        parts: Vec::new(),
        total_length: 0,
    }
}

/// A bundle with parts of these lengths.
fn bundle(boot: usize, root: usize) -> Vec<u8> {
    let key = SecretKey::generate(Role::Firmware, "release").unwrap();
    let parts = [
        (FirmwareManifest::BOOT, part(boot, 1)),
        (FirmwareManifest::ROOT, part(root, 2)),
        (FirmwareManifest::HEADER, part(4096, 3)),
    ];
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    seal_firmware(manifest(), &parts, &[&key]).unwrap()
}

fn parsed(raw: &[u8]) -> (FirmwareManifest, usize) {
    let envelope = Envelope::read(raw).unwrap();
    assert_eq!(envelope.kind(), Kind::Firmware);
    let head = envelope.head_len();
    let manifest = FirmwareManifest::parse(envelope.unverified_manifest()).unwrap();
    (manifest, head)
}

/// Feed a file; what was let through, by part.
fn feed(raw: &[u8], manifest: &FirmwareManifest, head: usize) -> Result<Vec<Vec<u8>>, IntakeError> {
    let mut intake = Intake::new(manifest, head)?;
    let mut parts: Vec<Vec<u8>> = Vec::new();
    while let Some(piece) = intake.next() {
        let (from, len) = (piece.file_at as usize, piece.len);
        if piece.at == 0 {
            parts.push(Vec::new());
        }
        let end = raw.len().min(from + len + piece.padding);
        let bytes = &raw[from.min(end)..end];
        intake.take(bytes)?;
        parts.last_mut().unwrap().extend(&bytes[..len]);
    }
    match raw.len() as u64 - intake.progress().0 {
        0 => Ok(parts),
        extra => Err(IntakeError::TrailingBytes(extra)),
    }
}

#[test]
fn a_bundle_is_taken_in_piece_by_piece() {
    let (boot, root) = (300_001, (2 << 20) + 5);
    let raw = bundle(boot, root);
    let (manifest, head) = parsed(&raw);
    let parts = feed(&raw, &manifest, head).unwrap();
    assert_eq!(parts, [part(boot, 1), part(root, 2), part(4096, 3)]);
}

#[test]
fn every_block_that_is_altered_is_refused_before_it_is_written() {
    let raw = bundle(9_000, (1 << 20) + 9_000);
    let (manifest, head) = parsed(&raw);
    for at in (head..raw.len()).step_by(1_021) {
        let mut altered = raw.clone();
        altered[at] ^= 0x10;
        let error = feed(&altered, &manifest, head).unwrap_err();
        assert!(matches!(error, IntakeError::Hash { .. } | IntakeError::Padding { .. }), "{at}");
    }
}

#[test]
fn what_is_cut_off_or_longer_is_refused() {
    let raw = bundle(9_000, 9_000);
    let (manifest, head) = parsed(&raw);
    for len in (head..raw.len()).step_by(509) {
        let error = feed(&raw[..len], &manifest, head).unwrap_err();
        assert!(matches!(error, IntakeError::CutOff { .. }), "{len}: {error}");
    }
    let longer = [raw.as_slice(), b"x"].concat();
    assert_eq!(feed(&longer, &manifest, head), Err(IntakeError::TrailingBytes(1)));
    let stated = FirmwareManifest { total_length: raw.len() as u64 + 1, ..manifest };
    assert!(matches!(Intake::new(&stated, head), Err(IntakeError::Length { .. })));
}

#[test]
fn chunks_that_do_not_make_up_the_part_are_refused() {
    let raw = bundle(9_000, 9_000);
    let (mut manifest, head) = parsed(&raw);
    manifest.parts[0].sha256 = Digest::of(b"another");
    let error = feed(&raw, &manifest, head).unwrap_err();
    assert_eq!(error, IntakeError::Hash { part: "boot".into(), at: 0 });
}

#[test]
fn each_broken_field_is_named() {
    let (good, _) = parsed(&bundle(10, 10));
    good.check().unwrap();
    type Break = fn(&mut FirmwareManifest);
    let cases: [(&str, Break); 14] = [
        ("format", |m| m.format = 2),
        ("kind", |m| m.kind = "plugin".into()),
        ("product", |m| m.product = "Even Keel".into()),
        ("boards", |m| m.boards.clear()),
        ("boards", |m| m.boards[0] = "a/b".into()),
        ("version", |m| m.version = "1".into()),
        ("epoch", |m| m.epoch = 0),
        ("source", |m| m.source = "a\u{202e}b".into()),
        ("readable_from", |m| m.readable_from = 3),
        ("notes", |m| m.notes[0].clear()),
        ("parts", |m| m.parts.swap(1, 2)),
        ("parts", |m| drop(m.parts.remove(0))),
        ("parts.size", |m| m.parts[0].size = 0),
        ("parts.chunks", |m| m.parts[0].chunks.clear()),
    ];
    for (name, breaks) in cases {
        let mut manifest = good.clone();
        breaks(&mut manifest);
        match manifest.check() {
            Err(ManifestError::Field { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    let mut manifest = good;
    manifest.parts[0].name = "../boot".into();
    assert!(matches!(manifest.check(), Err(ManifestError::PartName { .. })));
}

proptest! {
    #[test]
    fn no_length_overflows(sizes in prop::collection::vec(any::<u64>(), 3), head: u16) {
        let (mut manifest, _) = parsed(&bundle(10, 10));
        for (part, size) in manifest.parts.iter_mut().zip(sizes) {
            part.size = size;
        }
        if manifest.check().is_ok() {
            let _ = Intake::new(&manifest, usize::from(head));
        }
    }
}
