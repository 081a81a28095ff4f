//! `evenkeeld replay-plugin`: a failure again, from its recording.
//!
//! The same component gets the same calls and the same answers of the host,
//! and so comes to the same end; it reaches nothing of this machine. A failure
//! that depends on time (a call that was cut) need not come again, and one
//! whose recording has a gap comes again only if what led to it is not in there:
//! what the failing call was given is told in any case.

use crate::caps::log::Log;
use crate::caps::{Services, Who};
use crate::plugin::budget::CALL_MAX;
use crate::plugin::compile::Compiler;
use crate::plugin::instance::{Failure, Instance, Surroundings};
use crate::plugin::load::{self, Refusal};
use crate::plugin::report::{Recording, Report};
use crate::plugin::stop::Stop;
use crate::plugin::tape::{Heard, Tape};
use evenkeel_signing::{Digest, Trust};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How it went.
#[derive(Debug)]
pub struct Replayed {
    /// The failure as it was reported.
    pub report: Report,
    /// The failure now; `None` when all calls returned.
    pub failure: Option<Failure>,
    /// Where it took another course, if it did.
    pub diverged: Option<String>,
    /// Answers that it did not get as they were: they were computed with a
    /// secret, and no recording has them.
    pub withheld: u64,
    /// The last call that was recorded: the one that failed, unless instances
    /// of this plugin fail before their first.
    pub last_call: Option<Heard>,
}

/// Why it cannot be repeated.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No recording.
    #[error("the recording cannot be read")]
    Read(#[source] io::Error),
    /// Something else.
    #[error("the file is no recording of this version")]
    NoRecording(#[source] postcard::Error),
    /// Of another bundle.
    #[error(
        "the recording belongs to bundle {wanted} of {plugin} {version}, and this one is {found}"
    )]
    OtherBundle {
        /// Name of the plugin.
        plugin: String,
        /// Its version.
        version: String,
        /// The bundle that was recorded.
        wanted: Digest,
        /// The bundle given.
        found: Digest,
    },
    /// No plugin.
    #[error("the bundle cannot be run")]
    Refused(#[source] Refusal),
}

/// Repeat what is in the file `recording` with the plugin in `bundle`.
///
/// # Errors
/// [`ReplayError`] when the two cannot be used together.
pub fn replay(
    compiler: &Compiler,
    trust: &Trust,
    bundle: &Path,
    recording: &Path,
) -> Result<Replayed, ReplayError> {
    let bytes = std::fs::read(recording).map_err(ReplayError::Read)?;
    let Recording { report, tape } =
        postcard::from_bytes(&bytes).map_err(ReplayError::NoRecording)?;
    let package =
        load::load_without_grants(compiler, trust, bundle).map_err(ReplayError::Refused)?;
    if package.hash != report.bundle {
        let Report { plugin, version, bundle: wanted, .. } = report;
        return Err(ReplayError::OtherBundle { plugin, version, wanted, found: package.hash });
    }
    let last_call = Tape::last_call(&tape);
    let stop = Stop::new().map_err(ReplayError::Read)?;
    let who = Who { name: report.plugin.clone(), points: report.points.clone() };
    let around = Surroundings {
        log: Log::new(who.clone()),
        who,
        inbox: Arc::default(),
        services: Services::default(),
        stop: Arc::new(stop),
        memory: Arc::default(),
        meter: Arc::default(),
        call_max: CALL_MAX,
    };
    let mut instance = match Instance::with_tape(&package, &around, Tape::playing(tape)) {
        Ok(instance) => instance,
        Err(failure) => {
            let failure = Some(failure);
            return Ok(Replayed { report, failure, diverged: None, withheld: 0, last_call });
        }
    };
    let mut failure = None;
    while failure.is_none()
        && let Some(input) = instance.next_recorded()
    {
        failure = instance.play(input).err();
    }
    let (diverged, withheld) = (instance.diverged(), instance.withheld());
    Ok(Replayed { report, failure, diverged, withheld, last_call })
}

#[cfg(test)]
mod families;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::Grants;
    use crate::plugin::fixture::probe::{DRIVER, Task, manifest, probe};
    use crate::plugin::fixture::{self, CLOCK, DEEP, FALLS, Fixture, Guest, IDLE, LOG, POINTS};
    use crate::plugin::reason;
    use crate::plugin::report::Reports;
    use crate::plugin::tape::Input;
    use std::collections::BTreeMap;

    /// Logs twenty lines a wake, and falls over a command with a value of 13 bytes.
    const PICKY: Task<'static> = Task {
        functions: r#"(func (export "evenkeel:driver/device@0.2.0#command")
            (param i32 i32 i32 i32 i32) (result i32)
            (if (i32.eq (local.get 4) (i32.const 13)) (then (call $refused)))
            (i32.const 16))"#,
        ..DRIVER
    };
    const TWENTY_LINES: &str = "(local $n i32) (loop $l
        (call $log (i32.const 2) (i32.const 3000) (i32.const 5))
        (local.set $n (i32.add (i32.const 1) (local.get $n)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 20))))";

    #[test]
    fn what_a_plugin_fell_over_after_a_long_life_is_known() {
        let fixture = Fixture::new();
        let import = format!("(import {LOG:?} \"write\" (func $log (param i32 i32 i32)))");
        let component = probe(&import, TWENTY_LINES, &PICKY);
        let raw = fixture.seal(&manifest(&[LOG], &[], &PICKY), &component);
        let reports = Arc::new(Reports::open(fixture.dir.path()).expect("opened"));
        let services = Services { reports: Some(Arc::clone(&reports)), ..Services::default() };
        let mut instance = fixture.start(&raw, services, Grants::default()).expect("starts");
        for _ in 0..2_000 {
            instance.wake().expect("wakes");
        }
        instance.command("beep", Some("for a while")).expect("no failure").expect("done");
        let failure = instance.command("beep", Some("without an en"));
        let failure = failure.expect_err("falls").to_string();
        let fallen = Fallen { fixture, reports, failure };
        let gap = fallen.reports.of("megatec").remove(0).gap.expect("too long to be whole");
        assert!(gap.contains(" calls and the last ") && gap.ends_with(" between them"), "{gap}");
        let replayed = fallen.replay().unwrap_or_else(|e| panic!("{}", reason(&e)));
        let last = replayed.last_call.expect("there");
        assert!(
            matches!(&last.input, Input::Command { name, value: Some(value) }
                if name == "beep" && value == "without an en"),
            "{last:?}"
        );
        assert_eq!(replayed.failure.map(|f| f.to_string()), Some(fallen.failure), "once more");
        assert_eq!((replayed.diverged, replayed.report.gap), (None, Some(gap)));
    }

    struct Fallen {
        fixture: Fixture,
        reports: Arc<Reports>,
        failure: String,
    }

    fn fall(poll: &str, extra: &str) -> Fallen {
        let fixture = Fixture::new();
        let raw = fixture.seal(
            &fixture::manifest(&[LOG, CLOCK, POINTS]),
            &fixture::driver(&Guest { poll, extra, ..IDLE }),
        );
        let package = fixture.load(&raw).unwrap_or_else(|e| panic!("{}", reason(&e)));
        let reports = Arc::new(Reports::open(fixture.dir.path()).expect("opened"));
        let services = Services { reports: Some(Arc::clone(&reports)), ..Services::default() };
        let who = Who { name: "megatec".into(), points: "ups.0".into() };
        let around = Surroundings {
            log: Log::new(who.clone()),
            who,
            inbox: Arc::default(),
            services,
            stop: Arc::new(Stop::new().expect("a descriptor")),
            memory: Arc::default(),
            meter: Arc::default(),
            call_max: CALL_MAX,
        };
        let mut instance = Instance::new(&package, &around).unwrap_or_else(|e| panic!("{e}"));
        instance.start(&BTreeMap::new(), None).unwrap_or_else(|e| panic!("{e}"));
        let failure = (0..2_000).find_map(|_| instance.wake().err()).expect("falls").to_string();
        Fallen { fixture, reports, failure }
    }

    impl Fallen {
        fn recording(&self) -> std::path::PathBuf {
            let mut files = std::fs::read_dir(self.fixture.dir.path().join("reports"))
                .expect("listed")
                .map(|entry| entry.expect("readable").path());
            files.find(|file| file.extension().is_some_and(|e| e == "rec")).expect("kept")
        }

        fn replay(&self) -> Result<Replayed, ReplayError> {
            let Fixture { compiler, trust, .. } = &self.fixture;
            replay(compiler, trust, &self.fixture.file(), &self.recording())
        }
    }

    #[test]
    fn the_same_trap_comes_again_in_the_same_place() {
        let fallen = fall(FALLS, DEEP);
        let report = fallen.reports.of("megatec").remove(0);
        assert_eq!((report.call.as_str(), &report.failure), ("poll", &fallen.failure));
        assert_eq!(report.backtrace[..2], ["deeper", "deep"]);
        assert_eq!(report.log, ["info: battery.charge"; 3]);
        assert_eq!((report.version.as_str(), report.gap.as_deref()), ("0.1.0", None));
        assert_eq!(report.memory_bytes, 65_536);
        let replayed = fallen.replay().unwrap_or_else(|e| panic!("{}", reason(&e)));
        assert_eq!(replayed.failure.map(|f| f.to_string()), Some(fallen.failure));
        assert_eq!((replayed.diverged, replayed.report), (None, report));
    }

    /// How often it polls until it falls depends on the quota, and so on time:
    /// only the recorded answers make it fall in the same poll.
    #[test]
    fn the_host_s_answers_are_those_of_then() {
        let poll = "(i32.store (i32.const 2048)
                (i32.add (i32.const 1) (i32.load (i32.const 2048))))
            (global.set $heap (i32.const 8192))
            (call $publish (i32.const 512) (i32.const 1) (i32.const 1024))
            (if (i32.load8_u (i32.const 1024)) (then
                (drop (i32.load (i32.sub (i32.const 0) (i32.load (i32.const 2048)))))))
            (i32.const 100)";
        let fallen = fall(poll, "");
        std::thread::sleep(std::time::Duration::from_millis(100));
        let replayed = fallen.replay().unwrap_or_else(|e| panic!("{}", reason(&e)));
        assert_eq!(replayed.diverged, None);
        assert_eq!(replayed.failure.map(|f| f.to_string()), Some(fallen.failure));
    }

    #[test]
    fn another_bundle_and_another_file_are_refused() {
        let fallen = fall(FALLS, DEEP);
        let other =
            fallen.fixture.seal(&fixture::manifest(&[LOG, CLOCK, POINTS]), &fixture::idle());
        let recording = fallen.recording();
        std::fs::write(fallen.fixture.file(), other).expect("written");
        assert!(matches!(fallen.replay(), Err(ReplayError::OtherBundle { .. })));
        std::fs::write(recording, b"\xff\xff").expect("written");
        assert!(matches!(fallen.replay(), Err(ReplayError::NoRecording(_))));
    }
}
