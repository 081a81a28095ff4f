//! The disk with the slots: partitions by their names in the table, which the
//! firmware has read, through its block devices.
//!
//! A second disk with partitions of these names is refused rather than chosen
//! from: nobody could say which of the two state records counts.

use crate::Unusable;
use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use uefi::boot::{
    OpenProtocolAttributes, OpenProtocolParams, ScopedProtocol, SearchType, connect_controller,
    find_handles, image_handle, locate_handle_buffer, open_protocol, open_protocol_exclusive,
};
use uefi::proto::device_path::{DevicePath, DeviceType};
use uefi::proto::media::block::BlockIO;
use uefi::proto::media::partition::PartitionInfo;
use uefi::{Char16, Handle};

/// Bytes in a block, as the layout of the disk has it.
pub const BLOCK: usize = 512;
/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;
/// The most that a device may ask of the place of a buffer.
const ALIGN_MAX: usize = 4096;
/// As the state record's partition and those of the slots are called.
const NAMES: [&str; 3] = ["state", "boot_a", "boot_b"];

/// The partitions that a loader needs.
pub struct Disk {
    /// With both copies of the state record.
    pub state: Partition,
    /// With the boot images of slot A and B.
    pub boot: [Partition; 2],
}

impl Disk {
    /// The one disk that has them all.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub fn find() -> Result<Self, String> {
        let mut found = named();
        if found.iter().any(Vec::is_empty) {
            connect();
            found = named();
        }
        for (name, found) in NAMES.iter().zip(&found) {
            if found.len() > 1 {
                return Err(alloc::format!(
                    "{} partitions are called {name}; take the disk away that does not belong here",
                    found.len()
                ));
            }
        }
        let [Some(state), Some(a), Some(b)] = found.map(|mut found| found.pop()) else {
            return Err("no disk has the partitions state, boot_a and boot_b".to_owned());
        };
        if state.0 != a.0 || state.0 != b.0 {
            return Err("state, boot_a and boot_b are not on one disk".to_owned());
        }
        let open = |(_, handle)| Partition::open(handle).ok_or("the disk cannot be used");
        Ok(Self { state: open(state)?, boot: [open(a)?, open(b)?] })
    }
}

/// The partitions of each of [`NAMES`], each with the path to its disk.
fn named() -> [Vec<(Vec<u8>, Handle)>; 3] {
    let mut found: [Vec<(Vec<u8>, Handle)>; 3] = Default::default();
    for handle in find_handles::<PartitionInfo>().unwrap_or_default() {
        let known = name(handle).and_then(|name| NAMES.iter().position(|known| *known == name));
        if let (Some(at), Some(disk)) = (known, disk_of(handle)) {
            found[at].push((disk, handle));
        }
    }
    found
}

/// Have the firmware look after every device: one in a hurry has looked for
/// nothing but what it starts from.
fn connect() {
    let Ok(handles) = locate_handle_buffer(SearchType::AllHandles) else { return };
    for handle in handles.iter() {
        // Most are no devices, and have no driver.
        let _ = connect_controller(*handle, &[], None, true);
    }
}

/// The name of a partition, if it stands in a GUID partition table.
fn name(handle: Handle) -> Option<String> {
    let info = open_protocol_exclusive::<PartitionInfo>(handle).ok()?;
    // Copied out: the firmware's record is packed.
    let units: [Char16; 36] = { info.gpt_partition_entry()?.partition_name };
    let units = units.into_iter().map(u16::from).take_while(|unit| *unit != 0);
    char::decode_utf16(units).collect::<Result<_, _>>().ok()
}

/// The path to the disk of a partition: the partition's own without its last
/// step.
#[expect(unsafe_code, reason = "the path is shared with the drivers on it")]
fn disk_of(handle: Handle) -> Option<Vec<u8>> {
    let params = OpenProtocolParams { handle, agent: image_handle(), controller: None };
    // SAFETY: a path is looked at while drivers keep using it, which exclusive
    // access would take from them. It stays: nothing connects, disconnects or
    // removes a device while this function runs, since the firmware has one
    // processor and calls nobody in between, and the path is let go at its end.
    let path =
        unsafe { open_protocol::<DevicePath>(params, OpenProtocolAttributes::GetProtocol) }.ok()?;
    let mut disk = Vec::new();
    for node in path.node_iter().filter(|node| node.device_type() != DeviceType::MEDIA) {
        let (kind, sub_type) = node.full_type();
        disk.extend([kind.0, sub_type.0]);
        disk.extend(node.length().to_le_bytes());
        disk.extend_from_slice(node.data());
    }
    Some(disk)
}

/// A partition.
pub struct Partition {
    device: ScopedProtocol<BlockIO>,
    /// With room to begin where the device wants it.
    buffer: Vec<u8>,
}

impl Partition {
    fn open(handle: Handle) -> Option<Self> {
        let device = open_protocol_exclusive::<BlockIO>(handle).ok()?;
        let media = device.media();
        let fits = media.block_size() as usize == BLOCK && media.io_align() as usize <= ALIGN_MAX;
        fits.then(|| Self { device, buffer: vec![0; CHUNK + ALIGN_MAX] })
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        let blocks = self.device.media().last_block().checked_add(1);
        blocks.and_then(|blocks| blocks.checked_mul(BLOCK as u64)).unwrap_or(0)
    }

    /// Read from `at`, which is a block's beginning.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), Unusable> {
        let mut block = first_block(at)?;
        let media = self.device.media().media_id();
        let begin = self.buffer.as_ptr().align_offset(ALIGN_MAX);
        for part in bytes.chunks_mut(CHUNK) {
            let blocks = part.len().div_ceil(BLOCK);
            let buffer = &mut self.buffer[begin..begin + blocks * BLOCK];
            self.device.read_blocks(media, block, buffer).map_err(|_| Unusable)?;
            part.copy_from_slice(&buffer[..part.len()]);
            block += blocks as u64;
        }
        Ok(())
    }

    /// Write whole blocks at `at`; they are on the disk when this returns.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn write(&mut self, at: u64, bytes: &[u8; BLOCK]) -> Result<(), Unusable> {
        let block = first_block(at)?;
        let media = self.device.media().media_id();
        let begin = self.buffer.as_ptr().align_offset(ALIGN_MAX);
        let buffer = &mut self.buffer[begin..begin + BLOCK];
        buffer.copy_from_slice(bytes);
        self.device.write_blocks(media, block, buffer).map_err(|_| Unusable)?;
        self.device.flush_blocks().map_err(|_| Unusable)
    }
}

fn first_block(at: u64) -> Result<u64, Unusable> {
    if at.is_multiple_of(BLOCK as u64) { Ok(at / BLOCK as u64) } else { Err(Unusable) }
}
