//! One exchange with the server: send, wait, send again, believe or not.
//!
//! Over UDP the same bytes are sent up to [`SENDS`] times, with the same
//! identifier and authenticator (RFC 5080 §2.2.1), and whatever comes from the
//! server that is not the right answer is passed over: the right one may still
//! come. Over TLS (RFC 6614) the connection sees to that.

use evenkeel_sdk::host::{Clock, Connection, Crypto, Net, NetError, Random, Secret, Transport};

use crate::packet::{self, Refusal, Reply, Request, SharedSecret};

/// The logical name of server and secret.
pub const SERVER: &str = "server";
/// Times that a datagram is sent.
const SENDS: u64 = 3;
/// Answers that are passed over before it is given up.
const REFUSED_MAX: u32 = 64;
/// MD5, by the numbers of `evenkeel:crypto`.
const MD5: u32 = 1;

/// The person and what goes with the request.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The request, but for identifier and authenticator.
    pub request: Request<'a>,
    /// How long the server has, milliseconds.
    pub timeout_ms: u64,
}

/// Ask the server.
///
/// # Errors
/// Why nobody decided, and what to check.
pub fn ask<H: Clock + Crypto + Net + Random>(
    host: &mut H,
    question: &Question<'_>,
) -> Result<Reply, String> {
    let mut secret = HostSecret(host.open_secret(SERVER).map_err(|e| e.detail)?);
    let random = host.random(17);
    let (identifier, authenticator) = random
        .split_first()
        .and_then(|(id, rest)| Some((*id, <[u8; 16]>::try_from(rest).ok()?)))
        .ok_or("the host gave no random numbers")?;
    let request = Request { identifier, authenticator, ..question.request };
    let packet = request.encode(&mut secret)?;
    let transport = host.transport_of(SERVER).map_err(|e| e.detail)?;
    let mut exchange = Exchange {
        host,
        packet,
        request,
        secret,
        timeout_ms: question.timeout_ms,
        refused: None,
        silent: String::new(),
    };
    match transport {
        Transport::Udp => exchange.by_datagrams(),
        Transport::Tls => exchange.by_stream(),
        Transport::Tcp => Err("RADIUS goes by udp:// or tls://; correct grant.net.server".into()),
    }
}

struct Exchange<'a, H> {
    host: &'a mut H,
    packet: Vec<u8>,
    request: Request<'a>,
    secret: HostSecret,
    timeout_ms: u64,
    /// How many answers were not believed, and why the last one.
    refused: Option<(u32, Refusal)>,
    /// The host's words for the silence: they have the server's address.
    silent: String,
}

impl<H: Clock + Net> Exchange<'_, H> {
    fn by_datagrams(&mut self) -> Result<Reply, String> {
        // A socket of its own: a new port, and strangers are not heard.
        let mut socket = self.host.open_datagrams(SERVER).map_err(|e| unreachable(&e))?;
        for _ in 0..SENDS {
            socket.send(&self.packet).map_err(|e| unreachable(&e))?;
            let until = self.host.now_ms() + self.timeout_ms / SENDS;
            loop {
                let left = self.left(until);
                if left == 0 {
                    break;
                }
                match socket.receive(left) {
                    Ok(bytes) => match self.judge(&bytes)? {
                        Some(reply) => return Ok(reply),
                        None => continue,
                    },
                    Err(error) if error.code == NetError::TIMEOUT => {
                        self.silent = error.detail;
                        break;
                    }
                    Err(error) => return Err(unreachable(&error)),
                }
            }
        }
        Err(self.silence())
    }

    fn by_stream(&mut self) -> Result<Reply, String> {
        let until = self.host.now_ms() + self.timeout_ms;
        let left = self.left(until);
        let mut stream = self.host.connect(SERVER, left).map_err(|e| unreachable(&e))?;
        let left = self.left(until);
        stream.write(&self.packet, left).map_err(|e| unreachable(&e))?;
        let mut received = Vec::new();
        loop {
            let wanted = missing(&received).ok_or("what the server sends is no RADIUS")?;
            if wanted == 0 {
                if let Some(reply) = self.judge(&received)? {
                    return Ok(reply);
                }
                received.clear();
                continue;
            }
            match self.left(until) {
                0 => return Err(self.silence()),
                left => match read(&mut *stream, wanted, left) {
                    Ok(bytes) => received.extend(bytes),
                    Err(error) if error.code == NetError::TIMEOUT => {
                        self.silent = error.detail;
                        return Err(self.silence());
                    }
                    Err(error) => return Err(unreachable(&error)),
                },
            }
        }
    }

    /// The decision in an answer; `None`: it is not the right one.
    fn judge(&mut self, bytes: &[u8]) -> Result<Option<Reply>, String> {
        let Request { identifier, authenticator, .. } = self.request;
        let refusal = match packet::decode(bytes, identifier, &authenticator, &mut self.secret) {
            Ok(reply) => return Ok(Some(reply)),
            Err(refusal) => refusal,
        };
        let count = self.refused.as_ref().map_or(0, |(count, _)| *count) + 1;
        self.refused = Some((count, refusal));
        if count < REFUSED_MAX { Ok(None) } else { Err(self.silence()) }
    }

    fn left(&mut self, until: u64) -> u32 {
        until.saturating_sub(self.host.now_ms()).try_into().unwrap_or(u32::MAX)
    }

    fn silence(&self) -> String {
        match &self.refused {
            Some((count, refusal)) => {
                format!("the server's answer ({count} times) is not believed: {refusal}")
            }
            None => format!(
                "no answer from the server in {} s ({}). Check that it runs, its address and \
                 port, that it knows this appliance as a client, and that the shared secret is \
                 the same on both sides: to a wrong one a server says nothing",
                self.timeout_ms as f64 / 1e3,
                self.silent
            ),
        }
    }
}

fn unreachable(error: &NetError) -> String {
    format!("the server cannot be reached, check address and port: {}", error.detail)
}

fn read(stream: &mut dyn Connection, wanted: usize, left: u32) -> Result<Vec<u8>, NetError> {
    // At most one packet: it fits.
    stream.read(wanted as u32, left)
}

/// Bytes that are missing of the packet that begins with `received`; `None`
/// when it is none.
fn missing(received: &[u8]) -> Option<usize> {
    let [_, _, high, low, ..] = *received else { return Some(4 - received.len()) };
    let len = usize::from(u16::from_be_bytes([high, low]));
    packet::LEN.contains(&len).then(|| len.saturating_sub(received.len()))
}

/// The secret that the host keeps.
struct HostSecret(Box<dyn Secret>);

impl SharedSecret for HostSecret {
    fn hmac_md5(&mut self, data: &[u8]) -> Result<[u8; 16], String> {
        sixteen(self.0.hmac(MD5, data).map_err(|e| e.detail)?)
    }

    fn md5(&mut self, before: &[u8], after: &[u8]) -> Result<[u8; 16], String> {
        sixteen(self.0.digest(MD5, before, after).map_err(|e| e.detail)?)
    }
}

fn sixteen(bytes: Vec<u8>) -> Result<[u8; 16], String> {
    bytes.try_into().map_err(|_| "the host's MD5 has not 16 bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_packets() {
        for (received, wanted) in [
            (&b""[..], Some(4)),
            (b"\x02\x01", Some(2)),
            (b"\x02\x01\0\x14", Some(16)),
            (b"\x02\x01\0\x13", None),
            (b"\x02\x01\x10\x01", None),
            (b"\x02\x01\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Some(0)),
        ] {
            assert_eq!(missing(received), wanted, "{received:?}");
        }
    }
}
