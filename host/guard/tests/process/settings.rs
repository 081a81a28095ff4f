//! Settings that come over the socket: taken between two cycles, refused with the
//! reason, and whole on the disk whenever the guard is killed.

use crate::common::{Client, Guard, Hardware, answer, eventually};
use evenkeel_core::command::{self, Answer, Order, PART_MAX, Request, Taking};
use evenkeel_core::image::{Condition, Snapshot};
use evenkeel_core::points::Quality;
use evenkeel_core::settings::GuardSettings;
use std::fs;
use std::io::Read as _;

fn all_good(s: &Snapshot) -> bool {
    s.blocks_of(0).iter().all(|b| b.quality == Quality::Good)
}

fn ask(client: &mut Client, request: &Request) -> Answer {
    client.send(&command::encode(request).expect("short"));
    answer(client.stream())
}

/// The text in force and its number.
fn in_force(client: &mut Client) -> (String, u32) {
    let mut text = Vec::new();
    loop {
        match ask(client, &Request::Settings { from: text.len() as u32 }) {
            Answer::Settings { crc, len, bytes, .. } => {
                text.extend(bytes);
                if text.len() == len as usize {
                    return (String::from_utf8(text).expect("text"), crc);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn offer(client: &mut Client, text: &str) {
    for (n, part) in text.as_bytes().chunks(PART_MAX).enumerate() {
        let at = (n * PART_MAX) as u32;
        assert_eq!(ask(client, &Request::Offer { at, bytes: part.to_vec() }), Answer::Done);
    }
}

/// Offer a text, and have it taken.
fn take(client: &mut Client, text: &str, instead_of: u32, despite_alarm: bool) -> Answer {
    offer(client, text);
    let crc = GuardSettings::number(text);
    ask(client, &Request::Take(Taking { crc, instead_of, despite_alarm }))
}

fn refusal(answer: Answer) -> String {
    match answer {
        Answer::Refused(why) => why,
        other => panic!("taken: {other:?}"),
    }
}

#[test]
fn settings_take_over_between_two_cycles() {
    let hardware = Hardware::start();
    let fake = hardware.path("watchdog");
    fs::write(&fake, "").expect("made");
    let mut guard = Guard::start(&hardware, &["--watchdog-fake", &fake.display().to_string()]);
    guard.until("all blocks are good", all_good);
    let mut client = guard.client();
    let (text, crc) = in_force(&mut client);
    assert_eq!(u64::from(crc), guard.snapshot().cycle.settings_crc);

    // Three of the four blocks, under another name; a remark that is kept.
    let other = text.replace("name = \"A\"", "name = \"B\"").replace("blocks = 4", "blocks = 3");
    let other = format!("# three are left\n{other}{}", "# as long as it takes\n".repeat(400));
    let before = guard.snapshot();
    assert_eq!(take(&mut client, &other, crc, false), Answer::Done);
    assert_eq!(client.stream().read(&mut [0; 8]).expect("ended"), 0, "every connection ends");
    let number = u64::from(GuardSettings::number(&other));
    let after = guard.until("they are in force", |s| s.cycle.settings_crc == number);
    let gap = after.cycle.published.since(before.cycle.published);
    assert!(gap.0 < 4 * before.cycle.period.0, "{gap:?}");
    guard.until("three blocks are good", |s| s.blocks_of(0).len() == 3 && all_good(s));
    let greeted = guard.until("cycles go on", |s| s.cycle.cycles > 5);
    assert_eq!(greeted.cycle.deadline_misses, 0);
    let (kept, kept_crc) = in_force(&mut guard.client());
    assert_eq!((kept.as_str(), u64::from(kept_crc)), (other.as_str(), number));
    let file = fs::read_to_string(hardware.path("settings.toml")).expect("readable");
    assert_eq!(GuardSettings::unsealed(&file), other);
    let last_good = hardware.path("state/guard-settings.last-good.toml");
    eventually("they are the last good ones", || {
        fs::read_to_string(&last_good).is_ok_and(|text| text == file)
    });
    let fed = fs::read_to_string(&fake).expect("readable");
    assert!(!fed.contains('V'), "the watchdog stayed armed: {fed}");

    // And back again, in the same process.
    let mut client = guard.client();
    assert_eq!(take(&mut client, &text, kept_crc, false), Answer::Done);
    guard.until("four again", |s| s.blocks_of(0).len() == 4 && all_good(s));
    assert!(!guard.snapshot().has(Condition::NotConfined), "{}", guard.log());
    assert!(guard.stop().success());
    let log = guard.log();
    assert!(log.contains("allocations of the running cycle thread: 0\n"), "{log}");
    assert!(log.contains("take over from"), "{log}");
}

#[test]
fn what_cannot_be_in_force_is_refused_and_changes_nothing() {
    let hardware = Hardware::start();
    let mut guard = Guard::start(&hardware, &[]);
    guard.until("all blocks are good", all_good);
    let file = fs::read(hardware.path("settings.toml")).expect("readable");
    let mut client = guard.client();
    let (text, crc) = in_force(&mut client);
    let mut refused = |text: &str, why: &str| {
        let said = refusal(take(&mut client, text, crc, true));
        assert!(said.contains(why), "{why}: {said}");
    };
    refused(&text.replace("blocks = 4", "blocks = 0"), "string 1, blocks");
    refused(&text.replace("[[bus]]", "[[bus"), "cannot be read");
    refused(&text.replace("\"C20\"", "\"C30\""), "12.0 V nominal, a C30 module measures 6 V");
    refused(&format!("{text}[limits]\nlost_warning_s = -1.0\n"), "limits");
    let other = text.replace("7.0", "8.0");
    let said = refusal(take(&mut client, &other, crc ^ 1, true));
    assert!(said.contains("came into force meanwhile"), "{said}");

    // A battery that is needed is left alone.
    hardware.order("mains off");
    guard.until("it discharges", |s| s.strings[0].phase == evenkeel_core::scan::Phase::Discharge);
    let said = refusal(take(&mut client, &other, crc, true));
    assert!(said.contains("being discharged"), "{said}");
    let (may, _) = client.order(Order::MakeWay { despite_alarm: true });
    assert!(refusal(may).contains("being discharged"));
    assert_eq!(fs::read(hardware.path("settings.toml")).expect("readable"), file);
    assert_eq!(u64::from(crc), guard.snapshot().cycle.settings_crc);
    assert!(guard.stop().success());
}

#[test]
fn modules_that_do_not_answer_speak_for_other_settings_not_against_them() {
    let limits = "[[string]]\nname = \"A\"\nmodule = \"C20\"\nbattery = \"NP7\"\n\
        first_address = 1\nblocks = 4\n[limits]\nlost_warning_s = 1.0\nlost_alarm_s = 2.0\n";
    let hardware = Hardware::of(&["[[strings]]\nblocks = 3\n"], limits);
    let mut guard = Guard::start(&hardware, &[]);
    let level = evenkeel_core::protect::Level::Alarm;
    guard.until("one is missed", |s| s.strings[0].protect.level == level);
    let mut client = guard.client();
    let (text, crc) = in_force(&mut client);
    let right = text.replace("blocks = 4", "blocks = 3");
    assert_eq!(take(&mut client, &right, crc, false), Answer::Done);
    guard.until("nothing is missed", |s| s.strings[0].protect.level < level && all_good(s));
    assert!(guard.stop().success());
}

#[test]
fn a_guard_that_is_killed_in_the_middle_has_the_old_settings_or_the_new_ones() {
    let hardware = Hardware::start();
    let mut guard = Guard::start(&hardware, &[]);
    guard.until("all blocks are good", all_good);
    let mut client = guard.client();
    let (text, crc) = in_force(&mut client);
    let other = text.replace("name = \"A\"", "name = \"B\"");
    offer(&mut client, &other);
    guard.kill();
    let mut guard = Guard::start(&hardware, &[]);
    let old = guard.until("it runs", |s| s.cycle.cycles >= 1).cycle.settings_crc;
    assert_eq!(old, u64::from(crc), "what was only offered is gone");

    let mut client = guard.client();
    assert_eq!(take(&mut client, &other, crc, false), Answer::Done);
    // Acknowledged is on the disk; the first cycle with it may not have begun.
    guard.kill();
    let mut guard = Guard::start(&hardware, &[]);
    let new = guard.until("it runs", |s| s.cycle.cycles >= 2);
    assert_eq!(new.cycle.settings_crc, u64::from(GuardSettings::number(&other)));
    assert!(!new.has(Condition::SettingsFallback));
    eventually("what was tried is good", || !hardware.path("state/guard-settings.tried").exists());
    // Cut off while it is written, the file of before is there.
    fs::write(hardware.path("settings.new"), &other[..20]).expect("written");
    assert!(guard.stop().success());
    let mut guard = Guard::start(&hardware, &[]);
    guard.until("it runs", |s| s.cycle.settings_crc == new.cycle.settings_crc);
    assert!(guard.stop().success());
}
