//! Going on after a restart with what was kept.

use super::{Episode, Instance, Outcome, Phase, Planner, Stage};
use crate::jobs::Reason;
use std::collections::{BTreeMap, BTreeSet};

impl Planner {
    /// Go on with what an earlier planner kept. What jobs that are gone have
    /// done is taken back, the rest of theirs is forgotten; what was in the middle of an action that may not be
    /// done twice is over, and an event says that nobody knows. Those in `ended`
    /// came to an end, as the log says: a kill was between its note and what is
    /// kept.
    pub fn resume(
        &mut self,
        episodes: BTreeMap<String, Episode>,
        instances: BTreeMap<String, Instance>,
        ended: &BTreeSet<String>,
        now_ms: u64,
    ) {
        for (id, episode) in episodes {
            match self.job(&episode.job).is_some() || episode.did.is_some() {
                true => drop(self.episodes.insert(id, episode)),
                false => self.mark(&id, true),
            }
        }
        for (id, mut instance) in instances {
            if self.episodes.contains_key(&instance.episode) && self.has_stage(&instance) {
                let wait = instance.due_ms.saturating_sub(instance.planned_ms);
                instance.due_ms = instance.due_ms.min(now_ms.saturating_add(wait));
                instance.planned_ms = instance.planned_ms.min(now_ms);
                if let Stage::Sequence(_, Phase::Waiting(since)) = &mut instance.stage {
                    *since = (*since).min(now_ms);
                }
                self.put(id, instance);
            } else {
                self.mark(&id, false);
            }
        }
        for id in ended {
            if let Some(instance) = self.instances.get(id).cloned() {
                self.settle(id, &instance, now_ms);
            }
        }
        let lost = self.instances.iter().filter(|(_, i)| i.begun).map(|(id, _)| id.clone());
        for id in lost.collect::<Vec<_>>() {
            let repeatable = self.task(&id).is_none_or(|task| task.action.may_be_repeated());
            if repeatable {
                if let Some(mut instance) = self.instances.get(&id).cloned() {
                    instance.begun = false;
                    self.put(id, instance);
                }
            } else {
                let reason = Reason::Interrupted.text().to_owned();
                self.finished(&id, Outcome::Never(reason), now_ms);
            }
        }
        self.withdraw(now_ms);
    }
}
