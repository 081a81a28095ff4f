//! The daemon's own process, from `/proc` (proc(5)), under the names that every
//! Prometheus client uses.

use super::text::Page;
use std::fs;

/// What cannot be read is left out.
pub fn add(page: &mut Page) {
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    if let Some(cpu) = cpu_ticks() {
        let help = "CPU time of the daemon, user and system";
        page.counter("process_cpu", "seconds", help, &[], cpu / ticks);
    }
    if let Some(bytes) = resident_pages() {
        let bytes = bytes * rustix::param::page_size() as f64;
        let help = "resident memory of the daemon";
        page.gauge("process_resident_memory", "bytes", help, &[], bytes);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        let help = "open files of the daemon";
        page.gauge("process_open_fds", "", help, &[], files.count() as f64);
    }
}

/// Fields 14 and 15 of `stat`; the second, a name in brackets, may hold blanks.
fn cpu_ticks() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some(next()? + next()?)
}

fn resident_pages() -> Option<f64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    pages.split_whitespace().nth(1)?.parse().ok()
}
