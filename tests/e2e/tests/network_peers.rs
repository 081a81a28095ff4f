//! The keeper of the network against other people's servers, dnsmasq and
//! chronyd: an address is lent, renewed, refused, not to be had, taken by
//! somebody else; the cable is pulled, the program starts anew; the clock is asked.
//!
//! Each test has two network namespaces with a cable between them, in a user
//! namespace: in there the program is root as on the appliance, and nothing that
//! it does reaches this machine; the clock, above all, is not its to set.

use evenkeel_core::network::{Answer, Ask, SOCKET, Status};
use evenkeel_core::settings::network::{Written, WrittenInterface};
use evenkeel_e2e::Program;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

const SOON: Duration = Duration::from_secs(60);
/// Where the servers are, and at which end of the cable.
const SERVER: &str = "192.0.2.1/24";
const SWITCH: &str = "sw0";
/// Users of the appliance: who may ask, and the group of all programs.
const DAEMON: &str = "1001";
const GROUP: &str = "1000";

/// A root with what the program finds on an appliance; the rest is this
/// machine's. Ends with the test, which holds the other end of its input.
const APPLIANCE: &str = r#"
set -e
mount -t tmpfs none "$1"
cd "$1"
mkdir -p data/network run/network proc sys dev tmp usr
mount --rbind /usr usr
for folder in bin sbin lib lib64; do
    if [ -L "/$folder" ]; then cp -P "/$folder" .
    elif [ -d "/$folder" ]; then mkdir "$folder"; mount --rbind "/$folder" "$folder"; fi
done
mount --rbind /proc proc
mount -t sysfs none sys
for device in null urandom; do touch "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
cp "$2" evenkeel-network
printf '%s' "$3" > data/network/network.toml
chown -R 1002:1000 data/network run/network
echo ready
exec chroot . cat
"#;

/// Ask as the daemon does: a line each way.
const ASK: &str = "import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b'\\n')
print(s.makefile().readline())";

/// Somebody who holds namespaces open, until dropped.
struct Held(Child);

impl Held {
    /// Start `command`, which says that it is ready and then reads its input.
    fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
                panic!("{command:?}: {error}; `cargo xtask test` installs it")
            });
        let mut line = String::new();
        let said = child.stdout.take().expect("piped");
        BufReader::new(said).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n", "{command:?}; are user namespaces allowed here?");
        Self(child)
    }

    /// Run something in there.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.0.id().to_string();
        command.args(["--target", &target, "--user", "--net", "--mount", "--root", "--wd"]);
        command.arg(program);
        command
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It ends with its input, too; this is sooner.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two ends of a cable.
struct Cable {
    servers: Held,
    appliance: Held,
    dir: tempfile::TempDir,
}

impl Cable {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let servers = servers();
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("a folder");
        // target/debug/deps/<test> → target/debug
        let test = std::env::current_exe().expect("the test has a file");
        let program = test.ancestors().nth(2).expect("a folder").join("evenkeel-network");
        let settings =
            "host_name = \"rack-7\"\n[interfaces.eth0]\nipv4 = \"dhcp\"\nipv6 = \"off\"\n";
        let mut command = servers.command("unshare");
        command.args(["--net", "--mount", "sh", "-c", APPLIANCE, "sh"]);
        let appliance = Held::start(command.arg(root).arg(program).arg(settings));
        let cable = Self { servers, appliance, dir };
        let other_end = cable.appliance.0.id().to_string();
        cable.ip(&["link", "add", SWITCH, "type", "veth", "peer", "eth0", "netns", &other_end]);
        cable.ip(&["address", "add", SERVER, "dev", SWITCH]);
        cable.plug(true);
        cable
    }

    /// `ip` at the servers' end.
    fn ip(&self, arguments: &[&str]) {
        let output = self.servers.command("ip").args(arguments).output().expect("ip");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ip {}: {said}", arguments.join(" "));
    }

    fn plug(&self, plugged: bool) {
        self.ip(&["link", "set", SWITCH, if plugged { "up" } else { "down" }]);
    }

    /// The program under test.
    fn program(&self) -> Program {
        let mut command = self.appliance.command("sh");
        command.args(["-c", "exec /evenkeel-network 2>&1"]);
        Program::start("evenkeel-network", &mut command, &self.dir.path().join("network.log"))
            .expect("started")
    }

    /// A server that lends `address` and no other, for the two minutes that are
    /// its least.
    fn dnsmasq(&self, address: &str, more: &[&str]) -> Program {
        let lease = self.leases();
        let options = [
            "--keep-in-foreground --conf-file=/dev/null --port=0 --user=root --pid-file",
            "--bind-interfaces --dhcp-authoritative --no-ping --log-dhcp --log-facility=-",
            &format!("--interface={SWITCH} --dhcp-leasefile={}", lease.display()),
            &format!("--dhcp-range={address},{address},255.255.255.0,2m"),
            "--dhcp-option=option:dns-server,192.0.2.1 --dhcp-option=option:ntp-server,192.0.2.1",
        ];
        let line = format!("exec dnsmasq {} {} 2>&1", options.join(" "), more.join(" "));
        let log = self.dir.path().join("dnsmasq.log");
        let mut server =
            Program::start("dnsmasq", self.servers.command("sh").args(["-c", &line]), &log)
                .expect("`cargo xtask test` installs it");
        server.await_words("sockets bound exclusively to interface", SOON).expect("ready");
        server
    }

    /// Somebody else has the address for an hour.
    fn lend_to_somebody(&self) {
        let since = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let row = format!("{} 02:00:00:00:00:99 192.0.2.50 * *\n", since + 3_600);
        fs::write(self.leases(), row).expect("written");
    }

    fn leases(&self) -> std::path::PathBuf {
        self.dir.path().join("leases")
    }

    /// A server for the time, which leaves the clock alone.
    fn chronyd(&self) -> Program {
        let (dir, file) = (self.dir.path(), self.dir.path().join("chrony.conf"));
        let pid = dir.join("chrony.pid");
        let text = format!("local stratum 3\nallow\ncmdport 0\npidfile {}\n", pid.display());
        fs::write(&file, text).expect("written");
        let line = format!("exec chronyd -d -x -u root -f {} 2>&1", file.display());
        let mut command = self.servers.command("sh");
        let mut server =
            Program::start("chronyd", command.args(["-c", &line]), &dir.join("chrony.log"))
                .expect("`cargo xtask test` installs it");
        server.await_words("chronyd version", SOON).expect("ready");
        server
    }

    fn ask(&self, ask: &Ask) -> Answer {
        let mut command = Command::new("nsenter");
        let target = self.appliance.0.id().to_string();
        command.args(["--target", &target, "--user", "--net", "--mount", "--root", "--wd"]);
        command.args(["--setuid", DAEMON, "--setgid", GROUP, "python3", "-c", ASK, SOCKET]);
        let output = command.arg(serde_json::to_string(ask).expect("JSON")).output();
        let output = output.expect("python3");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        serde_json::from_slice(&output.stdout).expect("an answer")
    }

    fn status(&self) -> Status {
        match self.ask(&Ask::Status) {
            Answer::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// The status, as soon as `wanted` holds of it.
    fn await_status(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        let end = Instant::now() + SOON;
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < end, "{status:#?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Namespaces in which we are root, and in which there are the users of the
/// appliance.
fn servers() -> Held {
    let mut command = Command::new("unshare");
    let is_root = rustix::process::geteuid().is_root();
    match is_root {
        true => command.arg("--user"),
        // By /etc/subuid and newuidmap, which may do what we may not.
        false => command.args(["--map-root-user", "--map-auto"]),
    };
    command.args(["--net", "--mount", "sh", "-c", "echo ready; exec cat"]);
    let held = Held::start(&mut command);
    if is_root {
        for name in ["uid_map", "gid_map"] {
            let path = Path::new("/proc").join(held.0.id().to_string()).join(name);
            fs::write(path, "0 0 65536").expect("users of the namespace");
        }
    }
    held
}

/// How often a server's log has these words.
fn times(server: &Program, words: &str) -> usize {
    server.log().matches(words).count()
}

#[test]
fn an_address_is_lent_and_renewed_the_name_is_told_and_the_clock_asked() {
    let cable = Cable::new();
    let _time = cable.chronyd();
    let short = ["--dhcp-option=option:router,192.0.2.254", "--dhcp-option=option:T1,5"];
    let mut server =
        cable.dnsmasq("192.0.2.50", &[&short[..], &["--dhcp-option=option:T2,90"]].concat());
    let mut program = cable.program();
    server.await_words("client provides name: rack-7", SOON).expect("told");
    program.await_words("interface eth0: 192.0.2.50, lent by 192.0.2.1", SOON).expect("lent");
    let status = cable.await_status(|status| status.time.synchronized_s_ago.is_some());
    let eth0 = &status.interfaces[0];
    assert_eq!(eth0.addresses, ["192.0.2.50/24"], "{status:#?}");
    assert_eq!(eth0.gateways, ["192.0.2.254".parse::<std::net::IpAddr>().expect("an address")]);
    let lease = eth0.lease.as_ref().expect("a lease");
    assert!(lease.left_s <= 120 && eth0.problem.is_none(), "{status:#?}");
    assert_eq!(status.time.servers, ["192.0.2.1"]);
    // The same clock at both ends.
    let offset_us = status.time.offset_us.expect("an offset");
    assert!(offset_us.abs() < 50_000 && status.time.problem.is_none(), "{status:#?}");
    let resolver = cable.appliance.command("cat").arg("/run/network/resolv.conf").output();
    assert_eq!(String::from_utf8_lossy(&resolver.expect("cat").stdout), "nameserver 192.0.2.1\n");

    // Renewed with its own server twice, without beginning anew.
    let begun = times(&server, "DHCPDISCOVER");
    server.await_words("DHCPACK(sw0) 192.0.2.50", SOON).expect("lent");
    for _ in 0..2 {
        server.await_words("DHCPREQUEST(sw0) 192.0.2.50", SOON).expect("asked again");
        server.await_words("DHCPACK(sw0) 192.0.2.50", SOON).expect("renewed");
    }
    assert_eq!(times(&server, "DHCPDISCOVER"), begun);

    let eth0 = WrittenInterface {
        ipv4: "dhcp".into(),
        ipv4_gateway: None,
        ipv6: "off".into(),
        ipv6_gateway: None,
    };
    let interfaces = [("eth0".to_owned(), eth0)].into();
    let network = Written { host_name: Some("hall-9".into()), dns: None, ntp: None, interfaces };
    assert_eq!(cable.ask(&Ask::TryOut { network, within_s: 60 }), Answer::Done);
    server.await_words("client provides name: hall-9", SOON).expect("told at once");
}

#[test]
fn after_the_cable_was_away_the_server_is_asked_whether_the_address_counts() {
    let cable = Cable::new();
    let mut server = cable.dnsmasq("192.0.2.50", &[]);
    let mut program = cable.program();
    program.await_words("interface eth0: 192.0.2.50, lent by 192.0.2.1", SOON).expect("lent");
    server.await_words("DHCPACK(sw0) 192.0.2.50", SOON).expect("lent");
    let begun = times(&server, "DHCPDISCOVER");
    let pull_out = |program: &mut Program| {
        cable.plug(false);
        program.await_words("interface eth0: unplugged", SOON).expect("told");
    };
    pull_out(&mut program);
    cable.plug(true);
    program.await_words("interface eth0: plugged in again", SOON).expect("told");
    server.await_words("DHCPREQUEST(sw0) 192.0.2.50", SOON).expect("asked");
    server.await_words("DHCPACK(sw0) 192.0.2.50", SOON).expect("it counts");
    assert_eq!(times(&server, "DHCPDISCOVER"), begun, "nothing begins anew");
    assert_eq!(cable.status().interfaces[0].addresses, ["192.0.2.50/24"]);

    // Now it leads to another network, whose server knows that it does.
    pull_out(&mut program);
    server.stop();
    cable.ip(&["address", "flush", "dev", SWITCH]);
    cable.ip(&["address", "add", "198.51.100.1/24", "dev", SWITCH]);
    let mut server = cable.dnsmasq("198.51.100.50", &[]);
    cable.plug(true);
    server.await_words("DHCPNAK(sw0) 192.0.2.50", SOON).expect("it says no");
    program.await_words("interface eth0: the address is gone", SOON).expect("given up");
    program.await_words("interface eth0: 198.51.100.50, lent by", SOON).expect("lent");
    assert_eq!(cable.status().interfaces[0].addresses, ["198.51.100.50/24"]);
}

#[test]
fn where_all_addresses_are_lent_it_waits_until_one_is_free() {
    let cable = Cable::new();
    cable.lend_to_somebody();
    let mut server = cable.dnsmasq("192.0.2.50", &[]);
    let mut program = cable.program();
    for _ in 0..2 {
        server.await_words("no address available", SOON).expect("asked");
    }
    let eth0 = &cable.status().interfaces[0];
    assert!(eth0.addresses.is_empty() && eth0.lease.is_none(), "{eth0:#?}");
    server.stop();
    fs::remove_file(cable.leases()).expect("free again");
    let _server = cable.dnsmasq("192.0.2.50", &[]);
    program.await_words("interface eth0: 192.0.2.50, lent by 192.0.2.1", SOON).expect("lent");
}

#[test]
fn an_address_that_somebody_has_is_declined_and_told() {
    let cable = Cable::new();
    let somebody = ["192.0.2.50/32", "dev", SWITCH];
    cable.ip(&[&["address", "add"][..], &somebody].concat());
    let mut server = cable.dnsmasq("192.0.2.50", &[]);
    let mut program = cable.program();
    let told = "interface eth0: somebody else has 192.0.2.50";
    program.await_words(told, SOON).expect("told");
    server.await_words("DHCPDECLINE(sw0) 192.0.2.50", SOON).expect("declined");
    let eth0 = &cable.status().interfaces[0];
    assert!(eth0.addresses.is_empty() && eth0.problem.is_some(), "{eth0:#?}");
    cable.ip(&[&["address", "delete"][..], &somebody].concat());
    program.await_words("interface eth0: 192.0.2.50, lent by 192.0.2.1", SOON).expect("lent");
    let status = cable.await_status(|status| status.interfaces[0].problem.is_none());
    assert_eq!(status.interfaces[0].addresses, ["192.0.2.50/24"]);
}

#[test]
fn after_a_restart_the_same_address_is_asked_for() {
    let cable = Cable::new();
    let mut server = cable.dnsmasq("192.0.2.50", &[]);
    let mut program = cable.program();
    program.await_words("interface eth0: 192.0.2.50, lent by 192.0.2.1", SOON).expect("lent");
    server.await_words("DHCPACK(sw0) 192.0.2.50", SOON).expect("lent");
    let begun = times(&server, "DHCPDISCOVER");
    program.kill();
    let mut program = cable.program();
    program.await_words("interface eth0: 192.0.2.50, lent by 192.0.2.1", SOON).expect("lent");
    server.await_words("DHCPACK(sw0) 192.0.2.50", SOON).expect("lent");
    assert_eq!(times(&server, "DHCPDISCOVER"), begun, "nothing begins anew");

    // Somebody else got it while it was off: the server says no to it, and has none.
    program.kill();
    server.stop();
    cable.lend_to_somebody();
    let mut server = cable.dnsmasq("192.0.2.50", &[]);
    let _program = cable.program();
    server.await_words("DHCPNAK(sw0) 192.0.2.50", SOON).expect("refused");
    server.await_words("no address available", SOON).expect("another is asked for");
    assert_eq!(cable.status().interfaces[0].addresses, [""; 0]);
}
