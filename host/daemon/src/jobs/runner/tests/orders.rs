//! Run orders on their way through the executor: step after step, with one that
//! fails and a kill in the middle.

use super::clocks::Clock;
use super::*;
use std::net::UdpSocket;

/// Lamps of two groups, a machine that is woken, an output that the guard refuses
/// and the alarm relay; each step in its time.
fn document(port: u16) -> String {
    format!(
        "confirm = ['device.3:output.2']\n\
         [[job]]\nname = 'down'\nwhen = {{ kind = 'ups_on_battery' }}\n\
         action = {{ do = 'sequence', sequence = 'groups' }}\n\
         [[sequence]]\nname = 'groups'\n\
         [[sequence.step]]\nactions = [{{ do = 'lamp', bus = 1, address = 1, seconds = 60 }}, \
         {{ do = 'lamp', bus = 1, address = 2, seconds = 60 }}]\n\
         undo = [{{ do = 'lamp', bus = 1, address = 1, seconds = 0 }}]\nwait_s = 60\n\
         [[sequence.step]]\n\
         actions = [{{ do = 'output', device = 3, output = 2, on = true }}]\nwait_s = 60\n\
         [[sequence.step]]\nactions = [{{ do = 'wake-on-lan', mac = '00:11:22:33:44:55', \
         to = '127.0.0.1:{port}' }}]\nwait_s = 60\nno_return = true\n\
         [[sequence.step]]\nactions = [{{ do = 'alarm-relay', healthy = false }}]\n"
    )
}

const RELAY: Order = Order::AlarmRelay { healthy: false };

const fn lamp(address: u16, seconds: u8) -> Order {
    Order::Locate { bus: 1, address, seconds }
}

/// A guard that refuses outputs.
fn answer(order: Order) -> Answer {
    match order {
        Order::Output { .. } => Answer::Refused("it is locked".to_owned()),
        _ => Answer::Done,
    }
}

/// As [`Bench::with`] with a guard that refuses outputs, and clocks of the test's.
async fn start(dir: &Path, document: Option<&str>, clock: &Clock) -> Bench {
    let guard = FakeGuard::start(answer);
    Bench::of(dir, document, guard, Arc::new(NoNotifiers), Some(clock.clocks())).await
}

fn outcomes(bench: &Bench) -> Vec<(String, bool)> {
    let stored = bench.store.events(None, 99);
    let outcome = |stored: &StoredEvent| match &stored.event {
        Event::JobDone { instance, .. } => Some((instance.clone(), true)),
        Event::JobFailed { instance, .. } => Some((instance.clone(), false)),
        _ => None,
    };
    stored.iter().filter_map(outcome).collect()
}

#[tokio::test]
async fn a_run_order_goes_on_past_a_failing_step_and_over_a_kill() {
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), Clock::new());
    let peer = UdpSocket::bind("127.0.0.1:0").expect("bound");
    peer.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let port = peer.local_addr().expect("bound").port();
    let bench = start(dir.path(), Some(&document(port)), &clock).await;
    bench.happens(on_battery()).await;
    bench.until("the first step", |b| outcomes(b).len() == 2).await;
    let mut asked = bench.guard.asked();
    asked.sort_by_key(|order| format!("{order:?}"));
    assert_eq!(asked, [lamp(1, 60), lamp(2, 60)], "nothing of the second step");
    // The second step fails for good; what follows waits its time all the same.
    clock.pass(61);
    bench.until("the second step", |b| outcomes(b).len() == 3).await;
    assert_eq!(bench.guard.asked().last(), Some(&horn(true)));
    let waits = |b: &Bench| {
        let rows = b.store.jobs().expect("readable");
        let at = "{\"sequence\":[1,{\"waiting\"";
        rows.iter().any(|(_, row)| String::from_utf8_lossy(row).contains(at))
    };
    bench.until("kept", waits).await;
    bench.crash().await;

    let bench = start(dir.path(), None, &clock).await;
    bench.until("read", scans).await;
    assert!(bench.guard.asked().is_empty(), "no step is done twice");
    clock.pass(61);
    bench.until("woken", |b| outcomes(b).len() == 4).await;
    let mut packet = [0; 200];
    assert_eq!(peer.recv(&mut packet).expect("a magic packet"), 102);
    // Past the point of no return the mains change nothing.
    bench.happens(Event::UpsOnMains { ups: "ups.0".into() }).await;
    clock.pass(61);
    bench.until("through", |b| b.has_told("SequenceEnded")).await;
    assert_eq!(bench.guard.asked(), [RELAY]);
    let outcomes = outcomes(&bench);
    let of = |ending: &str| outcomes.iter().filter(|(name, _)| name.ends_with(ending)).count();
    assert_eq!(["s1.1", "s1.2", "s2.1", "s3.1", "s4.1"].map(of), [1; 5], "{outcomes:?}");
    let failed: Vec<_> = outcomes.iter().filter(|(_, done)| !done).collect();
    assert!(failed.len() == 1 && failed[0].0.ends_with("s2.1"), "{outcomes:?}");
    let ended = bench.store.events(None, 99);
    let ended = ended.iter().filter_map(|stored| match &stored.event {
        Event::SequenceEnded { sequence, aborted } => Some((sequence.as_str(), aborted.as_deref())),
        _ => None,
    });
    assert_eq!(ended.collect::<Vec<_>>(), [("groups", None)]);
}

/// Whether the circle has looked at the log since the start.
fn scans(bench: &Bench) -> bool {
    let newest = bench.store.latest(1).first().map(|stored| stored.id);
    newest == Some(bench.automation.state().place)
}

#[tokio::test]
async fn a_run_order_that_is_killed_and_over_is_taken_back() {
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), Clock::new());
    let bench = start(dir.path(), Some(&document(9)), &clock).await;
    bench.happens(on_battery()).await;
    bench.until("the first step", |b| outcomes(b).len() == 2).await;
    let begun = |b: &Bench| b.automation.status().jobs[0].pending;
    bench.until("waiting", |b| begun(b) == 1).await;
    bench.crash().await;
    let bench = start(dir.path(), None, &clock).await;
    bench.happens(Event::UpsOnMains { ups: "ups.0".into() }).await;
    bench.until("taken back", |b| b.guard.asked() == [lamp(1, 0)]).await;
    bench.until("told", |b| b.has_told("SequenceEnded")).await;
    clock.pass(3_600);
    bench.until("at rest", |b| begun(b) == 0).await;
    assert_eq!(bench.guard.asked(), [lamp(1, 0)], "no other step is begun");
}
