//! Answers go over the wire compressed (facts/console-ux.md G1): a board of 512
//! blocks is tiles that are alike.
//!
//! What is left as it is: the live stream, whose events would wait in the
//! compressor; what is compressed already; and the answers to writes. These may
//! show a secret this once beside what was sent, and the length of both together,
//! compressed, tells of one by the other (BREACH). Pages that are read show none.

use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// Shorter answers fit into one packet anyway.
const BYTES_MIN: u64 = 1_000;
/// What is worth it.
const KINDS: [&str; 6] =
    ["text/html", "text/css", "text/csv", "text/javascript", "application/json", "image/svg+xml"];

type Worth = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Compresses what the asker takes compressed.
pub fn layer() -> CompressionLayer<And<SizeAbove, Worth>> {
    let worth: Worth = |_, _, headers, _| is_worth_it(headers);
    // The appliance's processor is slower than its network is: the fastest level
    // makes a tenth of a board as well.
    let layer = CompressionLayer::new().quality(CompressionLevel::Fastest);
    layer.compress_when(SizeAbove::new(BYTES_MIN).and(worth))
}

/// Answers to writes are not compressed.
pub async fn only_what_is_read(mut request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    next.run(request).await
}

fn is_worth_it(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| KINDS.iter().any(|worth| kind.starts_with(worth)))
}
