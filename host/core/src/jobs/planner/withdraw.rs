//! Jobs that are gone, by a new document or since before a restart: what they
//! have done is taken back as it was done, what only waits is forgotten.

use super::{Episode, Instance, Planner, Stage};
use crate::events::Event;
use std::collections::BTreeSet;

impl Planner {
    /// End the episodes of jobs that are not there any more.
    pub(super) fn withdraw(&mut self, now_ms: u64) {
        let gone = self.episodes.iter().filter(|(_, episode)| self.job(&episode.job).is_none());
        let gone: Vec<String> = gone.map(|(name, _)| name.clone()).collect();
        let mut told = BTreeSet::new();
        for name in gone {
            let waiting = |(id, i): &(&String, &Instance)| {
                i.episode == name && !self.running.contains(*id) && !takes_back(&i.stage)
            };
            let waiting = self.instances.iter().filter(waiting).map(|(id, _)| id.clone());
            let waiting: Vec<String> = waiting.collect();
            let Some(episode) = self.episodes.get(&name) else { continue };
            let has_effect = self.has_effect(&name, episode);
            waiting.iter().for_each(|id| self.forget(id));
            if !has_effect {
                self.episodes.remove(&name);
                self.mark(&name, true);
                continue;
            }
            if let Some(episode) = self.episodes.get_mut(&name) {
                if episode.begun {
                    told.insert(episode.job.clone());
                }
                // It is over, whatever it was for.
                episode.lasting = true;
                episode.keys.clear();
            }
            self.mark(&name, true);
            self.end_if_over(&name, now_ms);
        }
        self.said.extend(told.into_iter().map(|job| Event::JobWithdrawn { job }));
    }

    /// Whether an episode has done, or is doing, what can be taken back.
    fn has_effect(&self, name: &str, episode: &Episode) -> bool {
        let Some(did) = &episode.did else { return false };
        let busy = |(id, i): (&String, &Instance)| {
            i.episode == name && (self.running.contains(id) || takes_back(&i.stage))
        };
        episode.begun && did.undo.is_some() || self.instances.iter().any(busy)
    }
}

/// What stays of a job that is gone: its counter-job, and a run order, which goes
/// back by itself.
pub(super) const fn takes_back(stage: &Stage) -> bool {
    matches!(stage, Stage::Undo | Stage::StepUndo(..) | Stage::Sequence(..))
}
