//! The module's side against arbitrary requests: the reference block module and
//! device must never panic, and whatever they answer must be a good reply.
#![no_main]

use evenkeel_core::bus::wire::{
    Decoder, DeviceKind, Ends, FRAME_MAX, Frame, Identity, Led, Reply, encode,
};
use evenkeel_module::{
    Answer, Device, DeviceHardware, Measured, Module, ModuleConfig, ModuleHardware, StationHardware,
};
use libfuzzer_sys::fuzz_target;

/// A board whose values come from the fuzzer.
struct Board(u8);

impl StationHardware for Board {
    fn button(&mut self) -> bool {
        self.0 & 1 == 1
    }
    fn store_address(&mut self, _address: u16) {}
    fn show(&mut self, _pattern: Led) {}
}

impl ModuleHardware for Board {
    fn begin_window(&mut self) {}
    fn end_window(&mut self) -> Measured {
        let voltage_mv = u16::from(self.0) << 8;
        Measured { voltage_mv, temperature_dc: None, external_sensor: false }
    }
    fn block_mv(&mut self) -> u16 {
        u16::from(self.0) << 8
    }
    fn sink_dc(&mut self) -> i16 {
        i16::from_le_bytes([self.0, self.0])
    }
    fn excite(&mut self, _on: bool) {}
    fn resistance_uohm(&mut self) -> Option<u32> {
        None
    }
}

impl DeviceHardware for Board {
    fn begin_window(&mut self) {}
    fn end_window(&mut self, analog: &mut [i16]) {
        analog.fill(self.0.into());
    }
    fn inputs(&mut self) -> u16 {
        self.0.into()
    }
    fn feed(&mut self, _ends: Ends) {}
    fn is_loop_closed(&mut self) -> bool {
        self.0 & 2 == 2
    }
}

fuzz_target!(|data: &[u8]| {
    let identity = Identity { type_code: 20, hardware: 1, firmware: (1, 0), serial: 1 };
    let mut module = Module::new(ModuleConfig { identity, floor_mv: 12_600 }, 1);
    let mut device = Device::new(DeviceKind::Panel, identity, 1_025);
    let mut now = 0;
    for chunk in data.chunks(16) {
        let Some((&[values, wait, kind, low, high], payload)) = chunk.split_first_chunk::<5>()
        else {
            return;
        };
        let mut board = Board(values);
        now += u64::from(wait) * 20_000;
        module.tick(now, &mut board);
        device.tick(now, &mut board);
        let mut frame = [0; FRAME_MAX];
        let request = Frame { kind, address: u16::from_le_bytes([low, high]), payload };
        let len = encode(&request, &mut frame);
        for byte in frame[..len].iter().chain(chunk) {
            if let Some(answer) = module.hear(now, *byte, &mut board) {
                good(&answer);
            }
            if let Some(answer) = device.hear(now, *byte, &mut board) {
                good(&answer);
            }
        }
        let _ = (module.duty(), module.next_timer(), device.outputs(), device.next_timer());
    }
});

fn good(answer: &Answer<'_>) {
    let mut decoder = Decoder::default();
    let parsed = answer.bytes.iter().find_map(|byte| {
        let frame = decoder.push(*byte)?.expect("its own frame is good");
        Some(Reply::parse(&frame).expect("its own reply is good"))
    });
    assert!(parsed.is_some());
}
