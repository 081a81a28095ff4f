//! Orders to the guard, from people and from the daemon itself.
//!
//! Each goes over a connection of its own: the link that watches the image
//! never waits for an order. There are two of them at most, so that the
//! guard's few places for clients are not taken by ours.

use super::settings::{self, InForce};
use super::talk::{Talk, TalkError};
use evenkeel_core::command::{self, Order};
use evenkeel_core::discharge::{OwnedChunk, RecordId, RowHead};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Longest wait for the orders before one's own.
const TURN: Duration = Duration::from_secs(8);
/// The guard takes requests at this pace, after a burst.
const ROWS_EVERY: Duration = Duration::from_millis(60);
/// How often rows are read again from the first because older ones changed.
const ROWS_ATTEMPTS: usize = 5;
/// Most rows of a record: more than the guard has memory for.
const ROWS_MAX: usize = 100_000;

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The guard says why.
    #[error("{0}")]
    Refused(String),
    /// Too many at the same time.
    #[error("other orders are being carried out; try again in a few seconds")]
    Busy,
    /// It cannot be reached, or not understood.
    #[error("the guard does not answer")]
    Unanswered(#[source] TalkError),
    /// Its rows do not fit together.
    #[error("the discharge record changed while it was read")]
    Changing,
}

/// All rows of a discharge record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordRows {
    /// Whose they are.
    pub id: RecordId,
    /// One per row.
    pub heads: Vec<RowHead>,
    /// Row after row, every block's voltage, mV; 0: no reading.
    pub mv: Vec<u16>,
}

/// Gives orders.
pub struct Orders {
    socket: PathBuf,
    /// Orders of people, one at a time …
    turn: Arc<Semaphore>,
    /// … and reading rows, which takes long and is not to keep them waiting.
    reading: Arc<Semaphore>,
}

impl Orders {
    /// To the guard that listens at this socket.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        let one = || Arc::new(Semaphore::new(1));
        Self { socket, turn: one(), reading: one() }
    }

    /// Have an order carried out.
    ///
    /// # Errors
    /// [`OrderError`] says why it was not, or that nobody knows.
    pub async fn give(&self, order: Order) -> Result<(), OrderError> {
        let work = move |talk: &mut Talk| talk.order(order).map(drop).map_err(unanswered);
        self.off_thread(&self.turn, work).await
    }

    /// Have an output (from 1) of the device with this name switched. Names are
    /// looked up in the greeting of the guard that carries it out: another
    /// guard may count its devices otherwise.
    ///
    /// # Errors
    /// [`OrderError`] says why it was not, or that nobody knows.
    pub async fn switch(&self, device: String, output: u8, on: bool) -> Result<(), OrderError> {
        let work = move |talk: &mut Talk| {
            let index = talk.devices.iter().position(|name| *name == device);
            let number = index.and_then(|index| u16::try_from(index + 1).ok());
            let Some(number) = number else {
                return Err(OrderError::Refused(format!("it has no device {device:?}")));
            };
            let order = Order::Output { device: number, output, on };
            talk.order(order).map(drop).map_err(unanswered)
        };
        self.off_thread(&self.turn, work).await
    }

    /// The settings by which the guard protects.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn settings(&self) -> Result<InForce, OrderError> {
        self.off_thread(&self.reading, |talk| settings::in_force(talk).map_err(unanswered)).await
    }

    /// Have other settings in force instead of those with the number `instead_of`;
    /// with `despite_alarm` also while a battery has an alarm.
    ///
    /// # Errors
    /// [`OrderError`] says why they are not, or that nobody knows.
    pub async fn change_settings(
        &self,
        text: String,
        instead_of: u32,
        despite_alarm: bool,
    ) -> Result<(), OrderError> {
        let work = move |talk: &mut Talk| settings::take(talk, &text, instead_of, despite_alarm);
        self.off_thread(&self.turn, work).await
    }

    /// The rows of the present discharge record of a string (from 1).
    ///
    /// # Errors
    /// [`OrderError`], also when there is no record.
    pub async fn rows(&self, string: u16) -> Result<RecordRows, OrderError> {
        self.off_thread(&self.reading, move |talk| rows(talk, string)).await
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        turn: &Arc<Semaphore>,
        work: impl FnOnce(&mut Talk) -> Result<T, OrderError> + Send + 'static,
    ) -> Result<T, OrderError> {
        let turn = tokio::time::timeout(TURN, turn.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(OrderError::Busy) };
        let socket = self.socket.clone();
        let done = tokio::task::spawn_blocking(move || {
            // Held until the guard has answered, whoever still waits for it.
            let _turn = turn;
            let (mut talk, _image) = Talk::begin(&socket).map_err(unanswered)?;
            work(&mut talk)
        });
        done.await.unwrap_or(Err(OrderError::Busy))
    }
}

fn unanswered(error: TalkError) -> OrderError {
    match error {
        TalkError::Refused(why) => OrderError::Refused(why),
        error => OrderError::Unanswered(error),
    }
}

/// Read chunk after chunk; from the first again when older rows were merged
/// meanwhile, or another record begun.
fn rows(talk: &mut Talk, string: u16) -> Result<RecordRows, OrderError> {
    for _ in 0..ROWS_ATTEMPTS {
        let mut all = RecordRows::default();
        let mut revision = None;
        loop {
            let chunk = chunk(talk, string, all.heads.len() as u32)?;
            let first = all.heads.is_empty();
            if !first && (chunk.id != all.id || Some(chunk.revision) != revision) {
                break;
            }
            (all.id, revision) = (chunk.id, Some(chunk.revision));
            let got = chunk.heads.len();
            all.heads.extend(chunk.heads);
            all.mv.extend(chunk.mv);
            if all.heads.len() as u64 >= u64::from(chunk.rows) {
                return Ok(all);
            }
            if got == 0 || all.heads.len() > ROWS_MAX {
                return Err(OrderError::Changing);
            }
            std::thread::sleep(ROWS_EVERY);
        }
    }
    Err(OrderError::Changing)
}

fn chunk(talk: &mut Talk, string: u16, from: u32) -> Result<OwnedChunk, OrderError> {
    let bytes = talk.order(Order::Rows { string, from }).map_err(unanswered)?;
    let garbled = |e| OrderError::Unanswered(TalkError::Talk(std::io::Error::other(e)));
    command::decode(&bytes).map_err(garbled)
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeGuard;
    use super::*;
    use evenkeel_core::command::Answer;
    use evenkeel_core::discharge::{Chunk, Part};
    use evenkeel_core::time::Nanos;

    const HEAD: RowHead = RowHead {
        offset_ms: 0,
        current_a: f32::NAN,
        temperature_c: 25.0,
        scans: 1,
        part: Part::Discharge,
    };

    /// A guard with 5 rows of one block, two in a chunk; `revision` by request.
    fn with_rows(mut revision: impl FnMut(u32) -> u32 + Send + 'static) -> FakeGuard {
        let mut asked = 0;
        FakeGuard::start(move |order| {
            let Order::Rows { string: 1, from } = order else {
                return Answer::Refused("there is no discharge record of string 2".into());
            };
            asked += 1;
            let to = (from + 2).min(5);
            let heads: Vec<_> =
                (from..to).map(|n| RowHead { offset_ms: n.into(), ..HEAD }.into()).collect();
            let mv: Vec<_> = (from..to).map(|n| 12_000 + n as u16).collect();
            let id = RecordId { start: Nanos(7) };
            let revision = revision(asked);
            let (heads, mv) = (&heads[..], &mv[..]);
            let chunk = Chunk { id, revision, from_row: from, rows: 5, heads, mv };
            Answer::Rows(postcard::to_allocvec(&chunk).expect("encodes"))
        })
    }

    #[tokio::test]
    async fn rows_come_whole_and_from_the_first_again_when_they_were_merged() {
        let guard = with_rows(|asked| u32::from(asked > 2));
        let rows = guard.orders().rows(1).await.expect("rows");
        assert_eq!(rows.mv, [12_000, 12_001, 12_002, 12_003, 12_004]);
        assert_eq!((rows.heads.len(), rows.id.start), (5, Nanos(7)));
        assert_eq!(guard.asked().len(), 3 + 3, "two chunks were read in vain");
        let refused = guard.orders().rows(2).await;
        assert!(matches!(refused, Err(OrderError::Refused(why)) if why.contains("string 2")));
    }

    #[tokio::test]
    async fn rows_that_never_stand_still_are_given_up() {
        let guard = with_rows(|asked| asked);
        assert!(matches!(guard.orders().rows(1).await, Err(OrderError::Changing)));
    }

    #[tokio::test]
    async fn a_guard_that_is_not_there_is_told_from_one_that_refuses() {
        let dir = tempfile::tempdir().expect("a directory");
        let orders = Orders::new(dir.path().join("nobody"));
        let order = Order::Reset { string: 1 };
        assert!(matches!(orders.give(order).await, Err(OrderError::Unanswered(_))));
        let guard = FakeGuard::start(|_| Answer::Refused("this string is not tripped".into()));
        let refused = guard.orders().give(order).await.expect_err("refused");
        assert_eq!(refused.to_string(), "this string is not tripped");
        let guard = FakeGuard::start(|_| Answer::Done);
        guard.orders().give(order).await.expect("done");
        assert_eq!(guard.asked(), [order]);
    }
}
