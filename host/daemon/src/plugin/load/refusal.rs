//! A plugin that is not run: which one, whose, and why.

use crate::plugin::compile::CodeError;
use crate::plugin::grant::GrantError;
use crate::plugin::instance::Failure;
use crate::plugin::load::SignerName;
use crate::plugin::roster::{Entry, Verified};
use crate::plugin::world::World;
use evenkeel_signing::{Kind, SettingError};
use std::io;
use std::path::{Path, PathBuf};

/// A plugin that is not run, and why.
#[derive(Debug, thiserror::Error)]
#[error("{} is refused", subject(plugin.as_deref(), file, now.as_deref()))]
pub struct Refusal {
    /// Which plugin of the appliance; `None` for a bundle that is none yet.
    pub plugin: Option<Box<Identity>>,
    /// The file.
    pub file: PathBuf,
    /// What it says about itself and whose key signed it, once that is known.
    pub now: Option<Box<Signed>>,
    /// Why.
    #[source]
    pub reason: Box<Reason>,
}

/// A plugin of the appliance, whatever its file is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What it is called here.
    pub id: String,
    /// What its signature last vouched for. When its key counts no more,
    /// nothing in the file is read again, its version included.
    pub verified: Option<Verified>,
}

/// What a signature vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Version in the manifest.
    pub version: String,
    /// The key.
    pub signer: SignerName,
}

impl Refusal {
    /// Of a file of which no more is known.
    #[must_use]
    pub fn of_file(file: &Path, reason: Reason) -> Self {
        Self { plugin: None, file: file.to_owned(), now: None, reason: Box::new(reason) }
    }

    /// The same for the plugin of `entry`.
    #[must_use]
    pub fn of(mut self, entry: &Entry) -> Self {
        let (id, verified) = (entry.plugin.id().to_owned(), entry.verified.clone());
        self.plugin = Some(Box::new(Identity { id, verified }));
        self
    }

    /// In the words of the console, for a plugin of which no configuration
    /// file speaks.
    #[must_use]
    pub fn in_console(mut self) -> Self {
        if let Reason::Grant { source } = &mut *self.reason {
            source.in_console();
        }
        self
    }
}

/// `plugin "cellar" 0.2.0 (cellar.evkp, signed by "acme" (fingerprint …))`
fn subject(plugin: Option<&Identity>, file: &Path, now: Option<&Signed>) -> String {
    let mut text = "plugin".to_owned();
    let file = file.display();
    let verified = plugin.and_then(|plugin| plugin.verified.as_ref());
    if let Some(Identity { id, .. }) = plugin {
        text.push_str(&format!(" {id:?}"));
    }
    if let Some(now) = now {
        text.push_str(&format!(" {}", now.version));
    }
    let what = match (now, verified) {
        (Some(Signed { signer, .. }), _) => format!(", signed by {}", signer.name),
        (None, Some(Verified { version, signer })) => {
            format!(", last verified as version {version}, signed by {signer}")
        }
        (None, None) => String::new(),
    };
    match plugin.is_none() && now.is_none() {
        true => format!("{text} {file}"),
        false => format!("{text} ({file}{what})"),
    }
}

/// Why a plugin is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing there.
    #[error(
        "no such file, and none with a version in its name, is in {}; install it, or remove \
        its [[plugin]] entry", dir.display()
    )]
    Missing {
        /// Where plugins lie.
        dir: PathBuf,
    },
    /// Two versions.
    #[error("several files are there for it, {files}; leave the one to be run")]
    Ambiguous {
        /// Their names.
        files: String,
    },
    /// The file cannot be read.
    #[error("the file cannot be read; check that it exists and its permissions")]
    Read {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Too long to be looked at.
    #[error("the file has more than {max} bytes", max = Kind::Plugin.len_max())]
    Oversized,
    /// Not signed by a trusted key, changed, or taken back.
    #[error("it cannot be trusted")]
    Untrusted {
        /// What exactly.
        #[source]
        source: evenkeel_signing::Refusal,
    },
    /// A file under another's name.
    #[error("the file holds the plugin {found:?}, not {wanted:?}; rename it or correct the grant")]
    Name {
        /// Name in the configuration.
        wanted: String,
        /// Name in the manifest.
        found: String,
    },
    /// An administrator has not accepted what it asks for.
    #[error(transparent)]
    Unaccepted(Unaccepted),
    /// Another kind of plugin, or another version.
    #[error(
        "it is made for {found}, and this version runs {}; install one made for one of these",
        World::known()
    )]
    World {
        /// World in the manifest.
        found: String,
    },
    /// What was entered does not fit its schema.
    #[error("its settings do not fit")]
    Settings {
        /// Which, and what is right.
        #[source]
        source: SettingError,
    },
    /// Secrets that were sealed under another key.
    #[error(
        "what was entered for it cannot be read ({lines}): the device's secret is missing or \
        another one; enter it again"
    )]
    Locked {
        /// The lines, as in `settings.key`.
        lines: String,
    },
    /// Asked and granted do not meet.
    #[error("its manifest and the configuration do not fit")]
    Grant {
        /// What is missing.
        #[source]
        source: GrantError,
    },
    /// No machine code for it.
    #[error(transparent)]
    Code(CodeError),
    /// More than the manifest says.
    #[error("it imports {import}, which its manifest does not declare; ask the vendor why")]
    Undeclared {
        /// The import.
        import: String,
    },
    /// Something that no plugin can have.
    #[error(
        "it imports {import} from outside `evenkeel:`; plugins have no WASI and no other host: \
        build it for wasm32-unknown-unknown"
    )]
    Foreign {
        /// The import.
        import: String,
    },
    /// Does not fit into its own limit.
    #[error("it needs {needed} bytes of memory to start and may have {allowed}")]
    Memory {
        /// Bytes that its memory has from the beginning.
        needed: u64,
        /// Its limit in bytes.
        allowed: u64,
    },
    /// Other functions than the world says.
    #[error("it does not fit its world {world}: {detail}")]
    Shape {
        /// World in the manifest.
        world: String,
        /// Which function or type.
        detail: String,
    },
    /// It ran, and does not do with what was entered for it.
    #[error(transparent)]
    Declined(Failure),
}

/// What a person must read and accept first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its permissions need your consent: {}", .added.join("; "))]
pub struct Unaccepted {
    /// The mark by which they accept it.
    pub mark: String,
    /// What is new, in plain words.
    pub added: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        Refusal::of_file(Path::new("a.evkp"), Reason::Oversized)
    }

    #[test]
    fn a_refusal_names_what_is_known() {
        let signer = "\"acme\" (fingerprint 21fe)".to_owned();
        let verified = Verified { version: "0.2.0".into(), signer: signer.clone() };
        let cellar = |verified| Some(Box::new(Identity { id: "cellar".into(), verified }));
        let now = Signed {
            version: "0.3.0".into(),
            signer: SignerName { name: signer, ..SignerName::default() },
        };
        for (refusal, said) in [
            (refusal(), "plugin a.evkp is refused"),
            (
                Refusal { plugin: cellar(None), ..refusal() },
                "plugin \"cellar\" (a.evkp) is refused",
            ),
            (
                Refusal { plugin: cellar(Some(verified.clone())), ..refusal() },
                "plugin \"cellar\" (a.evkp, last verified as version 0.2.0, signed by \"acme\" \
                (fingerprint 21fe)) is refused",
            ),
            (
                Refusal { plugin: cellar(Some(verified)), now: Some(Box::new(now)), ..refusal() },
                "plugin \"cellar\" 0.3.0 (a.evkp, signed by \"acme\" (fingerprint 21fe)) is refused",
            ),
        ] {
            assert_eq!(refusal.to_string(), said);
        }
    }
}
