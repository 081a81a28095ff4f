//! What becomes of received bytes: readings, identities, answers to errands,
//! strangers.

use super::station::find;
use super::{Burst, Master, State, Stranger};
use crate::bus::errand::Errand;
use crate::bus::wire::{Identity, Reply, search_slot};

impl Master {
    /// Take what the port received.
    pub fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let parsed = match self.decoder.push(*byte) {
                None => continue,
                Some(Err(_)) => {
                    self.counters.bad_frames += 1;
                    self.note_garbage();
                    continue;
                }
                Some(Ok(frame)) => Reply::parse(&frame),
            };
            match parsed {
                Ok(reply) if self.accept(&reply) => self.counters.good_frames += 1,
                Ok(reply) => {
                    self.counters.unexpected += 1;
                    self.note_stranger(reply.address());
                }
                Err(_) => self.counters.unexpected += 1,
            }
        }
    }

    /// Take a reply; false when nobody asked for it. A reading that belongs to
    /// the present sample is good even when it comes after its burst was given
    /// up: adapters and busy machines delay bytes, they do not change them.
    fn accept(&mut self, reply: &Reply) -> bool {
        match *reply {
            Reply::Reading { address, reading } if reading.sample == self.sample => {
                let Some(at) = find(&self.modules, address, |m| m.address) else { return false };
                self.modules[at].reading = Some((reading, self.sampled_at));
                self.modules[at].missed = 0;
                self.mark(Burst::Read, at);
                true
            }
            Reply::Io { address, io } if io.sample == self.sample => {
                let Some(at) = find(&self.devices, address, |d| d.address) else { return false };
                self.devices[at].io = Some((io, self.sampled_at));
                self.devices[at].missed = 0;
                self.mark(Burst::ReadIo, at);
                true
            }
            Reply::Identity { address, identity } => {
                self.accept_identity(address, identity) || self.accept_for_errand(reply)
            }
            Reply::Found(_) | Reply::Resistance { .. } => self.accept_for_errand(reply),
            Reply::Reading { .. } | Reply::Io { .. } => false,
        }
    }

    fn accept_identity(&mut self, address: u16, identity: Identity) -> bool {
        if let Some(at) = find(&self.modules, address, |m| m.address)
            && self.mark(Burst::Identify, at)
        {
            self.modules[at].identity = Some(identity);
            return true;
        }
        if let Some(at) = find(&self.devices, address, |d| d.address)
            && self.mark(Burst::IdentifyDevices, at)
        {
            self.devices[at].identity = Some(identity);
            return true;
        }
        false
    }

    fn accept_for_errand(&mut self, reply: &Reply) -> bool {
        let (Some(job), State::Answering(_)) = (self.job.as_mut(), self.state) else {
            return false;
        };
        match (job.errand, *reply) {
            (Errand::Search { prefix, bits }, Reply::Found(found)) => {
                let meant = search_slot(found.serial, prefix, bits).is_some();
                if meant {
                    job.found.push(found);
                }
                meant
            }
            (Errand::Offer { .. }, Reply::Found(found)) => {
                job.found.push(found);
                true
            }
            (Errand::Assign { serial, .. }, Reply::Found(found)) if found.serial == serial => {
                job.found.push(found);
                true
            }
            (Errand::Measure { address }, Reply::Resistance { address: from, resistance })
                if from == address =>
            {
                job.resistance = Some(resistance);
                true
            }
            (Errand::Probe { first, count, .. }, Reply::Identity { address, .. }) => {
                let place = address.checked_sub(first).filter(|p| *p < u16::from(count.min(64)));
                job.answered |= place.map_or(0, |place| 1 << place);
                place.is_some()
            }
            _ => false,
        }
    }

    /// A station answered what the present burst asks; false when another
    /// burst, or none, is under way.
    fn mark(&mut self, answers: Burst, at: usize) -> bool {
        match self.state {
            State::Listening { what, from, to, .. }
                if what == answers && (from..to).contains(&at) =>
            {
                self.answered[at] = true;
                true
            }
            _ => false,
        }
    }

    pub(super) fn note_garbage(&mut self) {
        if let (Some(job), State::Answering(_)) = (self.job.as_mut(), self.state) {
            job.garbled = true;
        }
    }

    fn note_stranger(&mut self, address: u16) {
        let known = find(&self.modules, address, |m| m.address).is_some()
            || find(&self.devices, address, |d| d.address).is_some();
        if known {
            return;
        }
        let listed = &mut self.strangers[..self.stranger_count];
        if let Some(stranger) = listed.iter_mut().find(|s| s.address == address) {
            stranger.frames = stranger.frames.saturating_add(1);
        } else if let Some(free) = self.strangers.get_mut(self.stranger_count) {
            *free = Stranger { address, frames: 1 };
            self.stranger_count += 1;
        }
    }
}
