//! Run orders on their way: from step to step, or back
//! ([`sequence`](crate::jobs::Sequence) has the picture).

use super::{Instance, Planner, Stage};
use crate::events::Event;
use crate::jobs::{Phase, Sequence};

impl Planner {
    /// See how far each run order may go on.
    pub(super) fn walk_sequences(&mut self, now_ms: u64, is_true: &impl Fn(&str) -> bool) {
        let walking = |(id, instance): (&String, &Instance)| match instance.stage {
            Stage::Sequence(step, phase) => {
                Some((id.clone(), instance.episode.clone(), step, phase))
            }
            _ => None,
        };
        let walking: Vec<_> = self.instances.iter().filter_map(walking).collect();
        for (id, episode, step, phase) in walking {
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
            let next = self.next_phase(&episode, &sequence, step, phase, now_ms, is_true);
            match next {
                Some((next, _)) if usize::from(next) >= sequence.step.len() => {
                    let (sequence, aborted) = (sequence.name.clone(), None);
                    self.said.push(Event::SequenceEnded { sequence, aborted });
                    self.forget(&id);
                    self.end_if_over(&episode, now_ms);
                }
                Some((step, phase)) => {
                    if let Some(mut instance) = self.instances.get(&id).cloned() {
                        instance.stage = Stage::Sequence(step, phase);
                        self.put(id, instance);
                    }
                }
                None => {}
            }
        }
    }

    /// Where a run order is next; `None`: where it is.
    fn next_phase(
        &mut self,
        episode: &str,
        sequence: &Sequence,
        n: u16,
        phase: Phase,
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
            Phase::Acting => (!self.acts(episode)).then_some((n, Phase::Waiting(now_ms))),
            Phase::Waiting(since) => {
                step.is_over(now_ms.saturating_sub(since), is_true).then_some((n + 1, Phase::Begin))
            }
        }
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
        if self.acts(episode) {
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
        let aborted = Some("what began it is over".to_owned());
        self.said.push(Event::SequenceEnded { sequence: sequence.name.clone(), aborted });
        self.forget(id);
        self.end_if_over(episode, now_ms);
    }

    /// Whether an action of a step waits or is under way.
    fn acts(&self, episode: &str) -> bool {
        let acts = |i: &Instance| i.episode == episode && matches!(i.stage, Stage::Step(..));
        self.instances.values().any(acts)
    }
}
