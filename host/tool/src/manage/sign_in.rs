//! The commands about who else may sign in: authenticators and roles.

use super::model::SignIn;
use super::table::{pairs, plain};
use super::{Failure, Work};
use clap::Subcommand;
use serde_json::{Map, Value, json};

/// What is to be done about sign-ins.
#[derive(Subcommand)]
pub enum Step {
    /// Who decides about accounts that are not kept on the appliance.
    Show,
    /// Have these authenticators decide, in this order; none: nobody.
    Set {
        /// Installed authenticators.
        authenticators: Vec<String>,
        /// A word of theirs and the role that it gives, one of the
        /// appliance's. May be given several times.
        #[arg(long, value_name = "WORD=ROLE")]
        role: Vec<String>,
    },
}

/// Do it, and tell what holds then.
///
/// # Errors
/// [`Failure`].
pub fn act(work: &mut Work, step: Step) -> Result<(), Failure> {
    let document = match step {
        Step::Show => work.appliance.get("/api/v1/sign-in")?,
        Step::Set { authenticators, role } => {
            let wanted = json!({"authenticators": authenticators, "roles": roles(&role)?});
            work.appliance.post("/api/v1/sign-in", &wanted)?
        }
    };
    let sign_in: SignIn = work.appliance.understand(&document)?;
    work.print(&document, || shown(&sign_in))
}

/// The word may have an equals sign in it, the role has none.
fn roles(words: &[String]) -> Result<Map<String, Value>, Failure> {
    let role = |word: &String| {
        let pair = word.rsplit_once('=').filter(|(word, _)| !word.is_empty());
        let (word, role) = pair.ok_or_else(|| {
            Failure::Usage(format!("{word:?} is no role; write it like evenkeel-ops=admin"))
        })?;
        Ok((word.to_owned(), role.into()))
    };
    words.iter().map(role).collect()
}

fn shown(sign_in: &SignIn) -> String {
    let local = "the accounts that are kept on the appliance alone";
    let decided = match sign_in.authenticators.is_empty() {
        true => local.to_owned(),
        false => sign_in.authenticators.join(", "),
    };
    let by = if sign_in.by_file { "the configuration file" } else { "an administrator" };
    let mut text = pairs(&[
        ("decided by", decided),
        ("decided so by", by.to_owned()),
        ("installed", sign_in.installed.join(", ")),
    ]);
    for (word, role) in &sign_in.roles {
        text.push_str(&format!("  {} = {}\n", plain(word), plain(role)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_may_have_an_equals_sign() {
        let read = roles(&["CN=ops,OU=a=admin".into(), "all=viewer".into()]).expect("good");
        assert_eq!(Value::Object(read), json!({"CN=ops,OU=a": "admin", "all": "viewer"}));
        for word in ["ops", "=admin"] {
            assert!(matches!(roles(&[word.into()]), Err(Failure::Usage(_))), "{word}");
        }
    }
}
