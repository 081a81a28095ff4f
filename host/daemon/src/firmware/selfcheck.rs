//! The console asks itself: whether it answers is known by a request like any
//! other, over TLS, and by nothing less.

use crate::caps::net_client::trust;
use crate::certificate::Certificates;
use crate::clock;
use crate::grants::Pin;
use rustls::pki_types::ServerName;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest wait for the whole request: a console that is slower is no good to
/// anybody.
const TIME_MAX: Duration = Duration::from_secs(10);
const REQUEST: &[u8] = b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 ";

/// Whether the console answers whose data lies in `data_dir`, with what it is to
/// show of these certificates.
pub async fn answers(data_dir: &Path, certificates: &Certificates) -> bool {
    let Some(port) = port(data_dir) else { return false };
    matches!(timeout(TIME_MAX, ask(certificates, port)).await, Ok(Some(answer)) if answer == ANSWER)
}

/// The port that the daemon announced.
fn port(data_dir: &Path) -> Option<u16> {
    let text = std::fs::read_to_string(data_dir.join("address")).ok()?;
    Some(text.trim().parse::<SocketAddr>().ok()?.port())
}

async fn ask(certificates: &Certificates, port: u16) -> Option<[u8; ANSWER.len()]> {
    let shown = certificates.status(clock::now())?.shown;
    let config = trust::pinned(shown.fingerprint.parse::<Pin>().ok()?);
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    let name = ServerName::try_from("localhost").ok()?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    stream.write_all(REQUEST).await.ok()?;
    let mut answer = [0; ANSWER.len()];
    stream.read_exact(&mut answer).await.ok()?;
    Some(answer)
}
