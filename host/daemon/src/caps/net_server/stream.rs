//! One connection of a stream listener, from its first byte to its end.

use super::connections::Outgoing;
use super::gateway::{Asker, Gateway, Outcome};
use super::limits::{BUFFER_MAX, IDLE_TIME, REQUEST_TIME, WRITE_TIME};
use super::listen::Reached;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

/// Bytes read at once.
const CHUNK_BYTES: usize = 4_096;

/// What a connection is, besides its stream.
pub(super) struct Conversation {
    pub(super) reached: Arc<Reached>,
    pub(super) asker: Asker,
    pub(super) outgoing: Arc<Outgoing>,
}

/// Why it is over; for the log of somebody who looks for it.
type Over = Cow<'static, str>;

/// Carry it to its end.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(stream: S, with: &Conversation) {
    let mut line = Line { stream, with, buffer: Vec::new(), since: Instant::now(), served: false };
    let Err(over) = line.converse().await;
    debug!("connection {} to {:?}: {over}", with.asker.id, with.asker.listener);
    // What the peer still gets is its own matter.
    let _ = timeout(WRITE_TIME, line.stream.shutdown()).await;
    if line.served {
        with.gateway().closed(with.asker.id).await;
    }
}

impl Conversation {
    fn gateway(&self) -> &Gateway {
        &self.reached.gateway
    }
}

struct Line<'a, S> {
    stream: S,
    with: &'a Conversation,
    /// Received and not consumed.
    buffer: Vec<u8>,
    /// When the last request ended, or the first byte of the present one came.
    since: Instant,
    /// The gateway knows of it.
    served: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<'_, S> {
    async fn converse(&mut self) -> Result<core::convert::Infallible, Over> {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            let limit = if self.buffer.is_empty() { IDLE_TIME } else { REQUEST_TIME };
            // `serve` leaves room, or ends the connection.
            let room = CHUNK_BYTES.min(BUFFER_MAX - self.buffer.len());
            let read = tokio::select! {
                read = self.stream.read(&mut chunk[..room]) => read,
                () = self.with.outgoing.ready() => {
                    self.flush().await?;
                    continue;
                }
                () = sleep_until(self.since + limit) => return Err("nothing whole in time".into()),
            };
            match read {
                Ok(0) => return Err("closed by the peer".into()),
                Ok(n) => {
                    if self.buffer.is_empty() {
                        self.since = Instant::now();
                    }
                    self.buffer.extend_from_slice(&chunk[..n]);
                }
                Err(_) => return Err("broken".into()),
            }
            self.serve().await?;
        }
    }

    /// Have the gateway answer what is there, request by request.
    async fn serve(&mut self) -> Result<(), Over> {
        while !self.buffer.is_empty() {
            self.served = true;
            let asked = self.with.gateway().serve(&self.with.asker, &self.buffer);
            let Outcome::Served(answer) = asked.await else {
                return Err("not answered".into());
            };
            self.write(&answer.reply).await?;
            self.flush().await?;
            let consumed = answer.consumed as usize;
            match consumed {
                _ if answer.close => return Err("closed by the gateway".into()),
                0 if self.buffer.len() >= BUFFER_MAX => {
                    let plugin = self.with.gateway().plugin();
                    return Err(format!("{plugin} finds no request in {BUFFER_MAX} bytes").into());
                }
                0 => return Ok(()),
                n if n > self.buffer.len() => {
                    return Err("the gateway consumed what never came".into());
                }
                _ => {}
            }
            self.buffer.drain(..consumed);
            self.since = Instant::now();
            self.with.reached.connections.used(self.with.asker.id);
        }
        Ok(())
    }

    /// Send what the gateway sent unasked.
    async fn flush(&mut self) -> Result<(), Over> {
        let pending = self.with.outgoing.take();
        self.write(&pending.bytes).await?;
        if pending.close { Err("closed by the gateway, or for others".into()) } else { Ok(()) }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(WRITE_TIME, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("broken".into()),
            Err(_) => Err("the peer does not take its answers".into()),
        }
    }
}
