//! A thermometer on a serial line: `T?` is answered with tenths of a degree.
//! Source of the exhibit `thermometer-0.1.0.evkp`, kept to be read; a small
//! driver without the table engine that uses most of what a driver of 0.2 can.

use evenkeel_sdk::host::{Clock, Config, Kv, Log, Points, Serial};
use evenkeel_sdk::register_driver;
use evenkeel_sdk::table::{Action, Command, CommandError, Parameter};
use evenkeel_sdk::{
    Driver, Level, Line, Parity, Plugin, Port, Quality, ReplyEnd, Settings, Update, Value,
};
use std::borrow::Cow;

register_driver!(Thermometer);

const LINE: Line = Line {
    baud: 9600,
    data_bits: 8,
    parity: Parity::None,
    two_stop_bits: false,
    dtr: true,
    rts: true,
};

/// The driver.
pub struct Thermometer {
    limit_c: f64,
    /// Of this unit, tenths of a degree; set by a command and handed over.
    offset_tenths: i32,
    was_warm: bool,
    port: Option<Box<dyn Port>>,
}

impl<H: Clock + Config + Kv + Log + Points + Serial> Plugin<H> for Thermometer {
    fn start(host: &mut H) -> Result<Self, String> {
        let limit = Settings::of(host).number("limit-c", 0.0..=90.0, "0 to 90 °C")?;
        let starts = match host.kv_get("starts") {
            Ok(Some(bytes)) => bytes.first().copied().unwrap_or(0).saturating_add(1),
            _ => 1,
        };
        host.kv_set("starts", &[starts]).map_err(|error| error.to_string())?;
        host.log(Level::Info, "thermometer ready");
        Ok(Self { limit_c: limit.unwrap_or(40.0), offset_tenths: 0, was_warm: false, port: None })
    }

    fn resume(&mut self, state: &[u8]) {
        if let Ok(bytes) = state.try_into() {
            self.offset_tenths = i32::from_le_bytes(bytes);
        }
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        match self.read(host) {
            Ok(tenths) => self.tell(host, tenths),
            Err(reason) => host.lost(&reason),
        }
        1000
    }

    fn save(&mut self) -> Vec<u8> {
        self.offset_tenths.to_le_bytes().to_vec()
    }
}

impl<H: Clock + Config + Kv + Log + Points + Serial> Driver<H> for Thermometer {
    fn commands(&self) -> &[Command] {
        &[Command {
            name: "thermometer.offset",
            description: "Add so many tenths of a degree",
            parameter: Parameter::Number { low: -50, high: 50, default: None },
            action: Action::Keep,
            dangerous: false,
        }]
    }

    fn command(
        &mut self,
        _host: &mut H,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), CommandError> {
        if name != "thermometer.offset" {
            return Err(CommandError::Unknown);
        }
        let tenths: Option<i32> = value.and_then(|text| text.parse().ok());
        match tenths.filter(|tenths| (-50..=50).contains(tenths)) {
            Some(tenths) => self.offset_tenths = tenths,
            None => return Err(CommandError::Invalid("a whole number from -50 to 50".into())),
        }
        Ok(())
    }
}

impl Thermometer {
    fn read<H: Serial>(&mut self, host: &mut H) -> Result<i32, String> {
        let mut port = match self.port.take() {
            Some(port) => port,
            None => host.open_line("thermometer", LINE).map_err(|error| error.to_string())?,
        };
        let reply = port
            .transact(b"T?\r", ReplyEnd::Terminator(b'\r'), 16, 1000)
            .map_err(|error| error.to_string())?;
        self.port = Some(port);
        let text = core::str::from_utf8(&reply).unwrap_or_default().trim_end();
        let tenths: i32 = text.parse().map_err(|_| "it answers no number".to_owned())?;
        Ok(tenths.clamp(-500, 1500) + self.offset_tenths)
    }

    fn tell<H: Clock + Log + Points>(&mut self, host: &mut H, tenths: i32) {
        let celsius = f64::from(tenths) / 10.0;
        let update = Update {
            name: Cow::Borrowed("battery.temperature"),
            value: Value::Number(celsius),
            unit: "°C",
            quality: Quality::Good,
        };
        let day = host.utc_ms().map_or("no date", |_| "dated");
        if let Err(error) = host.publish(&[update, Update::text("device.model", day)]) {
            host.log(Level::Warn, &error);
        }
        let warm = celsius > self.limit_c;
        if warm && !self.was_warm {
            host.log(Level::Warn, "the room is too warm");
        }
        self.was_warm = warm;
    }
}
