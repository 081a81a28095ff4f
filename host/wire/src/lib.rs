//! Frames and messages of the battery bus, byte by byte.
//!
//! No `std`, no allocator: the appliance and a module's microcontroller build
//! the same code. `tests/sim/module` is a reference implementation of the
//! module's side.
//!
//! # Frame
//! A frame is COBS-encoded (Cheshire & Baker 1999) and ends with a zero byte;
//! no other zero byte ever appears in it, so that a listener finds the
//! next frame after any disturbance. Before encoding it is
//!
//! | offset | size | field   | meaning |
//! |-------:|-----:|---------|---------|
//! | 0      | 1    | kind    | what the payload is; bit 7 set in replies |
//! | 1      | 2    | address | little-endian; see below |
//! | 3      | n    | payload | 0 … 245 bytes |
//! | 3 + n  | 2    | crc     | little-endian CRC-16/IBM-3740 (poly 0x1021, init 0xFFFF, no reflection) over everything before it |
//!
//! The encoded frame with its zero is at most [`FRAME_MAX`] bytes. The master
//! sends one more zero byte in front of every request, to end whatever a
//! disturbance has left behind; an empty run between zeros is no frame.
//!
//! **Address**: 0 factory-new (answers SEARCH, OFFER and ASSIGN only),
//! 1 … 1,024 block modules, 1,025 … 1,279 other devices, 0xFFFF all.
//! In a request it is the receiver or the first of a run of receivers; in a
//! reply it is the sender.
//!
//! # Requests
//! | kind | name | address | payload | reply |
//! |-----:|------|---------|---------|-------|
//! | 0x01 | SAMPLE   | 0xFFFF | `sample: u8`, `window_ms: u8` | – |
//! | 0x02 | READ     | first module | `count: u8` (1 … 64) | READING each |
//! | 0x03 | IDENTIFY | first module or device | `count: u8` (1 … 64) | IDENTITY each |
//! | 0x04 | DUTIES   | first module | `hold_ds: u8` (tenths of a second), then one `duty: u16` (65,535 = fully on) per module from `first` on, 1 … 122 of them | – |
//! | 0x05 | READ_IO  | first device | `count: u8` (1 … 64), `channels: u8` (0 … 8) | IO each |
//! | 0x06 | OUTPUTS  | device | `on: u16`, `keep: u16`, `hold_ds: u8` | – |
//! | 0x07 | SEARCH   | 0xFFFF | `prefix: u32`, `bits: u8` (0, 4 … 28) | FOUND from each that matches |
//! | 0x08 | OFFER    | 0xFFFF | `address: u16` | FOUND from each whose button was pressed |
//! | 0x09 | ASSIGN   | 0xFFFF | `serial: u32`, `address: u16` (0 = factory-new) | FOUND |
//! | 0x0A | MEASURE  | module | `start: u8` (1 begin, 0 only ask) | RESISTANCE |
//! | 0x0B | LED      | module, device or 0xFFFF | `pattern: u8` (0 normal, 1 locate, 2 alarm), `hold_s: u8` | – |
//! | 0x0C | FEED     | panel | `ends: u8` (1 A, 2 B, 3 both), `hold_ds: u8` | – |
//!
//! # Replies
//! | kind | name | payload |
//! |-----:|------|---------|
//! | 0x82 | READING  | `sample: u8`, `voltage_mv: u16`, `temperature_dc: i16` (0.1 °C), `duty: u8` (applied, 255 = fully on), `flags: u8` |
//! | 0x83 | IDENTITY | `type: u8`, `hw: u8`, `fw_major: u8`, `fw_minor: u8`, `serial: u32` |
//! | 0x85 | IO       | `sample: u8`, `inputs: u16`, `outputs: u16`, `flags: u8`, then `analog: i16` per channel, as many as READ_IO asked for and no more than there are |
//! | 0x87 | FOUND    | `serial: u32`, `type: u8`, `hw: u8`; sent with one zero byte in front |
//! | 0x8A | RESISTANCE | `state: u8` (0 never measured, 1 measuring, 2 done, 3 failed), `micro_ohm: u32` (0 unless done) |
//!
//! Multi-byte numbers are little-endian. `duty` in a READING is what was
//! applied just before its sample. The zero byte in front of a FOUND ends what
//! a garbled slot before it has left behind.
//!
//! `flags` of a READING:
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
//! | 0x80 | MEASURING | measuring resistance: duty refused |
//!
//! `flags` of an IO: 0x01 RESET since the last OUTPUTS, 0x02 HOLD_EXPIRED,
//! 0x04 LOOP_OPEN and 0x08 ONE_END (panel only), 0x40 BUTTON.
//!
//! `type`: 20 C20 (12 V), 23 C23 (16 V), 30 C30 (6 V), 40 C40 (2 V), 41 C41
//! (4 V); devices:
//!
//! | type | device | inputs | outputs | analog |
//! |-----:|--------|-------:|--------:|-------:|
//! | 80 … 86 | current sensor ±50, 200, 400, 500, 1,000, 1,500, 2,000 A | – | – | 1: positive into the batteries |
//! | 96 | AUX: breaker trips and their feedback, one string | 4 | 4 | – |
//! | 97 | SITE | 8 | 8 | 8: 10 V or 20 mA full scale |
//! | 98 | SENSOR manager | 4 | 4 | 8: 10 V or 20 mA full scale |
//! | 99 | PANEL: input mute; outputs alarm relay, buzzer, red, green | 1 | 4 | – |
//!
//! Analog full scale is ±32,000; −32,768 says that there is no measurement.
//! Whether a SITE channel is wired for volts or milliamperes is known to who
//! installed it: the device sends the fraction of full scale.
//!
//! # Slots
//! The station with address `first + i` starts its reply to READ, IDENTIFY or
//! READ_IO `TURNAROUND_CHARS + i · slot` character times after the end of the
//! request's zero byte (a character is 10 bit times: 86.8 µs at 115,200 baud);
//! `slot` is 16 for READ, 17 for IDENTIFY, 15 + 2 · `channels` for READ_IO. In
//! a SEARCH `i` is the four bits of the own serial number that follow the
//! prefix and `slot` is 16; OFFER, ASSIGN and MEASURE have the one slot 0.
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
//! 8. MEASURE with `start` 1: bypass off and flag MEASURING set; excite the
//!    block for about 2 s, pausing within windows so that no sample is
//!    falsified; then keep the result. Answer MEASURE at once with the present
//!    state. A second start while measuring changes nothing.
//!
//! # Rules for every station
//! 9. SEARCH: when the upper `bits` bits of the own serial number equal those
//!    of `prefix`, answer in the slot of the next four bits, whatever the own
//!    address.
//! 10. OFFER: answer when the address button was pressed since the last ASSIGN
//!     that was obeyed, and is pressed still or was 2 s ago. It is no address
//!     yet: only ASSIGN gives one.
//! 11. ASSIGN with the own serial number: take and store the address if it is
//!     one for the own sort (1 … 1,024 or 1,025 … 1,279) or 0, and answer;
//!     otherwise stay silent.
//! 12. LED: show the pattern for `hold_s` seconds.
//!
//! # Rules for a device
//! 13. SAMPLE: analog channels are integrated over the same window as the
//!     blocks; inputs and outputs are read at its end. Nothing sampled since
//!     reset: silent to READ_IO.
//! 14. OUTPUTS: switch at once, within a window too. After reset all outputs
//!     are off. When `hold_ds` has passed without another OUTPUTS, every output
//!     that is not in `keep` is released; the others stay as they are.
//! 15. FEED (panel): feed these ends of the ring; when `hold_ds` has passed,
//!     both again. LOOP_OPEN is what the panel itself finds: it listens at one
//!     end for what it sends into the other.
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
//! OUTPUTS for the AUX at 1,034: relays 1 and 3 on, relay 3 to stay when the
//! commands stop, good for 3.0 s: plain `06 0A 04 05 00 04 00 1E` + CRC `72 48`,
//! on the wire `05 06 0A 04 05 02 04 04 1E 72 48 00`.
//!
//! IO of the ±200 A sensor at 1,025 for sample 7: 400/32,000 of 200 A = +2.5 A:
//! plain `85 01 04 07 00 00 00 00 00 90 01` + CRC `D3 E8`, on the wire
//! `05 85 01 04 07 01 01 01 01 05 90 01 D3 E8 00`.
//!
//! SEARCH for serial numbers that begin with 0x0001: plain
//! `07 FF FF 00 00 01 00 10` + CRC `E9 22`, on the wire
//! `04 07 FF FF 01 02 01 04 10 E9 22 00`. The C20 with serial number 100,001
//! (0x000186A1), hardware 3 and no address answers in slot 8 with a zero and
//! FOUND: plain `87 00 00 A1 86 01 00 14 03` + CRC `D6 D4`, on the wire
//! `00 02 87 01 04 A1 86 01 05 14 03 D6 D4 00`.
//!
//! ASSIGN of address 17 to it: plain `09 FF FF A1 86 01 00 11 00` + CRC
//! `BB E6`, on the wire `07 09 FF FF A1 86 01 02 11 03 BB E6 00`.
//!
//! RESISTANCE of module 17, 4,300 µΩ: plain `8A 11 00 02 CC 10 00 00` + CRC
//! `AF 29`, on the wire `03 8A 11 04 02 CC 10 01 03 AF 29 00`.
//!
//! All of them are checked byte by byte in this crate's tests.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod device;
mod frame;
mod message;
mod reply;
mod request;

pub use device::{
    CHANNELS_MAX, DeviceKind, Ends, FULL_SCALE, Io, IoFlags, Led, NO_VALUE, Outputs, panel,
};
pub use frame::{DecodeError, Decoder, FRAME_MAX, Frame, PAYLOAD_MAX, encode};
pub use message::{Duty, Flags, Found, Identity, MessageError, Reading, Resistance};
pub use reply::Reply;
pub use request::{BURST_MAX, DUTIES_MAX, DutyList, Request, SEARCH_SLOTS, search_slot};

/// Address of all stations.
pub const BROADCAST: u16 = 0xFFFF;
/// Highest address of a block module.
pub const ADDRESS_MAX: u16 = 1_024;
/// Lowest address of a device that is no block module.
pub const DEVICE_MIN: u16 = ADDRESS_MAX + 1;
/// Highest address of a device.
pub const DEVICE_MAX: u16 = 1_279;
/// Character times between the end of a request and the first slot.
pub const TURNAROUND_CHARS: u32 = 12;
/// Character times of a READING slot: 14 for the reply, 2 free.
pub const READING_SLOT_CHARS: u32 = 16;
/// Character times of an IDENTITY slot: 15 for the reply, 2 free.
pub const IDENTITY_SLOT_CHARS: u32 = 17;
/// Character times of a FOUND slot: 14 for the zero and the reply, 2 free.
pub const FOUND_SLOT_CHARS: u32 = 16;
/// Character times of a RESISTANCE slot: 12 for the reply, 2 free.
pub const RESISTANCE_SLOT_CHARS: u32 = 14;

/// Character times of an IO slot: 13 + 2 per channel for the reply, 2 free.
#[must_use]
pub const fn io_slot_chars(channels: u8) -> u32 {
    15 + 2 * channels as u32
}
