//! What `revox eval` prints of several score files.

use serde_json::{Value, json};

use super::by;
use super::rates::{Asked, Rates, table};
use super::report::Report;
use crate::scoring::{Interval, Intervals};

/// Several systems.
pub(super) struct Several<'a> {
    pub names: &'a [String],
    pub reports: &'a [Report<'a>],
    /// Whether all of them scored the same trials.
    pub is_same: bool,
    /// Which costs are wanted.
    pub asked: &'a Asked,
}

impl Several<'_> {
    /// The interval of a system's EER minus that of the first, if both scored the same trials.
    fn difference(&self, place: usize) -> Option<Interval> {
        let of = |place: usize| -> Option<&Intervals> { self.reports[place].intervals };
        let (first, this) = (of(0)?, of(place)?);
        (self.is_same && place > 0).then(|| this.eer_difference(first)).flatten()
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let mut systems = Vec::new();
        for (place, (name, report)) in self.names.iter().zip(self.reports).enumerate() {
            let mut all = report.json();
            all.insert("name".into(), json!(name));
            let difference = self.difference(place).map(|i| json!([i.low, i.high]));
            all.insert("eer_difference_ci95".into(), json!(difference));
            systems.push(Value::Object(all));
        }
        json!({"systems": systems, "same_trials": self.is_same})
    }

    /// For people: a table, a line for each difference, and tables of conditions.
    pub(super) fn text(&self) -> String {
        let Self { names, reports, asked, .. } = self;
        let heads = ["system", "targets", "nontargets"].map(str::to_owned).to_vec();
        let mut ranges = vec!["EER 95 % interval".to_owned()];
        ranges.extend(asked.costs.iter().map(|cost| format!("interval({cost})")));
        if reports.iter().all(|report| report.intervals.is_none()) {
            ranges.clear();
        }
        let none = vec!["-".to_owned(); ranges.len()];
        let mut rows = vec![[heads, Rates::heads(asked), ranges].concat()];
        for (name, report) in names.iter().zip(*reports) {
            let curve = report.curve;
            let counts = [name.clone(), curve.targets.to_string(), curve.nontargets.to_string()];
            let ranges = report.intervals.map_or_else(
                || none.clone(),
                |i| {
                    let percent = format!("{:.3} to {:.3}", 100.0 * i.eer.low, 100.0 * i.eer.high);
                    let costs = i.min_dcf.iter().map(|i| format!("{:.3} to {:.3}", i.low, i.high));
                    std::iter::once(percent).chain(costs).collect()
                },
            );
            rows.push([counts.to_vec(), Rates::of(curve, asked).cells(), ranges].concat());
        }
        let mut lines = table(&rows);
        for (place, (name, report)) in names.iter().zip(*reports).enumerate().skip(1) {
            let Some(Interval { low, high }) = self.difference(place) else { continue };
            let points = report.curve.eer().rate - reports[0].curve.eer().rate;
            lines.push(format!(
                "EER of {name} minus that of {}: {:+.3} points, 95 % interval {:+.3} to {:+.3} \
                 (both with the same speakers resampled)",
                names[0],
                100.0 * points,
                100.0 * low,
                100.0 * high
            ));
        }
        for (name, report) in names.iter().zip(*reports).filter(|r| !r.1.conditions.is_empty()) {
            lines.extend([String::new(), format!("{name} by condition")]);
            lines.extend(by::text(report.conditions, asked));
        }
        lines.join("\n")
    }
}
