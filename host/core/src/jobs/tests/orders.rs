//! Run orders: what holds a step up, and what does not.

use super::*;

const SECOND: u64 = 1_000;
const SHUTDOWN: &str = "name = 'shutdown'\nwhen = { kind = 'ups_on_battery' }\n\
    action = { do = 'sequence', sequence = 'down' }";

fn shutdown() -> Job {
    toml::from_str(SHUTDOWN).expect(SHUTDOWN)
}

/// A run order: hosts, then the UPS. `first` goes into the first step, `second`
/// into the second.
fn order(first: &str, second: &str) -> Sequence {
    let text = format!(
        "name = 'down'\n[[step]]\n\
         actions = [{{ do = 'webhook', to = 'dead' }}, {{ do = 'webhook', to = 'good' }}]\n\
         undo = [{{ do = 'webhook', to = 'back' }}]\n{first}\n[[step]]\n\
         actions = [{{ do = 'command', target = 'ups.0', command = 'shutdown.return' }}]\n{second}"
    );
    let sequence: Sequence = toml::from_str(&text).expect(&text);
    sequence.check(|rule| rule == "off").expect(&text);
    sequence
}

/// A planner with that order, and everything that was done, with its second.
struct Site {
    order: Sequence,
    planner: Planner,
    kept: Kept,
    now_ms: u64,
    told: Vec<Event>,
    done: Vec<String>,
}

impl Site {
    fn new(order: Sequence) -> Self {
        let planner = Planner::new(vec![shutdown()], vec![order.clone()]);
        let (kept, told, done) = (Kept::default(), Vec::new(), Vec::new());
        let mut site = Self { order, planner, kept, now_ms: 0, told, done };
        site.planner.event(1, 0, &on_battery(), 0);
        site
    }

    /// Go on to this second; `answer` says what comes of an action, `None` that
    /// it does not come to an end.
    fn until(&mut self, second: u64, rule: bool, answer: impl Fn(&str) -> Option<Outcome>) {
        while self.now_ms <= second * SECOND {
            for task in self.planner.due(self.now_ms, |_| rule) {
                let what = match &task.action {
                    Action::Webhook { to, .. } => to.clone(),
                    other => other.to_string(),
                };
                let outcome = answer(&what);
                if outcome == Some(Outcome::Done) {
                    self.done.push(format!("{} {what}", self.now_ms / SECOND));
                }
                self.kept.keep(&mut self.planner);
                if let Some(outcome) = outcome {
                    self.planner.finished(&task.instance, outcome, self.now_ms);
                }
            }
            self.told.extend(self.planner.said());
            self.kept.keep(&mut self.planner);
            self.now_ms += SECOND / 2;
        }
    }

    fn crash(&mut self) {
        self.planner = Planner::new(vec![shutdown()], vec![self.order.clone()]);
        let Kept { episodes, instances } = &self.kept;
        self.planner.resume(episodes.clone(), instances.clone(), &BTreeSet::new(), self.now_ms);
    }

    fn ended(&self) -> Option<&Option<String>> {
        self.told.iter().find_map(|event| match event {
            Event::SequenceEnded { aborted, .. } => Some(aborted),
            _ => None,
        })
    }
}

/// One host refuses.
fn one_refuses(to: &str) -> Option<Outcome> {
    Some(if to == "dead" { Outcome::Later("refused".into()) } else { Outcome::Done })
}

#[test]
fn a_host_that_refuses_does_not_hold_the_ups_up() {
    let mut site = Site::new(order("wait_s = 10", ""));
    site.until(60, false, one_refuses);
    assert_eq!(site.done, ["0 good", "11 tell ups.0: shutdown.return"]);
    assert_eq!(site.ended(), None, "it is tried again beside it");
    site.until(3_600, false, one_refuses);
    let failed = site.told.iter().filter(|event| matches!(event, Event::JobFailed { .. }));
    assert_eq!((failed.count(), site.ended()), (1, Some(&None)), "{:?}", site.told);
    assert!(site.planner.pending().next().is_none());
}

#[test]
fn a_host_that_hangs_holds_the_ups_up_for_a_while_at_most() {
    let hangs = |to: &str| (to != "dead").then_some(Outcome::Done);
    for (first, second) in [("", 30), ("within_s = 5", 5), ("within_s = 90", 90)] {
        let mut site = Site::new(order(first, ""));
        site.until(120, false, hangs);
        let command = site.done.iter().find(|done| done.ends_with("shutdown.return"));
        let at = command.and_then(|done| done.split(' ').next()?.parse::<u64>().ok());
        assert!(at.is_some_and(|at| (second..=second + 2).contains(&at)), "{:?}", site.done);
    }
    for bad in ["within_s = 0", "within_s = 86401"] {
        let text = format!("name = 'x'\n[[step]]\n{bad}");
        let sequence: Sequence = toml::from_str(&text).expect(bad);
        let refused = sequence.check(|_| false).expect_err(bad);
        assert!(refused.contains("step 1: within_s is 1 to"), "{refused}");
    }
}

#[test]
fn a_rule_is_waited_for_while_something_is_tried_again() {
    let until = "until = 'off'\nuntil_within_s = 120";
    let mut site = Site::new(order(until, ""));
    site.until(20, false, one_refuses);
    assert_eq!(site.done, ["0 good"]);
    site.until(25, true, one_refuses);
    assert_eq!(site.done.last().map(String::as_str), Some("20 tell ups.0: shutdown.return"));
    let mut site = Site::new(order(until, ""));
    site.until(130, false, one_refuses);
    assert_eq!(site.done.last().map(String::as_str), Some("121 tell ups.0: shutdown.return"));
}

#[test]
fn a_crash_in_the_middle_goes_on_with_the_step_and_what_is_tried_again() {
    let mut site = Site::new(order("wait_s = 10", ""));
    site.until(5, false, one_refuses);
    site.crash();
    site.until(60, false, |_| Some(Outcome::Done));
    let again = site.done.iter().any(|done| done.ends_with("dead"));
    let command = site.done.iter().filter(|done| done.ends_with("shutdown.return")).count();
    assert_eq!((again, command, site.ended()), (true, 1, Some(&None)), "{:?}", site.done);
    // It hung when the power failed, and the clock stands earlier afterwards.
    let mut site = Site::new(order("", ""));
    site.now_ms += 1_000_000 * SECOND;
    let hangs = |to: &str| (to != "dead").then_some(Outcome::Done);
    site.until(1_000_005, false, hangs);
    assert_eq!(site.done, ["1000000 good"]);
    site.now_ms = 0;
    site.crash();
    site.until(40, false, hangs);
    assert!(site.done.iter().any(|done| done.ends_with("shutdown.return")), "{:?}", site.done);
}

#[test]
fn mains_take_back_what_is_tried_again_unless_there_is_no_return() {
    let back = |no_return: &str| {
        let mut site = Site::new(order("wait_s = 600", no_return));
        site.until(5, false, one_refuses);
        site.planner.event(2, 0, &on_mains(), site.now_ms);
        site.until(60, false, one_refuses);
        site
    };
    let site = back("no_return = true");
    assert!(site.done.iter().any(|done| done.ends_with("back")), "{:?}", site.done);
    assert!(matches!(site.ended(), Some(Some(_))), "not begun: it can be taken back");
    assert!(site.planner.pending().next().is_none(), "and nobody is told to go down any more");

    let mut site = Site::new(order("no_return = true", ""));
    site.until(1, false, one_refuses);
    site.planner.event(2, 0, &on_mains(), site.now_ms);
    site.until(3_600, false, one_refuses);
    assert_eq!(site.ended(), Some(&None), "all the way: {:?}", site.told);
    assert!(!site.done.iter().any(|done| done.ends_with("back")), "{:?}", site.done);

    // The last step is over and the first still tried again.
    let mut site = Site::new(order("", ""));
    site.until(30, false, one_refuses);
    assert!(site.done.iter().any(|done| done.ends_with("shutdown.return")));
    site.planner.event(2, 0, &on_mains(), site.now_ms);
    site.until(60, false, one_refuses);
    assert!(site.done.iter().any(|done| done.ends_with("back")), "{:?}", site.done);
    assert!(site.planner.pending().next().is_none());
}

#[test]
fn an_order_whose_job_is_removed_goes_back_or_stops_beyond_its_point_of_no_return() {
    let done = |_: &str| Some(Outcome::Done);
    let mut site = Site::new(order("wait_s = 10", ""));
    site.until(5, false, done);
    site.planner.change(Vec::new(), Vec::new(), site.now_ms);
    site.until(60, false, done);
    assert_eq!(site.done, ["0 dead", "0 good", "5 back"]);
    assert!(site.ended().is_some_and(Option::is_some), "{:?}", site.told);
    assert!(site.planner.pending().next().is_none() && site.planner.standing().is_empty());

    let mut site = Site::new(order("wait_s = 10\nno_return = true", ""));
    site.until(5, false, done);
    site.planner.change(Vec::new(), Vec::new(), site.now_ms);
    site.until(60, false, done);
    assert_eq!(site.done, ["0 dead", "0 good"]);
    assert_eq!(site.ended(), Some(&Some(Reason::Removed.text().to_owned())));
    assert!(site.planner.pending().next().is_none() && site.planner.standing().is_empty());
}
