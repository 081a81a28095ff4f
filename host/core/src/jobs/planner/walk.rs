//! Run orders on their way: from step to step, or back
//! ([`sequence`](crate::jobs::Sequence) has the picture).

use super::{Instance, Planner, Stage};
use crate::events::Event;
use crate::jobs::{Phase, Reason, Sequence};

impl Planner {
    /// See how far each run order may go on.
    pub(super) fn walk_sequences(&mut self, now_ms: u64, is_true: &impl Fn(&str) -> bool) {
        let walking = |(id, instance): (&String, &Instance)| match instance.stage {
            Stage::Sequence(step, phase) => Some((id.clone(), instance.clone(), step, phase)),
            _ => None,
        };
        let walking: Vec<_> = self.instances.iter().filter_map(walking).collect();
        for (id, mut instance, step, phase) in walking {
            let episode = instance.episode.clone();
            let Some(sequence) = self.sequence(&episode).cloned() else {
                self.forget(&id);
                continue;
            };
            let over = self.episodes.get(&episode).is_some_and(|episode| !episode.is_true());
            let reached = match (step, phase) {
                (0, Phase::Begin) => None,
                (step, Phase::Begin) => Some(step - 1),
                (step, _) => Some(step),
            };
            if over && !reached.is_some_and(|step| sequence.no_return(step)) {
                self.give_up(&id, &episode, &sequence, reached, now_ms);
                continue;
            }
            if over && self.is_gone(&episode) {
                self.stop(&id, &episode, &sequence, now_ms);
                continue;
            }
            let place = (step, phase, instance.planned_ms);
            match self.next_phase(&episode, &sequence, place, now_ms, is_true) {
                Some((next, _)) if usize::from(next) >= sequence.step.len() => {
                    let (sequence, aborted) = (sequence.name.clone(), None);
                    self.said.push(Event::SequenceEnded { sequence, aborted });
                    self.forget(&id);
                    self.end_if_over(&episode, now_ms);
                }
                Some((step, phase)) => {
                    if phase == Phase::Acting {
                        instance.planned_ms = now_ms;
                    }
                    instance.stage = Stage::Sequence(step, phase);
                    self.put(id, instance);
                }
                None => {}
            }
        }
    }

    /// Where a run order is next; `None`: where it is. `place`: the step, its
    /// phase, and since when it acts.
    fn next_phase(
        &mut self,
        episode: &str,
        sequence: &Sequence,
        (n, phase, since_ms): (u16, Phase, u64),
        now_ms: u64,
        is_true: &impl Fn(&str) -> bool,
    ) -> Option<(u16, Phase)> {
        let step = sequence.step.get(usize::from(n))?;
        match phase {
            Phase::Begin => {
                for action in 0..step.actions.len() as u16 {
                    self.plan(episode, Stage::Step(n, action), now_ms, now_ms);
                }
                Some((n, Phase::Acting))
            }
            Phase::Acting => {
                let held = !step.is_late(now_ms.saturating_sub(since_ms))
                    && self.acts(episode, |step, failed| step == n && failed == 0);
                (!held).then_some((n, Phase::Waiting(now_ms)))
            }
            Phase::Waiting(since) => {
                // As long as something is tried again all of it can be taken back.
                let is_last = usize::from(n) + 1 == sequence.step.len();
                let busy = is_last && self.acts(episode, |_, _| true);
                let over = step.is_over(now_ms.saturating_sub(since), is_true);
                (over && !busy).then_some((n + 1, Phase::Begin))
            }
        }
    }

    /// Whether the job of an episode is not there any more.
    fn is_gone(&self, episode: &str) -> bool {
        self.episodes.get(episode).is_some_and(|episode| self.job(&episode.job).is_none())
    }

    /// Beyond the point of no return, and its job is gone: nothing is taken
    /// back, and nothing more is begun.
    fn stop(&mut self, id: &str, episode: &str, sequence: &Sequence, now_ms: u64) {
        let aborted = Some(Reason::Removed.text().to_owned());
        self.said.push(Event::SequenceEnded { sequence: sequence.name.clone(), aborted });
        self.forget(id);
        self.end_if_over(episode, now_ms);
    }

    /// Take back what was begun, the last step first.
    fn give_up(
        &mut self,
        id: &str,
        episode: &str,
        sequence: &Sequence,
        reached: Option<u16>,
        now_ms: u64,
    ) {
        let waits = |(id, i): &(&String, &Instance)| {
            i.episode == episode
                && matches!(i.stage, Stage::Step(..))
                && !self.running.contains(*id)
        };
        let waiting: Vec<String> =
            self.instances.iter().filter(waits).map(|(id, _)| id.clone()).collect();
        waiting.iter().for_each(|id| self.forget(id));
        if self.acts(episode, |_, _| true) {
            // What is being done cannot be taken back yet.
            return;
        }
        let begun = reached.map_or(0, |step| usize::from(step) + 1);
        for (turn, n) in (0..begun).rev().enumerate() {
            // A second apart, so that their order is that of the steps.
            let due_ms = now_ms + turn as u64 * 1_000;
            for action in 0..sequence.step[n].undo.len() as u16 {
                self.plan(episode, Stage::StepUndo(n as u16, action), due_ms, now_ms);
            }
        }
        let aborted = Some(Reason::Over.text().to_owned());
        self.said.push(Event::SequenceEnded { sequence: sequence.name.clone(), aborted });
        self.forget(id);
        self.end_if_over(episode, now_ms);
    }

    /// Whether an action waits or is under way of whose step, and of how many
    /// attempts that failed, `which` holds.
    fn acts(&self, episode: &str, which: impl Fn(u16, u32) -> bool) -> bool {
        let acts = |i: &Instance| match i.stage {
            Stage::Step(step, _) => i.episode == episode && which(step, i.failed),
            _ => false,
        };
        self.instances.values().any(acts)
    }
}
