//! What a form sent: names with their texts, some of which come several times.
//! Nothing is trusted to be there, or to be a number.

use crate::console::page::Refused;
use crate::console::problem::Problem;
use axum::body::Bytes;
use axum::extract::multipart::{Multipart, MultipartError, MultipartRejection};
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequest, Request};
use axum::http::StatusCode;
use serde::Deserialize;
use std::collections::BTreeSet;

/// What a form of a page sent. When it is no such form, a page says so.
pub struct Sent<T>(pub T);

impl<S, T> FromRequest<S> for Sent<T>
where
    S: Send + Sync,
    Form<T>: FromRequest<S, Rejection = FormRejection>,
{
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        match Form::from_request(request, state).await {
            Ok(Form(sent)) => Ok(Self(sent)),
            Err(wrong) => Err(Problem::bad_request(wrong.body_text()).into()),
        }
    }
}

/// The fields of a form, in its order.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// The first value of a field, without the spaces around it; empty when
    /// there is none.
    pub fn one(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim())
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> BTreeSet<String> {
        let values = self.0.iter().filter(|(field, value)| field == name && !value.is_empty());
        values.map(|(_, value)| value.clone()).collect()
    }

    /// Whether a box is ticked.
    pub fn ticked(&self, name: &str) -> bool {
        !self.one(name).is_empty()
    }

    /// A field with another value.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(field, _)| field != name);
        self.0.push((name.to_owned(), value.into()));
    }
}

/// The file that a form sent in the field `name`: what it is, with its article,
/// has at most so many bytes.
///
/// # Errors
/// When it is no such form, the upload was cut, or no file was chosen.
pub async fn file(
    form: Result<Multipart, MultipartRejection>,
    name: &str,
    (what, max): (&str, usize),
) -> Result<Bytes, Problem> {
    let bad = |e: MultipartError| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_long(what, max),
        _ => Problem::bad_request(e.body_text()),
    };
    let mut form = form.map_err(|e| Problem::bad_request(e.body_text()))?;
    while let Some(field) = form.next_field().await.map_err(bad)? {
        if field.name() == Some(name) {
            return field.bytes().await.map_err(bad);
        }
    }
    Err(Problem::bad_request("no file was chosen"))
}

/// A number as people write it, with a point or a comma; `None`: it is none.
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim().replace(',', ".").replace('\u{2212}', "-");
    // "inf" and "nan" are numbers for the parser, and for nobody else.
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A number to be edited: as [`number`] reads it.
pub fn written(number: f64) -> String {
    // Of a sum of decimals only so many digits were ever written.
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_read_as_forms_send_them() {
        let pairs = [("act", " save "), ("role", "a"), ("role", "b"), ("role", ""), ("on", "yes")];
        let mut fields = Fields(pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec());
        assert_eq!((fields.one("act"), fields.one("name")), ("save", ""));
        assert_eq!(fields.all("role").into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(fields.ticked("on") && !fields.ticked("off"));
        fields.set("role", "c");
        assert_eq!(fields.one("role"), "c");
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, value) in [("2.5", 2.5), (" 2,5 ", 2.5), ("-3", -3.0), ("\u{2212}3", -3.0)] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["", "x", "inf", "NaN", "1.000,5", "1 2"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!((written(38.0), written(0.1 + 0.2)), ("38".to_owned(), "0.3".to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(milli in -1_000_000_000i64..1_000_000_000) {
            let value = milli as f64 / 1e3;
            prop_assert!((number(&written(value)).expect("a number") - value).abs() < 1e-6);
        }

        #[test]
        fn any_text_is_a_number_or_none(text in "\\PC{0,20}") {
            prop_assert!(number(&text).is_none_or(f64::is_finite));
        }
    }
}
