//! What a RADIUS server answers: any bytes are refused or mean something within
//! bounds, and nothing is believed without its two proofs.
#![no_main]

use evenkeel_plugin_radius::packet::{
    Refusal, Reply, Request, SharedSecret, VALUE_MAX, decode, kind,
};
use evenkeel_plugin_radius::words;
use libfuzzer_sys::fuzz_target;

/// Digests that the fuzzer can forge, so that it gets behind the proofs.
struct Forgeable;

impl SharedSecret for Forgeable {
    fn hmac_md5(&mut self, _data: &[u8]) -> Result<[u8; 16], String> {
        Ok([b'h'; 16])
    }

    fn md5(&mut self, _before: &[u8], _after: &[u8]) -> Result<[u8; 16], String> {
        Ok([b'm'; 16])
    }
}

/// Digests that nobody guesses: each is another one.
struct Fresh(u128);

impl SharedSecret for Fresh {
    fn hmac_md5(&mut self, data: &[u8]) -> Result<[u8; 16], String> {
        self.md5(data, &[])
    }

    fn md5(&mut self, _before: &[u8], _after: &[u8]) -> Result<[u8; 16], String> {
        self.0 = self.0.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
        Ok(self.0.to_le_bytes())
    }
}

const IDENTIFIER: u8 = 7;
const AUTHENTICATOR: [u8; 16] = [9; 16];

fuzz_target!(|data: &[u8]| {
    let mut fresh = Fresh(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    assert!(decode(data, IDENTIFIER, &AUTHENTICATOR, &mut fresh).is_err(), "unproven");
    if let Ok(reply) = decode(data, IDENTIFIER, &AUTHENTICATOR, &mut Forgeable) {
        meaning(&reply);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = words::parse(text);
        request(text);
    }
});

fn meaning(reply: &Reply) {
    match reply {
        Reply::Reject => {}
        Reply::Challenge { state, .. } => assert!((1..=VALUE_MAX).contains(&state.len())),
        Reply::Accept(attributes) => {
            let proofs = attributes.of(kind::MESSAGE_AUTHENTICATOR).count();
            assert_eq!(proofs, 1, "one Message-Authenticator and no more");
            assert_eq!(attributes.of(kind::PROXY_STATE).count(), 0);
            let list = "Filter-Id, Class, Service-Type, Management-Privilege-Level, 26.318.1";
            let sources = words::parse(list).expect("a good list");
            for word in words::of(&sources, attributes) {
                assert!(word.len() <= 3 * VALUE_MAX + 64, "{word:?}");
            }
        }
    }
}

/// What a person typed becomes a packet of a right length, or a refusal; and
/// our own request is never taken for an answer.
fn request(text: &str) {
    let (user, password) = text.split_once('\n').unwrap_or((text, ""));
    let request = Request {
        identifier: IDENTIFIER,
        authenticator: AUTHENTICATOR,
        user,
        password: password.as_bytes(),
        calling: user,
        nas_identifier: "evenkeel",
        nas_address: None,
        state: Some(password.as_bytes()),
    };
    let Ok(packet) = request.encode(&mut Forgeable) else { return };
    assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
    let echoed = decode(&packet, IDENTIFIER, &AUTHENTICATOR, &mut Forgeable);
    assert_eq!(echoed, Err(Refusal::Code(1)));
}
