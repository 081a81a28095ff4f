//! The HTTPS listener: TLS, then HTTP/1.1 or HTTP/2, with a bound on
//! everything a stranger can use up (SEC-102). After mini-redis' server: a
//! permit per connection, a signal in to stop, and nothing left behind.

use super::gate::Peer;
use super::throttle::Source;
use super::{Console, lock, routes};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

/// Connections at the same time …
const CONNECTIONS_MAX: usize = 128;
/// … of which from one source: one client does not keep the others out.
const PER_SOURCE_MAX: usize = 32;
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
const HEADER_TIME: Duration = Duration::from_secs(10);
/// A connection without a request for this long is closed.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Time for connections to end when the daemon stops.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// Pause after the system refused a connection (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serve until `stop` changes; then let open requests end, for a moment.
pub async fn serve(
    console: Arc<Console>,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    mut stop: watch::Receiver<bool>,
) {
    let router = routes::router(&console);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let sources = Sources::default();
    let live = tokio::spawn(super::stream::run(console.clone()));
    let chores = tokio::spawn(console.run());
    loop {
        while connections.try_join_next().is_some() {}
        let permit = permits.clone().acquire_owned();
        let (permit, stream, peer) = tokio::select! {
            _ = stop.changed() => break,
            (permit, accepted) = async { (permit.await, listener.accept().await) } => {
                match (permit, accepted) {
                    (Ok(permit), Ok((stream, peer))) => (permit, stream, peer),
                    (_, Err(e)) => {
                        tracing::warn!("a connection was not accepted: {e}");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                    (Err(_), _) => break,
                }
            }
        };
        let Some(place) = sources.place(peer.ip()) else {
            tracing::debug!("{peer}: closed, {PER_SOURCE_MAX} connections from there already");
            continue;
        };
        let connection = connection(acceptor.clone(), router.clone(), stream, peer, stop.clone());
        connections.spawn(async move {
            connection.await;
            drop((permit, place));
        });
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN_TIME, drained).await.is_err() {
        connections.shutdown().await;
    }
    live.abort();
    chores.abort();
}

/// How many connections each source has.
#[derive(Clone, Default)]
struct Sources(Arc<Mutex<HashMap<Source, usize>>>);

/// One connection's place; given back when dropped.
struct Place(Sources, Source);

impl Sources {
    fn place(&self, from: IpAddr) -> Option<Place> {
        let source = Source::of(from);
        let mut open = lock(&self.0);
        let count = open.entry(source).or_default();
        if *count >= PER_SOURCE_MAX {
            return None;
        }
        *count += 1;
        Some(Place(self.clone(), source))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.0.0);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

/// One connection, from its handshake to its end.
async fn connection(
    acceptor: TlsAcceptor,
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    mut stop: watch::Receiver<bool>,
) {
    // Small messages must not wait for each other: 300 ms from bus to screen.
    let _ = stream.set_nodelay(true);
    let stream = match timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => return tracing::debug!("{peer}: handshake failed: {e}"),
        Err(_) => return tracing::debug!("{peer}: no handshake in {HANDSHAKE_TIME:?}"),
    };
    let use_count = Arc::new(Use::default());
    let service = {
        let use_count = use_count.clone();
        hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let answer = answer(router.clone(), request, peer);
            use_count.clone().during(answer)
        })
    };
    let builder = builder();
    let served = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = async { tokio::select! { _ = stop.changed() => {}, () = use_count.idle() => {} } } => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!("{peer}: connection ended: {e}");
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(32 * 1_024)
        .max_headers(64);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(32)
        .max_header_list_size(16 * 1_024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

async fn answer(
    mut router: Router,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer.ip().to_canonical()));
    router.call(request).await
}

/// Counts the requests of a connection, to see when it is idle. A stream in
/// progress is no request: its heartbeat finds dead peers.
#[derive(Default)]
struct Use {
    open: AtomicUsize,
    total: AtomicUsize,
}

impl Use {
    async fn during<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        let done = work.await;
        self.open.fetch_sub(1, Ordering::Relaxed);
        done
    }

    /// Returns when no request came or was open for [`IDLE_TIME`]. Bodies that
    /// still flow, such as streams, go on after the connection's graceful end.
    async fn idle(&self) {
        let mut seen = usize::MAX;
        loop {
            let total = self.total.load(Ordering::Relaxed);
            if total == seen && self.open.load(Ordering::Relaxed) == 0 {
                return;
            }
            seen = total;
            sleep(IDLE_TIME).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_leaves_room_for_the_others() {
        let sources = Sources::default();
        let from = |n| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
        let places: Vec<_> = (0..40).filter_map(|n| sources.place(from(n))).collect();
        assert_eq!(places.len(), PER_SOURCE_MAX, "a /64 is one source");
        assert!(sources.place([192, 0, 2, 1].into()).is_some());
        drop(places);
        assert!(sources.place(from(1)).is_some());
        assert!(lock(&sources.0).is_empty(), "nothing is remembered of who is gone");
    }
}
