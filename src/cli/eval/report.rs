//! What `revox eval` prints of one score file.

use serde_json::{Map, Value, json};

use super::by::{self, Conditions};
use super::rates::{Asked, Rates};
use crate::scoring::{Curve, FALSE_ACCEPT_RATES, Interval, Intervals};

/// Error rates and how reliable they are.
pub(super) struct Report<'a> {
    /// The operating points.
    pub curve: &'a Curve<'a>,
    /// 95 % intervals, where there are speakers enough.
    pub intervals: Option<&'a Intervals>,
    /// Trials without a score, if there is a list of trials.
    pub unscored: Option<usize>,
    /// Rates by condition.
    pub conditions: &'a [Conditions],
    /// Which costs are wanted.
    pub asked: &'a Asked,
}

fn pair(i: Interval) -> Value {
    json!([i.low, i.high])
}

impl Report<'_> {
    /// For programs. A threshold that does not exist is null.
    pub(super) fn json(&self) -> Map<String, Value> {
        let Self { curve, intervals, unscored, conditions, asked } = self;
        let finite = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
        let at: Vec<_> = FALSE_ACCEPT_RATES
            .iter()
            .map(|&far| {
                let p = curve.at_far(far);
                json!({"far": far, "threshold": finite(p.threshold), "fpr": p.fpr, "fnr": p.fnr})
            })
            .collect();
        let costs = |i: &Intervals| asked.object(i.min_dcf.iter().map(|i| pair(*i)));
        let mut all = Rates::of(curve, asked).json(asked);
        let mut add = |key: &str, value: Value| all.insert(key.to_owned(), value);
        add("eer_ci95", json!(intervals.map(|i| pair(i.eer))));
        add("min_dcf_ci95", json!(intervals.map(costs)));
        add("threshold_eer", finite(curve.eer().threshold));
        add("thresholds", json!(at));
        add("targets", json!(curve.targets));
        add("nontargets", json!(curve.nontargets));
        add("unscored", json!(unscored));
        add("speakers", json!(intervals.map(|i| i.speakers)));
        if !conditions.is_empty() {
            add("conditions", by::json(conditions, asked));
        }
        all
    }

    /// For people, in lines.
    pub(super) fn text(&self) -> String {
        let Self { curve, intervals, conditions, asked, .. } = self;
        let range =
            |i: Interval, f: f64| format!("   95 % interval {:.3} to {:.3}", f * i.low, f * i.high);
        let threshold = |t: f64| {
            if t == f64::INFINITY { "above every score".to_owned() } else { format!("{t:.6}") }
        };
        let eer = curve.eer();
        let mut lines = vec![
            format!("trials        {} targets, {} nontargets", curve.targets, curve.nontargets),
            format!(
                "EER           {:.3} %{}",
                100.0 * eer.rate,
                intervals.map_or(String::new(), |i| range(i.eer, 100.0))
            ),
        ];
        let rates = Rates::of(curve, asked);
        for (k, (cost, least)) in asked.costs.iter().zip(&rates.min_dcf).enumerate() {
            let interval = intervals.map_or(String::new(), |i| range(i.min_dcf[k], 1.0));
            lines.push(format!("minDCF({cost})  {least:.4}{interval}"));
        }
        lines.push(format!("min Cllr      {:.4} bits", rates.min_cllr));
        if let Some((cllr, _)) = &rates.of_llr {
            lines.push(format!("Cllr          {cllr:.4} bits"));
            for cost in &asked.costs {
                let at = curve.actual_dcf(cost);
                lines.push(format!(
                    "actual DCF({cost})  {:.4}   from LLR {:.3} on (misses {:.2} %, false accepts \
                     {:.3} %)",
                    at.cost,
                    at.threshold,
                    100.0 * at.fnr,
                    100.0 * at.fpr
                ));
            }
        }
        lines.push(format!("threshold at EER {}", threshold(eer.threshold)));
        for far in FALSE_ACCEPT_RATES {
            let p = curve.at_far(far);
            let (threshold, misses) = (threshold(p.threshold), 100.0 * p.fnr);
            let few = if far * (curve.nontargets as f64) < 1.0 {
                "; too few nontargets to tell"
            } else {
                ""
            };
            lines.push(format!(
                "threshold at false-accept rate {far}: {threshold} (misses {misses:.2} %{few})"
            ));
        }
        if let Some(i) = intervals {
            lines.push(format!(
                "intervals from {} resamplings of {} speakers",
                i.replicates, i.speakers
            ));
        }
        lines.extend(by::text(conditions, asked));
        lines.join("\n")
    }
}
