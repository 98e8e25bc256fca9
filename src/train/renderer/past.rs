//! Reads the earlier epochs of a resumed run from its log.

use std::path::Path;

use crate::fs;

/// A metric's value at the end of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Past {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The metric's name.
    pub name: &'static str,
    /// The value in the metric's unit.
    pub value: f64,
    /// Whether the dev test gave it.
    pub dev: bool,
}

/// For each metric: its place in a line of the log, its name, the factor from the log's value to
/// the shown one, and whether the dev test gives it.
const KEYS: [(&str, &str, f64, bool); 6] = [
    ("/loss", "loss", 1.0, false),
    ("/accuracy", "accuracy", 100.0, false),
    ("/margin", "margin", 1.0, false),
    ("/lr", "lr", 1.0, false),
    ("/eer", "EER", 100.0, true),
    ("/min_dcf/0.01", "minDCF(0.01)", 1.0, true),
];

/// The values in a run's log, in its order. A new run has none. A log that cannot be read gives
/// none either: the run has checked its log before, and these values are only shown.
pub(super) fn read(path: &Path) -> Vec<Past> {
    match path.exists() {
        true => parse(&fs::read_to_string(path).unwrap_or_default()),
        false => Vec::new(),
    }
}

fn parse(log: &str) -> Vec<Past> {
    let mut all = Vec::new();
    for line in log.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok()) {
        let Some(epoch) = line["epoch"].as_u64() else { continue };
        for (key, name, factor, dev) in KEYS {
            if let Some(value) = line.pointer(key).and_then(serde_json::Value::as_f64) {
                all.push(Past { epoch: epoch as usize, name, value: factor * value, dev });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use burn::train::metric::Metric;

    use super::*;
    use crate::train::trial_metric;

    #[test]
    fn a_log_gives_the_metrics_of_its_epochs() {
        let log = concat!(
            r#"{"epoch":1,"loss":2.5,"lr":0.01,"eer":null,"min_dcf":null}"#,
            "\n",
            r#"{"epoch":2,"accuracy":0.5,"margin":0.2,"#,
            r#""eer":0.08,"min_dcf":{"0.01":0.4,"0.05":0.3}}"#,
            "\n",
        );
        let all = parse(log);
        let found: Vec<_> = all.iter().map(|p| (p.epoch, p.name, p.value, p.dev)).collect();
        assert_eq!(
            found,
            [
                (1, "loss", 2.5, false),
                (1, "lr", 0.01, false),
                (2, "accuracy", 50.0, false),
                (2, "margin", 0.2, false),
                (2, "EER", 8.0, true),
                (2, "minDCF(0.01)", 0.4, true)
            ]
        );
        assert!(read(Path::new("there is no such log")).is_empty());
    }

    #[test]
    fn the_names_are_those_of_the_metrics() {
        let steps = [trial_metric::loss(), trial_metric::accuracy(), trial_metric::margin()]
            .map(|m| m.name());
        let tests = [trial_metric::eer(), trial_metric::min_dcf()].map(|m| m.name());
        let names: Vec<&str> =
            steps.iter().chain(&tests).map(|n| n.as_str()).chain(["lr"]).collect();
        assert!(KEYS.iter().all(|(_, name, ..)| names.contains(name)), "{names:?}");
        assert_eq!(names.len(), KEYS.len());
    }
}
