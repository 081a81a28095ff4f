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
//!
//! So that going back is no matter of luck, whoever keeps a document keeps it in
//! every form that says it otherwise ([`Chain::texts`]), the newest last; and
//! whoever reads takes the newest revision of a form that it knows
//! ([`Chain::readable`]). What an older program then changes is the newest
//! revision, and the newer program goes on with it; what the older form had no place
//! for it takes from the newest revision that had it.

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

/// A kind of document.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it is called where documents are kept.
    pub name: &'static str,
    /// The forms that it has had.
    pub chain: Chain,
}

impl Kind {
    /// A kind that has had one form only.
    #[must_use]
    pub const fn first(name: &'static str) -> Self {
        Self { name, chain: Chain { steps: &[], names: &[] } }
    }
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

    /// The revisions to keep of what this program wrote, oldest form first: the
    /// text itself, and before it the same for older programs where these say
    /// it otherwise. The text says its form or not: it may have everything in
    /// it that the newest form has. What cannot be read is kept as it is.
    #[must_use]
    pub fn texts(&self, text: &str) -> Vec<String> {
        let newest = self.newest();
        let Ok(said) = Document::parse(text) else { return vec![text.to_owned()] };
        let table = if said.form > newest { self.known_part(&said).0.table } else { said.table };
        let whole = Document { form: newest, table };
        let brought = |form| self.bring(whole.clone(), form).map(|(document, _)| document);
        let older: Vec<Document> = (1..newest).filter_map(|form| brought(form).ok()).collect();
        if said.form == 1 && older.iter().all(|document| document.table == whole.table) {
            return vec![text.to_owned()];
        }
        let mut texts: Vec<String> = older.iter().map(Document::to_text).collect();
        // What somebody typed keeps its comments.
        let line = if said.form == 1 { format!("{FORM} = {newest}\n") } else { String::new() };
        texts.push(line + text);
        texts
    }

    /// Of the revisions of a document, newest first, those to try, with their
    /// places: in the newest form, best first. One of a newer program counts
    /// when no other does, as far as it is understood. What is no TOML is passed
    /// on as it is: whoever parses it says where.
    #[must_use]
    pub fn readable<'a>(
        &self,
        newest_first: impl IntoIterator<Item = &'a str>,
    ) -> Vec<(usize, String)> {
        let (mut known, mut newer) = (Vec::new(), None);
        // Of those that could be brought: the place in `known`, the form, the table.
        let mut older: Vec<(usize, u32, Table)> = Vec::new();
        for (place, text) in newest_first.into_iter().enumerate() {
            match Document::parse(text) {
                Ok(document) if document.form > self.newest() => {
                    let understood = || (place, self.known_part(&document).0.table.to_string());
                    newer = newer.or_else(|| Some(understood()));
                }
                // Nothing to bring forward, and its lines stay where they are.
                Ok(Document { form: 1, .. }) if self.newest() == 1 && !says_form(text) => {
                    known.push((place, text.to_owned()));
                }
                Ok(document) => {
                    let form = document.form;
                    if let Ok((document, _)) = self.bring(document, self.newest()) {
                        known.push((place, document.table.to_string()));
                        older.push((known.len() - 1, form, document.table));
                    }
                }
                Err(_) => known.push((place, text.to_owned())),
            }
        }
        for (at, (index, form, table)) in older.iter().enumerate() {
            let before = older[at + 1..].iter().find(|(_, before, _)| before > form);
            if let Some((_, _, before)) = before {
                let mut whole = table.clone();
                self.restore(&mut whole, before, *form);
                known[*index].1 = whole.to_string();
            }
        }
        if known.is_empty() { newer.into_iter().collect() } else { known }
    }

    /// What form `form` has no place for, out of a document that had it; both are in
    /// the newest form.
    fn restore(&self, table: &mut Table, before: &Table, form: u32) {
        let whole = Document { form: self.newest(), table: before.clone() };
        let Ok((_, lost)) = self.bring(whole, form) else { return };
        for name in lost {
            if let Some(value) = found(before, &name)
                && found(table, &name).is_none()
            {
                put(table, &name, value.clone());
            }
        }
    }
}

/// What stands under a dotted name.
fn found<'a>(table: &'a Table, name: &str) -> Option<&'a Value> {
    match name.split_once('.') {
        None => table.get(name),
        Some((first, rest)) => found(table.get(first)?.as_table()?, rest),
    }
}

/// Put a value under a dotted name, unless something else than a table is in the way.
fn put(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => drop(table.insert(name.to_owned(), value)),
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            if let Some(inner) = inner.as_table_mut() {
                put(inner, rest, value);
            }
        }
    }
}

/// The form that a text says, without looking at the rest of it.
#[must_use]
pub fn form_of(text: &str) -> u32 {
    let head = text.lines().map(str::trim).take_while(|line| !line.starts_with('['));
    let mut said = head.filter_map(|line| line.strip_prefix(FORM)?.trim_start().strip_prefix('='));
    let digits = said.next().map(|value| value.split('#').next().unwrap_or_default().trim());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(1)
}

fn says_form(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with(FORM))
}

/// A step back that takes these tables away from the top.
pub fn without(table: &mut Table, names: &[&str]) -> Vec<String> {
    let taken = names.iter().filter(|name| table.remove(**name).is_some());
    taken.map(|name| (*name).to_owned()).collect()
}

/// The names that a document has a place for there where `text` has the name `?`, in
/// their order: what the newest form is, for tests that pin it. An older program
/// refuses a document with a name more, so a name more is a form more.
#[cfg(test)]
pub(crate) fn names_at<T: serde::de::DeserializeOwned>(text: &str) -> Vec<String> {
    let error = toml::from_str::<T>(text).err().expect("`?` is no name");
    let message = error.message();
    let (unknown, known) = message.split_once(", ").expect("a name, and those that there are");
    assert!(unknown.contains("`?`"), "{text}: {message}");
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
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
    fn what_is_kept_can_be_read_by_every_program_and_changed_by_each() {
        let kept = CHAIN.texts("# fast\nspeed_baud = 9600\n[metrics]\nbearer = \"x\"\n");
        assert_eq!(
            kept,
            [
                "speed = 9600\n",
                "form = 2\nspeed_baud = 9600\n",
                "form = 3\n# fast\nspeed_baud = 9600\n[metrics]\nbearer = \"x\"\n"
            ]
        );
        let newest_first = || kept.iter().rev().map(String::as_str);
        let first = |chain: &Chain| chain.readable(newest_first()).into_iter().next();
        for (forms, place, text) in [(0, 2, "speed = 9600\n"), (1, 1, "speed_baud = 9600\n")] {
            let older = Chain { steps: &CHAIN.steps[..forms], names: CHAIN.names };
            assert_eq!(first(&older), Some((place, text.to_owned())), "{} forms", forms + 1);
        }
        assert!(first(&CHAIN).is_some_and(|(place, text)| place == 0 && text.contains("metrics")));
        // The oldest program changes it; the newest goes on with that, and with what
        // the oldest had no place for.
        let changed = ["speed = 1200\n"].into_iter().chain(newest_first());
        let whole = "speed_baud = 1200\n\n[metrics]\nbearer = \"x\"\n";
        assert_eq!(CHAIN.readable(changed)[0], (0, whole.to_owned()));
        // What the newest itself took away stays away.
        let changed = ["form = 3\nspeed_baud = 1\n"].into_iter().chain(newest_first());
        assert_eq!(CHAIN.readable(changed)[0], (0, "speed_baud = 1\n".to_owned()));
    }

    #[test]
    fn dotted_names_are_found_and_put() {
        let mut table = document("a = 1\n[b]\nc = 2\n").table;
        assert_eq!(found(&table, "b.c").and_then(Value::as_integer), Some(2));
        assert_eq!((found(&table, "b.d"), found(&table, "a.c")), (None, None));
        put(&mut table, "b.d", Value::Integer(3));
        put(&mut table, "e.f", Value::Integer(4));
        put(&mut table, "a.b", Value::Integer(5));
        let all = ["a", "b.c", "b.d", "e.f"].map(|name| found(&table, name));
        assert_eq!(all.map(|value| value.and_then(Value::as_integer)), [1, 2, 3, 4].map(Some));
    }

    #[test]
    fn the_form_of_a_text_is_seen_without_reading_it() {
        for (text, form) in [
            ("", 1),
            ("name = \"a\"\n", 1),
            ("form = 3\n[x]\n", 3),
            ("# first\n  form=2 # second\n", 2),
            ("[x]\nform = 3\n", 1),
            ("formal = 7\n", 1),
        ] {
            assert_eq!(form_of(text), form, "{text}");
        }
    }

    #[test]
    fn a_newer_program_s_text_counts_when_there_is_no_other() {
        let newer = "form = 9\nname = \"a\"\nteleport = 1\n";
        assert_eq!(CHAIN.readable([newer]), [(0, "name = \"a\"\n".to_owned())]);
        assert_eq!(CHAIN.readable([newer, "name = \"b\""])[0].0, 1);
        assert_eq!(CHAIN.texts(newer).last().map(String::as_str), Some(newer));
        // What cannot be read is somebody else's to refuse.
        assert_eq!(CHAIN.readable(["x ="]), [(0, "x =".to_owned())]);
        assert_eq!(CHAIN.texts("x ="), ["x ="]);
        let first = Kind::first("x").chain;
        assert_eq!(first.texts("a = 1 # one"), ["a = 1 # one"]);
        assert_eq!(first.readable(["a = 1 # one", "form = 1\na = 2"])[1], (1, "a = 2\n".into()));
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
