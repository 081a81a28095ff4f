//! The compiler's process, from inside: `evenkeeld compile-plugin`.
//!
//! It limits itself, reads a component from standard input, writes machine code
//! to standard output and ends. The exit code says what the output is: [`CODE`]
//! or text for people.

use super::confine::{self, Limits};
use crate::plugin::engine;
use evenkeel_signing::Kind;
use std::io::{Read, Write};
use wasmtime::Engine;

/// Exit code: the output is machine code.
pub const CODE: u8 = 0;
/// Exit code: the input is no component; the output says why.
pub const INVALID: u8 = 3;
/// Exit code: the work could not be begun; the output says why.
pub const UNABLE: u8 = 4;

/// Compile what `input` holds, for `target` or for this machine; the result
/// goes to `output`. Returns the exit code. The calling process can do nothing
/// else afterwards.
pub fn run(
    limits: &Limits,
    target: Option<&str>,
    mut input: impl Read,
    mut output: impl Write,
) -> u8 {
    let (code, answer) = match prepared(limits, target) {
        Ok(engine) => compile(&engine, &mut input),
        Err(text) => (UNABLE, text.into_bytes()),
    };
    // Nobody there to read it: nobody cares.
    let written = output.write_all(&answer).and_then(|()| output.flush());
    if written.is_ok() { code } else { UNABLE }
}

/// The engine looks at the processor, so it is made before the limits hold.
fn prepared(limits: &Limits, target: Option<&str>) -> Result<Engine, String> {
    let engine = engine::compiling(target).map_err(|error| error.to_string())?;
    confine::confine(limits)?;
    Ok(engine)
}

fn compile(engine: &Engine, input: &mut impl Read) -> (u8, Vec<u8>) {
    let mut component = Vec::new();
    let max = Kind::Plugin.len_max() as u64;
    match input.take(max + 1).read_to_end(&mut component) {
        Ok(len) if len as u64 <= max => {}
        Ok(_) => return (INVALID, format!("it has more than {max} bytes").into_bytes()),
        Err(error) => return (UNABLE, format!("it cannot be read: {error}").into_bytes()),
    }
    match engine.precompile_component(&component) {
        Ok(code) => (CODE, code),
        Err(error) if error.is::<wasmtime::OutOfMemory>() => {
            (UNABLE, b"there is not enough memory for it".to_vec())
        }
        Err(error) => (INVALID, format!("{error:#}").into_bytes()),
    }
}
