//! The hash tree over a root file system, as the kernel's dm-verity reads it
//! (facts/image-recipe.md §4): SHA-256 of salt and block for each 4 KiB of
//! data, 128 hashes to a block, level over level. Behind the data come one
//! superblock and the tree, top level first.

use evenkeel_signing::Digest;
use evenkeel_signing::slot::header::BLOCK;
use sha2::{Digest as _, Sha256};

const BLOCK_LEN: usize = BLOCK as usize;
const HASH_LEN: usize = 32;

/// A root file system with its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Data, padded to whole blocks, then superblock and tree.
    pub image: Vec<u8>,
    /// Data blocks.
    pub data_blocks: u64,
    /// Hash of the top block: it stands for every byte of the data.
    pub root: Digest,
}

/// Put the tree behind `data`, which is filled up with zeros to whole blocks.
/// `uuid` only names the tree for tools.
#[must_use]
pub fn plant(mut data: Vec<u8>, salt: [u8; 32], uuid: [u8; 16]) -> Tree {
    data.resize(data.len().next_multiple_of(BLOCK_LEN).max(BLOCK_LEN), 0);
    let data_blocks = (data.len() / BLOCK_LEN) as u64;
    let mut levels: Vec<Vec<u8>> = Vec::new();
    let root = loop {
        let below = levels.last().unwrap_or(&data);
        if below.len() == BLOCK_LEN {
            break hash(&salt, below);
        }
        let level = level(below, &salt);
        levels.push(level);
    };
    data.extend(superblock(data_blocks, &salt, uuid));
    for level in levels.iter().rev() {
        data.extend(level);
    }
    Tree { image: data, data_blocks, root: Digest(root) }
}

/// The hashes of all blocks of the level below, filled up to whole blocks.
fn level(below: &[u8], salt: &[u8; 32]) -> Vec<u8> {
    let mut hashes: Vec<u8> = below.chunks(BLOCK_LEN).flat_map(|block| hash(salt, block)).collect();
    hashes.resize(hashes.len().next_multiple_of(BLOCK_LEN), 0);
    hashes
}

fn hash(salt: &[u8; 32], block: &[u8]) -> [u8; HASH_LEN] {
    Sha256::new().chain_update(salt).chain_update(block).finalize().into()
}

/// The superblock of format 1, for tools; the kernel is told everything that
/// stands in it by the signed header.
fn superblock(data_blocks: u64, salt: &[u8; 32], uuid: [u8; 16]) -> [u8; BLOCK_LEN] {
    let mut block = [0; BLOCK_LEN];
    block[..8].copy_from_slice(b"verity\0\0");
    block[8..12].copy_from_slice(&1u32.to_le_bytes());
    block[12..16].copy_from_slice(&1u32.to_le_bytes());
    block[16..32].copy_from_slice(&uuid);
    block[32..38].copy_from_slice(b"sha256");
    block[64..68].copy_from_slice(&(BLOCK as u32).to_le_bytes());
    block[68..72].copy_from_slice(&(BLOCK as u32).to_le_bytes());
    block[72..80].copy_from_slice(&data_blocks.to_le_bytes());
    block[80..82].copy_from_slice(&(salt.len() as u16).to_le_bytes());
    block[88..88 + salt.len()].copy_from_slice(salt);
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn data(blocks: usize) -> Vec<u8> {
        (0..blocks * BLOCK_LEN - 7).map(|at| (at / 5) as u8 ^ (at >> 13) as u8).collect()
    }

    /// cryptsetup's tool must find the same root, and the tree in its place.
    #[test]
    fn veritysetup_agrees() {
        let dir = tempfile::tempdir().unwrap();
        for blocks in [1, 2, 128, 129, 300, 128 * 128 + 1] {
            let tree = plant(data(blocks), [0x5a; 32], [7; 16]);
            assert_eq!(tree.data_blocks, blocks as u64);
            let file = dir.path().join("root");
            std::fs::write(&file, &tree.image).unwrap();
            let offset = (blocks * BLOCK_LEN).to_string();
            let verify = Command::new("/sbin/veritysetup")
                .args(["verify", "--hash-offset", &offset])
                .args([&file, &file])
                .arg(tree.root.to_string())
                .output()
                .expect("veritysetup is installed (cryptsetup-bin)");
            assert!(verify.status.success(), "{blocks}: {verify:?}");
        }
    }

    #[test]
    fn every_byte_counts() {
        let tree = plant(data(130), [1; 32], [0; 16]);
        for at in (0..130 * BLOCK_LEN).step_by(9_973) {
            let mut altered = data(130);
            altered.resize(130 * BLOCK_LEN, 0);
            altered[at] ^= 1;
            assert_ne!(plant(altered, [1; 32], [0; 16]).root, tree.root, "{at}");
        }
        assert_ne!(plant(data(130), [2; 32], [0; 16]).root, tree.root, "the salt counts");
    }
}
