//! Where the two threads hand papers to each other: orders to the cycle
//! thread, its answers back, and what it has to keep. Everything has its size
//! from the start. The cycle thread only ever tries the locks: when the other
//! side holds one, the papers wait for the next cycle.

use evenkeel_core::command::{Answer, MESSAGE_MAX, Order, Refusal};
use evenkeel_core::control::{Control, Kept};
use evenkeel_core::time::Nanos;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Most orders that wait.
const ORDERS_MAX: usize = 8;
/// Bytes of a chunk of a discharge record; its message is a little longer.
const ROWS_MAX: usize = MESSAGE_MAX - 64;

const STILL_HOT: Refusal = Refusal::NotNow(
    "what tripped this string persists; it can be reset once its blocks have cooled",
);

/// See the head of this file.
pub struct Desk {
    papers: Mutex<Papers>,
    kept: Mutex<Kept>,
    /// Latches as the cycle thread last wrote them down, see [`Control::latches`].
    latches: AtomicU64,
}

struct Papers {
    orders: Vec<(u32, Order)>,
    /// Resets that protection decides on in this cycle: ticket and string.
    resets: Vec<(u32, u16)>,
    answers: Vec<(u32, Result<Done, Refusal>)>,
    rows: Vec<u8>,
    next: u32,
}

/// What came of an order.
#[derive(Clone, Copy)]
enum Done {
    Done,
    /// So many bytes of `rows`, which no other order may overwrite before they
    /// are fetched.
    Rows(usize),
}

impl Desk {
    /// With what this control has to keep, in the room of what it began with.
    pub fn new(control: &Control, mut kept: Kept) -> Self {
        control.keep(&mut kept);
        Self {
            papers: Mutex::new(Papers {
                orders: Vec::with_capacity(ORDERS_MAX),
                resets: Vec::with_capacity(ORDERS_MAX),
                answers: Vec::with_capacity(ORDERS_MAX),
                rows: vec![0; ROWS_MAX],
                next: 0,
            }),
            kept: Mutex::new(kept),
            latches: AtomicU64::new(control.latches()),
        }
    }

    /// Hand in an order; returns the number under which its answer will lie here.
    ///
    /// # Errors
    /// [`Refusal::Busy`] when too many wait.
    pub fn hand_in(&self, order: Order) -> Result<u32, Refusal> {
        let mut papers = lock(&self.papers);
        let waiting = papers.orders.len() + papers.resets.len() + papers.answers.len();
        if waiting >= ORDERS_MAX {
            return Err(Refusal::Busy);
        }
        papers.next = papers.next.wrapping_add(1);
        let ticket = papers.next;
        papers.orders.push((ticket, order));
        Ok(ticket)
    }

    /// The answer to an order, once it is there.
    pub fn fetch(&self, ticket: u32) -> Option<Answer> {
        let mut papers = lock(&self.papers);
        let at = papers.answers.iter().position(|(t, _)| *t == ticket)?;
        let (_, result) = papers.answers.swap_remove(at);
        Some(match result {
            Ok(Done::Done) => Answer::Done,
            Ok(Done::Rows(len)) => Answer::Rows(papers.rows[..len].to_vec()),
            Err(refusal) => Answer::Refused(refusal.to_string()),
        })
    }

    /// Nobody waits for this answer any more.
    pub fn forget(&self, ticket: u32) {
        let mut papers = lock(&self.papers);
        papers.orders.retain(|(t, _)| *t != ticket);
        papers.resets.retain(|(t, _)| *t != ticket);
        papers.answers.retain(|(t, _)| *t != ticket);
    }

    /// Look at what is to be kept. While `look` does, nothing is written down.
    pub fn kept<T>(&self, look: impl FnOnce(&Kept) -> T) -> T {
        look(&lock(&self.kept))
    }

    /// What is to be kept, once no cycle writes it down here any more.
    pub fn take_kept(&self) -> Kept {
        std::mem::take(&mut lock(&self.kept))
    }

    /// Whether a latch in what is to be kept changed since `seen`.
    pub fn has_latched(&self, seen: &mut u64) -> bool {
        let latches = self.latches.load(Ordering::Acquire);
        std::mem::replace(seen, latches) != latches
    }

    /// The cycle thread, before its step: carry out what was handed in.
    pub fn work(&self, control: &mut Control, now: Nanos, wall_s: Option<u64>) {
        let Some(mut papers) = try_lock(&self.papers) else { return };
        let papers = &mut *papers;
        while let Some((ticket, order)) = papers.orders.first().copied() {
            let result = match order {
                Order::Rows { string, from } => {
                    let taken =
                        |(_, r): &(u32, Result<Done, Refusal>)| matches!(r, Ok(Done::Rows(_)));
                    if papers.answers.iter().any(taken) {
                        return;
                    }
                    control.rows(string, from, &mut papers.rows).map(Done::Rows)
                }
                order => control.order(order, now, wall_s).map(|()| Done::Done),
            };
            papers.orders.remove(0);
            match (order, result) {
                (Order::Reset { string }, Ok(_)) => papers.resets.push((ticket, string)),
                _ => papers.answers.push((ticket, result)),
            }
        }
    }

    /// The cycle thread, after its step: say what protection has decided.
    pub fn settle(&self, control: &Control) {
        let Some(mut papers) = try_lock(&self.papers) else { return };
        let Papers { resets, answers, .. } = &mut *papers;
        answers.extend(resets.drain(..).map(|(ticket, string)| {
            let string = usize::from(string).checked_sub(1).and_then(|s| control.strings().get(s));
            let stays = string.is_some_and(|s| s.protection().trip.is_some());
            (ticket, if stays { Err(STILL_HOT) } else { Ok(Done::Done) })
        }));
    }

    /// The cycle thread: write down what is to be kept. False when the other
    /// side is reading; the next cycle will do.
    pub fn keep(&self, control: &Control) -> bool {
        let Some(mut kept) = try_lock(&self.kept) else { return false };
        control.keep(&mut kept);
        self.latches.store(control.latches(), Ordering::Release);
        true
    }
}

// A panic ends the process, so a poisoned lock is never met; its content
// would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use evenkeel_core::settings::GuardSettings;

    /// A control of one string of two blocks.
    pub fn control() -> Control {
        let body = "[[bus]]\nport = \"/dev/null\"\n[[battery]]\nname = \"b\"\n\
                    chemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n[[string]]\nname = \"A\"\n\
                    module = \"C20\"\nbattery = \"b\"\nfirst_address = 1\nblocks = 2\n";
        Control::new(&GuardSettings::parse(body).expect("valid"), &Kept::default())
    }

    #[test]
    fn orders_are_answered_by_number_and_bounded() {
        let mut control = control();
        let desk = Desk::new(&control, Kept::default());
        let good = desk.hand_in(Order::Pause { string: 1, seconds: 60 }).expect("room");
        let bad = desk.hand_in(Order::Pause { string: 2, seconds: 60 }).expect("room");
        assert!(desk.fetch(good).is_none(), "not before the cycle");
        desk.work(&mut control, Nanos(1), None);
        assert_eq!(desk.fetch(good), Some(Answer::Done));
        let refused = "there is no string 2; the strings are 1 to 1".to_owned();
        assert_eq!(desk.fetch(bad), Some(Answer::Refused(refused)));
        assert_eq!(desk.fetch(bad), None, "once");
        let tickets: Vec<_> = (0..ORDERS_MAX).map(|_| desk.hand_in(Order::Mute)).collect();
        assert!(tickets.iter().all(Result::is_ok));
        assert_eq!(desk.hand_in(Order::Mute), Err(Refusal::Busy));
        tickets.into_iter().flatten().for_each(|t| desk.forget(t));
        assert!(desk.hand_in(Order::Mute).is_ok());
    }

    #[test]
    fn a_held_lock_costs_the_cycle_nothing() {
        let mut control = control();
        let desk = Desk::new(&control, Kept::default());
        let ticket = desk.hand_in(Order::Mute).expect("room");
        let held = lock(&desk.papers);
        desk.work(&mut control, Nanos(1), None);
        drop(held);
        assert!(desk.fetch(ticket).is_none());
        desk.work(&mut control, Nanos(2), None);
        assert_eq!(desk.fetch(ticket), Some(Answer::Done));
    }
}
