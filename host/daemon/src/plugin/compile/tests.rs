//! The way from component to code, with a helper that works and with helpers
//! that do not. The working one is this test program itself ([`helper_process`]).

use super::*;
use crate::plugin::fixture;
use crate::plugin::reason;
use helper::Limits;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const LIMITS: &str = "EVENKEEL_TEST_COMPILE_LIMITS";

/// This program as the compiler's process. What the test harness says goes
/// nowhere, and the answer takes the place of errors. One arena, because that
/// of a test's thread is reserved before the limit of memory holds.
pub(super) fn helper(limits: Limits) -> Helper {
    let this = std::env::current_exe().expect("known");
    let script = format!(
        "MALLOC_ARENA_MAX=1 {LIMITS}={},{} exec \"$0\" --exact plugin::compile::tests::helper_process --nocapture \
         2>&1 >/dev/null",
        limits.memory_bytes, limits.cpu_s
    );
    let arguments = vec!["-c".into(), script.into(), this.into_os_string()];
    Helper::start_as("/bin/sh".into(), arguments, limits, helper::WALL_MAX)
}

/// A helper that is this shell script.
fn script(script: &str, wall_max: Duration) -> Helper {
    let arguments: Vec<OsString> = vec!["-c".into(), script.into()];
    Helper::start_as("/bin/sh".into(), arguments, Limits::default(), wall_max)
}

/// Does nothing unless [`helper`] started it.
#[test]
fn helper_process() {
    let Ok(limits) = std::env::var(LIMITS) else { return };
    let (memory, cpu) = limits.split_once(',').expect("two numbers");
    let number = |text: &str| text.parse().expect("a number");
    let limits = Limits { memory_bytes: number(memory), cpu_s: number(cpu) };
    let code = child::run(&limits, None, std::io::stdin().lock(), std::io::stderr().lock());
    std::process::exit(code.into());
}

struct Here {
    compiler: Compiler,
    dir: tempfile::TempDir,
}

fn here(helper: Helper) -> Here {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = engine::start().expect("an engine");
    Here { compiler: Compiler::new(engine, helper, dir.path()), dir }
}

impl Here {
    fn source(&self, component: &[u8]) -> Result<Source, String> {
        let made = self.compiler.component(component, &[]);
        made.map(|(_, source)| source).map_err(|error| reason(&error))
    }

    fn entry(&self) -> PathBuf {
        let mut entries = std::fs::read_dir(self.dir.path().join("cache")).expect("a cache");
        entries.next().expect("an entry").expect("readable").path()
    }
}

#[test]
fn the_first_time_is_compiled_and_the_second_is_kept() {
    let here = here(Helper::default());
    let component = fixture::idle();
    assert_eq!(here.source(&component), Ok(Source::Compiler));
    assert_eq!(here.source(&component), Ok(Source::Cache));
    assert_eq!(here.source(&fixture::uses_serial()), Ok(Source::Compiler), "another one");
    let engine = engine::start().expect("an engine");
    let again = Compiler::new(engine, script("exit 9", Duration::from_secs(5)), here.dir.path());
    let kept = again.component(&component, &[]).map(|(_, source)| source);
    assert_eq!(kept.map_err(|e| reason(&e)), Ok(Source::Cache), "over a restart");
}

#[test]
fn a_damaged_entry_is_compiled_again() {
    let here = here(Helper::default());
    let component = fixture::idle();
    here.source(&component).expect("compiled");
    let good = std::fs::read(here.entry()).expect("readable");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for damaged in [&flipped, &good[..good.len() - 1], &good[..10], &[]] {
        std::fs::write(here.entry(), damaged).expect("written");
        assert_eq!(here.source(&component), Ok(Source::Compiler));
        assert_eq!(here.source(&component), Ok(Source::Cache));
    }
}

/// Ours by its tag, and yet not for this engine: as after an exchange of the
/// processor.
#[test]
fn a_kept_entry_that_the_engine_refuses_is_compiled_again() {
    let here = here(Helper::default());
    let component = fixture::idle();
    let cache = here.compiler.cache.as_ref().expect("a cache");
    for foreign in [&b"\x7fELF"[..], b"", &[0; 1_000]] {
        cache.keep(&Key::of(&component), foreign).expect("kept");
        assert_eq!(here.source(&component), Ok(Source::Compiler));
    }
}

#[test]
fn malformed_components_are_named_as_such() {
    let here = here(Helper::default());
    for bad in [&b""[..], b"\0asm", b"\x7fELF", &fixture::component("(module)")] {
        let text = here.source(bad).expect_err("refused");
        assert!(text.starts_with("it is no valid component; ask the vendor"), "{text}");
    }
}

#[test]
fn a_helper_that_fails_is_a_refusal_that_says_how() {
    let soon = Duration::from_millis(300);
    let long = Duration::from_secs(20);
    for (what, wall_max, words) in [
        ("kill -9 $$", long, "signal: 9"),
        ("echo oh dear >&2; exit 101", long, "its last words: \"oh dear\""),
        ("exit 1", long, "exit status: 1, allowed were 512 MiB and 60 s"),
        ("sleep 60", soon, "did not finish within 0.3 s"),
        ("exec >&- 2>&-; sleep 60", soon, "did not finish within 0.3 s"),
        ("cat /dev/zero", long, "more than 50331648 bytes of code"),
        (
            "echo no code; exit 3",
            long,
            "no valid component; ask the vendor for a correct build: no code",
        ),
        ("echo no code", long, "its machine code cannot be loaded"),
    ] {
        let here = here(script(what, wall_max));
        let text = here.source(&fixture::idle()).expect_err("refused");
        assert!(text.contains(words), "{what}: {text}");
        assert_eq!(std::fs::read_dir(here.dir.path().join("cache")).expect("listed").count(), 0);
    }
    let absent = Helper::of("/nowhere/evenkeeld".into());
    let text = here(absent).source(&fixture::idle()).expect_err("refused");
    assert!(text.contains("process cannot be started: No such file"), "{text}");
}

#[test]
fn a_helper_out_of_memory_is_a_refusal() {
    let scarce = Limits { memory_bytes: 16 << 20, ..Limits::default() };
    let data = format!("(data (i32.const 65536) \"{}\")", "x".repeat(3 << 20));
    let large =
        fixture::driver(&fixture::Guest { extra: &data, memory_pages: 64, ..fixture::IDLE });
    let text = here(helper(scarce)).source(&large).expect_err("refused");
    assert!(text.contains("allowed were 16 MiB"), "{text}");
    assert!(text.contains("memory"), "{text}");
}

#[test]
fn of_two_at_once_one_compiles_and_the_other_finds_it() {
    let here = here(Helper::default());
    let component = fixture::idle();
    let mut sources = std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| here.source(&component)));
        both.map(|one| one.join().expect("no panic").expect("code"))
    });
    sources.sort_by_key(|source| *source == Source::Compiler);
    assert_eq!(sources, [Source::Cache, Source::Compiler]);
}

#[test]
fn one_that_fails_leaves_the_turn_to_the_next() {
    let here = here(script("exit 9", Duration::from_secs(5)));
    for _ in 0..2 {
        here.source(&fixture::idle()).expect_err("refused");
    }
}

#[test]
fn a_cache_that_cannot_be_is_no_reason_to_refuse() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("cache"), "in the way").expect("written");
    let engine = engine::start().expect("an engine");
    let compiler = Compiler::new(engine, Helper::default(), dir.path());
    for _ in 0..2 {
        let made = compiler.component(&fixture::idle(), &[]).map(|(_, source)| source);
        assert_eq!(made.map_err(|e| reason(&e)), Ok(Source::Compiler));
    }
}

#[test]
fn code_in_the_bundle_is_used_where_it_fits() {
    let here = here(script("exit 9", Duration::from_secs(5)));
    let component = fixture::idle();
    let code = Helper::default().compile(&component).expect("code");
    let fits = Precompiled {
        target: engine::TARGET,
        wasmtime: engine::WASMTIME,
        compat: engine::compat(),
        bytes: &code,
    };
    let source = |shipped: &[Precompiled<'_>]| {
        here.compiler.component(&component, shipped).map(|(_, source)| source)
    };
    let others = [
        Precompiled { target: "pulley64", ..fits },
        Precompiled { wasmtime: "48.0.0", ..fits },
        Precompiled { compat: Digest::of(b"others"), ..fits },
    ];
    assert_eq!(source(&[others[0], fits]).map_err(|e| reason(&e)), Ok(Source::Bundle));
    for other in others {
        assert!(matches!(source(&[other]), Err(CodeError::Helper { .. })), "{other:?}");
    }
    let damaged = Precompiled { bytes: &code[..100], ..fits };
    assert!(matches!(source(&[damaged]), Err(CodeError::Load { .. })));
}
