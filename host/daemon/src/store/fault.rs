//! Remembers over a restart that reading or writing the file made this
//! program panic: redb panics on some damage, and in a release build a panic
//! ends the process. A panic hook leaves a note beside the file, which
//! [`super::open`] finds. A power cut or a kill leaves none: it proves nothing
//! about the file.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// What a thread does with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading and writing: the next start checks every page.
    Using = 1,
    /// Opening or checking: the file is damaged.
    Opening = 2,
}

thread_local! {
    static DOING: RefCell<Option<(PathBuf, Stage)>> = const { RefCell::new(None) };
}
static HOOK: Once = Once::new();

/// From now until the value is dropped, this thread works on the file.
#[must_use]
pub fn doing(path: &Path, stage: Stage) -> Doing {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // A thread without its locals, or in the middle of a change of
            // them, was not at work on the file.
            let _ = DOING.try_with(|doing| {
                if let Ok(doing) = doing.try_borrow()
                    && let Some((path, stage)) = doing.as_ref()
                {
                    let _ = std::fs::write(note(path), [*stage as u8]);
                }
            });
            before(info);
        }));
    });
    Doing(DOING.replace(Some((path.to_owned(), stage))))
}

/// Restores what the thread did before.
pub struct Doing(Option<(PathBuf, Stage)>);

impl Drop for Doing {
    fn drop(&mut self) {
        // Kept while a panic unwinds: the hook ran already.
        DOING.set(self.0.take());
    }
}

/// During what the last panic happened; `None` when there was none.
pub fn last(path: &Path) -> Option<Stage> {
    match std::fs::read(note(path)).ok()?.first() {
        Some(1) => Some(Stage::Using),
        Some(2) => Some(Stage::Opening),
        _ => None,
    }
}

/// The file was found good, or is gone.
pub fn forget(path: &Path) {
    // Mostly there is none.
    let _ = std::fs::remove_file(note(path));
}

fn note(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".panicked");
    name.into()
}
