//! The connections of one gateway, by the numbers that it knows them by.
//! Numbers count up and are not used again, over restarts of the plugin too.

use super::limits::{EVICT_AFTER, OUTGOING_MAX, PEERS_MAX, PER_LISTENER_MAX, PER_SOURCE_MAX};
use crate::console::throttle::Source;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

/// All of one gateway.
#[derive(Debug, Default)]
pub struct Connections {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    open: HashMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    listener: Arc<str>,
    source: Source,
    /// When it last asked for something.
    used: Instant,
    way: Way,
}

/// How it is reached.
#[derive(Debug)]
enum Way {
    Stream(Arc<Outgoing>),
    Datagram(Arc<UdpSocket>, SocketAddr),
}

/// Why something cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no such connection, or no more.
    #[error("the connection is closed")]
    Gone,
    /// The peer does not take what was sent before.
    #[error("more than {OUTGOING_MAX} bytes wait to be sent; send less")]
    Full,
}

/// What waits to be sent on a stream, and whether it is to end.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    state: Mutex<Pending>,
    changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    /// To be sent.
    pub(super) bytes: Vec<u8>,
    /// And then the connection is over.
    pub(super) close: bool,
}

impl Outgoing {
    /// What waits, and is the caller's now.
    pub(super) fn take(&self) -> Pending {
        let mut state = lock(&self.state);
        Pending { bytes: std::mem::take(&mut state.bytes), close: state.close }
    }

    /// Returns when something waits.
    pub(super) async fn ready(&self) {
        loop {
            let changed = self.changed.notified();
            {
                let state = lock(&self.state);
                if state.close || !state.bytes.is_empty() {
                    return;
                }
            }
            changed.await;
        }
    }

    fn end(&self) {
        lock(&self.state).close = true;
        self.changed.notify_one();
    }
}

impl Connections {
    /// A place for a stream from `source`; `None` when there is none, not even
    /// by closing one that has long asked for nothing.
    pub(super) fn stream(
        self: &Arc<Self>,
        listener: &Arc<str>,
        source: Source,
    ) -> Option<(Place, Arc<Outgoing>)> {
        let mut inner = self.lock();
        let of_source = |c: &Connection| c.listener == *listener && c.source == source;
        inner.make_room(PER_SOURCE_MAX, of_source)?;
        inner.make_room(PER_LISTENER_MAX, |c| c.listener == *listener)?;
        let outgoing = Arc::new(Outgoing::default());
        let way = Way::Stream(Arc::clone(&outgoing));
        let id = inner.insert(listener, source, way);
        Some((Place { connections: Arc::clone(self), id }, outgoing))
    }

    /// The number of a datagram's sender, and of one that was forgotten for it.
    pub(super) fn peer(
        &self,
        listener: &Arc<str>,
        socket: &Arc<UdpSocket>,
        peer: SocketAddr,
    ) -> (u64, Option<u64>) {
        let mut inner = self.lock();
        let mut peers = 0;
        let mut oldest: Option<(Instant, u64)> = None;
        for (id, connection) in &mut inner.open {
            let Way::Datagram(_, address) = &connection.way else { continue };
            if connection.listener != *listener {
                continue;
            }
            if *address == peer {
                connection.used = Instant::now();
                return (*id, None);
            }
            peers += 1;
            oldest = oldest.min(Some((connection.used, *id))).or(Some((connection.used, *id)));
        }
        let forgotten = oldest.filter(|_| peers >= PEERS_MAX).map(|(_, id)| id);
        if let Some(id) = forgotten {
            inner.open.remove(&id);
        }
        let way = Way::Datagram(Arc::clone(socket), peer);
        (inner.insert(listener, Source::of(peer.ip()), way), forgotten)
    }

    /// It asked for something.
    pub(super) fn used(&self, id: u64) {
        if let Some(connection) = self.lock().open.get_mut(&id) {
            connection.used = Instant::now();
        }
    }

    /// Send on a connection, in the order of the calls.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&self, id: u64, data: &[u8]) -> Result<(), SendError> {
        let inner = self.lock();
        match &inner.open.get(&id).ok_or(SendError::Gone)?.way {
            Way::Stream(outgoing) => {
                let mut state = lock(&outgoing.state);
                if state.close {
                    return Err(SendError::Gone);
                }
                if state.bytes.len() + data.len() > OUTGOING_MAX {
                    return Err(SendError::Full);
                }
                state.bytes.extend_from_slice(data);
                outgoing.changed.notify_one();
                Ok(())
            }
            // A datagram may be lost on any way; on this one it is said.
            Way::Datagram(socket, peer) => {
                socket.try_send_to(data, *peer).map(drop).map_err(|_| SendError::Full)
            }
        }
    }

    /// End a connection when what waits is sent.
    pub fn close(&self, id: u64) {
        let mut inner = self.lock();
        match inner.open.get(&id).map(|connection| &connection.way) {
            Some(Way::Stream(outgoing)) => outgoing.end(),
            Some(Way::Datagram(..)) => drop(inner.open.remove(&id)),
            None => {}
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().open.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Inner {
    fn insert(&mut self, listener: &Arc<str>, source: Source, way: Way) -> u64 {
        self.last += 1;
        let listener = Arc::clone(listener);
        self.open.insert(self.last, Connection { listener, source, used: Instant::now(), way });
        self.last
    }

    /// See that fewer than `max` of these are open.
    fn make_room(&mut self, max: usize, of: impl Fn(&Connection) -> bool) -> Option<()> {
        let mut these: Vec<(Instant, u64)> =
            self.open.iter().filter(|(_, c)| of(c)).map(|(id, c)| (c.used, *id)).collect();
        if these.len() < max {
            return Some(());
        }
        these.sort_unstable();
        let (_, id) = these.first().filter(|(used, _)| used.elapsed() >= EVICT_AFTER)?;
        // Its task sees it and ends; the place is free from now on.
        if let Some(Connection { way: Way::Stream(outgoing), .. }) = self.open.remove(id) {
            outgoing.end();
        }
        Some(())
    }
}

/// A stream's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    /// Its number.
    pub(super) id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().open.remove(&self.id);
    }
}

// What these locks guard is whole after every single operation.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_and_one_listener_have_so_many() {
        let connections = Arc::new(Connections::default());
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let of = |n| Source::V4(n);
        let first: Vec<_> = (0..40).filter_map(|_| connections.stream(&a, of(0))).collect();
        assert_eq!(first.len(), PER_SOURCE_MAX);
        let more: Vec<_> = (1..100).filter_map(|n| connections.stream(&a, of(n))).collect();
        assert_eq!(more.len(), PER_LISTENER_MAX - PER_SOURCE_MAX);
        assert!(connections.stream(&b, of(0)).is_some(), "another listener is another matter");
        drop(first);
        assert!(connections.stream(&a, of(0)).is_some());
        drop(more);
        assert!(connections.is_empty());
    }

    #[tokio::test]
    async fn of_the_senders_of_datagrams_the_one_that_was_quiet_for_longest_is_forgotten() {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a socket"));
        let (connections, listener) = (Connections::default(), Arc::from("a"));
        let peer = |n: usize| SocketAddr::from(([192, 0, 2, 7], 1_000 + n as u16));
        let of = |n| connections.peer(&listener, &socket, peer(n));
        let ids: Vec<u64> = (0..PEERS_MAX)
            .map(&of)
            .map(|(id, gone)| {
                assert_eq!(gone, None);
                id
            })
            .collect();
        assert_eq!(of(0), (ids[0], None), "known, and heard of just now");
        let (new, gone) = of(PEERS_MAX);
        assert_eq!(gone, Some(ids[1]));
        assert_eq!(connections.len(), PEERS_MAX);
        assert_eq!(of(PEERS_MAX), (new, None));
    }

    #[test]
    fn what_is_sent_unasked_is_bounded_and_ends_with_the_connection() {
        let connections = Arc::new(Connections::default());
        let listener: Arc<str> = "a".into();
        let (place, outgoing) = connections.stream(&listener, Source::V4(1)).expect("room");
        assert_eq!(connections.send(place.id, &vec![1; OUTGOING_MAX]), Ok(()));
        assert_eq!(connections.send(place.id, &[1]), Err(SendError::Full));
        assert_eq!(outgoing.take().bytes.len(), OUTGOING_MAX);
        assert_eq!(connections.send(place.id, &[1]), Ok(()));
        connections.close(place.id);
        assert_eq!(connections.send(place.id, &[1]), Err(SendError::Gone));
        let last = outgoing.take();
        assert!(last.close && last.bytes == [1], "what waited is sent first");
        let id = place.id;
        drop(place);
        assert_eq!(connections.send(id, &[1]), Err(SendError::Gone));
    }
}
