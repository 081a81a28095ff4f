//! Doing what a job says: one function per kind of action, each with a limit
//! of time, each with an answer.

use super::receivers::Receivers;
use super::{texts, webhook};
use crate::clock;
use crate::commands::{CommandError, Switchboard};
use crate::failure::chain;
use crate::guard::{OrderError, Orders};
use crate::hub::Hub;
use crate::store::StoredEvent;
use crate::words::{Lang, TemplateError};
use evenkeel_core::command::Order;
use evenkeel_core::jobs::{Action, Outcome, Task, wire};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a notifier.
const NOTIFY_MAX: Duration = Duration::from_secs(30);
/// A magic packet has no answer: it is sent so often …
const WAKE_TIMES: u32 = 3;
/// … so far apart (facts/rccmd-email-trap-wol.md §8).
const WAKE_EVERY: Duration = Duration::from_secs(1);

/// Tells an event to a notifier plugin; the daemon's plugins, or nobody.
pub trait Messenger: Send + Sync {
    /// Have `plugin` tell `event` by this text, within `time`. Not on a thread
    /// of the runtime.
    fn notify(&self, plugin: &str, event: &StoredEvent, text: &str, time: Duration) -> Outcome;
}

/// Nobody: the plugin host could not start.
#[derive(Debug)]
pub struct NoNotifiers;

impl Messenger for NoNotifiers {
    fn notify(&self, plugin: &str, _: &StoredEvent, _: &str, _: Duration) -> Outcome {
        Outcome::Never(format!("{plugin:?} cannot be told: no plugin runs"))
    }
}

/// Carries tasks out.
pub struct Executor {
    orders: Arc<Orders>,
    commands: Arc<Switchboard>,
    notifiers: Arc<dyn Messenger>,
    receivers: Arc<Receivers>,
    hub: Arc<Hub>,
}

impl Executor {
    /// With these ways out.
    #[must_use]
    pub const fn new(
        orders: Arc<Orders>,
        commands: Arc<Switchboard>,
        notifiers: Arc<dyn Messenger>,
        receivers: Arc<Receivers>,
        hub: Arc<Hub>,
    ) -> Self {
        Self { orders, commands, notifiers, receivers, hub }
    }

    /// The web servers that jobs may tell.
    #[must_use]
    pub fn receivers(&self) -> &Receivers {
        &self.receivers
    }

    /// Carry one out; what it says is in `lang`.
    pub async fn carry_out(self: Arc<Self>, task: Task, lang: Lang) -> Outcome {
        if let Some(order) = task.action.order() {
            return self.order(order).await;
        }
        let work = move || match &task.action {
            Action::Command { target, command, value } => {
                let who = format!("job {}", task.job);
                self.command(&who, target, command, value.as_deref())
            }
            Action::Webhook { to, .. } => match (self.receivers.get(to), self.text(&task, lang)) {
                (Some(webhook), Ok(text)) => {
                    webhook::send(&webhook, &task, &text, clock::unix_ms() / 1_000)
                }
                (None, _) => Outcome::Never(format!("there is no webhook {to:?}")),
                (_, Err(e)) => Outcome::Never(e.to_string()),
            },
            Action::Notify { plugin, .. } => match self.text(&task, lang) {
                Ok(text) => {
                    let (id, unix_ms) = (task.event_id, task.event_unix_ms);
                    let stored = StoredEvent { id, unix_ms, event: task.event.clone() };
                    self.notifiers.notify(plugin, &stored, &text, NOTIFY_MAX)
                }
                Err(e) => Outcome::Never(e.to_string()),
            },
            Action::Log { .. } => match self.text(&task, lang) {
                Ok(text) => Outcome::Said(text),
                Err(e) => Outcome::Never(e.to_string()),
            },
            Action::WakeOnLan { mac, to, secure_on } => {
                wake(&wire::magic_packet(*mac, secure_on.as_ref()), *to)
            }
            // Run orders are walked by the planner.
            _ => Outcome::Done,
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
            Outcome::Never("carrying it out failed within the appliance".to_owned())
        })
    }

    /// What `task` says: what an earlier attempt said, or the present values.
    ///
    /// # Errors
    /// When its text is no template, or its values make it too long.
    pub fn text(&self, task: &Task, lang: Lang) -> Result<String, TemplateError> {
        match &task.words {
            Some(words) => Ok(words.clone()),
            None => texts::of(task, lang, &self.hub),
        }
    }

    async fn order(&self, order: Order) -> Outcome {
        match self.orders.give(order).await {
            Ok(()) => Outcome::Done,
            Err(OrderError::Refused(why)) => Outcome::Never(why),
            Err(error) => Outcome::Later(chain(&error)),
        }
    }

    fn command(&self, who: &str, target: &str, name: &str, value: Option<&str>) -> Outcome {
        match self.commands.run(who, target, name, value) {
            Ok(()) => Outcome::Done,
            // It was not begun: the driver is away, or has too much to do.
            Err(error @ (CommandError::Unknown { .. } | CommandError::Busy)) => {
                Outcome::Later(error.to_string())
            }
            Err(error) => Outcome::Never(error.to_string()),
        }
    }
}

/// Send a magic packet.
fn wake(packet: &[u8], to: SocketAddr) -> Outcome {
    let sent = || {
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0; 16], 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_broadcast(true)?;
        for turn in 0..WAKE_TIMES {
            if turn > 0 {
                std::thread::sleep(WAKE_EVERY);
            }
            socket.send_to(packet, to)?;
        }
        Ok::<_, std::io::Error>(())
    };
    match sent() {
        Ok(()) => Outcome::Done,
        Err(e) => Outcome::Later(format!("the packet cannot be sent, check the network: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::testing::FakeGuard;
    use crate::store::{Limits, Store};
    use evenkeel_core::command::Answer;
    use evenkeel_core::events::Event;

    fn task(action: Action) -> Task {
        Task {
            instance: "1.x.0".into(),
            job: "x".into(),
            action,
            undo: false,
            event: Event::GuardLost,
            event_id: 1,
            event_unix_ms: 1,
            words: None,
        }
    }

    fn executor(guard: &FakeGuard) -> Arc<Executor> {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(dir.path(), Limits::default()).expect("a store"));
        let (orders, notifiers) = (Arc::new(guard.orders()), Arc::new(NoNotifiers));
        let receivers = Arc::new(Receivers::open(store));
        Arc::new(Executor::new(orders, Arc::default(), notifiers, receivers, Arc::default()))
    }

    #[tokio::test]
    async fn orders_go_to_the_guard_and_a_refusal_is_final() {
        let guard = FakeGuard::start(|_| Answer::Done);
        let on = Action::Output { device: 3, output: 2, on: true };
        assert_eq!(executor(&guard).carry_out(task(on.clone()), Lang::En).await, Outcome::Done);
        assert_eq!(guard.asked(), [Order::Output { device: 3, output: 2, on: true }]);
        let guard = FakeGuard::start(|_| Answer::Refused("it belongs to a breaker".into()));
        let refused = executor(&guard).carry_out(task(on), Lang::En).await;
        assert_eq!(refused, Outcome::Never("it belongs to a breaker".into()));
    }

    #[tokio::test]
    async fn who_is_away_is_tried_again_and_who_does_not_exist_is_not() {
        let guard = FakeGuard::start(|_| Answer::Done);
        let tell = |target: &str| Action::Command {
            target: target.into(),
            command: "beeper.mute".into(),
            value: None,
        };
        let away = executor(&guard).carry_out(task(tell("ups.0")), Lang::En).await;
        assert!(matches!(away, Outcome::Later(_)), "{away:?}");
        let hook = executor(&guard)
            .carry_out(task(Action::Webhook { to: "none".into(), text: None }), Lang::En)
            .await;
        assert!(matches!(hook, Outcome::Never(why) if why.contains("\"none\"")));
        let plugin = executor(&guard)
            .carry_out(task(Action::Notify { plugin: "y".into(), text: None }), Lang::En)
            .await;
        assert!(matches!(plugin, Outcome::Never(_)));
    }

    #[test]
    fn a_magic_packet_arrives_three_times() {
        let peer = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let to = peer.local_addr().expect("bound");
        assert_eq!(wake(&[7; 102], to), Outcome::Done);
        for _ in 0..3 {
            let mut packet = [0; 200];
            assert_eq!(peer.recv(&mut packet).expect("a packet"), 102);
        }
    }
}
