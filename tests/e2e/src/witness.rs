//! Somebody who keeps the appliance busy, remembers what it said was on its
//! disk, and looks again after it was killed.

use crate::{Client, ClientError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What the appliance has shown so far.
#[derive(Debug, Default)]
pub struct Witness {
    events: BTreeMap<u64, Value>,
    last: u64,
}

impl Witness {
    /// Give orders and read events for so long. An event that the API shows is
    /// on the disk.
    ///
    /// # Errors
    /// [`ClientError`] of reading; orders may be refused.
    pub fn keep_busy(&mut self, client: &mut Client, time: Duration) -> Result<(), ClientError> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            // Its event is what counts, whatever the guard says to it.
            let _ = client.post("/api/v1/orders", &json!({"order": "mute"}));
            self.read(client)?;
        }
        Ok(())
    }

    /// Look at what is new.
    fn read(&mut self, client: &mut Client) -> Result<(), ClientError> {
        let path = format!("/api/v1/events?after={}&limit=1000", self.last);
        for event in client.get(&path)?.as_array().into_iter().flatten() {
            let Some(id) = event["id"].as_u64() else { continue };
            self.last = self.last.max(id);
            self.events.insert(id, timeless(event));
        }
        Ok(())
    }

    /// Events that were seen.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.events.len()
    }

    /// Ids of events that were seen and are not there any more, or are others.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn missing(&self, client: &mut Client) -> Result<Vec<u64>, ClientError> {
        let mut there = Self::default();
        loop {
            let before = there.last;
            there.read(client)?;
            if there.last == before {
                break;
            }
        }
        let gone = self.events.iter().filter(|(id, event)| there.events.get(id) != Some(event));
        Ok(gone.map(|(id, _)| *id).collect())
    }
}

/// An event without its age.
fn timeless(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(fields) = event.as_object_mut() {
        fields.remove("age_ms");
    }
    event
}
