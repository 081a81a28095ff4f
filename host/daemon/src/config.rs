//! The daemon's configuration: one TOML file, parsed once into a [`Config`]
//! that needs no further checking (STYLE.md "parse, don't validate").
//!
//! A file that cannot be used is refused with the line that is wrong, and the
//! last good one is used instead: the store keeps the revisions that were in
//! force ([`in_force`]). Where the store is must be known even when the file is
//! damaged, so [`read`] looks for the `data_dir` line by itself and, when that
//! is damaged too, beside the file.
//!
//! What may stand in the file has forms ([`FORMS`]). A file of a newer program is
//! read as far as this one knows it; and of a new file a revision is kept that
//! the programs of form 1 can read, for a fallback to one of them.
//!
//! ```toml
//! data_dir = "/var/lib/evenkeel"
//! listen = "0.0.0.0:443"
//! guard_socket = "/run/evenkeel/guard.sock"
//! plugin_dir = "/usr/lib/evenkeel/plugins"
//! trust_dir = "/etc/evenkeel/trust"
//!
//! [[plugin]]
//! name = "megatec"
//! points = "ups.0"
//! grant.serial.ups = "/dev/ttyS1"
//! ```

use crate::caps::kv::QUOTA_BYTES;
use crate::grants::Grants;
use crate::login::LoginSettings;
use crate::store::Revision;
use crate::telemetry::settings::{FlashSettings, MetricsSettings, Telemetry};
use evenkeel_core::points::{Name, battery};
use evenkeel_core::settings::forms::{Chain, Document, Kind, Step, without};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// The configuration among the settings in the store.
pub const DOCUMENT: Kind = Kind { name: "configuration", chain: FORMS };
/// Time between two history samples when the file does not say.
pub const HISTORY_PERIOD: Duration = Duration::from_secs(20 * 60);
/// Most plugins in a configuration.
pub const PLUGINS_MAX: usize = 64;

/// What stands in each form of the configuration: `[metrics]` and `[flash]` came
/// with form 2.
pub const FORMS: Chain = Chain {
    steps: &[Step { forward: |_| {}, back: |table| without(table, &["metrics", "flash"]) }],
    names: &[
        "data_dir",
        "listen",
        "guard_socket",
        "plugin_dir",
        "trust_dir",
        "history_period_s",
        "plugin",
        "login",
        "metrics",
        "flash",
    ],
};

/// Everything the daemon is told from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the daemon keeps what it must remember.
    pub data_dir: PathBuf,
    /// Address and port of the console; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The guard's command socket.
    pub guard_socket: PathBuf,
    /// Where signed plugins lie.
    pub plugin_dir: PathBuf,
    /// Where the keys lie by which plugins must be signed.
    pub trust_dir: PathBuf,
    /// Time between two history samples.
    pub history_period: Duration,
    /// The plugins, and what each may touch.
    pub plugins: Vec<PluginGrant>,
    /// Who else decides about sign-ins.
    pub login: LoginSettings,
    /// Who may read metrics, and what the store lies on.
    pub telemetry: Telemetry,
}

/// One plugin that is to run, and what it may do. What is not named is not
/// granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginGrant {
    /// Name of the plugin, as in its manifest.
    #[serde(deserialize_with = "plugin_name")]
    pub name: String,
    /// What tells this copy from others of the same plugin; its name when empty.
    #[serde(default, deserialize_with = "plugin_id")]
    id: String,
    /// False: installed, not run.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The subtree under which it may publish, e.g. `ups.0`; empty for a
    /// plugin that publishes nothing.
    #[serde(default, deserialize_with = "point_name")]
    pub points: String,
    /// What it may use.
    #[serde(default)]
    pub grant: Grants,
    /// Most bytes that it may keep over restarts (`evenkeel:kv`); 65,536 when
    /// nothing is said, and no more than that.
    #[serde(default, deserialize_with = "kv_quota", skip_serializing_if = "Option::is_none")]
    pub kv_bytes: Option<u32>,
    /// Settings that the plugin reads, by key.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Grants that can cut power or do other harm, each by name: the second word
    /// that the console and the API ask for. In the configuration file, which
    /// is not written by a slip of the mouse, it is not asked for.
    #[serde(default)]
    pub confirm: Vec<String>,
}

impl PluginGrant {
    /// A plugin that may do nothing, under its own name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            id: String::new(),
            enabled: true,
            points: String::new(),
            grant: Grants::default(),
            kv_bytes: None,
            settings: BTreeMap::new(),
            confirm: Vec::new(),
        }
    }

    /// The same as a copy with this id.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = if id == self.name { String::new() } else { id.to_owned() };
        self
    }

    /// What it is called on this appliance.
    #[must_use]
    pub fn id(&self) -> &str {
        if self.id.is_empty() { &self.name } else { &self.id }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {} cannot be read; check that it exists and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A line is wrong.
    #[error("configuration, line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// A file that cannot be used.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: ConfigError,
    /// Where the store should be, as far as the file tells.
    pub data_dir: PathBuf,
}

/// A configuration, and whether it is the one that was asked for.
#[derive(Debug)]
pub struct InForce {
    /// What to run with.
    pub config: Config,
    /// Why the file was refused, when `config` is an older revision.
    pub refused: Option<ConfigError>,
    /// That revision.
    pub revision: Option<u64>,
}

impl Config {
    /// Parse a configuration.
    ///
    /// # Errors
    /// [`ConfigError::Line`] names the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        match Document::parse(text) {
            Ok(document) if document.form > FORMS.newest() => {
                let (known, rest) = FORMS.known_part(&document);
                tracing::warn!(
                    "the configuration is of a newer program; {rest:?} in it means nothing here"
                );
                Self::parse_known(&known.to_text())
            }
            // What is no TOML is refused with its line.
            _ => Self::parse_known(text),
        }
    }

    fn parse_known(text: &str) -> Result<Self, ConfigError> {
        let file: ConfigFile = toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            ConfigError::Line { line: line_of(text, at), problem: e.message().to_owned() }
        })?;
        check_plugins(text, &file.plugin)?;
        check_login(text, file.login.as_ref(), &file.plugin)?;
        Ok(Self {
            data_dir: file.data_dir,
            listen: file.listen,
            guard_socket: file.guard_socket,
            plugin_dir: file.plugin_dir,
            trust_dir: file.trust_dir,
            history_period: file.history_period_s.unwrap_or(HISTORY_PERIOD),
            plugins: file.plugin.into_iter().map(Spanned::into_inner).collect(),
            login: file.login.map(Spanned::into_inner).unwrap_or_default(),
            telemetry: Telemetry { metrics: file.metrics, flash: file.flash },
        })
    }
}

/// Read `path`: the configuration, and the text to keep of it.
///
/// # Errors
/// [`Refused`].
pub fn read(path: &Path) -> Result<(Config, String), Refused> {
    let beside = || path.parent().unwrap_or(Path::new(".")).to_owned();
    let text = std::fs::read_to_string(path).map_err(|source| Refused {
        error: ConfigError::Read { path: path.to_owned(), source },
        data_dir: beside(),
    })?;
    match Config::parse(&text) {
        Ok(config) => Ok((config, text)),
        Err(error) => {
            Err(Refused { error, data_dir: salvage_data_dir(&text).unwrap_or_else(beside) })
        }
    }
}

/// What to run with: the file, or the newest of `kept` that can be read.
///
/// # Errors
/// Why the file was refused, when there is no older revision either.
pub fn in_force(
    asked: Result<Config, Refused>,
    kept: impl IntoIterator<Item = Revision>,
) -> Result<InForce, ConfigError> {
    let refused = match asked {
        Ok(config) => return Ok(InForce { config, refused: None, revision: None }),
        Err(refused) => refused,
    };
    let good = kept
        .into_iter()
        .find_map(|kept| Config::parse(&kept.text).ok().map(|config| (config, kept.revision)));
    let Some((mut config, revision)) = good else { return Err(refused.error) };
    // Where that revision was found.
    config.data_dir = refused.data_dir;
    Ok(InForce { config, refused: Some(refused.error), revision: Some(revision) })
}

/// The file as it is written; [`Config`] is what it means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    /// Looked at before.
    #[serde(rename = "form")]
    _form: Option<u32>,
    #[serde(deserialize_with = "absolute")]
    data_dir: PathBuf,
    listen: SocketAddr,
    #[serde(deserialize_with = "absolute")]
    guard_socket: PathBuf,
    #[serde(deserialize_with = "absolute")]
    plugin_dir: PathBuf,
    #[serde(deserialize_with = "absolute")]
    trust_dir: PathBuf,
    #[serde(default, deserialize_with = "period")]
    history_period_s: Option<Duration>,
    #[serde(default)]
    plugin: Vec<Spanned<PluginGrant>>,
    login: Option<Spanned<LoginSettings>>,
    #[serde(default)]
    metrics: MetricsSettings,
    #[serde(default)]
    flash: FlashSettings,
}

/// The directory that a `data_dir = "…"` line names, in a file that is
/// otherwise unusable.
fn salvage_data_dir(text: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Line {
        data_dir: PathBuf,
    }
    text.lines().find_map(|line| toml::from_str(line).ok().map(|l: Line| l.data_dir))
}

/// One producer per point: names and subtrees of plugins must not overlap.
fn check_plugins(text: &str, plugins: &[Spanned<PluginGrant>]) -> Result<(), ConfigError> {
    let bad = |at: &Spanned<PluginGrant>, problem| {
        Err(ConfigError::Line { line: line_of(text, at.span().start), problem })
    };
    for (i, spanned) in plugins.iter().enumerate() {
        let plugin = spanned.get_ref();
        if i >= PLUGINS_MAX {
            return bad(spanned, format!("more than {PLUGINS_MAX} plugins"));
        }
        for other in plugins[..i].iter().map(Spanned::get_ref) {
            if other.id() == plugin.id() {
                let id = plugin.id();
                return bad(
                    spanned,
                    format!("plugin {id:?} stands here twice; give one of them another `id`"),
                );
            }
            if let Some(problem) = conflict(other, plugin) {
                return bad(spanned, problem);
            }
        }
    }
    Ok(())
}

/// Why two plugins cannot both be there: every point has one producer.
#[must_use]
pub fn conflict(one: &PluginGrant, other: &PluginGrant) -> Option<String> {
    names_overlap(&one.points, &other.points).then(|| {
        format!(
            "points {:?} of plugin {:?} overlap {:?} of {:?}; every point has one producer",
            other.points,
            other.id(),
            one.points,
            one.id()
        )
    })
}

/// Those who are to be asked are there.
fn check_login(
    text: &str,
    login: Option<&Spanned<LoginSettings>>,
    plugins: &[Spanned<PluginGrant>],
) -> Result<(), ConfigError> {
    let Some(login) = login else { return Ok(()) };
    let names: Vec<_> = plugins.iter().map(|p| p.get_ref().id()).collect();
    let line = line_of(text, login.span().start);
    login.get_ref().check(&names).map_err(|problem| ConfigError::Line { line, problem })
}

fn names_overlap(a: &str, b: &str) -> bool {
    use evenkeel_core::points::names::within;
    !a.is_empty() && !b.is_empty() && (within(a, b) || within(b, a))
}

/// Line, counted from 1, of the byte at `at`.
fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1
}

fn yes() -> bool {
    true
}

fn absolute<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(from)?;
    if !path.is_absolute() {
        return Err(D::Error::custom(format!("{path:?} is not an absolute path")));
    }
    Ok(path)
}

fn kv_quota<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let bytes = u32::deserialize(deserializer)?;
    match bytes as usize <= QUOTA_BYTES {
        true => Ok(Some(bytes)),
        false => Err(D::Error::custom(format!("kv_bytes is at most {QUOTA_BYTES}, not {bytes}"))),
    }
}

fn plugin_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    let good = (1..=64).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if good { Ok(name) } else { Err(D::Error::custom("a plugin name is 1 to 64 of a-z, 0-9, '-'")) }
}

fn plugin_id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let id = String::deserialize(from)?;
    let good =
        id.len() <= 64 && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'));
    if good { Ok(id) } else { Err(D::Error::custom("an id is 1 to 64 of a-z, 0-9, '-', '.'")) }
}

fn point_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(text);
    }
    let name = Name::parse(&text).map_err(D::Error::custom)?;
    if let Some(root) = battery::ROOTS.into_iter().find(|root| name.is_within(root)) {
        return Err(D::Error::custom(format!("points under {root:?} are the guard's own")));
    }
    if name.is_within(evenkeel_core::rules::ROOT) {
        return Err(D::Error::custom("points under \"rule\" are those of the rules"));
    }
    Ok(text)
}

fn period<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let seconds = u64::deserialize(from)?;
    if !(1..=86_400).contains(&seconds) {
        return Err(D::Error::custom(format!("history_period_s {seconds} is not in 1 … 86400")));
    }
    Ok(Some(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"data_dir = "/var/lib/evenkeel"
listen = "127.0.0.1:8443"
guard_socket = "/run/evenkeel/guard.sock"
plugin_dir = "/usr/lib/evenkeel/plugins"
trust_dir = "/etc/evenkeel/trust"

[[plugin]]
name = "megatec"
points = "ups.0"
grant.serial.ups = "/dev/ttyS1"
settings = { protocol = "Q1" }
"#;

    #[test]
    fn a_good_file_means_what_it_says() {
        let config = Config::parse(GOOD).expect("a good file");
        assert_eq!(config.listen.port(), 8443);
        assert_eq!(config.history_period, HISTORY_PERIOD);
        let plugin = &config.plugins[0];
        assert!(plugin.enabled);
        assert_eq!(plugin.grant.serial["ups"].as_path(), Path::new("/dev/ttyS1"));
        assert_eq!(plugin.settings["protocol"], "Q1");
    }

    #[test]
    fn every_form_is_read_by_every_program() {
        let newest = format!("form = 2\n{GOOD}[flash]\ncapacity_mib = 4096\n");
        let config = Config::parse(&newest).expect("form 2");
        assert_eq!(config.telemetry.flash.capacity_bytes(), 4 << 30);
        let kept = FORMS.texts(&newest);
        assert_eq!(kept.len(), 2, "there is something to take away");
        assert!(!kept[0].contains("form") && !kept[0].contains("flash"), "{kept:?}");
        assert_eq!(Config::parse(&kept[0]).ok(), Config::parse(GOOD).ok());
        assert_eq!(FORMS.texts(GOOD), [GOOD], "form 1 says it all");

        let newer = format!("form = 7\n{GOOD}[teleport]\nto = \"x\"\n");
        assert_eq!(Config::parse(&newer).ok(), Config::parse(GOOD).ok(), "as far as it goes");
        let mistaken = format!("{GOOD}[teleport]\nto = \"x\"\n");
        Config::parse(&mistaken).expect_err("a mistake in a file of a form that is known");
    }

    #[test]
    fn a_wrong_line_is_named() {
        let second = "[[plugin]]\nname = \"b\"\npoints = \"ups.0.battery\"\n";
        for (from, to, line, word) in [
            ("listen = \"127.0.0.1:8443\"", "listen = \"8443\"", 2, "socket address"),
            ("trust_dir", "trusted", 5, "unknown field `trusted`"),
            ("\"/run/evenkeel", "\"run/evenkeel", 3, "absolute"),
            ("name = \"megatec\"", "name = \"../x\"", 8, "a-z"),
            ("points = \"ups.0\"", "points = \"ups..0\"", 9, "empty part"),
            ("points = \"ups.0\"", "points = \"string.1\"", 9, "guard"),
            ("points = \"ups.0\"", "points = \"device\"", 9, "guard"),
            ("\"/dev/ttyS1\"", "\"ttyS1\"", 10, "absolute path"),
            ("grant.serial.ups", "grant.serail.ups", 10, "unknown field `serail`"),
            ("settings = { protocol = \"Q1\" }\n", second, 11, "one producer"),
            ("trust_dir =", "history_period_s = 0\ntrust_dir =", 5, "86400"),
            ("trust_dir = \"", "trust_dir = ", 5, ""),
            (
                "settings = { protocol = \"Q1\" }",
                "[login]\nauthenticators = [\"x\"]",
                11,
                "no plugin",
            ),
            ("settings = { protocol = \"Q1\" }", "[login.roles]\nops = 7", 12, "invalid type"),
        ] {
            match Config::parse(&GOOD.replacen(from, to, 1)).expect_err(to) {
                ConfigError::Line { line: found, problem } => {
                    assert_eq!(found, line, "{to}: {problem}");
                    assert!(problem.contains(word), "{to}: {problem}");
                }
                other => panic!("{to}: {other}"),
            }
        }
    }

    #[test]
    fn a_damaged_file_falls_back_to_the_newest_good_revision() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("evenkeeld.toml");
        let text = GOOD.replace("/var/lib/evenkeel", &dir.path().display().to_string());
        std::fs::write(&file, &text).expect("written");
        let (first, kept) = read(&file).expect("a good file");
        assert_eq!(kept, text);
        let revision = |revision, text: &str| Revision {
            revision,
            unix_ms: 0,
            by: String::new(),
            text: text.into(),
        };

        for damaged in [text.replacen("listen", "lis\u{7}ten", 1), "data".into(), String::new()] {
            std::fs::write(&file, &damaged).expect("written");
            let refused = || read(&file).map(|(config, _)| config);
            assert_eq!(refused().expect_err("refused").data_dir, dir.path());
            let kept = [revision(9, "of the future"), revision(8, &text), revision(7, GOOD)];
            let now = in_force(refused(), kept).expect("an older revision");
            assert_eq!((&now.config, now.revision), (&first, Some(8)));
            assert!(now.refused.is_some(), "{damaged:?}");
            assert!(in_force(refused(), []).is_err(), "nothing was kept yet");
        }
        assert!(read(&dir.path().join("missing.toml")).is_err());
    }
}
