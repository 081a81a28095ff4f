//! Settings documents outlive the program that wrote them: an update brings a
//! newer one, a fallback to the other slot an older one.
//!
//! Terms: the *form* of a document is a number that counts up whenever what may
//! stand in it changes; a document says its own as `form = 2`, and one without
//! that line has form 1. A [`Step`] leads from one form to the next and back; a
//! [`Chain`] is all steps of one kind of document, so that every released form
//! leads to every other.
//!
//! Going forward loses nothing. Going back takes away what the older form has
//! no place for, and says what it was. A document of a form that is newer than
//! this program is not guessed at: [`Chain::bring`] refuses it, and
//! [`Chain::known_part`] gives what can be understood of it, for the case that
//! nothing else is there. The document itself stays as it is in both cases.

use toml::{Table, Value};

/// Name of the line that says the form.
const FORM: &str = "form";

/// From one form to the next, and back.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Makes a document of the older form one of the newer.
    pub forward: fn(&mut Table),
    /// The other way; what it takes away it returns, by dotted name.
    pub back: fn(&mut Table) -> Vec<String>,
}

/// All forms of one kind of document; `steps[0]` leads from form 1 to form 2.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// The steps.
    pub steps: &'static [Step],
    /// Names that the newest form has a place for, at the top.
    pub names: &'static [&'static str],
}

/// A document in some form.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its form.
    pub form: u32,
    /// What it says, without the line that says its form.
    pub table: Table,
}

/// Why a document cannot be brought into another form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// The form is not a number from 1.
    #[error("form is not a number from 1 on")]
    NoForm,
    /// Of a program that is newer than this one.
    #[error("form {found} is newer than this program, which knows forms 1 to {newest}")]
    Newer {
        /// Its form.
        found: u32,
        /// The newest that is known.
        newest: u32,
    },
}

impl Document {
    /// From its text.
    ///
    /// # Errors
    /// [`FormError::Syntax`], [`FormError::NoForm`].
    pub fn parse(text: &str) -> Result<Self, FormError> {
        let mut table: Table =
            text.parse().map_err(|e: toml::de::Error| FormError::Syntax(e.message().to_owned()))?;
        let form = match table.remove(FORM) {
            None => 1,
            Some(Value::Integer(form)) => u32::try_from(form).map_err(|_| FormError::NoForm)?,
            Some(_) => return Err(FormError::NoForm),
        };
        if form == 0 { Err(FormError::NoForm) } else { Ok(Self { form, table }) }
    }

    /// Its text; a document of form 1 does not say so, as older programs know
    /// no such line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let form = if self.form > 1 { format!("{FORM} = {}\n", self.form) } else { String::new() };
        form + &self.table.to_string()
    }
}

impl Chain {
    /// The newest form that is known.
    #[must_use]
    pub const fn newest(&self) -> u32 {
        self.steps.len() as u32 + 1
    }

    /// The document in form `to`, and the names of what that form has no place
    /// for.
    ///
    /// # Errors
    /// [`FormError::Newer`] when either form is not known.
    pub fn bring(
        &self,
        mut document: Document,
        to: u32,
    ) -> Result<(Document, Vec<String>), FormError> {
        let newest = self.newest();
        if let Some(found) = [document.form, to].into_iter().find(|form| *form > newest) {
            return Err(FormError::Newer { found, newest });
        }
        let mut lost = Vec::new();
        while document.form < to {
            (self.steps[document.form as usize - 1].forward)(&mut document.table);
            document.form += 1;
        }
        while document.form > to.max(1) {
            document.form -= 1;
            lost.extend((self.steps[document.form as usize - 1].back)(&mut document.table));
        }
        Ok((document, lost))
    }

    /// What this program has a place for in a document of a newer form, taken
    /// for the newest that is known; and the names of the rest.
    #[must_use]
    pub fn known_part(&self, document: &Document) -> (Document, Vec<String>) {
        let (known, rest): (Table, Table) = document
            .table
            .clone()
            .into_iter()
            .partition(|(name, _)| self.names.contains(&name.as_str()));
        let form = self.newest().min(document.form);
        (Document { form, table: known }, rest.into_iter().map(|(name, _)| name).collect())
    }
}

/// A step back that takes these tables away from the top.
pub fn without(table: &mut Table, names: &[&str]) -> Vec<String> {
    let taken = names.iter().filter(|name| table.remove(**name).is_some());
    taken.map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Form 2 calls `speed` by its unit; form 3 has a table more.
    const CHAIN: Chain = Chain {
        steps: &[
            Step {
                forward: |table| {
                    if let Some(speed) = table.remove("speed") {
                        table.insert("speed_baud".to_owned(), speed);
                    }
                },
                back: |table| {
                    if let Some(speed) = table.remove("speed_baud") {
                        table.insert("speed".to_owned(), speed);
                    }
                    Vec::new()
                },
            },
            Step { forward: |_| {}, back: |table| without(table, &["metrics"]) },
        ],
        names: &["speed_baud", "metrics", "name"],
    };

    fn document(text: &str) -> Document {
        Document::parse(text).expect("a document")
    }

    #[test]
    fn every_form_leads_to_every_other() {
        let forms = [
            "name = \"a\"\nspeed = 9600\n",
            "form = 2\nname = \"a\"\nspeed_baud = 9600\n",
            "form = 3\nname = \"a\"\nspeed_baud = 9600\n",
        ];
        for from in forms {
            for (index, to) in forms.iter().enumerate() {
                let (brought, lost) = CHAIN.bring(document(from), index as u32 + 1).expect("known");
                assert_eq!((brought.to_text().as_str(), lost), (*to, Vec::new()));
            }
        }
    }

    #[test]
    fn what_an_older_form_has_no_place_for_is_named() {
        let newest = document("form = 3\nspeed_baud = 1\n[metrics]\nbearer = \"x\"\n");
        let (old, lost) = CHAIN.bring(newest.clone(), 1).expect("known");
        assert_eq!((old.to_text().as_str(), lost), ("speed = 1\n", vec!["metrics".to_owned()]));
        let (again, lost) = CHAIN.bring(old, 3).expect("known");
        assert_eq!((again.table.get("metrics"), lost), (None, Vec::new()));
    }

    #[test]
    fn a_newer_program_s_document_is_read_as_far_as_it_goes() {
        let newer = document("form = 9\nname = \"a\"\n[teleport]\nto = \"b\"\n");
        let refused = CHAIN.bring(newer.clone(), 3);
        assert_eq!(refused, Err(FormError::Newer { found: 9, newest: 3 }));
        let (known, rest) = CHAIN.known_part(&newer);
        assert_eq!(
            (known.to_text().as_str(), rest),
            ("form = 3\nname = \"a\"\n", vec!["teleport".to_owned()])
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, error) in [
            ("form = 0", FormError::NoForm),
            ("form = -1", FormError::NoForm),
            ("form = \"2\"", FormError::NoForm),
        ] {
            assert_eq!(Document::parse(text), Err(error), "{text}");
        }
        assert!(matches!(Document::parse("form ="), Err(FormError::Syntax(_))));
        assert!(CHAIN.bring(document(""), 7).is_err());
    }
}
