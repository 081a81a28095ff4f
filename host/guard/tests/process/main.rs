//! The guard as a process on a simulated bus: what it does to itself, and what
//! it survives.

mod alarm;
mod common;
mod large;
mod orders;
mod seal;
mod settings;

use common::{Guard, Hardware, eventually};
use evenkeel_core::command::{self, Answer, Request, VERSION};
use evenkeel_core::image::Condition;
use evenkeel_core::points::Quality;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The longest test of the guard: twenty cycles and more at the shortest
/// cycle there is.
#[test]
fn cycles_with_faults_allocate_nothing_and_miss_nothing() {
    let hardware = Hardware::start();
    let mut guard = Guard::start(&hardware, &[]);
    guard.until("all blocks are good", |s| {
        s.blocks_of(0).iter().all(|b| b.quality == Quality::Good)
    });
    hardware.order("module 3 vanish on");
    guard.until("the module is missed", |s| s.blocks_of(0)[2].quality == Quality::Stale);
    hardware.order("bus garble 0.3");
    guard.until("frames are bad", |s| s.cycle.bad_frames > 0);
    hardware.order("bus garble 0");
    hardware.order("bus unplug");
    guard.until("the port is lost", |s| s.has(Condition::PortLost));
    let lost = guard.snapshot().cycle.cycles;
    guard.until("cycles go on", |s| s.cycle.cycles > lost + 3);
    hardware.order("module 3 vanish off");
    hardware.order("bus plug");
    let all_good = |s: &evenkeel_core::image::Snapshot| {
        !s.has(Condition::PortLost) && s.blocks_of(0).iter().all(|b| b.quality == Quality::Good)
    };
    guard.until("all blocks are good again", all_good);
    guard.until("twenty cycles have passed", |s| s.cycle.cycles >= 20);
    let snapshot = guard.snapshot();
    assert_eq!(snapshot.cycle.port_reopens, 1);
    assert!(guard.stop().success());
    let log = guard.log();
    assert!(log.contains("allocations of the running cycle thread: 0\n"), "{log}");
    assert!(log.contains("bus0 is lost: ") && log.contains("bus0 is back"), "{log}");
}

#[test]
fn the_running_guard_is_confined_and_still_reopens_its_port() {
    let hardware = Hardware::start();
    let root = rustix::process::geteuid().is_root();
    hardware.open_to_everybody();
    // Only root can become somebody else.
    let user: &[&str] = if root { &["--user", "65534"] } else { &[] };
    let mut guard = Guard::start(&hardware, user);
    guard.until("all blocks are good", |s| {
        s.blocks_of(0).iter().all(|b| b.quality == Quality::Good)
    });
    assert!(!guard.snapshot().has(Condition::NotConfined), "{}", guard.log());
    let threads = guard.threads();
    assert_eq!(threads.len(), 2);
    for thread in threads {
        let field = |name: &str| common::field(&thread, name).to_owned();
        assert_eq!(field("Seccomp"), "2", "{thread}");
        assert_eq!(field("NoNewPrivs"), "1", "{thread}");
        if root {
            assert_eq!(field("Uid"), "65534\t65534\t65534\t65534");
            assert_eq!(field("Gid"), "65534\t65534\t65534\t65534");
            assert_eq!(field("Groups"), "");
            // Nothing but the right to lock memory is left.
            let left = u64::from_str_radix(&field("CapPrm"), 16).expect("hexadecimal");
            assert_eq!(left & !(1 << 14), 0, "{thread}");
        }
    }
    // Real-time priority and locked memory outlive the change of user.
    if root {
        assert!(!guard.log().contains(Condition::NotRealTime.text()), "{}", guard.log());
        assert!(!guard.log().contains(Condition::NotLocked.text()), "{}", guard.log());
    }
    hardware.order("bus unplug");
    guard.until("the port is lost", |s| s.has(Condition::PortLost));
    hardware.order("bus plug");
    hardware.open_to_everybody();
    guard.until("the port is back", |s| !s.has(Condition::PortLost) && s.cycle.port_reopens == 1);
    assert!(guard.stop().success(), "{}", guard.log());
    assert!(!guard.log().contains("cannot be written"), "{}", guard.log());
}

#[test]
fn only_cycles_feed_the_watchdog_and_only_a_stop_disarms_it() {
    let hardware = Hardware::start();
    let fake = hardware.path("watchdog");
    std::fs::write(&fake, "").expect("made");
    let fed = || std::fs::read_to_string(&fake).expect("readable");
    let fake_path = fake.display().to_string();
    let mut guard = Guard::start(&hardware, &["--watchdog-fake", &fake_path]);
    guard.until("some cycles have passed", |s| s.cycle.cycles >= 3);
    let cycles = guard.snapshot().cycle.cycles as usize;
    assert!(fed().len().abs_diff(cycles) <= 1, "one feed a cycle: {} and {cycles}", fed().len());

    guard.signal(Signal::STOP);
    let before = fed();
    sleep(Duration::from_millis(1_600));
    assert_eq!(fed(), before, "a guard that hangs does not feed");
    guard.signal(Signal::CONT);
    eventually("fed again", || fed().len() > before.len());
    assert!(fed().bytes().all(|b| b == b'.'));
    assert!(guard.stop().success());
    assert!(fed().ends_with(".V"), "{}", fed());

    std::fs::write(&fake, "").expect("emptied");
    let mut guard = Guard::start(&hardware, &["--watchdog-fake", &fake_path]);
    eventually("fed", || !fed().is_empty());
    guard.kill();
    assert!(!fed().contains('V'), "a crash leaves it armed");
    let absent = hardware.path("absent").display().to_string();
    let mut guard = Guard::start(&hardware, &["--watchdog", &absent]);
    guard.until("it is missed", |s| s.has(Condition::WatchdogLost));
    let log = guard.log();
    assert!(log.contains("is not armed") && log.contains("did not end in order"), "{log}");
}

#[test]
fn ports_that_are_none_are_named_and_one_that_comes_late_is_taken() {
    let hardware = Hardware::start();
    hardware.order("bus unplug");
    let port = hardware.path("bus0");
    eventually("unplugged", || !port.is_symlink());
    std::fs::create_dir(&port).expect("a folder in its place");
    let mut guard = Guard::start(&hardware, &[]);
    let says = |guard: &Guard, what: &str| eventually(what, || guard.log().contains(what));
    says(&guard, "bus0 is lost: is a folder, not a serial port");
    std::fs::remove_dir(&port).and_then(|()| std::fs::write(&port, "precious")).expect("a file");
    says(&guard, "bus0 is lost: is not a serial port");
    assert_eq!(std::fs::read_to_string(&port).expect("readable"), "precious");
    std::fs::remove_file(&port).expect("removed");
    says(&guard, "bus0 is lost: No such file");
    hardware.order("bus plug");
    guard.until("it is there", |s| {
        !s.has(Condition::PortLost) && s.blocks_of(0).iter().all(|b| b.quality == Quality::Good)
    });
    assert!(guard.stop().success());
}

#[test]
fn hostile_clients_cost_neither_memory_nor_cycles() {
    let hardware = Hardware::start();
    let mut guard = Guard::start(&hardware, &[]);
    guard.until("it runs", |s| s.cycle.cycles >= 2);
    let (resident, missed) = (guard.memory_kb("VmRSS"), guard.snapshot().cycle.deadline_misses);
    let hello = command::encode(&Request::Hello { version: VERSION }).expect("short");
    let mut greedy: Vec<_> = (0..4).map(|_| guard.connect()).collect();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        for client in &mut greedy {
            // They never read; a guard that has closed one is right.
            client.set_nonblocking(true).expect("set");
            let _ = client.write(&hello.repeat(100));
        }
        sleep(Duration::from_millis(1));
    }
    let mut long = guard.connect();
    // Its length alone may end it, before the rest is sent.
    let sent = long.write_all(&[0xFF, 0x1F]).and_then(|()| long.write_all(&[0; 4000]));
    let closed = sent.and_then(|()| long.read(&mut [0; 8]));
    assert!(!matches!(closed, Ok(1..)), "a request that is too long ends the connection");
    let mut polite = guard.connect();
    polite.write_all(&hello).expect("sent");
    let welcome: Answer = common::answer(&mut polite);
    assert!(matches!(welcome, Answer::Welcome { .. }));
    let grown = guard.memory_kb("VmRSS").saturating_sub(resident);
    assert!(grown < 256, "{grown} kB more");
    assert_eq!(guard.snapshot().cycle.deadline_misses, missed);
    assert!(guard.stop().success());
}

#[test]
fn frames_that_are_none_cost_a_connection_and_no_cycle() {
    let hardware = Hardware::start();
    let mut guard = Guard::start(&hardware, &[]);
    let before = guard.until("it runs", |s| s.cycle.cycles >= 2).cycle;
    let hello = command::encode(&Request::Hello { version: VERSION }).expect("short");
    let closed = |client: &mut UnixStream| !matches!(client.read(&mut [0; 8]), Ok(1..));
    for nonsense in [&[3, 0, 0xFF, 0xFF, 0xFF][..], &[0, 0], &[0xFF; 64], &[4, 0, 0, 2, 1, 1]] {
        let mut client = guard.connect();
        client.write_all(nonsense).expect("sent");
        assert!(closed(&mut client), "{nonsense:?}");
        // Also of those who began well.
        let mut client = guard.client();
        client.send(nonsense);
        assert!(closed(client.stream()), "{nonsense:?}");
    }
    // Half a frame is waited for a while; the other half may come in time.
    let mut half = guard.connect();
    half.write_all(&hello[..1]).expect("sent");
    let mut slow = guard.connect();
    for byte in &hello {
        slow.write_all(&[*byte]).expect("sent");
        sleep(Duration::from_millis(1));
    }
    assert!(matches!(common::answer(&mut slow), Answer::Welcome { .. }));
    assert!(closed(&mut half), "it never said hello");
    let after = guard.until("cycles go on", |s| s.cycle.cycles > before.cycles + 1).cycle;
    assert_eq!(after.deadline_misses, before.deadline_misses);
    assert!(guard.stop().success());
}

#[test]
fn damaged_settings_leave_the_last_good_ones_in_force() {
    let hardware = Hardware::start();
    let settings = hardware.path("settings.toml");
    let mut guard = Guard::start(&hardware, &[]);
    let crc = guard.until("it runs", |s| s.cycle.cycles >= 1).cycle.settings_crc;
    assert!(!guard.snapshot().has(Condition::SettingsFallback));
    assert!(guard.stop().success());
    let good = std::fs::read_to_string(&settings).expect("readable");
    std::fs::write(&settings, good.replace("7.0", "8.0")).expect("written");
    let mut guard = Guard::start(&hardware, &[]);
    let fallback = guard.until("it runs all the same", |s| s.has(Condition::SettingsFallback));
    assert_eq!(fallback.cycle.settings_crc, crc);
    let log = guard.log();
    assert!(log.contains("damaged") && log.contains("last good settings are in force"), "{log}");
    assert!(guard.stop().success());
}

#[test]
fn what_is_kept_survives_stops_crashes_and_damage() {
    let hardware = Hardware::start();
    let mut guard = Guard::start(&hardware, &[]);
    guard.until("it runs", |s| s.cycle.cycles >= 2);
    assert!(guard.stop().success());
    assert!(!guard.log().contains("in order"));
    let mut guard = Guard::start(&hardware, &[]);
    guard.until("it runs", |s| s.cycle.cycles >= 1);
    assert!(!guard.log().contains("in order"), "the first run did");
    guard.kill();
    std::fs::write(hardware.path("state/guard-kept.a"), "rubbish").expect("damaged");
    let mut guard = Guard::start(&hardware, &[]);
    eventually("it says so", || guard.log().contains("guard-kept.a is damaged; it is not used"));
    assert!(guard.stop().success());
}
