//! What a board with UEFI starts from: programs that are signed for Secure
//! Boot, the partition with the loader, and the firmware's variables with the
//! one key that it accepts. The same bytes each time.
//!
//! A development machine has one key for everything: it may change the others
//! (PK), the list (KEK), and it signs loader and kernel (db). Nobody else's key
//! is in the lists, and so no other system and no other loader starts.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Debian packages by the program that they bring.
pub const PACKAGES: &[(&str, &str)] = &[
    ("/usr/bin/sbsign", "sbsigntool"),
    ("/usr/bin/faketime", "faketime"),
    ("/usr/bin/mcopy", "mtools"),
    ("/sbin/mkfs.vfat", "dosfstools"),
    ("/usr/bin/openssl", "openssl"),
];

/// Name of the key's files.
const KEY: &str = "uefi";
/// Length of the loader's partition: room for a loader ten times as long.
const PARTITION_LEN: u64 = 2 << 20;

/// Make the key that signs programs in `folder`, once.
///
/// # Errors
/// When openssl fails.
pub fn make_key(folder: &Path) -> io::Result<()> {
    let file = |ending: &str| folder.join(format!("{KEY}.{ending}"));
    if file("crt").exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let options = ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    run(Command::new("openssl").args(options).arg("-out").arg(file("key")))?;
    let options = ["req", "-batch", "-new", "-x509", "-subj", "/CN=Evenkeel development"];
    let mut make = Command::new("openssl");
    make.args(options).args(["-days", "36500", "-key"]).arg(file("key"));
    run(make.arg("-out").arg(file("crt")))
}

/// The program, a kernel or a loader, signed with the key in `keys`. Signatures
/// that it had are gone: nobody here knows their keys.
///
/// # Errors
/// When a tool fails.
pub fn sign(program: &[u8], keys: &Path, scratch: &Path) -> io::Result<Vec<u8>> {
    let (plain, signed) = (scratch.join("program.efi"), scratch.join("program.signed.efi"));
    fs::write(&plain, program)?;
    // It fails where there is none.
    let _ = run(Command::new("sbattach").arg("--remove").arg(&plain));
    // The time of signing would be another in each build.
    let mut sign = Command::new("faketime");
    sign.args(["-f", "2000-01-01 00:00:00", "sbsign"]).env("TZ", "UTC");
    sign.arg("--key").arg(keys.join(format!("{KEY}.key")));
    sign.arg("--cert").arg(keys.join(format!("{KEY}.crt")));
    run(sign.arg("--output").arg(&signed).arg(&plain))?;
    let bytes = fs::read(&signed)?;
    fs::remove_file(plain)?;
    fs::remove_file(signed)?;
    Ok(bytes)
}

/// Make the partition with `loader` where firmware looks for it on a disk that
/// nobody told it about, as the file `image`.
///
/// # Errors
/// When a tool fails.
pub fn partition(image: &Path, loader: &[u8]) -> io::Result<()> {
    fs::File::create(image)?.set_len(PARTITION_LEN)?;
    run(Command::new("/sbin/mkfs.vfat").args(["--invariant", "-F", "12"]).arg(image))?;
    let tool = |name: &str| {
        let mut tool = Command::new(name);
        tool.arg("-i").arg(image).env("SOURCE_DATE_EPOCH", "946684800").env("TZ", "UTC");
        tool
    };
    run(tool("mmd").args(["::EFI", "::EFI/BOOT"]))?;
    let plain = image.with_extension("efi");
    fs::write(&plain, loader)?;
    run(tool("mcopy").arg(&plain).arg("::EFI/BOOT/BOOTX64.EFI"))?;
    fs::remove_file(plain)
}

const GLOBAL: [u8; 16] = guid(0x8be4_df61, 0x93ca, 0x11d2, 0xaa0d_00e0_9803_2b8c);
const SECURITY: [u8; 16] = guid(0xd719_b2cb, 0x3d3a, 0x4596, 0xa3bc_dad0_0e67_656f);
const ENABLE: [u8; 16] = guid(0xf0a3_0bc7, 0xaf08, 0x4556, 0x99c4_0010_09c9_3a44);
const X509: [u8; 16] = guid(0xa5c0_59a1, 0x94e4, 0x4aa7, 0x87b5_ab15_5c2b_f072);
const STORE: [u8; 16] = guid(0xaaf3_2c78, 0x947b, 0x439a, 0xa180_2e14_4ec3_7792);
/// Who put the key there: nobody in particular.
const OWNER: [u8; 16] = guid(0x4556_4b4c, 0x0000, 0x4000, 0x8000_0000_0000_0001);
/// Kept, for the firmware's own time; and for the system's, under a signature.
const KEPT: u32 = 0x03;
const SIGNED: u32 = 0x27;
/// Where the length of the header of the firmware's volume stands.
const HEADER_LEN_AT: usize = 48;
const STORE_HEADER_LEN: usize = 28;

/// The firmware's variables, empty as `template` has them, with Secure Boot on
/// and the key in `keys` as the only one. As EDK II lays them out
/// (`MdeModulePkg/Include/Guid/VariableFormat.h`).
///
/// # Errors
/// When openssl fails or the template is none.
pub fn variables(template: &[u8], keys: &Path) -> io::Result<Vec<u8>> {
    let other = || io::Error::other("the firmware's variables are none of EDK II that are empty");
    let mut convert = Command::new("openssl");
    convert.args(["x509", "-outform", "DER", "-in"]).arg(keys.join(format!("{KEY}.crt")));
    let certificate = said(&mut convert)?;
    let list = signature_list(&certificate);
    let mut bytes = Vec::new();
    for (name, vendor, attributes, data) in [
        ("PK", GLOBAL, SIGNED, &list[..]),
        ("KEK", GLOBAL, SIGNED, &list[..]),
        ("db", SECURITY, SIGNED, &list[..]),
        ("SecureBootEnable", ENABLE, KEPT, &[1]),
    ] {
        bytes.extend(variable(name, &vendor, attributes, data));
        bytes.resize(bytes.len().next_multiple_of(4), 0xff);
    }
    let len = template.get(HEADER_LEN_AT..HEADER_LEN_AT + 2).ok_or_else(other)?;
    let store = usize::from(u16::from_le_bytes([len[0], len[1]]));
    let at = store + STORE_HEADER_LEN;
    let mut made = template.to_vec();
    let room = made.get_mut(at..at + bytes.len()).ok_or_else(other)?;
    if template[store..store + 16] != STORE || room.iter().any(|byte| *byte != 0xff) {
        return Err(other());
    }
    room.copy_from_slice(&bytes);
    Ok(made)
}

/// `EFI_SIGNATURE_LIST` with one certificate.
fn signature_list(certificate: &[u8]) -> Vec<u8> {
    let entry = 16 + certificate.len() as u32;
    let mut list = X509.to_vec();
    for word in [28 + entry, 0, entry] {
        list.extend(word.to_le_bytes());
    }
    list.extend(OWNER);
    list.extend_from_slice(certificate);
    list
}

/// `AUTHENTICATED_VARIABLE_HEADER`, name and data.
fn variable(name: &str, vendor: &[u8; 16], attributes: u32, data: &[u8]) -> Vec<u8> {
    // Begins, is whole and counts.
    let mut bytes = vec![0xaa, 0x55, 0x3f, 0];
    bytes.extend(attributes.to_le_bytes());
    // No counter; the first of January 2000.
    bytes.extend([0; 8]);
    bytes.extend(2000u16.to_le_bytes());
    bytes.extend([1, 1, 0, 0, 0, 0]);
    bytes.extend([0; 8]);
    // No key's number.
    bytes.extend([0; 4]);
    let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    for len in [name.len(), data.len()] {
        bytes.extend((len as u32).to_le_bytes());
    }
    bytes.extend(vendor);
    bytes.extend(name);
    bytes.extend_from_slice(data);
    bytes
}

/// As its bytes stand in memory.
const fn guid(first: u32, second: u16, third: u16, rest: u64) -> [u8; 16] {
    let (a, b, c, d) =
        (first.to_le_bytes(), second.to_le_bytes(), third.to_le_bytes(), rest.to_be_bytes());
    [a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]]
}

fn run(command: &mut Command) -> io::Result<()> {
    said(command).map(drop)
}

/// An error says what the tool said.
fn said(command: &mut Command) -> io::Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} failed: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of a volume of variables without any, as in the package.
    fn empty() -> Vec<u8> {
        let mut bytes = vec![0; 72];
        bytes[HEADER_LEN_AT] = 72;
        bytes.extend(STORE);
        bytes.extend([0; 12]);
        bytes.resize(16 << 10, 0xff);
        bytes
    }

    #[test]
    fn the_key_is_made_once_and_stands_in_the_variables() {
        let dir = tempfile::tempdir().unwrap();
        make_key(dir.path()).unwrap();
        let key = fs::read(dir.path().join("uefi.key")).unwrap();
        make_key(dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join("uefi.key")).unwrap(), key);
        let made = variables(&empty(), dir.path()).unwrap();
        assert_eq!(made, variables(&empty(), dir.path()).unwrap(), "the same bytes");
        assert_eq!(made.len(), empty().len());
        let at = |part: &[u8]| made.windows(part.len()).filter(|window| *window == part).count();
        assert_eq!(at(&X509), 3, "one certificate in each of PK, KEK and db");
        let name: Vec<u8> =
            "SecureBootEnable\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(at(&[&name[..], &[1]].concat()), 1);
        let again = variables(&made, dir.path());
        assert!(again.is_err(), "what has variables is not written over");
        assert!(variables(&[0; 100], dir.path()).is_err());
    }

    #[test]
    fn names_stand_in_memory_as_the_specification_says() {
        let wanted =
            [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0, 0xe0, 0x98, 3, 0x2b];
        assert_eq!(GLOBAL[..15], wanted);
    }
}
