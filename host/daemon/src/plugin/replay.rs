//! `evenkeeld replay-plugin`: a failure again, from its recording.
//!
//! The same component gets the same calls and the same answers of the host,
//! and so comes to the same end; it reaches nothing of this machine. A failure
//! that depends on time (a call that was cut) need not come again.

use crate::caps::log::Log;
use crate::caps::{Services, Who};
use crate::plugin::budget::CALL_MAX;
use crate::plugin::compile::Compiler;
use crate::plugin::instance::{Failure, Instance, Surroundings};
use crate::plugin::load::{self, Refusal};
use crate::plugin::report::{Recording, Report};
use crate::plugin::stop::Stop;
use crate::plugin::tape::Tape;
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
            return Ok(Replayed { report, failure: Some(failure), diverged: None });
        }
    };
    let mut failure = None;
    while failure.is_none()
        && let Some(input) = instance.next_recorded()
    {
        failure = instance.play(input).err();
    }
    let diverged = instance.diverged();
    Ok(Replayed { report, failure, diverged })
}

#[cfg(test)]
mod families;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::fixture::{self, CLOCK, Fixture, Guest, IDLE, LOG, POINTS};
    use crate::plugin::reason;
    use crate::plugin::report::Reports;
    use std::collections::BTreeMap;

    /// Counts its polls at 2048, publishes in each, and falls at the third.
    const FALLS: &str = "(i32.store (i32.const 2048)
            (i32.add (i32.const 1) (i32.load (i32.const 2048))))
        (call $log (i32.const 2) (i32.const 256) (i32.const 14))
        (call $publish (i32.const 512) (i32.const 1) (i32.const 1024))
        (if (i32.eq (i32.const 3) (i32.load (i32.const 2048))) (then (call $deep)))
        (i32.const 100)";
    const DEEP: &str = "(func $deep (call $deeper)) (func $deeper unreachable)";

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
