//! All that the program knows: the settings, the interfaces, who is asked for
//! names and for the time. One step of it does what is due; the daemon's
//! questions are answered in between.

use crate::book::{Book, BookError};
use crate::link::Link;
use crate::log;
use evenkeel_core::network::{Answer, Ask, Status, TimeStatus};
use evenkeel_core::settings::network::{DNS_MAX, NTP_MAX, Network, Written};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// So often it is looked, whatever happens: an interface may come late.
const LOOK: Duration = Duration::from_secs(2);
/// A change waits so long, so that who asked for it still hears the answer.
const ANSWER_FIRST: Duration = Duration::from_secs(2);
/// The first interface's ways to other networks are gone before the others'.
const METRIC: u32 = 100;

/// Where programs look for servers for names: `/etc/resolv.conf` leads there.
const RESOLVER: &str = "resolv.conf";
/// What the appliance calls itself. The supervisor, who alone may, tells the
/// kernel.
const HOST_NAME: &str = "host-name";

/// Everything.
pub struct State {
    book: Book,
    problem: Option<String>,
    links: BTreeMap<String, Link>,
    /// What others read.
    folder: PathBuf,
    dns: Option<Vec<IpAddr>>,
    host_name: Option<Option<String>>,
    /// A change waits until then.
    follows: Option<Duration>,
    lapsed: u32,
    time: TimeStatus,
    synchronized: Option<Duration>,
    /// Rung when the time can be asked for anew.
    bell: SyncSender<()>,
    /// What it was rung for.
    rung: Option<(Vec<String>, Vec<String>)>,
}

impl State {
    /// Of these settings; `problem` is why they are not the kept ones. What
    /// others read is written into `folder`.
    #[must_use]
    pub fn new(book: Book, problem: Option<String>, folder: PathBuf, bell: SyncSender<()>) -> Self {
        Self {
            book,
            problem,
            links: BTreeMap::new(),
            folder,
            dns: None,
            host_name: None,
            follows: None,
            lapsed: 0,
            time: TimeStatus::default(),
            synchronized: None,
            bell,
            rung: None,
        }
    }

    /// Do what is due; gives the time until the next step.
    pub fn step(&mut self, now: Duration, random: &mut dyn FnMut() -> u32) -> Duration {
        if self.book.lapse(now) {
            self.lapsed = self.lapsed.saturating_add(1);
            log::say("nobody confirmed the change of the network; what was before is back");
        }
        let mut next = now + LOOK;
        self.follows = self.follows.filter(|at| now < *at);
        if self.follows.is_none() {
            self.follow(now);
        }
        for link in self.links.values_mut() {
            next = link.step(now, random).map_or(next, |due| due.min(next));
        }
        match self.follows {
            Some(at) => next = next.min(at),
            None => {
                self.names();
                self.ring();
            }
        }
        self.call_itself();
        if let Some((until, _)) = self.book.trial() {
            next = next.min(until);
        }
        // Never at once again, whatever is due: others want to be served, too.
        next.saturating_sub(now).max(Duration::from_millis(10))
    }

    /// The interfaces are those of the settings.
    fn follow(&mut self, now: Duration) {
        let Network { interfaces, host_name, .. } = self.book.in_force();
        let gone: Vec<String> =
            self.links.keys().filter(|name| !interfaces.contains_key(*name)).cloned().collect();
        for (metric, (name, wanted)) in (METRIC..).zip(interfaces) {
            match self.links.get_mut(name) {
                Some(link) => link.want(*wanted, host_name.as_deref(), metric, now),
                None => {
                    let link =
                        Link::new(name, *wanted, host_name.clone(), metric, self.book.folder());
                    self.links.insert(name.clone(), link);
                }
            }
        }
        gone.iter().filter_map(|name| self.links.remove(name)).for_each(Link::leave);
    }

    /// Programs look names up where the settings, or else the leases, say.
    fn names(&mut self) {
        let dns = match &self.book.in_force().dns {
            Some(given) => given.clone(),
            None => distinct(self.links.values().flat_map(Link::dns), DNS_MAX),
        };
        if self.dns.as_ref() != Some(&dns) {
            let line = |server: &IpAddr| format!("nameserver {server}\n");
            if self.tell(RESOLVER, &dns.iter().map(line).collect::<String>()) {
                self.dns = Some(dns);
            }
        }
    }

    /// The appliance is called as was confirmed: certificates name it, and a
    /// trial is over too soon for one.
    fn call_itself(&mut self) {
        let name = &self.book.kept().host_name;
        if self.host_name.as_ref() != Some(name) {
            let name = name.clone();
            if self.tell(HOST_NAME, name.as_deref().unwrap_or_default()) {
                self.host_name = Some(name);
            }
        }
    }

    /// Write what others read; whether it is there.
    fn tell(&self, name: &str, text: &str) -> bool {
        let path = self.folder.join(name);
        let told = write_whole(&path, text);
        if let Err(error) = &told {
            log::say(&format!("{}: {error}", path.display()));
        }
        told.is_ok()
    }

    /// Who is asked for the time.
    #[must_use]
    pub fn time_servers(&self) -> Vec<String> {
        match &self.book.in_force().ntp {
            Some(given) => given.clone(),
            None => {
                let learned = distinct(self.links.values().flat_map(Link::ntp), NTP_MAX);
                learned.iter().map(ToString::to_string).collect()
            }
        }
    }

    /// Have the time asked for when servers, or the way to them, changed.
    fn ring(&mut self) {
        let ways = self.links.iter().filter(|(_, link)| link.has_lease());
        let now = (self.time_servers(), ways.map(|(name, _)| name.clone()).collect());
        if self.rung.as_ref() != Some(&now) {
            self.rung = Some(now);
            // Rung already is rung.
            let _ = self.bell.try_send(());
        }
    }

    /// What came of asking `servers` for the time.
    pub fn told_time(
        &mut self,
        servers: Vec<String>,
        came: Result<Option<i64>, String>,
        now: Duration,
    ) {
        self.time.servers = servers;
        match came {
            Ok(offset_us) => {
                if offset_us.is_some() {
                    (self.time.offset_us, self.synchronized) = (offset_us, Some(now));
                }
                self.time.problem = None;
            }
            Err(problem) => {
                if self.time.problem.as_ref() != Some(&problem) {
                    log::say(&problem);
                }
                self.time.problem = Some(problem);
            }
        }
    }

    /// Answer the daemon.
    pub fn answer(&mut self, ask: Ask, now: Duration) -> Answer {
        match ask {
            Ask::Status => Answer::Status(Box::new(self.status(now))),
            Ask::TryOut { network, within_s } => match Network::try_from(network) {
                Ok(network) => {
                    self.follows = Some(now + ANSWER_FIRST);
                    done(self.book.try_out(network, within_s, now))
                }
                Err(refusal) => Answer::Refused { reason: refusal.to_string() },
            },
            Ask::Confirm => {
                let done = done(self.book.confirm(now));
                if done == Answer::Done {
                    self.problem = None;
                }
                done
            }
            Ask::GiveUp => {
                self.follows = Some(now + ANSWER_FIRST);
                done(self.book.give_up())
            }
            Ask::Lapsed => Answer::Lapsed { count: std::mem::take(&mut self.lapsed) },
        }
    }

    fn status(&self, now: Duration) -> Status {
        let trial = self.book.trial();
        Status {
            network: Written::from(self.book.in_force()),
            trial_left_s: trial.map(|(until, _)| until.saturating_sub(now).as_secs()),
            before: trial.map(|(_, before)| Written::from(before)),
            problem: self.problem.clone(),
            interfaces: self.links.values().map(|link| link.status(now)).collect(),
            dns: self.dns.clone().unwrap_or_default(),
            time: TimeStatus {
                synchronized_s_ago: self.synchronized.map(|at| now.saturating_sub(at).as_secs()),
                ..self.time.clone()
            },
        }
    }

    /// The sockets that servers answer at.
    #[must_use]
    pub fn sockets(&self) -> Vec<Arc<UdpSocket>> {
        self.links.values().filter_map(Link::socket).collect()
    }
}

fn done(result: Result<(), BookError>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Refused { reason: log::chain(&error) },
    }
}

/// Each once, in their order.
fn distinct<'a>(all: impl Iterator<Item = &'a std::net::Ipv4Addr>, most: usize) -> Vec<IpAddr> {
    let mut each = Vec::new();
    for address in all.map(|address| IpAddr::V4(*address)) {
        if each.len() < most && !each.contains(&address) {
            each.push(address);
        }
    }
    each
}

/// Whole, or as it was: who reads it at the same time finds one of both.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::network::TRIAL_S;
    use evenkeel_core::settings::network::WrittenInterface;
    use std::sync::mpsc::{Receiver, sync_channel};

    /// No machine has this interface: nothing of it is touched.
    fn wanted(dns: &str, ntp: &str) -> Written {
        let interface = WrittenInterface {
            ipv4: "dhcp".to_owned(),
            ipv4_gateway: None,
            ipv6: "off".to_owned(),
            ipv6_gateway: None,
        };
        Written {
            host_name: None,
            dns: Some(vec![dns.to_owned()]),
            ntp: Some(vec![ntp.to_owned()]),
            interfaces: [("nobody0".to_owned(), interface)].into(),
        }
    }

    struct Bench {
        dir: tempfile::TempDir,
        state: State,
        bell: Receiver<()>,
    }

    impl Bench {
        /// With settings that were confirmed.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (mut book, _) = Book::open(dir.path());
            let network = Network::try_from(wanted("192.0.2.53", "192.0.2.1")).unwrap();
            book.try_out(network, TRIAL_S, at(0)).unwrap();
            book.confirm(at(0)).unwrap();
            let (ring, bell) = sync_channel(1);
            let state = State::new(book, None, dir.path().to_owned(), ring);
            Self { dir, state, bell }
        }

        fn step(&mut self, s: u64) -> Duration {
            self.state.step(at(s), &mut || 7)
        }

        fn resolver(&self) -> String {
            fs::read_to_string(self.dir.path().join(RESOLVER)).unwrap()
        }

        fn host_name(&self) -> String {
            fs::read_to_string(self.dir.path().join(HOST_NAME)).unwrap()
        }

        fn status(&mut self, s: u64) -> Status {
            match self.state.answer(Ask::Status, at(s)) {
                Answer::Status(status) => *status,
                other => panic!("{other:?}"),
            }
        }
    }

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_change_is_in_force_at_once_and_goes_back_by_itself() {
        let mut bench = Bench::new();
        assert!(bench.step(1) <= LOOK);
        assert_eq!(bench.resolver(), "nameserver 192.0.2.53\n");
        assert!(bench.bell.try_recv().is_ok() && bench.bell.try_recv().is_err(), "rung once");

        let network = wanted("198.51.100.53", "198.51.100.1");
        let tried =
            bench.state.answer(Ask::TryOut { network: network.clone(), within_s: 30 }, at(2));
        assert_eq!(tried, Answer::Done);
        assert_eq!(bench.step(2), ANSWER_FIRST);
        assert_eq!(bench.resolver(), "nameserver 192.0.2.53\n", "who asked is answered first");
        bench.step(4);
        assert_eq!(bench.resolver(), "nameserver 198.51.100.53\n");
        assert!(bench.bell.try_recv().is_ok(), "other servers for the time");
        let status = bench.status(12);
        assert_eq!((status.trial_left_s, &status.network), (Some(20), &network));
        assert_eq!(status.before, Some(wanted("192.0.2.53", "192.0.2.1")));

        bench.step(32);
        assert_eq!(bench.resolver(), "nameserver 192.0.2.53\n");
        let lapsed = |bench: &mut Bench| bench.state.answer(Ask::Lapsed, at(33));
        assert_eq!(lapsed(&mut bench), Answer::Lapsed { count: 1 });
        assert_eq!(lapsed(&mut bench), Answer::Lapsed { count: 0 }, "told once");
        let late = bench.state.answer(Ask::Confirm, at(33));
        assert!(matches!(&late, Answer::Refused { reason } if reason.contains("its time")));
    }

    #[test]
    fn what_was_confirmed_stays_and_what_contradicts_itself_is_refused_by_its_field() {
        let mut bench = Bench::new();
        let network = wanted("198.51.100.53", "198.51.100.1");
        bench.state.answer(Ask::TryOut { network: network.clone(), within_s: 30 }, at(2));
        assert_eq!(bench.state.answer(Ask::Confirm, at(3)), Answer::Done);
        bench.step(1_000);
        assert_eq!(bench.status(1_000).network, network);
        let (again, _) = Book::open(bench.dir.path());
        assert_eq!(Written::from(again.in_force()), network, "over a restart, too");

        let network = wanted("nobody", "198.51.100.1");
        let refused = bench.state.answer(Ask::TryOut { network, within_s: 30 }, at(5));
        assert!(matches!(&refused, Answer::Refused { reason } if reason.starts_with("dns: ")));
        assert_eq!(bench.status(6).trial_left_s, None);
    }

    #[test]
    fn the_appliance_is_called_as_was_confirmed() {
        let mut bench = Bench::new();
        bench.step(1);
        assert_eq!(bench.host_name(), "", "it has none");
        let network = wanted("198.51.100.53", "198.51.100.1");
        let network = Written { host_name: Some("rack-7".to_owned()), ..network };
        bench.state.answer(Ask::TryOut { network, within_s: 30 }, at(2));
        bench.step(5);
        assert_eq!(bench.host_name(), "", "on trial it has none still");
        bench.state.answer(Ask::Confirm, at(6));
        bench.step(6);
        assert_eq!(bench.host_name(), "rack-7");
    }

    #[test]
    fn an_interface_that_is_not_there_and_servers_that_are_silent_are_told() {
        let mut bench = Bench::new();
        bench.step(1);
        let servers = vec!["192.0.2.1".to_owned()];
        bench.state.told_time(servers.clone(), Ok(Some(-300)), at(10));
        bench.state.told_time(servers.clone(), Err("silent".to_owned()), at(20));
        let status = bench.status(30);
        assert_eq!(status.interfaces[0].problem.as_deref(), Some("there is no nobody0"));
        let TimeStatus { offset_us, synchronized_s_ago, problem, .. } = status.time;
        assert_eq!((offset_us, synchronized_s_ago), (Some(-300), Some(20)), "the last good one");
        assert_eq!(problem.as_deref(), Some("silent"));
    }
}
