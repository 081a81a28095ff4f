//! Few points out of many rows, with every minimum and maximum.

use super::level::{head_of, record_of};
use super::record::{Head, Record, Span, rounded};
use core::ops::RangeInclusive;

/// Most points of a chart: wider than any screen.
pub const POINTS_MAX: usize = 4_000;

/// Collects rows into points of equal width. Rows may come in any order of
/// time within what was asked for; memory is that of the points.
#[derive(Clone, Debug)]
pub struct Chart {
    from_ms: u64,
    width_ms: u64,
    points: Vec<Option<Point>>,
}

/// A point: the rows between its time and the next point's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Of the string; its time is that of the first row.
    pub head: Head,
    /// Of the block; nothing is known in a chart of the string alone.
    pub record: Record,
    /// How many rows.
    pub rows: u32,
    /// Sums of the means with their numbers, by [`means`].
    sums: [(i64, i64); FIELDS],
}

/// Spans of a head and a record: those of [`fields_mut`], and those that change rarely.
const FIELDS: usize = 9 + 3;

/// Width of each of `wanted` points over `times`, ms.
#[must_use]
pub fn width_of(times: &RangeInclusive<u64>, wanted: usize) -> u64 {
    let span_ms = times.end().saturating_sub(*times.start()).saturating_add(1);
    span_ms.div_ceil(wanted.max(1) as u64).max(1)
}

impl Chart {
    /// `wanted` points, 1 … [`POINTS_MAX`], from `from_ms` to `to_ms`.
    #[must_use]
    pub fn new(from_ms: u64, to_ms: u64, wanted: usize) -> Self {
        let wanted = wanted.clamp(1, POINTS_MAX);
        let span_ms = to_ms.saturating_sub(from_ms).saturating_add(1);
        let width_ms = width_of(&(from_ms..=to_ms), wanted);
        let points = usize::try_from(span_ms.div_ceil(width_ms)).unwrap_or(wanted).min(wanted);
        Self { from_ms, width_ms, points: vec![None; points] }
    }

    /// Width of a point, ms: which level to read.
    #[must_use]
    pub const fn width_ms(&self) -> u64 {
        self.width_ms
    }

    /// A row; one outside the span is left out.
    pub fn push(&mut self, head: &Head, record: &Record) {
        let Some(after) = head.unix_ms.checked_sub(self.from_ms) else { return };
        let at = usize::try_from(after / self.width_ms).unwrap_or(usize::MAX);
        let Some(point) = self.points.get_mut(at) else { return };
        match point {
            Some(point) => point.add(head, record),
            None => {
                let sums = means(*head, *record).map(|mean| mean.map_or((0, 0), one));
                *point = Some(Point { head: *head, record: *record, rows: 1, sums });
            }
        }
    }

    /// The points that hold something, oldest first.
    #[must_use]
    pub fn finish(self) -> Vec<Point> {
        self.points.into_iter().flatten().collect()
    }
}

impl Point {
    fn add(&mut self, head: &Head, record: &Record) {
        self.rows = self.rows.saturating_add(1);
        for ((sum, count), mean) in self.sums.iter_mut().zip(means(*head, *record)) {
            let (more, one) = mean.map_or((0, 0), one);
            (*sum, *count) = (*sum + more, *count + one);
        }
        // Two at a time give the right extremes; the means are those of all.
        self.head = head_of(&[self.head, *head]);
        self.record = record_of(&[self.record, *record]);
        let mut sums = self.sums.into_iter();
        // The mean of such numbers is one.
        for (span, (sum, count)) in
            fields_mut(&mut self.head, &mut self.record).into_iter().zip(&mut sums)
        {
            if let Some(span) = span {
                span.mean = rounded(sum, count.max(1)) as i32;
            }
        }
        for (span, (sum, count)) in self.record.rare_mut().into_iter().zip(sums) {
            if let Some(span) = span {
                span.mean = rounded(sum, count.max(1)) as u32;
            }
        }
    }
}

const fn one(mean: i64) -> (i64, i64) {
    (mean, 1)
}

fn means(mut head: Head, mut record: Record) -> [Option<i64>; FIELDS] {
    let rare = record.rare().map(|span| span.map(|span| i64::from(span.mean)));
    let often = fields_mut(&mut head, &mut record).map(|span| span.map(|span| span.mean.into()));
    let mut all = often.into_iter().chain(rare);
    core::array::from_fn(|_| all.next().flatten())
}

fn fields_mut<'a>(
    head: &'a mut Head,
    record: &'a mut Record,
) -> [Option<&'a mut Span>; FIELDS - 3] {
    [
        head.blocks_mv.as_mut(),
        head.blocks_dc.as_mut(),
        head.target_mv.as_mut(),
        head.current_ma.as_mut(),
        head.string_mv.as_mut(),
        head.ambient_dc.as_mut(),
        record.voltage_mv.as_mut(),
        record.temperature_dc.as_mut(),
        Some(&mut record.duty_hp),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{any_row, quantities_over};
    use super::*;
    use proptest::prelude::*;

    fn row(unix_ms: u64, mv: i32) -> (Head, Record) {
        let voltage_mv = Some(Span::of(mv));
        (Head { unix_ms, ..Head::default() }, Record { voltage_mv, ..Record::default() })
    }

    #[test]
    fn a_point_has_the_mean_of_all_its_rows() {
        let mut chart = Chart::new(1_000, 1_999, 2);
        assert_eq!(chart.width_ms(), 500);
        for (at, mv) in [(1_000, 1), (1_100, 2), (1_499, 6), (1_500, 9), (999, 0), (2_000, 0)] {
            let (head, record) = row(at, mv);
            chart.push(&head, &record);
        }
        let points = chart.finish();
        let mv = points.iter().map(|p| (p.rows, p.record.voltage_mv)).collect::<Vec<_>>();
        assert_eq!(mv, [(3, Some(Span { min: 1, mean: 3, max: 6 })), (1, Some(Span::of(9)))]);
        let mut chart = Chart::new(0, 9, 1);
        for (at, charge_pm) in [(0, Some(1_000)), (1, None), (2, Some(1)), (3, Some(1))] {
            let charge_pm = charge_pm.map(Span::of);
            let head = Head { unix_ms: at, ..Head::default() };
            chart.push(&head, &Record { charge_pm, ..Record::default() });
        }
        let all = Some(Span { min: 1, mean: 334, max: 1_000 });
        assert_eq!(chart.finish()[0].record.charge_pm, all, "of three that are known");
    }

    proptest! {
        #[test]
        fn extremes_survive_and_points_are_few(
            rows in proptest::collection::vec((0u64..10_000, any_row()), 1..300),
            wanted in 0usize..20,
        ) {
            let mut chart = Chart::new(0, 9_999, wanted);
            for (at, (head, record)) in &rows {
                chart.push(&Head { unix_ms: *at, ..*head }, record);
            }
            let points = chart.finish();
            prop_assert!(points.len() <= wanted.max(1));
            let shown = quantities_over(points.iter().map(|point| (point.head, point.record)));
            prop_assert_eq!(shown, quantities_over(rows.iter().map(|(_, row)| *row)));
            let count: u32 = points.iter().map(|p| p.rows).sum();
            prop_assert_eq!(count as usize, rows.len());
        }

        #[test]
        fn any_span_is_a_chart(from: u64, to: u64, wanted: usize, at: u64) {
            let mut chart = Chart::new(from, to, wanted);
            let (head, record) = row(at, 1);
            chart.push(&head, &record);
            prop_assert!(chart.finish().len() <= 1);
        }
    }
}
