//! What `revox eval` prints.

use serde_json::{Value, json};

use crate::scoring::{Curve, FALSE_ACCEPT_RATES, Interval, Intervals, PRIORS};

/// Error rates and how reliable they are.
pub(super) struct Report<'a> {
    /// The operating points.
    pub curve: &'a Curve<'a>,
    /// 95 % intervals, where there are speakers enough.
    pub intervals: Option<&'a Intervals>,
    /// Trials without a score, if there is a list of trials.
    pub unscored: Option<usize>,
}

impl Report<'_> {
    /// For programs. A threshold that does not exist is null.
    pub(super) fn json(&self) -> Value {
        let Self { curve, intervals, unscored } = self;
        let (eer, dcf) = (curve.eer(), PRIORS.map(|p| curve.min_dcf(p)));
        let finite = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
        let pair = |i: Interval| json!([i.low, i.high]);
        let at: Vec<_> = FALSE_ACCEPT_RATES
            .iter()
            .map(|&far| {
                let p = curve.at_far(far);
                json!({"far": far, "threshold": finite(p.threshold), "fpr": p.fpr, "fnr": p.fnr})
            })
            .collect();
        json!({
            "eer": eer.rate,
            "eer_ci95": intervals.map(|i| pair(i.eer)),
            "min_dcf": {"0.01": dcf[0].cost, "0.05": dcf[1].cost},
            "min_dcf_ci95": intervals.map(|i| {
                json!({"0.01": pair(i.min_dcf[0]), "0.05": pair(i.min_dcf[1])})
            }),
            "threshold_eer": finite(eer.threshold),
            "thresholds": at,
            "targets": curve.targets,
            "nontargets": curve.nontargets,
            "unscored": unscored,
            "speakers": intervals.map(|i| i.speakers),
        })
    }

    /// For people, in lines.
    pub(super) fn text(&self) -> String {
        let Self { curve, intervals, .. } = self;
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
        for (k, p) in PRIORS.iter().enumerate() {
            let interval = intervals.map_or(String::new(), |i| range(i.min_dcf[k], 1.0));
            lines.push(format!("minDCF({p})  {:.4}{interval}", curve.min_dcf(*p).cost));
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
        lines.join("\n")
    }
}
