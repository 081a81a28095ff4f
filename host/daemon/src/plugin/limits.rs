//! How much memory a plugin may hold (facts/wasm-host.md §10.1).
//!
//! Wasmtime's own limits are per memory and per table. What the appliance has
//! to share out is their sum, so it is the sum that is limited here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::ResourceLimiter;

/// Most bytes of all memories of one plugin, whatever its manifest says.
pub const MEMORY_BYTES_MAX: usize = 8 << 20;
/// Most elements of all its tables; each takes a pointer.
pub const TABLE_ELEMENTS_MAX: usize = 10_000;
/// Host handles (serial ports and the like) that a plugin may hold at once.
pub const HANDLES_MAX: usize = 64;
/// Handles of any kind, those that the guest makes for itself included. Above
/// [`HANDLES_MAX`], so that what the guest sees first is an error and no trap.
pub const COMPONENT_HANDLES_MAX: usize = 2 * HANDLES_MAX;
/// Bytes that one call may carry from the guest to the host.
pub const HOSTCALL_BYTES_MAX: usize = 256 << 10;

/// Sums up all memories, and all tables, of a store.
#[derive(Debug)]
pub struct MemoryLimiter {
    bytes: Sum,
    elements: Sum,
    /// Times that more bytes were asked for than there may be, and elements.
    refused: (u64, u64),
    gauge: Arc<AtomicU64>,
}

impl MemoryLimiter {
    /// A limit of `bytes_max`, or of [`MEMORY_BYTES_MAX`] when that is less.
    /// `gauge` always shows the bytes in use.
    #[must_use]
    pub fn new(bytes_max: usize, gauge: Arc<AtomicU64>) -> Self {
        gauge.store(0, Ordering::Relaxed);
        let bytes = Sum::new(bytes_max.min(MEMORY_BYTES_MAX));
        Self { bytes, elements: Sum::new(TABLE_ELEMENTS_MAX), refused: (0, 0), gauge }
    }

    /// What the plugin asked for and may not have, for people; `None` when that
    /// is nothing.
    #[must_use]
    pub fn refusals(&self) -> Option<String> {
        let (bytes, elements) = self.refused;
        let memory =
            format!("memory was refused {bytes} times; its limit is {} bytes", self.bytes.max);
        let table = format!(
            "table elements were refused {elements} times; their limit is {TABLE_ELEMENTS_MAX}"
        );
        let told = [(bytes, memory), (elements, table)].into_iter();
        let told: Vec<_> = told.filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// Something that grows up to a limit.
#[derive(Debug)]
struct Sum {
    max: usize,
    now: usize,
}

impl Sum {
    const fn new(max: usize) -> Self {
        Self { max, now: 0 }
    }

    /// What is allowed is counted, and nothing is given back: Wasmtime also
    /// reports failures of growths that it never asked about, so a guest could
    /// have its account cleared by asking for the impossible. What exceeds the
    /// type's own `maximum` fails for certain and is not counted.
    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        let possible = maximum.is_none_or(|maximum| desired <= maximum);
        let growth = desired.saturating_sub(current);
        match self.now.checked_add(growth) {
            Some(sum) if possible && sum <= self.max => {
                self.now = sum;
                true
            }
            _ => false,
        }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = self.bytes.grow(current, desired, maximum);
        self.refused.0 += u64::from(!fits);
        self.gauge.store(self.bytes.now as u64, Ordering::Relaxed);
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = self.elements.grow(current, desired, maximum);
        self.refused.1 += u64::from(!fits);
        Ok(fits)
    }

    // A component holds several core instances: its main module, and the small
    // ones that the build tool puts around it.
    fn instances(&self) -> usize {
        8
    }

    fn tables(&self) -> usize {
        8
    }

    fn memories(&self) -> usize {
        2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 64 << 10;

    fn limiter(bytes: usize) -> (MemoryLimiter, Arc<AtomicU64>) {
        let gauge = Arc::new(AtomicU64::new(0));
        (MemoryLimiter::new(bytes, Arc::clone(&gauge)), gauge)
    }

    #[test]
    fn the_sum_is_limited_and_shown() {
        let (mut limiter, gauge) = limiter(4 * PAGE);
        assert!(limiter.memory_growing(0, 2 * PAGE, None).expect("answers"));
        assert!(limiter.memory_growing(0, PAGE, None).expect("answers"), "a second memory");
        assert!(!limiter.memory_growing(2 * PAGE, 4 * PAGE, None).expect("answers"));
        assert!(limiter.table_growing(0, 100, None).expect("answers"));
        assert!(!limiter.table_growing(0, TABLE_ELEMENTS_MAX - 99, None).expect("answers"));
        assert!(limiter.table_growing(0, TABLE_ELEMENTS_MAX - 100, None).expect("answers"));
        assert_eq!(gauge.load(Ordering::Relaxed) as usize, 3 * PAGE);
        let told = "memory was refused 1 times; its limit is 262144 bytes; table elements were refused \
            1 times; their limit is 10000";
        assert_eq!(limiter.refusals().as_deref(), Some(told));
    }

    #[test]
    fn the_impossible_is_not_counted_and_a_failure_gives_nothing_back() {
        let (mut limiter, gauge) = limiter(4 * PAGE);
        assert!(!limiter.memory_growing(0, 4 * PAGE, Some(2 * PAGE)).expect("answers"));
        assert!(limiter.memory_growing(0, 4 * PAGE, None).expect("answers"));
        limiter.memory_grow_failed(wasmtime::format_err!("beyond 4 GiB")).expect("answers");
        assert_eq!(gauge.load(Ordering::Relaxed) as usize, 4 * PAGE);
        assert!(!limiter.memory_growing(4 * PAGE, 5 * PAGE, None).expect("answers"));
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn a_component_has_so_many_instances_memories_and_tables() {
        use crate::plugin::fixture::{self, Fixture};
        use wasmtime::Store;
        use wasmtime::component::Linker;

        // Its directory is there as long as it is.
        let fixture = Fixture::new();
        let compiler = &fixture.compiler;
        let made = |module: &str, count: usize| {
            let instances = "(core instance (instantiate $m))".repeat(count);
            let text = format!("(component (core module $m {module}) {instances})");
            let compiled = compiler.component(&fixture::component(&text), &[]);
            let (component, _) = compiled.unwrap_or_else(|e| panic!("{e}"));
            let mut store = Store::new(compiler.engine(), limiter(MEMORY_BYTES_MAX).0);
            store.limiter(|limiter| limiter);
            store.set_epoch_deadline(1_000_000);
            Linker::new(compiler.engine()).instantiate(&mut store, &component).map(|_| ())
        };
        let (none, _) = limiter(PAGE);
        let (memory, tables) = ("(memory 1)", "(table 1 funcref) (table 1 funcref)");
        for (module, most) in [("", none.instances()), (memory, none.memories()), (tables, 4)] {
            assert!(made(module, most).is_ok(), "{most} of {module:?}");
            assert!(made(module, most + 1).is_err(), "more than {most} of {module:?}");
        }
        assert_eq!(none.tables(), 2 * 4);
    }

    #[test]
    fn a_manifest_cannot_ask_for_more_than_the_host_gives() {
        let (mut limiter, _) = limiter(64 << 20);
        assert!(!limiter.memory_growing(0, MEMORY_BYTES_MAX + PAGE, None).expect("answers"));
        assert!(limiter.memory_growing(0, MEMORY_BYTES_MAX, None).expect("answers"));
    }
}
