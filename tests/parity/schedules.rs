//! WeSpeaker's schedules, fixture f4.

use revox::train::schedule::{ExponentialDecrease, Increase, MarginSchedule};

use crate::shared::json;
use crate::shared_or_skip;

#[test]
fn exponential_decrease_equals_the_reference() {
    let schedules = json(shared_or_skip!("fixtures/f4_schedulers/schedulers.json"));
    let mut cases = 0;
    for case in schedules["lr"].as_array().unwrap() {
        if case["scheduler"] != "ExponentialDecrease" {
            continue;
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
        for pair in case["iter_lr"].as_array().unwrap() {
            let (t, wanted) = (pair[0].as_u64().unwrap() as usize, pair[1].as_f64().unwrap());
            let ours = schedule.at(t);
            assert!(
                (ours - wanted).abs() <= 1e-12 * wanted.abs(),
                "{args} at {t}: {ours} against {wanted}"
            );
        }
        cases += 1;
    }
    assert_eq!(cases, 6);
}

#[test]
fn margins_equal_the_reference() {
    let schedules = json(shared_or_skip!("fixtures/f4_schedulers/schedulers.json"));
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
                increase: if args["increase_type"] == "exp" {
                    Increase::Exp
                } else {
                    Increase::Linear
                },
            },
        };
        for pair in case["iter_margin"].as_array().unwrap() {
            let (t, wanted) = (pair[0].as_u64().unwrap() as usize, pair[1].as_f64().unwrap());
            let ours = schedule.at(t);
            assert!(
                (ours - wanted).abs() <= 1e-12 * wanted.abs(),
                "{args} at {t}: {ours} against {wanted}"
            );
        }
    }
}
