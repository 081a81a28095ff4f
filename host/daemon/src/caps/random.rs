//! `evenkeel:random`: random numbers of the operating system.

use crate::plugin::bindings::random::random::Host;

/// The interface.
pub const INTERFACE: &str = "evenkeel:random/random@0.1.0";
/// Most bytes in one call.
pub const LEN_MAX: u32 = 1_024;

/// The source; it has no state and no limit of its own: a call's budget bounds it.
#[derive(Debug, Default)]
pub struct Random;

impl Host for Random {
    fn bytes(&mut self, len: u32) -> Vec<u8> {
        let mut bytes = vec![0; len.min(LEN_MAX) as usize];
        // The system's source is there since boot; without it no key of the
        // appliance is safe, and going on with zeros would hide that.
        getrandom::fill(&mut bytes).expect("the system has a source of random numbers");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_gives_others_and_never_too_many() {
        let mut random = Random;
        assert_ne!(random.bytes(32), random.bytes(32));
        assert_eq!((random.bytes(0).len(), random.bytes(u32::MAX).len()), (0, LEN_MAX as usize));
    }
}
