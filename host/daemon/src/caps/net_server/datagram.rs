//! A datagram listener: one at a time. What arrives meanwhile waits in the
//! socket, and the system drops what does not fit there.

use super::gateway::{Asker, Outcome};
use super::listen::Reached;
use crate::console::throttle::Source;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tracing::debug;

/// The longest there is.
const DATAGRAM_MAX: usize = 65_535;

/// Answer what arrives, until the task is dropped.
pub(super) async fn run(socket: UdpSocket, listener: Arc<str>, reached: Arc<Reached>) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let (len, peer) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // What comes back for a datagram that was sent: not ours to act on.
            Err(error) => {
                debug!("datagrams to {listener:?}: {error}");
                continue;
            }
        };
        let source = Source::of(peer.ip());
        if reached.gateway.is_held(source) {
            continue;
        }
        let (id, forgotten) = reached.connections.peer(&listener, &socket, peer);
        if let Some(id) = forgotten {
            reached.gateway.closed(id).await;
        }
        let asker = Asker { listener: Arc::clone(&listener), id, source };
        let Outcome::Served(answer) = reached.gateway.serve(&asker, &buffer[..len]).await else {
            continue;
        };
        if !answer.reply.is_empty()
            && let Err(error) = socket.send_to(&answer.reply, peer).await
        {
            debug!("an answer to {peer} was not sent: {error}");
        }
        if answer.close {
            reached.connections.close(id);
            reached.gateway.closed(id).await;
        }
    }
}
