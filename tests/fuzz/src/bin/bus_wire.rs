//! The bus protocol: any bytes give messages or errors, and a message encodes
//! to the frame that it was parsed from.
#![no_main]

use evenkeel_core::bus::wire::{Decoder, FRAME_MAX, Frame, PAYLOAD_MAX, Reply, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::default();
    for byte in data {
        if let Some(Ok(frame)) = decoder.push(*byte) {
            messages(&frame);
        }
    }
    // A right check sum is rare in arbitrary bytes: the layer above it directly.
    if let Some((&[kind, low, high], payload)) = data.split_first_chunk::<3>() {
        let payload = &payload[..payload.len().min(PAYLOAD_MAX)];
        messages(&Frame { kind, address: u16::from_le_bytes([low, high]), payload });
    }
});

fn messages(frame: &Frame<'_>) {
    let mut out = [0; FRAME_MAX];
    if let Ok(request) = Request::parse(frame) {
        let len = request.encode(&mut out);
        same(frame, &out[..len]);
    }
    if let Ok(reply) = Reply::parse(frame) {
        let len = reply.encode(&mut out);
        same(frame, &out[..len]);
    }
}

fn same(frame: &Frame<'_>, bytes: &[u8]) {
    let mut decoder = Decoder::default();
    let (end, head) = bytes.split_last().expect("a frame has bytes");
    assert!(head.iter().all(|b| decoder.push(*b).is_none()));
    let parsed = decoder.push(*end).expect("a frame ends").expect("its own frame is good");
    assert_eq!(parsed, *frame);
}
