//! What block modules and devices have in common: rules 9 … 12 and IDENTIFY.

use core::ops::RangeInclusive;
use evenkeel_wire::{
    BROADCAST, FOUND_SLOT_CHARS, FRAME_MAX, Found, IDENTITY_SLOT_CHARS, Identity, Led, Reply,
    Request, TURNAROUND_CHARS, search_slot,
};

/// Microseconds since power-up.
pub type Micros = u64;

/// How long a press counts after the button was released (rule 10).
const PRESS_COUNTS: Micros = 2_000_000;

/// A reply and when it has to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Character times from the end of the request's last byte.
    pub after_chars: u32,
    /// What to send, frame end included.
    pub bytes: &'a [u8],
}

/// What every board has.
pub trait StationHardware {
    /// The address button is pressed now, contact bounce removed.
    fn button(&mut self) -> bool;
    /// Keep the address over power cuts; it was read back at start.
    fn store_address(&mut self, address: u16);
    /// Show this until told otherwise.
    fn show(&mut self, pattern: Led);
}

/// Identity, address, button and lamp.
#[derive(Clone, Debug)]
pub struct Station {
    identity: Identity,
    address: u16,
    allowed: RangeInclusive<u16>,
    /// A press that no ASSIGN has used up yet, and until when it counts.
    pressed_until: Option<Micros>,
    is_down: bool,
    /// The present press was used up: it must be released first.
    is_spent: bool,
    led_until: Option<Micros>,
    out: [u8; FRAME_MAX + 1],
}

impl Station {
    pub(crate) fn new(identity: Identity, address: u16, allowed: RangeInclusive<u16>) -> Self {
        Self {
            identity,
            address,
            allowed,
            pressed_until: None,
            is_down: false,
            is_spent: false,
            led_until: None,
            out: [0; FRAME_MAX + 1],
        }
    }

    /// Who it is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its bus address; 0 while it has none.
    #[must_use]
    pub const fn address(&self) -> u16 {
        self.address
    }

    /// The button is pressed, as last looked at.
    pub(crate) const fn is_button_down(&self) -> bool {
        self.is_down
    }

    /// When it next does something by itself.
    pub(crate) const fn next_timer(&self) -> Option<Micros> {
        self.led_until
    }

    /// Look at the button and the lamp.
    pub(crate) fn tick(&mut self, now: Micros, hardware: &mut impl StationHardware) {
        self.is_down = hardware.button();
        self.is_spent &= self.is_down;
        if self.is_down && !self.is_spent {
            self.pressed_until = Some(now.saturating_add(PRESS_COUNTS));
        }
        if self.led_until.take_if(|until| *until <= now).is_some() {
            hardware.show(Led::Normal);
        }
    }

    /// Own position in a run of `count` addresses from `first`. A station
    /// without an address is in none.
    pub(crate) fn place(&self, first: u16, count: usize) -> Option<usize> {
        let place = usize::from(self.address.checked_sub(first)?);
        (self.address != 0 && place < count).then_some(place)
    }

    /// Answer what every station answers alike.
    pub(crate) fn handle(
        &mut self,
        now: Micros,
        request: &Request<'_>,
        hardware: &mut impl StationHardware,
    ) -> Option<Answer<'_>> {
        match *request {
            Request::Identify { first, count } => {
                let place = self.place(first, count.into())?;
                let reply = Reply::Identity { address: self.address, identity: self.identity };
                Some(self.answer(place, IDENTITY_SLOT_CHARS, &reply))
            }
            Request::Search { prefix, bits } => {
                let slot = search_slot(self.identity.serial, prefix, bits)?;
                Some(self.answer_found(slot))
            }
            Request::Offer { .. } => {
                self.pressed_until.filter(|until| now <= *until)?;
                Some(self.answer_found(0))
            }
            Request::Assign { serial, address } => {
                let allowed = address == 0 || self.allowed.contains(&address);
                if serial != self.identity.serial || !allowed {
                    return None;
                }
                self.address = address;
                hardware.store_address(address);
                self.pressed_until = None;
                self.is_spent = self.is_down;
                Some(self.answer_found(0))
            }
            Request::Led { address, pattern, hold_s } => {
                let meant = address == BROADCAST || self.place(address, 1).is_some();
                if meant {
                    hardware.show(pattern);
                    self.led_until = Some(now.saturating_add(u64::from(hold_s) * 1_000_000));
                }
                None
            }
            _ => None,
        }
    }

    /// A reply in the slot `place` of slots that long.
    pub(crate) fn answer(&mut self, place: usize, slot_chars: u32, reply: &Reply) -> Answer<'_> {
        let after_chars = TURNAROUND_CHARS + place as u32 * slot_chars;
        let mut frame = [0; FRAME_MAX];
        let len = reply.encode(&mut frame);
        self.out[..len].copy_from_slice(&frame[..len]);
        Answer { after_chars, bytes: &self.out[..len] }
    }

    /// A FOUND, with its zero byte in front.
    fn answer_found(&mut self, slot: u8) -> Answer<'_> {
        let Identity { serial, type_code, hardware, .. } = self.identity;
        let reply = Reply::Found(Found { serial, address: self.address, type_code, hardware });
        let mut frame = [0; FRAME_MAX];
        let len = reply.encode(&mut frame);
        self.out[0] = 0;
        self.out[1..=len].copy_from_slice(&frame[..len]);
        let after_chars = TURNAROUND_CHARS + u32::from(slot) * FOUND_SLOT_CHARS;
        Answer { after_chars, bytes: &self.out[..=len] }
    }
}
