//! What a module parses: any bytes give requests or errors, and a request
//! encodes to a frame that parses to the same request.
#![no_main]

use evenkeel_core::bus::wire::{Decoder, FRAME_MAX, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::default();
    for byte in data {
        let Some(Ok(frame)) = decoder.push(*byte) else { continue };
        let Ok(request) = Request::parse(&frame) else { continue };
        let mut out = [0; FRAME_MAX];
        let len = request.encode(&mut out);
        let mut again = Decoder::default();
        let (end, head) = out[..len].split_last().expect("a frame has bytes");
        assert!(head.iter().all(|b| again.push(*b).is_none()));
        let parsed = again.push(*end).expect("a frame ends").expect("its own frame is good");
        assert_eq!(parsed, frame);
    }
});
