//! Answers each line with the value of the point that it names.
// asks: evenkeel:points/reader@0.1.1 ups shows the values of this UPS to whoever connects
// asks: evenkeel:net-server/net-server@0.1.0 lines takes connections on one port

use evenkeel_sdk::host::Reader;
use evenkeel_sdk::worlds::{Gateway, Plugin, Served};
use evenkeel_sdk::{Value, register_gateway};

register_gateway!(Lines);

/// The gateway.
pub struct Lines;

impl<H: Reader> Plugin<H> for Lines {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self)
    }
}

impl<H: Reader> Gateway<H> for Lines {
    fn serve(&mut self, host: &mut H, _listener: &str, _connection: u64, data: &[u8]) -> Served {
        let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
            return Served::default();
        };
        let name = String::from_utf8_lossy(&data[..end]);
        let point = host.read_points(&[name.trim()]).ok().and_then(|mut points| points.pop());
        let text = match point.flatten().map(|point| point.value) {
            Some(Value::Text(text)) => text.into_owned(),
            Some(Value::Number(number)) => format!("{number:.1}"),
            Some(Value::Flag(flag)) => flag.to_string(),
            None => "unknown".to_owned(),
        };
        Served { consumed: end as u32 + 1, reply: format!("{text}\n").into_bytes(), close: false }
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_sdk::host::{Point, State};
    use evenkeel_sdk::testkit::Bench;

    use super::*;

    #[test]
    fn whole_lines_are_answered() {
        let mut bench = Bench::default();
        let (name, unit) = ("ups.0.ups.load".to_owned(), "%".to_owned());
        let point = Point {
            name: name.clone(),
            value: Value::Number(35.0),
            unit,
            state: State::Good,
            age_ms: 0,
        };
        bench.points.insert(name, point);
        let mut lines: Lines = Plugin::start(&mut bench).unwrap();
        let mut serve = |data: &[u8]| lines.serve(&mut bench, "lines", 1, data);
        assert_eq!(serve(b"ups.0"), Served::default());
        let served = serve(b"ups.0.ups.load\nups");
        assert_eq!((served.consumed, &served.reply[..]), (15, &b"35.0\n"[..]));
        assert_eq!(serve(b"nobody\n").reply, b"unknown\n");
    }
}
