//! What goes out, and how long the line is busy or listened to because of it.

use super::{Burst, Command, Device, Master, SEND_MAX, State, Step};
use crate::bus::errand::Errand;
use crate::bus::wire::{DutyList, FRAME_MAX, Outputs, Request};
use crate::time::Nanos;

impl Master {
    pub(super) fn send_sample(&mut self, now: Nanos) -> Step<'_> {
        self.sample = self.sample.wrapping_add(1);
        let request = Request::Sample { sample: self.sample, window_ms: self.timing.window_ms };
        let len = encode(&request, &mut self.out);
        let window = Nanos::from_millis(self.timing.window_ms.into());
        let sent = now + self.timing.chars(len as u32);
        // A reading is as old as the middle of its window.
        self.sampled_at = sent + Nanos(window.0 / 2);
        self.state = State::Sampling(sent + window);
        Step::Send(&self.out[..len])
    }

    pub(super) fn send_burst(
        &mut self,
        now: Nanos,
        what: Burst,
        from: usize,
        to: usize,
    ) -> Step<'_> {
        // A run is at most BURST_MAX long.
        let count = (to - from) as u8;
        let request = match what {
            Burst::Identify => Request::Identify { first: self.modules[from].address, count },
            Burst::IdentifyDevices => {
                Request::Identify { first: self.devices[from].address, count }
            }
            Burst::Read => Request::Read { first: self.modules[from].address, count },
            Burst::ReadIo => {
                let Device { address, kind, .. } = self.devices[from];
                Request::ReadIo { first: address, count, channels: kind.channels() }
            }
        };
        self.identified += usize::from(matches!(what, Burst::Identify | Burst::IdentifyDevices));
        self.decoder.reset();
        let len = encode(&request, &mut self.out);
        let answered = now + self.burst_time(what, from, to);
        // Patience ends where the commands would come too late.
        let latest = self.end.since(self.reserved_after(what)).max(answered);
        let until = (answered + self.timing.slack).min(latest);
        self.state = State::Listening { what, from, to, slots: answered, until };
        Step::Send(&self.out[..len])
    }

    /// The next device at or after `from` that has outputs to be commanded.
    pub(super) fn next_outputs(&self, from: usize) -> Option<(usize, Outputs)> {
        let rest = self.devices.iter().enumerate().skip(from);
        rest.filter(|(_, d)| d.kind.outputs() > 0)
            .find_map(|(index, device)| Some((index, device.outputs?)))
    }

    pub(super) fn send_outputs(&mut self, now: Nanos, index: usize, outputs: Outputs) -> Step<'_> {
        let address = self.devices[index].address;
        let request = Request::Outputs { address, outputs, hold_ds: self.timing.hold_ds };
        let len = encode(&request, &mut self.out);
        let until = now + self.timing.chars(len as u32);
        self.state = State::Sending { then: Command::Outputs(index + 1), until };
        Step::Send(&self.out[..len])
    }

    pub(super) fn send_duties(&mut self, now: Nanos, from: usize, to: usize) -> Step<'_> {
        let request = Request::Duties {
            first: self.modules[from].address,
            hold_ds: self.timing.hold_ds,
            duties: DutyList::Owned(&self.duties[from..to]),
        };
        let len = encode(&request, &mut self.out);
        let until = now + self.timing.chars(len as u32);
        self.state = State::Sending { then: Command::Duties(to), until };
        Step::Send(&self.out[..len])
    }

    pub(super) fn send_errand(&mut self, now: Nanos) -> Step<'_> {
        // Only called when there is one.
        let Some(job) = self.job.as_mut() else { return Step::Idle };
        job.began.get_or_insert(now);
        self.measure_asked |= matches!(job.errand, Errand::Measure { .. });
        let listened = now + job.time(&self.timing) + self.timing.slack;
        let expects = job.expects_replies();
        let len = encode(&job.request(), &mut self.out);
        self.decoder.reset();
        let sent = now + self.timing.chars(len as u32);
        self.state = if expects {
            State::Answering(listened)
        } else {
            State::Sending { then: Command::Errand, until: sent }
        };
        Step::Send(&self.out[..len])
    }
}

/// A zero byte and the request; returns their length.
fn encode(request: &Request<'_>, out: &mut [u8; SEND_MAX]) -> usize {
    let mut frame = [0; FRAME_MAX];
    let len = request.encode(&mut frame);
    out[0] = 0;
    out[1..=len].copy_from_slice(&frame[..len]);
    len + 1
}
