//! WeSpeaker's schedules of learning rate and margin.

use revox::train::schedule::{ExponentialDecrease, Increase, MarginSchedule};
use serde_json::Value;

use crate::shared::{json, sets};

/// Compares a schedule with pairs of iteration and value, and returns how many those are.
fn check(args: &Value, pairs: &Value, at: impl Fn(usize) -> f64) -> usize {
    let pairs = pairs.as_array().unwrap();
    for pair in pairs {
        let (t, wanted) = (pair[0].as_u64().unwrap() as usize, pair[1].as_f64().unwrap());
        let ours = at(t);
        assert!(
            (ours - wanted).abs() <= 1e-12 * wanted.abs(),
            "{args} at {t}: {ours} against {wanted}"
        );
    }
    pairs.len()
}

#[test]
fn exponential_decrease_equals_the_reference() {
    for (folder, wanted) in sets(("schedules", [5, 225]), ("fixtures/f4_schedulers", [6, 1369])) {
        let schedules = json(folder.join("schedulers.json"));
        let mut seen = [0, 0];
        for case in schedules["lr"].as_array().unwrap() {
            match case["scheduler"].as_str().unwrap() {
                "ExponentialDecrease" => {}
                // Schedules that recipes do not offer.
                "TriAngular2" | "WarmupCosineScheduler" | "WarmupLR_withStepDecay" => continue,
                other => panic!("unknown schedule {other}"),
            }
            let args = &case["args"];
            let number = |key: &str| args[key].as_f64().unwrap();
            let epoch = number("epoch_iter");
            let schedule = ExponentialDecrease {
                initial: number("initial_lr"),
                last: number("final_lr"),
                iterations: (number("num_epochs") * epoch) as usize,
                warm_up: (number("warm_up_epoch") * epoch) as usize,
                scale_ratio: number("scale_ratio"),
                warm_from_zero: args["warm_from_zero"].as_bool().unwrap(),
            };
            seen[0] += 1;
            seen[1] += check(args, &case["iter_lr"], |t| schedule.at(t));
        }
        assert_eq!(seen, wanted, "cases and values of {}", folder.display());
    }
}

#[test]
fn margins_equal_the_reference() {
    for (folder, wanted) in sets(("schedules", [4, 195]), ("fixtures/f4_schedulers", [5, 807])) {
        let schedules = json(folder.join("schedulers.json"));
        let mut seen = [0, 0];
        for case in schedules["margin"].as_array().unwrap() {
            let args = &case["args"];
            let number = |key: &str| args[key].as_f64().unwrap();
            let at = |key: &str| ((number(key) - 1.0) * number("epoch_iter")) as usize;
            let schedule = match args["update_margin"].as_bool().unwrap() {
                false => MarginSchedule::constant(number("initial_margin")),
                true => MarginSchedule {
                    initial: number("initial_margin"),
                    last: number("final_margin"),
                    start: at("increase_start_epoch"),
                    fixed: at("fix_start_epoch"),
                    increase: match args["increase_type"].as_str().unwrap() {
                        "exp" => Increase::Exp,
                        "linear" => Increase::Linear,
                        other => panic!("unknown increase {other}"),
                    },
                },
            };
            seen[0] += 1;
            seen[1] += check(args, &case["iter_margin"], |t| schedule.at(t));
        }
        assert_eq!(seen, wanted, "cases and values of {}", folder.display());
    }
}
