//! Binding addresses and accepting connections for gateways.

use super::connections::Connections;
use super::datagram;
use super::gateway::{Asker, Gateway};
use super::limits::{BIND_RETRY, BIND_RETRY_FIRST, HANDSHAKE_TIME, PAUSE, TOTAL_MAX};
use super::stream::{self, Conversation};
use crate::certificate::{Certificates, NotShown};
use crate::console::throttle::Source;
use crate::grants::{Listen, Named, Transport};
use crate::plugin::inbox::Inbox;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, info};

/// The listeners of all plugins.
#[derive(Debug)]
pub struct Servers {
    host: Option<Host>,
    total: Arc<Semaphore>,
    /// By the plugin's id.
    plugins: Mutex<HashMap<String, Arc<Connections>>>,
}

#[derive(Debug)]
struct Host {
    runtime: Handle,
    certificates: Arc<Certificates>,
}

impl Default for Servers {
    /// Of a host that cannot listen.
    fn default() -> Self {
        let total = Arc::new(Semaphore::new(TOTAL_MAX));
        Self { host: None, total, plugins: Mutex::default() }
    }
}

/// A gateway and its connections, as its listeners reach them.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) gateway: Gateway,
    pub(super) connections: Arc<Connections>,
    total: Arc<Semaphore>,
}

/// A plugin's listeners; they end, with all connections, when it is dropped.
#[derive(Debug)]
pub struct Listening {
    servers: Arc<Servers>,
    plugin: String,
    connections: Arc<Connections>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        let mut plugins = self.servers.lock();
        // A newer copy of the plugin may listen already.
        if plugins.get(&self.plugin).is_some_and(|now| Arc::ptr_eq(now, &self.connections)) {
            plugins.remove(&self.plugin);
        }
    }
}

/// Told the name of a listener, and why it cannot have its address; nothing
/// when it has it.
pub type Notice = Arc<dyn Fn(&str, Option<&str>) + Send + Sync>;

/// Why an address is not listened on.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error("the address is not free or not ours")]
    Bind(#[source] io::Error),
    #[error("the console's certificate cannot be shown")]
    Certificate(#[source] NotShown),
}

impl Servers {
    /// Of a host that runs on `runtime` and shows these certificates.
    #[must_use]
    pub fn new(runtime: Handle, certificates: Arc<Certificates>) -> Self {
        Self { host: Some(Host { runtime, certificates }), ..Self::default() }
    }

    /// Listen for a plugin on everything that is granted to it, until the
    /// result is dropped. An address that cannot be had is tried again, and
    /// `notice` is told why.
    pub fn listen(
        self: &Arc<Self>,
        plugin: &str,
        granted: &Named<Listen>,
        inbox: &Arc<Inbox>,
        notice: Notice,
    ) -> Listening {
        let connections = Arc::<Connections>::default();
        self.lock().insert(plugin.to_owned(), Arc::clone(&connections));
        let gateway = Gateway::new(plugin, inbox);
        let total = Arc::clone(&self.total);
        let reached = Reached { gateway, connections: Arc::clone(&connections), total };
        let reached = Arc::new(reached);
        let mut tasks = Vec::new();
        for (name, listen) in granted {
            let Some(host) = &self.host else {
                error!(plugin, "{listen} is not listened on: this host has no network");
                continue;
            };
            let listener = Listener {
                plugin: plugin.to_owned(),
                name: name.as_str().into(),
                listen: *listen,
                certificates: Arc::clone(&host.certificates),
                reached: Arc::clone(&reached),
                notice: Arc::clone(&notice),
            };
            tasks.push(host.runtime.spawn(listener.run()).abort_handle());
        }
        Listening { servers: Arc::clone(self), plugin: plugin.to_owned(), connections, tasks }
    }

    /// The connections of the plugin with this id; none without listeners.
    #[must_use]
    pub fn connections_of(&self, plugin: &str) -> Arc<Connections> {
        self.lock().get(plugin).cloned().unwrap_or_default()
    }

    // Whole after every single operation.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Connections>>> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One address of one plugin.
struct Listener {
    plugin: String,
    name: Arc<str>,
    listen: Listen,
    certificates: Arc<Certificates>,
    reached: Arc<Reached>,
    notice: Notice,
}

/// What it is when it could be had.
enum Bound {
    Stream(TcpListener, Option<TlsAcceptor>),
    Datagram(UdpSocket),
}

impl Bound {
    fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Stream(listener, _) => listener.local_addr(),
            Self::Datagram(socket) => socket.local_addr(),
        }
    }
}

impl Listener {
    /// Until the task is dropped.
    async fn run(self) {
        let (plugin, listen) = (self.plugin.as_str(), self.listen);
        let (mut said, mut pause) = (String::new(), BIND_RETRY_FIRST);
        let bound = loop {
            match self.bind().await {
                Ok(bound) => break bound,
                Err(e) => {
                    let reason = crate::failure::chain(&e);
                    if reason != said {
                        let every = BIND_RETRY.as_secs();
                        let text =
                            format!("cannot listen on {listen}: {reason}; tried every {every} s");
                        error!(plugin, "{text}");
                        (self.notice)(&self.name, Some(&text));
                        said = reason;
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(BIND_RETRY);
                }
            }
        };
        (self.notice)(&self.name, None);
        match bound.address() {
            Ok(address) => info!(plugin, "listens on {listen} ({address}) for {:?}", self.name),
            Err(e) => {
                info!(plugin, "listens on {listen} for {:?}, address unknown: {e}", self.name)
            }
        }
        match bound {
            Bound::Stream(listener, tls) => self.accept(listener, tls).await,
            Bound::Datagram(socket) => {
                datagram::run(socket, Arc::clone(&self.name), Arc::clone(&self.reached)).await;
            }
        }
    }

    async fn bind(&self) -> Result<Bound, ListenError> {
        let address = self.listen.address;
        let tls = match self.listen.transport {
            Transport::Udp => {
                return UdpSocket::bind(address)
                    .await
                    .map(Bound::Datagram)
                    .map_err(ListenError::Bind);
            }
            Transport::Tcp => None,
            Transport::Tls => {
                let config = self.certificates.config(&[]).map_err(ListenError::Certificate)?;
                Some(TlsAcceptor::from(config))
            }
        };
        let listener = TcpListener::bind(address).await.map_err(ListenError::Bind)?;
        Ok(Bound::Stream(listener, tls))
    }

    async fn accept(&self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        // Ends the connections when it is dropped.
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(conversation) = self.admit(peer) {
                        connections.spawn(carry(stream, tls.clone(), conversation));
                    }
                }
                Err(e) => {
                    debug!("a connection to {:?} was not accepted: {e}", self.name);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Whether there is a place for a connection from there.
    fn admit(&self, peer: SocketAddr) -> Option<Admitted> {
        let source = Source::of(peer.ip());
        let refused = |why| debug!("{peer} to {:?}: refused, {why}", self.name);
        if self.reached.gateway.is_held(source) {
            refused("held off for a failure");
            return None;
        }
        let Ok(permit) = Arc::clone(&self.reached.total).try_acquire_owned() else {
            refused("all gateways together have too many connections");
            return None;
        };
        let Some((place, outgoing)) = self.reached.connections.stream(&self.name, source) else {
            refused("too many connections from there, or in all");
            return None;
        };
        let asker = Asker { listener: Arc::clone(&self.name), id: place.id, source };
        let reached = Arc::clone(&self.reached);
        let conversation = Conversation { reached, asker, outgoing };
        Some(Admitted { conversation, _held: (permit, place) })
    }
}

/// A connection that has its place.
struct Admitted {
    conversation: Conversation,
    _held: (tokio::sync::OwnedSemaphorePermit, super::connections::Place),
}

async fn carry(tcp: TcpStream, tls: Option<TlsAcceptor>, admitted: Admitted) {
    // Answers are small and must not wait for each other; a peer that is gone
    // without a word is found out. Both are wishes.
    let _ = tcp.set_nodelay(true);
    let _ = rustix::net::sockopt::set_socket_keepalive(&tcp, true);
    let conversation = &admitted.conversation;
    let Some(tls) = tls else { return stream::run(tcp, conversation).await };
    match timeout(HANDSHAKE_TIME, tls.accept(tcp)).await {
        Ok(Ok(within)) => stream::run(within, conversation).await,
        Ok(Err(e)) => debug!("connection {}: handshake failed: {e}", conversation.asker.id),
        Err(_) => debug!("connection {}: no handshake in time", conversation.asker.id),
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{IDLE_TIME, PER_LISTENER_MAX};
    use super::*;
    use std::path::PathBuf;
    use tokio::time::Instant;

    fn listener(name: &str, reached: &Arc<Reached>) -> Listener {
        Listener {
            plugin: "echo".into(),
            name: name.into(),
            listen: "tcp://127.0.0.1:502".parse().expect("an address"),
            certificates: Certificates::new(PathBuf::new()),
            reached: Arc::clone(reached),
            notice: Arc::new(|_, _| {}),
        }
    }

    /// A plugin of one of these, and what it has of the connections of all.
    fn reached(total: &Arc<Semaphore>) -> Arc<Reached> {
        let gateway = Gateway::new("echo", &Arc::default());
        Arc::new(Reached { gateway, connections: Arc::default(), total: Arc::clone(total) })
    }

    fn peer(n: usize) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n as u8], 40_000))
    }

    #[tokio::test]
    async fn all_gateways_together_have_so_many_connections() {
        let total = Arc::clone(&Servers::default().total);
        let mut held = Vec::new();
        // Of several plugins, each within its own limits.
        for _ in 0..TOTAL_MAX / PER_LISTENER_MAX {
            let full = listener("a", &reached(&total));
            held.extend((0..PER_LISTENER_MAX).filter_map(|n| full.admit(peer(n))));
        }
        assert_eq!(held.len(), TOTAL_MAX);
        let other = listener("a", &reached(&total));
        assert!(other.admit(peer(0)).is_none(), "a plugin that has none is refused, too");
        held.pop();
        assert!(other.admit(peer(0)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_for_nothing_ends() {
        let listener = listener("a", &reached(&Arc::clone(&Servers::default().total)));
        let admitted = listener.admit(peer(1)).expect("a place");
        let (near, _far) = tokio::io::duplex(64);
        let begun = Instant::now();
        stream::run(near, &admitted.conversation).await;
        assert_eq!(begun.elapsed().as_secs(), IDLE_TIME.as_secs());
    }
}
