use super::*;
use crate::backend::reversible::Execution;
use crate::memory::{account, account_on};
use crate::train::{Budget, OptimizerConfig};
use crate::zoo::Architecture;

const CPU: BackendKind = BackendKind::Flex;

fn setting(name: &str, budget: Option<u64>) -> Setting {
    Setting {
        execution: Some(Execution::Checkpointed),
        budget,
        batch: 16,
        speakers: 1000,
        ..Setting::new(Architecture::named(name).unwrap(), OptimizerConfig::default())
    }
}

fn ordinary(setting: &Setting) -> Setting {
    Setting { execution: None, budget: None, ..setting.clone() }
}

fn recomputed(plan: &Plan) -> usize {
    plan.spans.iter().filter(|span| span.recomputed).count()
}

/// Dividing a network changes nothing.
#[test]
fn kept_units_are_the_ordinary_account() {
    for name in ["resnet34", "df-resnet56", "campplus", "tdnn", "redimnet2-b0", "eres2net34"] {
        for kind in [CPU, BackendKind::Cuda] {
            let setting = setting(name, None);
            let planner = Planner::new(&setting, kind, setting.arch.graph(200).unwrap());
            let kept = planner.made(planner.chain.kept()).plan;
            let wanted = account_on(&ordinary(&setting), kind).unwrap();
            assert_eq!((kept.bytes, kept.ordinary), (wanted.needed(), wanted.needed()), "{name}");
        }
    }
}

#[test]
fn fewest_bytes_are_fewer_and_what_the_account_says() {
    for (name, times) in [("resnet34", 1.5), ("resnet50", 2.0), ("df-resnet56", 1.5), ("tdnn", 1.0)]
    {
        for kind in [CPU, BackendKind::Cuda] {
            let setting = setting(name, None);
            let made = plan(&setting, kind).unwrap();
            assert_eq!(account_on(&setting, kind).unwrap().needed(), made.bytes, "{name}");
            assert!(times * made.bytes as f64 <= made.ordinary as f64, "{name}: {made:?}");
            // All nodes up to the pooled statistics.
            let graph = setting.arch.graph(200).unwrap();
            assert_eq!(made.spans.last().unwrap().nodes.end, graph.tail.nodes.start);
            assert!(made.again <= 1.0 && (made.again > 0.0) == (recomputed(&made) > 0));
        }
    }
}

/// Wide blocks come apart, so that their inputs are not held beside each other's tapes.
#[test]
fn the_first_stage_is_taken_apart() {
    let setting = Setting { batch: 128, speakers: 5994, ..setting("resnet34", None) };
    let made = plan(&setting, CPU).unwrap();
    assert!(10 * made.bytes < 16 << 30, "{made:?}");
    assert!(made.again <= 1.0, "{made:?}");
    let apart = made.spans.iter().find(|span| !span.cuts.is_empty()).expect("some are");
    assert!(apart.recomputed && apart.pieces().len() == 1 + apart.cuts.len());
    let cuts = setting.arch.graph(200).unwrap().cuts();
    assert!(apart.cuts.iter().all(|cut| cuts.contains(cut)), "{apart:?}");
}

/// Of one network: ordinary, checkpointed, Type I, Type II.
#[test]
fn every_kind_takes_less_than_the_one_before() {
    let checkpointed = Setting { batch: 64, ..setting("resnet101", None) };
    let type_of = |prefix: &str| {
        let arch = Architecture::named(&format!("{prefix}resnet101")).unwrap();
        Setting { arch, ..ordinary(&checkpointed) }
    };
    let kinds = [ordinary(&checkpointed), checkpointed.clone(), type_of("rev1-"), type_of("rev2-")];
    let peaks = kinds.map(|setting| account(&setting).unwrap().peak);
    assert!(2 * peaks[0] > 5 * peaks[1], "{peaks:?}");
    assert!(peaks[1] > peaks[3] && peaks[2] > peaks[3], "{peaks:?}");
}

#[test]
fn a_larger_budget_recomputes_less() {
    for kind in [CPU, BackendKind::Cuda] {
        let fewest = plan(&setting("resnet34", None), kind).unwrap();
        let (low, high) = (fewest.bytes as u64, fewest.ordinary as u64);
        let mut before = fewest.again;
        for part in 0..=4 {
            let budget = low + (high - low) * part / 4;
            let made = plan(&setting("resnet34", Some(budget)), kind).unwrap();
            assert!(made.bytes as u64 <= budget, "{} of {budget}", made.bytes);
            // Pages are not the chain's figures.
            let is_less = made.again <= before + 0.02;
            assert!(is_less || kind != CPU, "{budget}: {} after {before}", made.again);
            before = made.again;
        }
        assert_eq!(before, 0.0);
        let error = plan(&setting("resnet34", Some(low - 1)), kind).unwrap_err().to_string();
        assert!(error.contains(&human(fewest.bytes)) && error.contains("train.memory"), "{error}");
    }
}

#[test]
fn plans_are_told_by_stages() {
    let made = plan(&setting("resnet34", None), CPU).unwrap();
    let lines = made.lines();
    assert!(lines[0].starts_with("plan: ") && lines[0].contains("instead of"), "{lines:?}");
    assert_eq!(lines.len(), 1 + made.stages.len());
    let counted: usize = made.stages.iter().map(|(_, again, kept)| again + kept).sum();
    assert_eq!(counted, made.spans.len());
    let kept = plan(&setting("resnet34", Some(1 << 50)), CPU).unwrap();
    assert!(kept.lines()[0].contains("nothing is recomputed"), "{:?}", kept.lines());
}

#[test]
fn reversible_networks_have_no_plan() {
    for name in ["rev1-resnet34", "rev2-resnet34"] {
        let error = plan(&setting(name, None), CPU).unwrap_err().to_string();
        assert!(error.contains("recomputes its activations already"), "{error}");
    }
    let lone = Setting { execution: None, ..setting("resnet34", Some(1 << 40)) };
    assert!(account(&lone).unwrap_err().to_string().contains("budget"));
}

/// What a message names as the least is enough.
#[test]
fn the_smallest_budget_that_is_named_fits() {
    for (name, batch) in [("resnet34", 16), ("resnet10", 8), ("df-resnet32", 24), ("tdnn", 8)] {
        let setting = |budget| Setting { batch, ..setting(name, Some(budget)) };
        let told = plan(&setting(1_000_000), CPU).unwrap_err().to_string();
        let (_, least) = told.split_once(" frames, takes ").unwrap();
        let (least, _) = least.split_once(" at least").unwrap();
        let least: Budget = least.parse().unwrap();
        assert!(plan(&setting(least.0), CPU).is_ok(), "{name}: {told}");
    }
}

/// Only what a training does not do yet is advice.
#[test]
fn a_budget_that_nothing_fits_is_told_what_is_left_to_do() {
    let told = |setting: Setting| plan(&setting, CPU).unwrap_err().to_string();
    let plain = setting("resnet10", Some(1_000_000));
    let small = Setting {
        optimizer: OptimizerConfig::named("sgd8bit").unwrap(),
        release_gradients: true,
        ..plain.clone()
    };
    let (plain, small) = (told(plain), told(small));
    for advice in ["8-bit states", "train.release_gradients"] {
        assert!(plain.contains(advice) && !small.contains(advice), "{plain}\n{small}");
    }
    let wanted = "smaller batches (train.batch_size) and reversible networks take less";
    assert!(small.ends_with(wanted), "{small}");
}
