//! Other work for the processor and the disk, to measure beside.

use crate::run::AnyError;
use std::process::{Child, Command, Stdio};

/// Processes that keep the cores busy; ended when dropped.
pub struct Load(Vec<Child>);

impl Load {
    /// So many endless loops.
    pub fn start(count: usize) -> Result<Self, AnyError> {
        let mut load = Self(Vec::new());
        for _ in 0..count {
            let mut busy = Command::new("sha256sum");
            load.0.push(busy.arg("/dev/zero").stdout(Stdio::null()).spawn()?);
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Both fail only when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
