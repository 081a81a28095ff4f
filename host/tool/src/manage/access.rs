//! Which appliance, whether it is the right one, and who asks.

use super::{Failure, Work, terminal};
use crate::appliance::Address;
use crate::appliance::client::{Appliance, ClientError, Entry};
use crate::appliance::known::Known;
use crate::appliance::pin::Fingerprint;
use clap::Args;
use std::path::PathBuf;

/// Questions that an authenticator may ask in a row.
const QUESTIONS_MAX: usize = 5;

/// The options of every command that asks an appliance.
#[derive(Args)]
pub struct Access {
    /// The appliance, like https://192.0.2.7:8443.
    #[arg(long, global = true, value_name = "URL")]
    at: Option<Address>,
    /// SHA-256 of its certificate. Without it the certificate must be known, or
    /// you are asked whether it is the right one.
    #[arg(long, global = true, value_name = "SHA256")]
    fingerprint: Option<Fingerprint>,
    /// Who signs in.
    #[arg(long, global = true, value_name = "NAME", default_value = "admin")]
    user: String,
    /// File with the password in its first line; "-" is standard input.
    /// Without it you are asked.
    #[arg(long, global = true, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with a token of the appliance in its first line, instead of user and
    /// password; "-" is standard input.
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = ["password_file", "user"])]
    token_file: Option<PathBuf>,
}

impl Access {
    /// Do `act` in a session with the appliance.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn session(
        &self,
        json: bool,
        act: impl FnOnce(&mut Work) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut work = Work { appliance: self.sign_in()?, json };
        let done = act(&mut work);
        // The session ends by itself soon; what was done is done.
        let _ = work.appliance.sign_out();
        done
    }

    /// A session with the appliance.
    ///
    /// # Errors
    /// [`Failure`].
    fn sign_in(&self) -> Result<Appliance, Failure> {
        let address = self.at.clone().ok_or_else(|| {
            Failure::Usage("say which appliance: --at https://192.0.2.7:8443".to_owned())
        })?;
        let fingerprint = match self.fingerprint {
            Some(fingerprint) => fingerprint,
            None => known(&address)?,
        };
        let mut appliance = Appliance::new(address, Some(fingerprint))?;
        if let Some(path) = &self.token_file {
            return Ok(appliance.with_token(terminal::line_of(path)?.trim()));
        }
        let password = self.password(&appliance)?;
        let mut entry = appliance.sign_in(&self.user, &password)?;
        for _ in 0..QUESTIONS_MAX {
            match entry {
                Entry::In { must_change: false } => return Ok(appliance),
                Entry::In { must_change: true } => return Err(must_change(&appliance)),
                Entry::Asked(question) => {
                    let question = format!("{}: ", super::table::plain(&question));
                    let instead = "the account needs an answer from a person; run it in a terminal";
                    let answer = terminal::ask_hidden(&question, instead)?;
                    entry = appliance.answer(&answer)?;
                }
            }
        }
        Err(Failure::SignIn("the account's authenticator asks without end".to_owned()))
    }

    fn password(&self, appliance: &Appliance) -> Result<String, Failure> {
        match &self.password_file {
            Some(path) => terminal::line_of(path),
            None => {
                // Nobody types a password for an appliance that is not there.
                appliance.fingerprint()?;
                let question = format!("Password of {} at {}: ", self.user, appliance.address());
                let instead = "no password: give --password-file, or run it in a terminal";
                match terminal::ask_hidden(&question, instead) {
                    Err(Failure::Word(text)) => Err(Failure::SignIn(text)),
                    other => other,
                }
            }
        }
    }
}

fn must_change(appliance: &Appliance) -> Failure {
    Failure::SignIn(format!(
        "this is the first password; sign in at {} with a browser and choose your own",
        appliance.address()
    ))
}

/// The certificate that was accepted before, or that a person accepts now.
fn known(address: &Address) -> Result<Fingerprint, Failure> {
    let known = Known::of_user()?;
    if let Some(fingerprint) = known.find(address)? {
        return changed(address, fingerprint, &known);
    }
    let found = Appliance::new(address.clone(), None)?.fingerprint()?;
    eprintln!(
        "{address} is not known here. It shows the certificate with the SHA-256 fingerprint\n\
         {found}\n\
         Compare it with the one that the appliance told when it started, or that a browser\n\
         beside it shows."
    );
    let instead =
        format!("nobody can say whether that is the right one; if it is: --fingerprint {found}");
    if !terminal::agreed("Is it the same?", &instead)? {
        return Err(Failure::Word("nothing was sent".to_owned()));
    }
    known.keep(address, found)?;
    Ok(found)
}

/// A certificate that is another than the known one is told with the file
/// that knows it.
fn changed(address: &Address, wanted: Fingerprint, known: &Known) -> Result<Fingerprint, Failure> {
    let found = Appliance::new(address.clone(), None)?.fingerprint()?;
    if found == wanted {
        return Ok(wanted);
    }
    eprintln!("evenkeel: what is known of {address} is a line of {}", known.path().display());
    Err(ClientError::Stranger { at: address.clone(), found, wanted }.into())
}
