//! A form with one file that is too long for memory: it goes on while it comes.
//!
//! The file's length follows from the length of the whole form, because the
//! form has no other field: what stands before the file is read first, and
//! what stands behind it is known (RFC 7578).

use crate::console::problem::Problem;
use axum::Error;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::{Stream, StreamExt as _, future, stream};

/// Longest text before the file: the boundary and the part's headers, bytes.
const HEAD_MAX: usize = 4_096;

/// A file that comes.
pub struct Upload<S> {
    /// Its length, bytes; more than none.
    pub length: u64,
    /// It, and what the form has behind it.
    rest: S,
}

/// Read a form up to its file. `whole` is the length of the form, bytes.
///
/// # Errors
/// When it is no such form, or no file was chosen.
pub async fn begin(
    headers: &HeaderMap,
    whole: u64,
    body: Body,
) -> Result<Upload<impl Stream<Item = Result<Bytes, Error>> + Unpin>, Problem> {
    let none = || Problem::bad_request("no file was chosen");
    let mark = mark(headers).ok_or_else(|| Problem::bad_request("this is no form with a file"))?;
    let mut body = body.into_data_stream();
    let mut begun = Vec::new();
    let head = loop {
        if let Some(at) = begun.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        match body.next().await {
            Some(Ok(piece)) if begun.len() <= HEAD_MAX => begun.extend_from_slice(&piece),
            _ => return Err(none()),
        }
    };
    let rest = Bytes::from(begun.split_off(head));
    if !begun.starts_with(mark.as_bytes()) {
        return Err(none());
    }
    // Behind the file: a new line, the mark, two hyphens, a new line.
    let around = (head + mark.len() + 6) as u64;
    let length = whole.checked_sub(around).filter(|length| *length > 0).ok_or_else(none)?;
    let rest = stream::iter([Ok::<_, Error>(rest)]).chain(body);
    Ok(Upload { length, rest })
}

impl<S: Stream<Item = Result<Bytes, Error>> + Unpin> Upload<S> {
    /// The file from its byte `from` on; then nothing is left of the form.
    pub fn from(self, from: u64) -> impl Stream<Item = Result<Bytes, Error>> + Unpin {
        let end = self.length;
        self.rest.scan(0u64, move |at, piece| {
            let cut = piece.map(|piece| {
                let begun = *at;
                *at += piece.len() as u64;
                // What lies in the piece lies in memory: it fits a usize.
                let within = |place: u64| (place.clamp(begun, *at) - begun) as usize;
                piece.slice(within(from.min(end))..within(end))
            });
            future::ready(Some(cut))
        })
    }
}

/// What stands before each part of a form: two hyphens and its boundary.
fn mark(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (_, boundary) = kind.strip_prefix("multipart/form-data")?.split_once("boundary=")?;
    let boundary = boundary.trim().trim_matches('"');
    (1..=70).contains(&boundary.len()).then(|| format!("--{boundary}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(file: &str) -> String {
        format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"bundle\"; filename=\"a.evkf\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n{file}\r\n--xyz--\r\n"
        )
    }

    fn headers(kind: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, header::HeaderValue::from_static(kind))])
    }

    async fn file(text: String, piece: usize, from: u64) -> Result<(u64, Vec<u8>), u16> {
        let whole = text.len() as u64;
        let pieces: Vec<_> =
            text.into_bytes().chunks(piece).map(|p| Ok::<_, Error>(p.to_vec())).collect();
        let body = Body::from_stream(stream::iter(pieces));
        let headers = headers("multipart/form-data; boundary=xyz");
        let upload = begin(&headers, whole, body).await.map_err(|problem| problem.status)?;
        let (length, mut rest) = (upload.length, upload.from(from));
        let mut got = Vec::new();
        while let Some(piece) = rest.next().await {
            got.extend_from_slice(&piece.expect("a piece"));
        }
        Ok((length, got))
    }

    #[tokio::test]
    async fn a_file_comes_in_pieces_of_any_length() {
        let bytes = "first\r\n\r\n--xyz of all";
        for piece in [1, 7, 64, 4_000] {
            let (length, got) = file(form(bytes), piece, 0).await.expect("a file");
            assert_eq!((length, got.as_slice()), (bytes.len() as u64, bytes.as_bytes()), "{piece}");
            let (length, got) = file(form(bytes), piece, 6).await.expect("a file");
            assert_eq!((length, got.as_slice()), (bytes.len() as u64, &bytes.as_bytes()[6..]));
            let (_, got) = file(form(bytes), piece, 9_999).await.expect("a file");
            assert!(got.is_empty(), "{piece}: all of it is there already");
        }
    }

    #[tokio::test]
    async fn what_is_no_file_is_refused() {
        assert_eq!(file(form(""), 64, 0).await, Err(400), "none was chosen");
        assert_eq!(file("--xyz\r\nContent-".to_owned(), 64, 0).await, Err(400), "cut");
        assert_eq!(file(form("x").replace("xyz", "abc"), 64, 0).await, Err(400), "another mark");
        assert_eq!(file("a".repeat(9_000), 64, 0).await, Err(400), "no end of the head");
        for kind in
            ["text/plain; boundary=xyz", "multipart/form-data", "multipart/form-data; boundary="]
        {
            assert!(mark(&headers(kind)).is_none(), "{kind}");
        }
    }
}
