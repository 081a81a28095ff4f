//! The battery of a stack: strings of 32 blocks on one bus, each with a current
//! sensor and a relay module, as the simulator's scenario and as the guard's
//! settings.

use std::ops::Range;
use std::path::Path;

/// Strings of the simulator's own scenario.
pub const STRINGS: u16 = 2;
/// Blocks of each string.
const BLOCKS: u16 = 32;
/// A cycle in which so many strings are scanned takes longer than the usual second.
const STRINGS_IN_A_SECOND: u16 = 12;
/// Address of the first current sensor.
const DEVICES_FIRST: u16 = 1025;

/// The guard's settings for what the simulator has on its bus.
pub fn guard_settings(bus: &Path, strings: u16) -> String {
    let (sensors, relays, panel) = device_addresses(strings);
    let string = |n: u16| {
        // String A, String B, …
        let letter = char::from(b'A' + (n % 26) as u8);
        let first = n * BLOCKS + 1;
        let n = n + 1;
        format!(
            "\n[[string]]\nname = \"String {letter}\"\nmodule = \"C20\"\nbattery = \"NP7-12\"\n\
             first_address = {first}\nblocks = {BLOCKS}\ncurrent_sensor = \"I{n}\"\n\
             breaker = {{ relay = \"AUX{n}.1\", input = \"AUX{n}.1\", contact = \"normally_closed\" }}\n"
        )
    };
    let device = |name: &str, kind: &str, address: u16| {
        format!("\n[[device]]\nname = \"{name}\"\nkind = \"{kind}\"\naddress = {address}\n")
    };
    let each = |name: &str, kind: &str, addresses: Range<u16>| -> String {
        let numbered = addresses.enumerate();
        numbered.map(|(n, address)| device(&format!("{name}{}", n + 1), kind, address)).collect()
    };
    let cycle_ms = if strings > STRINGS_IN_A_SECOND { 1_200 } else { 1_000 };
    let parts = [
        format!("cycle_ms = {cycle_ms}\n\n[[bus]]\nport = \"{}\"\n", bus.display()),
        "\n[[battery]]\nname = \"NP7-12\"\nchemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n\
         float_v_per_cell = 2.30\n"
            .to_owned(),
        each("I", "current-50", sensors),
        each("AUX", "aux", relays),
        device("PANEL", "panel", panel),
        (0..strings).map(string).collect(),
    ];
    parts.concat()
}

/// Current sensors, relay modules and the panel.
const fn device_addresses(strings: u16) -> (Range<u16>, Range<u16>, u16) {
    let relays = DEVICES_FIRST + strings;
    let panel = relays + strings;
    (DEVICES_FIRST..relays, relays..panel, panel)
}

/// The simulator's scenario, where it is not its own: the same with more strings.
pub fn scenario(strings: u16) -> String {
    let (sensors, relays, panel) = device_addresses(strings);
    let string = |n| format!("[[strings]]\nfirst_address = {}\n\n", n * BLOCKS + 1);
    let device = |address: u16, kind: &str, string: u16| {
        format!("[[devices]]\naddress = {address}\nkind = \"{kind}\"\nstring = {string}\n\n")
    };
    let each = |addresses: Range<u16>, kind: &str| -> String {
        addresses.zip(0..).map(|(address, n)| device(address, kind, n)).collect()
    };
    let strings: String = (0..strings).map(string).collect();
    let devices = each(sensors, "current-50") + &each(relays, "aux") + &device(panel, "panel", 0);
    format!("{strings}{devices}[[ups]]\nports = 2\n")
}
