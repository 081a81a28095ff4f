//! When a new system has proved itself, and when it has not
//! (facts/firmware-trust.md §8). Pure: reports and time come in, a verdict
//! comes out.
//!
//! Healthy means: the guard's cycles come in time, the console answers, and
//! every plugin of the platform runs that ran before the update. What was
//! missing before is not asked for. One that a person has to say a word about
//! counts as there: nobody can say it beforehand. Plugins of others have no
//! say, or any of them could keep a security fix out; what becomes of them is
//! told.

use evenkeel_signing::slot::Reason;
use evenkeel_signing::slot::talk::Health;
use std::time::Duration;

/// A system that was healthy for so long without a break has proved itself.
pub const PROVEN: Duration = Duration::from_secs(60);
/// One that is not healthy for so long without a break has not.
pub const UNHEALTHY_MAX: Duration = Duration::from_secs(180);
/// One that has not proved itself by then never will.
pub const TRIAL_MAX: Duration = Duration::from_secs(600);
/// What is missing for so long is what a sudden end is put down to.
pub const BLAMED: Duration = Duration::from_secs(15);
/// A report that is older says nothing.
pub const REPORT_MAX: Duration = Duration::from_secs(20);

/// What is to be done about a system on trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Wait,
    /// It has proved itself.
    Confirm,
    /// It has not; go back.
    GiveUp(Reason),
}

/// The plugins that ran before the update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Of the platform: they must run again.
    pub platform: Vec<String>,
    /// Of others: they are told of.
    pub others: Vec<String>,
}

/// A system on trial. Times are since the start of the appliance.
#[derive(Clone, Debug)]
pub struct Trial {
    before: Before,
    report: Option<(Duration, Health)>,
    healthy_since: Option<Duration>,
    unhealthy_since: Duration,
    /// Times without mains do not count.
    paused: Duration,
    looked: Duration,
}

impl Trial {
    /// One that begins at `now`; `before` ran in the system before it.
    #[must_use]
    pub const fn new(before: Before, now: Duration) -> Self {
        Self {
            before,
            report: None,
            healthy_since: None,
            unhealthy_since: now,
            paused: Duration::ZERO,
            looked: now,
        }
    }

    /// The daemon has reported.
    pub fn report(&mut self, health: Health, now: Duration) {
        self.report = Some((now, health));
    }

    /// Look at what is known; to be called about every second.
    pub fn look(&mut self, now: Duration) -> Verdict {
        let since = now.saturating_sub(self.looked);
        self.looked = now;
        let missing = self.missing(now);
        match &missing {
            None => {
                let since = *self.healthy_since.get_or_insert(now);
                self.unhealthy_since = now;
                if now.saturating_sub(since) >= PROVEN {
                    return Verdict::Confirm;
                }
            }
            Some(_) if self.is_without_mains(now) => {
                // Nothing restarts while the batteries carry the load.
                (self.healthy_since, self.paused) = (None, self.paused + since);
                self.unhealthy_since += since;
            }
            Some(_) => self.healthy_since = None,
        }
        let (reason, unhealthy) = match missing {
            Some((reason, _)) => (reason, now.saturating_sub(self.unhealthy_since)),
            None => (Reason::NotConfirmed, Duration::ZERO),
        };
        if self.is_without_mains(now) {
            return Verdict::Wait;
        }
        if unhealthy >= UNHEALTHY_MAX || now.saturating_sub(self.paused) >= TRIAL_MAX {
            return Verdict::GiveUp(reason);
        }
        Verdict::Wait
    }

    /// What a sudden end would be put down to: what has been missing for a
    /// while. `None`: nothing, so it would be the power.
    #[must_use]
    pub fn blamed(&self, now: Duration) -> Option<Reason> {
        let (reason, _) = self.missing(now)?;
        (now.saturating_sub(self.unhealthy_since) >= BLAMED).then_some(reason)
    }

    /// For how long it has been healthy, and what is missing, for people.
    #[must_use]
    pub fn told(&self, now: Duration) -> (Duration, Option<String>) {
        let healthy = self.healthy_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        (healthy, self.missing(now).map(|(_, words)| words))
    }

    /// Plugins that ran before, do not run, and do not stand in the way.
    #[must_use]
    pub fn without(&self, now: Duration) -> Vec<String> {
        let Some(health) = self.fresh(now) else { return Vec::new() };
        let is_gone =
            |name: &&String| !health.plugins.contains(name) && !health.others.contains(name);
        self.before.platform.iter().chain(&self.before.others).filter(is_gone).cloned().collect()
    }

    fn is_without_mains(&self, now: Duration) -> bool {
        self.fresh(now).is_some_and(|health| !health.mains)
    }

    fn fresh(&self, now: Duration) -> Option<&Health> {
        let (at, health) = self.report.as_ref()?;
        (now.saturating_sub(*at) <= REPORT_MAX).then_some(health)
    }

    fn missing(&self, now: Duration) -> Option<(Reason, String)> {
        let Some(health) = self.fresh(now) else {
            return Some((Reason::Daemon, "the daemon does not report".to_owned()));
        };
        if !health.guard {
            return Some((Reason::Guard, "the guard's cycles do not come in time".to_owned()));
        }
        if !health.console {
            return Some((Reason::Daemon, "the console does not answer".to_owned()));
        }
        let is_there =
            |name: &String| health.plugins.contains(name) || health.excused.contains(name);
        let gone = self.before.platform.iter().find(|name| !is_there(name))?;
        Some((Reason::Plugins, format!("plugin {gone} ran before and does not run")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn well() -> Health {
        let plugins = vec!["megatec".into()];
        Health { guard: true, console: true, mains: true, plugins, ..Health::default() }
    }

    fn trial() -> Trial {
        let platform = vec!["megatec".into()];
        Trial::new(Before { platform, others: vec!["acme".into()] }, s(2))
    }

    /// Report every 5 s and look every second from `begin`; when and what the
    /// first verdict is.
    fn run(
        trial: &mut Trial,
        begin: u64,
        report: impl Fn(u64) -> Option<Health>,
    ) -> (u64, Verdict) {
        for second in begin..5_000 {
            if second % 5 == 0
                && let Some(health) = report(second)
            {
                trial.report(health, s(second));
            }
            match trial.look(s(second)) {
                Verdict::Wait => {}
                verdict => return (second, verdict),
            }
        }
        (5_000, Verdict::Wait)
    }

    #[test]
    fn a_healthy_system_is_confirmed_after_its_time_and_not_before() {
        let mut trial = trial();
        assert_eq!(trial.told(s(3)).1.unwrap(), "the daemon does not report");
        assert_eq!(run(&mut trial, 3, |_| Some(well())), (65, Verdict::Confirm));
    }

    #[test]
    fn a_break_begins_the_time_again() {
        let report = |second| match second {
            30..40 => Some(Health { console: false, ..well() }),
            _ => Some(well()),
        };
        assert_eq!(run(&mut trial(), 3, report), (100, Verdict::Confirm));
    }

    #[test]
    fn what_is_missing_is_the_reason() {
        let cases: [(Option<Health>, Reason); 4] = [
            (None, Reason::Daemon),
            (Some(Health { guard: false, ..well() }), Reason::Guard),
            (Some(Health { console: false, ..well() }), Reason::Daemon),
            (Some(Health { plugins: Vec::new(), ..well() }), Reason::Plugins),
        ];
        for (health, reason) in cases {
            let (at, verdict) = run(&mut trial(), 3, |_| health.clone());
            assert_eq!((at, verdict), (182, Verdict::GiveUp(reason)));
        }
    }

    #[test]
    fn a_sudden_end_is_put_down_to_what_was_missing_for_a_while() {
        let mut trial = trial();
        let mut report = |second, guard| {
            trial.report(Health { guard, ..well() }, s(second));
            trial.look(s(second));
            trial.blamed(s(second))
        };
        assert_eq!([5, 10].map(|second| report(second, true)), [None, None]);
        assert_eq!([15, 20].map(|second| report(second, false)), [None, None]);
        assert_eq!(report(25, false), Some(Reason::Guard));
        assert_eq!(report(30, true), None);
    }

    #[test]
    fn one_that_flaps_is_given_up_in_the_end() {
        let report = |second| Some(Health { guard: second % 50 != 0, ..well() });
        let (at, verdict) = run(&mut trial(), 3, report);
        assert!(matches!(verdict, Verdict::GiveUp(_)), "{verdict:?}");
        assert_eq!(at, 600);
    }

    #[test]
    fn without_mains_nobody_is_given_up() {
        let bad = |mains| Health { console: false, mains, ..well() };
        let (at, verdict) = run(&mut trial(), 3, |second| Some(bad(second >= 1_000)));
        assert_eq!(verdict, Verdict::GiveUp(Reason::Daemon));
        assert!((1_100..=1_200).contains(&at), "{at}");
    }

    #[test]
    fn a_plugin_that_did_not_run_before_is_not_asked_for() {
        let mut trial = Trial::new(Before::default(), s(2));
        let report = |_| Some(Health { plugins: Vec::new(), ..well() });
        assert_eq!(run(&mut trial, 3, report).1, Verdict::Confirm);
    }

    #[test]
    fn a_plugin_of_others_has_no_veto_and_is_told_of() {
        // It ran before, counts its starts, and fails in the new system.
        let mut trial = trial();
        assert_eq!(run(&mut trial, 3, |_| Some(well())), (65, Verdict::Confirm));
        assert_eq!(trial.told(s(65)).1, None);
        assert_eq!(trial.without(s(65)), ["acme"]);
        let with = Health { others: vec!["acme".into()], ..well() };
        trial.report(with, s(66));
        assert!(trial.without(s(66)).is_empty(), "it runs again");
        // Nor does it help that it calls itself like one of the platform.
        let stranger = Health { plugins: Vec::new(), others: vec!["megatec".into()], ..well() };
        let (_, verdict) = run(&mut self::trial(), 3, |_| Some(stranger.clone()));
        assert_eq!(verdict, Verdict::GiveUp(Reason::Plugins));
    }

    #[test]
    fn a_plugin_that_waits_for_a_person_is_not_gone() {
        let excused = vec!["megatec".into()];
        let waits = Health { plugins: Vec::new(), excused, ..well() };
        let mut trial = trial();
        assert_eq!(run(&mut trial, 3, |_| Some(waits.clone())), (65, Verdict::Confirm));
        assert_eq!(trial.without(s(65)), ["megatec", "acme"]);
    }

    proptest! {
        #[test]
        fn with_mains_there_is_always_a_verdict_in_time(
            reports in prop::collection::vec(
                prop::option::of((any::<bool>(), any::<bool>(), any::<bool>())), 130
            ),
        ) {
            let (at, verdict) = run(&mut trial(), 3, |second| {
                let (guard, console, plugin) = (*reports.get(second as usize / 5)?)?;
                let plugins = if plugin { vec!["megatec".into()] } else { Vec::new() };
                Some(Health { guard, console, mains: true, plugins, ..Health::default() })
            });
            prop_assert!(verdict != Verdict::Wait && at <= 602, "{} {:?}", at, verdict);
        }
    }
}
