//! What an SNMP agent answers, v1, v2c and v3: any bytes are refused or read
//! the same again, and a signed message changed anywhere is not believed.
#![no_main]

// The daemon's own files, without the daemon: its hundreds of dependencies
// would be compiled once more under the fuzzer's flags.
#[allow(dead_code, reason = "the daemon uses the rest")]
#[path = "../../../../host/daemon/src/caps/snmp_client/ber.rs"]
mod ber;
#[allow(dead_code, reason = "the daemon uses the rest")]
#[path = "../../../../host/daemon/src/caps/snmp_client/pdu.rs"]
mod pdu;
#[allow(dead_code, reason = "the daemon uses the rest")]
#[path = "../../../../host/daemon/src/caps/snmp_client/usm.rs"]
mod usm;

/// What they know of grants.
#[allow(dead_code, reason = "the daemon uses the rest")]
mod grants {
    pub mod snmp {
        pub struct User {
            pub name: String,
            pub auth: (Auth, Phrase),
            pub privacy: Option<(Privacy, Phrase)>,
            pub context: String,
        }

        #[derive(Clone, Copy)]
        pub enum Auth {
            Sha1,
            Sha224,
            Sha256,
            Sha384,
            Sha512,
        }

        #[derive(Clone, Copy)]
        pub enum Privacy {
            Aes128,
            Aes256,
        }

        pub struct Phrase(pub &'static str);

        impl Phrase {
            pub fn bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }
    }
}

use ber::Reader;
use grants::snmp::{Auth, Phrase, Privacy, User};
use libfuzzer_sys::fuzz_target;
use pdu::{Classic, Pdu, decode_message};
use std::sync::LazyLock;
use usm::{Engine, Keys, Master};

static USER: LazyLock<User> = LazyLock::new(|| User {
    name: "fuzz".to_owned(),
    auth: (Auth::Sha256, Phrase("correct horse")),
    privacy: Some((Privacy::Aes128, Phrase("battery staple"))),
    context: String::new(),
});
static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine { id: b"engine".to_vec(), boots: 1, time_s: 2 });
static KEYS: LazyLock<Keys> = LazyLock::new(|| Master::new(&USER).localise(&ENGINE.id));

fuzz_target!(|data: &[u8]| {
    for version in [Classic::V1, Classic::V2c] {
        if let Ok(Some(pdu)) = decode_message(version, b"public", data) {
            same_again(&pdu);
        }
    }
    if let Ok(incoming) = usm::open(data, None) {
        assert!(!incoming.authentic && !incoming.private);
        same_again(&incoming.pdu);
    }
    if let Ok(incoming) = usm::open(data, Some(&KEYS)) {
        // The keys exist in this process only.
        assert!(!incoming.authentic, "nobody signed this");
    }
    let Some((place, content)) = data.split_first_chunk::<2>() else { return };
    let Ok(pdu) = Pdu::decode(&mut Reader::new(content)) else { return };
    same_again(&pdu);
    changed(&pdu, u16::from_le_bytes(*place).into());
});

fn same_again(pdu: &Pdu) {
    let bytes = pdu.encode();
    assert_eq!(Pdu::decode(&mut Reader::new(&bytes)).as_ref(), Ok(pdu));
}

/// A sealed message is opened, and with a byte changed it is not.
fn changed(pdu: &Pdu, place: usize) {
    let mut message = usm::seal(1, &ENGINE, &USER, &KEYS, 3, pdu);
    let opened = usm::open(&message, Some(&KEYS)).expect("our own");
    assert!(opened.authentic && opened.private && opened.pdu == *pdu);
    let len = message.len();
    message[place % len] ^= 1 << (place % 8);
    if let Ok(opened) = usm::open(&message, Some(&KEYS)) {
        // Without the flag it claims to be unsigned, and is worth as much.
        assert!(!opened.authentic);
    }
}
