//! Starts a kernel as the firmware does with a program of its own: it judges
//! the kernel's signature, puts it into memory and enters it. Linux takes its
//! command line from the load options, and the archive with the first stage
//! from a device that stands for nothing else (`Documentation/admin-guide/efi-stub`
//! and `LINUX_EFI_INITRD_MEDIA_GUID` of its sources).

use alloc::boxed::Box;
use core::convert::Infallible;
use core::ffi::c_void;
use evenkeel_signing::slot::Reason;
use uefi::boot::{
    LoadImageSource, image_handle, install_protocol_interface, load_image, open_protocol_exclusive,
    start_image, uninstall_protocol_interface, unload_image,
};
use uefi::proto::loaded_image::LoadedImage;
use uefi::{CString16, Guid, Handle, Status, guid, println};
use uefi_raw::Boolean;
use uefi_raw::protocol::device_path::DevicePathProtocol;
use uefi_raw::protocol::media::LoadFile2Protocol;

/// Start it; comes back only when that failed.
///
/// # Errors
/// Why it came back.
pub fn start(kernel: &[u8], archive: &[u8], line: &str) -> Result<Infallible, Reason> {
    let source = LoadImageSource::FromBuffer { buffer: kernel, file_path: None };
    let image = load_image(image_handle(), source).map_err(|error| {
        println!("loader: the firmware refuses the kernel: {}", error.status());
        match error.status() {
            Status::ACCESS_DENIED | Status::SECURITY_VIOLATION => Reason::Signature,
            _ => Reason::BootImage,
        }
    })?;
    let came_back = enter(image, archive, line).err().unwrap_or(Status::ABORTED);
    println!("loader: the kernel came back: {came_back}");
    // One that came back is unloaded already.
    let _ = unload_image(image);
    Err(Reason::NotUp)
}

#[expect(unsafe_code, reason = "the kernel reads its options by their address")]
fn enter(image: Handle, archive: &[u8], line: &str) -> Result<(), Status> {
    let line = CString16::try_from(line).map_err(|_| Status::INVALID_PARAMETER)?;
    let len = u32::try_from(line.num_bytes()).map_err(|_| Status::INVALID_PARAMETER)?;
    let mut loaded = open_protocol_exclusive::<LoadedImage>(image).map_err(|e| e.status())?;
    // SAFETY: `line` lives to the end of this function, and so longer than the
    // kernel that reads it, which is entered and left in between.
    unsafe { loaded.set_load_options(line.as_ptr().cast(), len) };
    drop(loaded);
    let offered = Archive::offer(archive).map_err(|e| e.status())?;
    println!("loader: starting the kernel");
    let came_back = start_image(image).map_err(|e| e.status());
    offered.take_back();
    came_back
}

/// `LINUX_EFI_INITRD_MEDIA_GUID`.
const ARCHIVE: Guid = guid!("5568e427-68fc-4f3d-ac74-ca555231cc68");

/// A path of one step: the vendor's medium [`ARCHIVE`], and its end.
#[repr(C, packed)]
struct Path {
    medium: [u8; 4],
    vendor: Guid,
    end: [u8; 4],
}

static PATH: Path = Path { medium: [4, 3, 20, 0], vendor: ARCHIVE, end: [0x7f, 0xff, 4, 0] };

/// The archive as something that can be loaded. The firmware knows it by the
/// address of its first field.
#[repr(C)]
struct Archive {
    protocol: LoadFile2Protocol,
    bytes: *const u8,
    len: usize,
}

/// The device while the kernel may ask for it.
struct Offered {
    handle: Handle,
    archive: *mut Archive,
}

impl Archive {
    #[expect(unsafe_code, reason = "protocols are installed by their address")]
    fn offer(bytes: &[u8]) -> uefi::Result<Offered> {
        let protocol = LoadFile2Protocol { load_file: load };
        let archive = Self { protocol, bytes: bytes.as_ptr(), len: bytes.len() };
        let archive = Box::into_raw(Box::new(archive));
        let path = (&raw const PATH).cast::<c_void>();
        // SAFETY: what is installed under each name is what the name promises:
        // a path that ends, never changed, and a protocol that stays where it is
        // until `take_back` has taken it from the handle.
        let handle = unsafe {
            let handle = install_protocol_interface(None, &DevicePathProtocol::GUID, path);
            handle.and_then(|handle| {
                let guid = &LoadFile2Protocol::GUID;
                install_protocol_interface(Some(handle), guid, archive.cast_const().cast())
            })
        };
        // Where that failed the few bytes are not worth a second way.
        handle.map(|handle| Offered { handle, archive })
    }
}

impl Offered {
    #[expect(unsafe_code, reason = "protocols are removed by their address")]
    fn take_back(self) {
        let path = (&raw const PATH).cast::<c_void>();
        // SAFETY: both were installed on this handle by `offer`, and the box came
        // from `Box::into_raw` there; it is given up only when nobody can reach
        // it any more.
        unsafe {
            let guid = &LoadFile2Protocol::GUID;
            let taken = uninstall_protocol_interface(self.handle, guid, self.archive.cast());
            if taken.is_ok() {
                drop(Box::from_raw(self.archive));
            }
            let guid = &DevicePathProtocol::GUID;
            let _ = uninstall_protocol_interface(self.handle, guid, path);
        }
    }
}

/// `EFI_LOAD_FILE2_PROTOCOL.LoadFile`: tell the length, or copy.
#[expect(unsafe_code, reason = "the firmware's way to call")]
unsafe extern "efiapi" fn load(
    this: *mut LoadFile2Protocol,
    _path: *const DevicePathProtocol,
    boot_policy: Boolean,
    size: *mut usize,
    buffer: *mut c_void,
) -> Status {
    if this.is_null() || size.is_null() {
        return Status::INVALID_PARAMETER;
    }
    if bool::from(boot_policy) {
        return Status::UNSUPPORTED;
    }
    // SAFETY: `this` is the protocol that `offer` installed, the first field of an
    // `Archive` that lives until it was taken back, and so do its bytes; `size`
    // is the caller's number, and `buffer` has as many bytes as it says, apart
    // from ours, as the specification demands (13.2).
    unsafe {
        let archive = &*this.cast::<Archive>();
        let room = size.read();
        size.write(archive.len);
        if buffer.is_null() || room < archive.len {
            return Status::BUFFER_TOO_SMALL;
        }
        core::ptr::copy_nonoverlapping(archive.bytes, buffer.cast::<u8>(), archive.len);
    }
    Status::SUCCESS
}
