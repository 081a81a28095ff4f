//! Frames and messages of the battery bus, byte by byte.
//!
//! # Frame
//! A frame is COBS-encoded (Cheshire & Baker 1999) and ends with a zero byte;
//! no other zero byte ever appears on the wire, so that a listener finds the
//! next frame after any disturbance. Before encoding it is
//!
//! | offset | size | field   | meaning |
//! |-------:|-----:|---------|---------|
//! | 0      | 1    | kind    | what the payload is; bit 7 set in replies |
//! | 1      | 2    | address | little-endian; see below |
//! | 3      | n    | payload | 0 … 245 bytes |
//! | 3 + n  | 2    | crc     | little-endian CRC-16/IBM-3740 (poly 0x1021, init 0xFFFF, no reflection) over everything before it |
//!
//! The encoded frame with its zero is at most [`FRAME_MAX`] bytes.
//!
//! **Address**: 0 factory-new module (silent), 1 … 1,024 modules, 0xFFFF all.
//! In a request it is the receiver or the first of a run of receivers; in a
//! reply it is the sender.
//!
//! # Requests
//! | kind | name | address | payload |
//! |-----:|------|---------|---------|
//! | 0x01 | SAMPLE   | 0xFFFF | `sample: u8`, `window_ms: u8` |
//! | 0x02 | READ     | first  | `count: u8` (1 … 64) |
//! | 0x03 | IDENTIFY | first  | `count: u8` (1 … 64) |
//! | 0x04 | DUTIES   | first  | `hold_ds: u8` (tenths of a second), then one `duty: u16` LE (65,535 = fully on) per module from `first` on, 1 … 122 of them |
//!
//! # Replies
//! | kind | name | payload |
//! |-----:|------|---------|
//! | 0x82 | READING  | `sample: u8`, `voltage_mv: u16`, `temperature_dc: i16` (0.1 °C), `duty: u8` (applied, 255 = fully on), `flags: u8` |
//! | 0x83 | IDENTITY | `type: u8` (module type code), `hw: u8`, `fw_major: u8`, `fw_minor: u8`, `serial: u32` |
//!
//! Multi-byte numbers are little-endian. `duty` in a READING is what was
//! applied just before its sample.
//!
//! `flags`:
//!
//! | bit | name | meaning |
//! |----:|------|---------|
//! | 0x01 | FLOOR | own voltage below the floor: duty refused |
//! | 0x02 | DERATED | duty reduced because the heat sink is hot |
//! | 0x04 | HOLD_EXPIRED | the last duty was too old: bypass dropped |
//! | 0x08 | RESET | restarted since the last DUTIES |
//! | 0x10 | EXTERNAL_SENSOR | the temperature comes from the external sensor |
//! | 0x20 | SENSOR_FAULT | the temperature sensor is broken; the value means nothing |
//! | 0x40 | BUTTON | the address button is pressed |
//! | 0x80 | – | 0 |
//!
//! `type`: 20 C20 (12 V), 23 C23 (16 V), 30 C30 (6 V), 40 C40 (2 V), 41 C41 (4 V).
//!
//! # Slots
//! The module with address `first + i` starts its reply to READ or IDENTIFY
//! `TURNAROUND_CHARS + i · SLOT_CHARS` character times after the end of the
//! request's zero byte (a character is 10 bit times: 86.8 µs at 115,200 baud).
//! The module's bit clock must be within ±0.1 %: over 64 slots that is one
//! character, and two are free at each slot's end.
//!
//! # Rules for a module
//! 1. After reset the bypass is off and flag RESET is set until the first
//!    DUTIES that covers the module.
//! 2. SAMPLE: bypass off at once, integrate voltage and temperature over
//!    `window_ms`, keep the result with its `sample` number, go back to the
//!    last duty.
//! 3. READ: answer with the kept result. Nothing sampled since reset: stay silent.
//! 4. DUTIES: apply the own entry. If the own voltage is below the type's
//!    floor (2.10 V per lead cell) the applied duty is 0 and flag FLOOR is
//!    set; above 60 °C heat-sink temperature it is reduced linearly to 0 at
//!    75 °C and flag DERATED is set.
//! 5. When `hold_ds` has passed since the last DUTIES for the module, the
//!    bypass is off and flag HOLD_EXPIRED is set until the next one.
//!    With `hold_ds` 0 the duties lapse at once.
//! 6. Within a window: a new SAMPLE begins a new window and the old one is
//!    forgotten; READ is answered with the result before it; DUTIES are taken
//!    and applied when the window is over.
//! 7. A frame with a wrong CRC, an unknown kind or a wrong length is ignored.
//!
//! # Worked examples
//! SAMPLE number 7 with a window of 100 ms. Before encoding
//! `01 FF FF 07 64` + CRC `28 8A`; nothing is zero, so COBS puts the length in
//! front: `08 01 FF FF 07 64 28 8A 00`.
//!
//! READ of modules 1 … 3: `02 01 00 03` + CRC `FB 6E`. The zero in the address
//! becomes a COBS code: `03 02 01 04 03 FB 6E 00`.
//!
//! READING of module 2 for sample 7: 13.620 V, 25.1 °C, duty 128/255, no flag:
//! plain `82 02 00 07 34 35 FB 00 80 00` + CRC `FA 98`, on the wire `03 82 02 05 07 34 35 FB 02 80 03 FA 98 00`.
//!
//! DUTIES for modules 1 and 2, good for 3.0 s, fully on and off: plain
//! `04 01 00 1E FF FF 00 00` + CRC `00 C9`, on the wire `03 04 01 04 1E FF FF 01 01 02 C9 00`.
//!
//! All four are checked byte by byte in this module's tests.

mod frame;
mod message;

pub use frame::{DecodeError, Decoder, FRAME_MAX, Frame, PAYLOAD_MAX, encode};
pub use message::{
    BURST_MAX, DUTIES_MAX, Duty, DutyList, Flags, Identity, MessageError, Reading, Reply, Request,
};

/// Address of all modules.
pub const BROADCAST: u16 = 0xFFFF;
/// Highest module address.
pub const ADDRESS_MAX: u16 = 1024;
/// Character times between the end of a request and the first slot.
pub const TURNAROUND_CHARS: u32 = 12;
/// Character times of a READING slot: 14 for the reply, 2 free.
pub const READING_SLOT_CHARS: u32 = 16;
/// Character times of an IDENTITY slot: 15 for the reply, 2 free.
pub const IDENTITY_SLOT_CHARS: u32 = 17;
