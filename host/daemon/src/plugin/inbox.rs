//! The one queue of a plugin, and the one place where its thread waits.
//!
//! Whoever wants something from a plugin (a command, a request that arrived
//! on a connection, an event to be told) puts an errand here; the plugin's
//! thread takes it between two wake-ups. Nothing else ever touches the
//! plugin's store. The queue is bounded and is open only while the plugin
//! runs: an errand that cannot be done is refused at once, and one that the
//! plugin did not survive is dropped, which its asker sees.

use crate::plugin::instance::{Failure, Instance};
use std::collections::VecDeque;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Errands that may wait.
pub const ERRANDS_MAX: usize = 64;

/// What a plugin is asked to do, on its own thread.
type Errand = Box<dyn FnOnce(&mut Instance) -> Result<(), Failure> + Send>;

/// Why an errand was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undone {
    /// The plugin is off, starting, or between two attempts.
    #[error("the plugin is not running")]
    NotRunning,
    /// It does not keep up.
    #[error("{ERRANDS_MAX} requests wait for the plugin already")]
    Full,
    /// It failed or was stopped before it was done.
    #[error("the plugin failed or was stopped before it had answered")]
    Failed,
    /// It takes too long; it may still do it.
    #[error("the plugin has not answered in time")]
    Late,
}

/// The queue of one plugin.
#[derive(Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    /// Whether it takes errands, for those who wait for it.
    is_open: watch::Sender<bool>,
}

#[derive(Default)]
struct Waiting {
    errands: VecDeque<Errand>,
    /// There is something new that `wake` would find.
    nudged: bool,
    open: bool,
    stopped: bool,
}

/// What the plugin's thread does next.
pub(super) enum Next {
    /// It is time for `wake`.
    Wake,
    /// This.
    Errand(Errand),
    /// End in good order.
    Stop,
}

impl core::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let waiting = self.lock();
        f.debug_struct("Inbox")
            .field("errands", &waiting.errands.len())
            .field("open", &waiting.open)
            .finish()
    }
}

impl Inbox {
    /// Have `errand` done; the receiver ends without a value when it is not.
    ///
    /// # Errors
    /// [`Undone::NotRunning`] or [`Undone::Full`].
    pub fn ask<T: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut Instance) -> Result<T, Failure> + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Undone> {
        let (answer, receiver) = oneshot::channel();
        self.put(Box::new(move |instance| {
            // Nobody waits for it any more: it is not begun.
            if !answer.is_closed() {
                // The asker may go away meanwhile; then nobody needs it.
                let _ = answer.send(errand(instance)?);
            }
            Ok(())
        }))?;
        Ok(receiver)
    }

    /// [`Inbox::ask`] for a thread that can wait.
    ///
    /// # Errors
    /// [`Undone`].
    pub fn ask_within<T: Send + 'static>(
        &self,
        time: Duration,
        errand: impl FnOnce(&mut Instance) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Undone> {
        let (answer, receiver) = mpsc::sync_channel(1);
        self.put(Box::new(move |instance| {
            // As above.
            let _ = answer.send(errand(instance)?);
            Ok(())
        }))?;
        receiver.recv_timeout(time).map_err(|e| match e {
            RecvTimeoutError::Timeout => Undone::Late,
            RecvTimeoutError::Disconnected => Undone::Failed,
        })
    }

    /// Have `errand` done some time; it has no answer.
    ///
    /// # Errors
    /// [`Undone::NotRunning`] or [`Undone::Full`].
    pub fn tell(
        &self,
        errand: impl FnOnce(&mut Instance) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), Undone> {
        self.put(Box::new(errand))
    }

    /// Have the plugin woken before it wanted to be, but not without a pause.
    pub fn nudge(&self) {
        self.lock().nudged = true;
        self.arrived.notify_all();
    }

    /// Returns when the plugin runs and takes errands; never, when it was
    /// stopped.
    pub async fn opened(&self) {
        // The sender is `self`, so that it does not end.
        let _ = self.is_open.subscribe().wait_for(|open| *open).await;
    }

    /// End the plugin's wait for good.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.is_open.send_replace(false);
        self.arrived.notify_all();
    }

    /// The plugin runs and takes errands.
    pub(crate) fn open(&self) {
        let mut waiting = self.lock();
        waiting.open = true;
        self.is_open.send_replace(!waiting.stopped);
    }

    /// The plugin runs no more: what waits is dropped.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut waiting = self.lock();
            waiting.open = false;
            self.is_open.send_replace(false);
            std::mem::take(&mut waiting.errands)
        };
        // Outside the lock: what an errand holds may do anything when dropped.
        drop(dropped);
    }

    /// Wait: until `wake_at`, or until it is nudged and `nudge_at` has passed,
    /// or until there is an errand and `errand_at` has passed, or until the
    /// plugin is to stop. A plugin that is always asked is still woken in time.
    pub(super) fn next(&self, wake_at: Instant, nudge_at: Instant, errand_at: Instant) -> Next {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            if waiting.stopped {
                return Next::Stop;
            }
            let mut until = if waiting.nudged { wake_at.min(nudge_at) } else { wake_at };
            if now >= until {
                waiting.nudged = false;
                return Next::Wake;
            }
            if !waiting.errands.is_empty() {
                if now >= errand_at {
                    match waiting.errands.pop_front() {
                        Some(errand) => return Next::Errand(errand),
                        None => continue,
                    }
                }
                until = until.min(errand_at);
            }
            let timed = self.arrived.wait_timeout(waiting, until - now);
            waiting = timed.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Errands that wait now.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().errands.len()
    }

    fn put(&self, errand: Errand) -> Result<(), Undone> {
        let mut waiting = self.lock();
        if !waiting.open || waiting.stopped {
            return Err(Undone::NotRunning);
        }
        if waiting.errands.len() >= ERRANDS_MAX {
            return Err(Undone::Full);
        }
        waiting.errands.push_back(errand);
        drop(waiting);
        self.arrived.notify_all();
        Ok(())
    }

    // A panic leaves whole values: each change is an assignment or one push.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn it_is_closed_until_the_plugin_runs_and_bounded_then() {
        let inbox = Inbox::default();
        assert_eq!(inbox.tell(|_| Ok(())), Err(Undone::NotRunning));
        inbox.open();
        (0..ERRANDS_MAX).for_each(|_| inbox.tell(|_| Ok(())).expect("room"));
        assert_eq!(inbox.tell(|_| Ok(())), Err(Undone::Full));
        inbox.close();
        assert_eq!(inbox.tell(|_| Ok(())), Err(Undone::NotRunning));
    }

    #[test]
    fn who_waits_sees_that_the_plugin_is_gone() {
        let inbox = Inbox::default();
        inbox.open();
        let mut asked = inbox.ask(|_| Ok(1)).expect("taken");
        inbox.close();
        assert!(asked.try_recv().is_err());
        inbox.open();
        let late = inbox.ask_within(Duration::from_millis(10), |_| Ok(1));
        assert_eq!(late, Err(Undone::Late));
    }

    #[test]
    fn an_errand_wakes_the_thread_and_waits_for_its_turn() {
        let inbox = Arc::new(Inbox::default());
        inbox.open();
        let other = Arc::clone(&inbox);
        let thread = std::thread::spawn(move || other.next(soon(), soon(), Instant::now()));
        inbox.tell(|_| Ok(())).expect("taken");
        assert!(matches!(thread.join().expect("no panic"), Next::Errand(_)));
        // The plugin has computed much: errands rest, waking does not.
        inbox.tell(|_| Ok(())).expect("taken");
        assert!(matches!(inbox.next(Instant::now(), soon(), soon()), Next::Wake));
        inbox.stop();
        assert!(matches!(inbox.next(soon(), soon(), soon()), Next::Stop));
    }
    #[test]
    fn a_nudge_wakes_once_and_after_a_pause() {
        let inbox = Arc::new(Inbox::default());
        inbox.open();
        let other = Arc::clone(&inbox);
        let at = Instant::now() + Duration::from_millis(30);
        let thread = std::thread::spawn(move || (other.next(soon(), at, soon()), Instant::now()));
        inbox.nudge();
        let (next, when) = thread.join().expect("no panic");
        assert!(matches!(next, Next::Wake) && when >= at);
        inbox.tell(|_| Ok(())).expect("taken");
        let now = Instant::now();
        assert!(matches!(inbox.next(soon(), now, now), Next::Errand(_)), "it was woken");
    }
}
