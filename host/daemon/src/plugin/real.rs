use super::fixture;
use crate::caps::serial::line::tests::{Far, Pty};
use crate::config::Config;
use crate::hub::Hub;
use crate::plugin_status::*;
use std::sync::Arc;
use std::time::Duration;
fn rss() -> String {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("RssAnon"))
        .collect::<Vec<_>>()
        .join(" ")
}
#[test]
#[ignore]
fn real() {
    tracing_subscriber::fmt().with_env_filter("debug,cranelift=warn,wasmtime=warn").init();
    let n: usize = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(
        "/work/main/target/plugins/megatec-0.1.0.evkp",
        dir.path().join("megatec-0.1.0.evkp"),
    )
    .unwrap();
    std::fs::copy("/work/main/target/dev-keys/plugin.pub", dir.path().join("plugin.pub")).unwrap();
    let mut fars: Vec<_> = (0..n)
        .map(|_| {
            Far::answer(Pty::new(), |r| match r {
                b"Q1\r" => b"(208.4 140.0 208.4 034 59.9 2.05 35.0 00110000\r".to_vec(),
                b"F\r" => b"#220.0 000 024.0 50.0\r".to_vec(),
                b"I\r" => b"#-------------   ------     VT12046Q  \r".to_vec(),
                _ => b"\r".to_vec(),
            })
        })
        .collect();
    let plugins = fars
        .iter()
        .enumerate()
        .map(|(i, f)| {
            let mut g = fixture::grant(f.path.to_str().unwrap());
            g.points = format!("ups.{i}");
            g
        })
        .collect();
    let config = Config {
        data_dir: dir.path().into(),
        listen: ([127, 0, 0, 1], 0).into(),
        guard_socket: dir.path().into(),
        plugin_dir: dir.path().into(),
        trust_dir: dir.path().into(),
        history_period: Duration::from_secs(1),
        plugins,
    };
    let hub = Arc::new(Hub::default());
    println!("before {}", rss());
    let sup = super::Supervisor::start(&config, hub.clone(), Arc::new(|e| println!("EVENT {e:?}")))
        .unwrap();
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(1000));
        println!("{:?} {}", sup.plugins()[0], rss());
    }
    for (n, p) in hub.query("ups.0") {
        println!("{n} = {} {:?} {:?}", p.value, p.unit, p.quality);
    }
    fars.remove(0);
    std::thread::sleep(Duration::from_secs(12));
    for (n, p) in hub.query("ups.0").into_iter().take(3) {
        println!("{n} = {} {:?} {:?}", p.value, p.unit, p.quality);
    }
    println!("{:?}", sup.plugins()[0]);
    let t = std::time::Instant::now();
    sup.stop();
    println!("stop {:?}", t.elapsed());
}
