//! Hashing a password takes 19 MiB for a moment, and only for a moment. A test
//! of its own process: it looks at the whole process's memory.

use evenkeeld::console::password::Hasher;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn the_memory_of_a_hash_goes_back_to_the_system() {
    let hasher = Hasher::default();
    let before = resident_kib();
    for _ in 0..3 {
        hasher.verify("x".into(), None).await.expect("an answer");
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB more than before");
}
