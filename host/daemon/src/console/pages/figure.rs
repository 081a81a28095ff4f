//! A chart with what belongs to it: title, scale, a sentence that says what is
//! seen, and a table of some of its values (UX-054).

use super::chart::{At, Chart, Scale, since};
use super::reader::Reader;
use crate::clock;
use crate::words::Lang;
use crate::words::number::{Style, plain, with_unit};
use askama::Template;
use fluent_bundle::FluentArgs;

/// A chart of one quantity.
#[derive(Template)]
#[template(path = "pages/figure.html")]
pub struct Figure {
    id: &'static str,
    title: String,
    unit: &'static str,
    chart: Chart,
    /// Lowest, highest and last value, in words.
    summary: String,
    levels: Vec<String>,
    /// What the second line is; empty: there is none.
    other: String,
    /// Heads of the table.
    heads: [String; 4],
    table: String,
    rows: Vec<[String; 4]>,
}

/// What a chart is of.
pub struct Subject {
    /// Names it in the page.
    pub id: &'static str,
    /// Message of its title.
    pub title: &'static str,
    /// Unit of its values.
    pub unit: &'static str,
    /// Digits behind the decimal mark.
    pub digits: usize,
    /// Least difference from top to bottom.
    pub least: f64,
    /// Message of the second line; empty: there is none.
    pub other: &'static str,
}

impl Figure {
    /// Of values in the order of time, and a second line of others.
    pub fn new(
        reader: &Reader,
        subject: &Subject,
        (points, other): (&[At], &[At]),
        scale: Scale,
    ) -> Self {
        let Subject { id, title, unit, digits, least, other: second } = *subject;
        let chart = Chart::new(points, other, least, scale);
        let style = Style { digits, sign: false };
        let value = |value: f64| with_unit(reader.lang, value, style, unit);
        let summary = match chart.extremes {
            None => reader.word("page-chart-nothing"),
            Some((low, high)) => {
                let last = points.iter().rev().find_map(|at| at.value).map_or(low, |[_, v, _]| v);
                let mut args = FluentArgs::new();
                args.set("low", value(low));
                args.set("high", value(high));
                args.set("last", value(last));
                reader.say("page-chart-summary", &args)
            }
        };
        let has_other = !chart.other.is_empty() && !second.is_empty();
        Self {
            id,
            title: reader.word(title),
            unit,
            summary,
            levels: chart.levels.iter().map(|level| plain(reader.lang, *level, style)).collect(),
            other: if has_other { reader.word(second) } else { String::new() },
            heads: ["page-when", "page-lowest", "page-mean", "page-highest"]
                .map(|name| reader.word(name)),
            table: reader.word("page-as-table"),
            rows: chart.rows.iter().map(|at| row(reader.lang, at, style, scale)).collect(),
            chart,
        }
    }

    /// With a mark at a time of it.
    pub fn marked(mut self, points: &[At], ms: u64) -> Self {
        self.chart = self.chart.marked(points, ms);
        self
    }
}

fn row(lang: Lang, at: &At, style: Style, scale: Scale) -> [String; 4] {
    let when = match scale {
        Scale::Date => clock::utc(at.ms),
        Scale::Since(zero_ms) => since(at.ms, zero_ms),
    };
    let [low, mean, high] = at.value.map_or([f64::NAN; 3], |value| value);
    let value = |value: f64| plain(lang, value, style);
    [when, value(low), value(mean), value(high)]
}
