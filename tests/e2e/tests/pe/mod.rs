//! The smallest program that UEFI firmware starts: one section with a few bytes
//! of code (PE/COFF specification, revision 11).

/// Where the code stands in the file.
pub const CODE_AT: usize = 0x200;
const CODE_LEN: usize = 0x200;
/// Where it is put in memory.
const ADDRESS: u32 = 0x1000;

/// Switches the machine off: `S5` into the power management's control register
/// of the q35 chipset, where its firmware puts it, and waits.
pub const OFF: &[u8] = &[
    0x66, 0xba, 0x04, 0x06, // mov dx, 0x604
    0x66, 0xb8, 0x00, 0x20, // mov ax, 0x2000
    0x66, 0xef, // out dx, ax
    0xeb, 0xfe, // jmp here
];
/// Goes on for ever.
pub const HANG: &[u8] = &[0xeb, 0xfe];

/// A program with this code.
pub fn program(code: &[u8]) -> Vec<u8> {
    let mut bytes = b"MZ".to_vec();
    bytes.resize(0x3c, 0);
    word(&mut bytes, 0x40);
    bytes.extend(b"PE\0\0");
    // x86-64, one section, 240 bytes of options, may be loaded anywhere.
    for half in [0x8664, 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x22] {
        bytes.extend(u16::to_le_bytes(half));
    }
    bytes.extend([0x0b, 0x02, 0, 0]);
    // Length of code, of data, of nothing, entry, code.
    for value in [CODE_LEN as u32, 0, 0, ADDRESS, ADDRESS] {
        word(&mut bytes, value);
    }
    // Anywhere; pages in memory, sectors in the file.
    for value in [0, 0, 0x1000, 0x200] {
        word(&mut bytes, value);
    }
    bytes.extend([0; 16]);
    // In memory two pages, of them one for the headers; no checksum.
    for value in [0x2000, CODE_AT as u32, 0] {
        word(&mut bytes, value);
    }
    // An application of UEFI, with stack and heap as the firmware likes.
    bytes.extend([10, 0, 0, 0]);
    bytes.extend([0; 36]);
    // Sixteen tables, all empty: the signature will be the fifth.
    word(&mut bytes, 16);
    bytes.extend([0; 128]);
    bytes.extend(b".text\0\0\0");
    for value in [CODE_LEN as u32, ADDRESS, CODE_LEN as u32, CODE_AT as u32, 0, 0, 0] {
        word(&mut bytes, value);
    }
    // Code that is read and run.
    word(&mut bytes, 0x6000_0020);
    bytes.resize(CODE_AT, 0);
    bytes.extend_from_slice(code);
    bytes.resize(CODE_AT + CODE_LEN, 0);
    bytes
}

fn word(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(value.to_le_bytes());
}
