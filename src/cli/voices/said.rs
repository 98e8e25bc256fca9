//! Verdicts in words and as JSON.

use serde_json::{Value, json};

use crate::cli::decision::{Verdict, likely};

/// A verdict's numbers in words. Its probability is one at this prior.
pub(in crate::cli) fn numbers(verdict: &Verdict, prior: f64) -> String {
    let Verdict { score, llr, probability, .. } = verdict;
    let llr = llr.map_or_else(String::new, |x| format!("   llr {x:.2}"));
    let probability = probability
        .map_or_else(String::new, |p| format!("   probability {} at prior {prior}", likely(p)));
    format!("score {score:.4}{llr}{probability}")
}

/// A verdict's numbers as JSON.
pub(in crate::cli) fn numbers_json(name: &str, verdict: &Verdict) -> Value {
    let Verdict { score, llr, probability, same, .. } = verdict;
    json!({
        "name": name,
        "score": score,
        "llr": llr,
        "probability": probability,
        "same_speaker": same,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_stands_beside_its_prior() {
        let verdict = Verdict {
            score: 0.5,
            llr: Some(9.5),
            probability: Some(0.99999),
            threshold: Some(0.25),
            same: Some(true),
            basis: "a threshold".into(),
            warnings: Vec::new(),
        };
        let wanted = "score 0.5000   llr 9.50   probability above 0.999 at prior 0.01";
        assert_eq!(numbers(&verdict, 0.01), wanted);
        let none = Verdict { llr: None, probability: None, ..verdict };
        assert_eq!(numbers(&none, 0.5), "score 0.5000");
    }
}
