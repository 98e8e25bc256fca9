//! A step's memory as a JSON object.

use serde_json::{Value, json};

use crate::backend::BackendKind;
use crate::backend::reversible::Execution;
use crate::memory::{Breakdown, Dry, Measured, Row};

/// What is known of a step, in bytes, and launches of kernels.
pub(super) fn object(row: &Row, backend: BackendKind) -> Value {
    let Row { setting, account, measured, dry } = row;
    let Breakdown {
        weights,
        optimizer,
        gradients,
        activations,
        stages,
        at_peak,
        place,
        head,
        peak,
        pages,
    } = account;
    let stages: Vec<Value> =
        stages.iter().map(|(name, bytes)| json!({"name": name, "bytes": bytes})).collect();
    let mut value = json!({
        "arch": setting.arch.name,
        "backend": backend.name(),
        "optimizer_name": setting.optimizer.name(),
        "shards": setting.shards,
        "reversible": setting.is_reversible(),
        "checkpointed": setting.execution == Some(Execution::Checkpointed),
        "budget": setting.budget,
        "release_gradients": setting.release_gradients,
        "weights_as": setting.weights.name(),
        "batch": setting.batch,
        "frames": setting.frames,
        "weights": weights,
        "optimizer": optimizer,
        "gradients": gradients,
        "activations": activations,
        "workspace": at_peak.workspace,
        "peak": peak,
        "pages": pages,
        "measured_peak": measured.map(|m| m.peak),
        "head": head,
        "stages": stages,
        "at_peak": {
            "place": place,
            "gradients": at_peak.gradients,
            "activations": at_peak.activations,
            "workspace": at_peak.workspace,
        },
    });
    if let Some(Measured { resident, held, peak, reserved, driver }) = measured {
        value["measured"] = json!({
            "resident": resident,
            "held": held,
            "peak": peak,
            "reserved": reserved,
            "driver": driver,
        });
    }
    if let Some(dry) = dry {
        let Dry { card, peak_in_use, reserved, first_reserved, pitch, largest, launches, fits } =
            dry;
        for (name, figure) in [
            ("card", card.bytes),
            ("for_the_driver", card.context()),
            ("largest_allocation", card.largest()),
            ("peak_in_use", *peak_in_use),
            ("reserved", *reserved),
            ("first_reserved", *first_reserved),
            ("pitch", *pitch),
            ("largest", *largest),
            ("launches", *launches),
        ] {
            value[name] = json!(figure);
        }
        value["fits"] = json!(fits);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Card, Setting, account};
    use crate::train::OptimizerConfig;
    use crate::zoo::Architecture;

    #[test]
    fn a_dry_run_stands_beside_the_account() {
        let optimizer = OptimizerConfig::named("sgd8bit").unwrap();
        let setting = Setting::new(Architecture::named("rev1-resnet34").unwrap(), optimizer);
        let account = account(&setting).unwrap();
        let mut row = Row { setting, account, measured: None, dry: None };
        let without = object(&row, BackendKind::Flex);
        assert!(without.get("fits").is_none() && without["pages"].is_null(), "{without}");
        row.dry = Some(Dry {
            card: Card { bytes: 11 << 30, backend: BackendKind::Cuda },
            peak_in_use: 2 << 30,
            reserved: 5 << 29,
            first_reserved: 7 << 29,
            pitch: 1 << 20,
            largest: 250 << 20,
            launches: 812,
            fits: true,
        });
        let value = object(&row, BackendKind::Cuda);
        assert_eq!((&value["fits"], &value["launches"]), (&json!(true), &json!(812)));
        assert_eq!((&value["reserved"], &value["backend"]), (&json!(5u64 << 29), &json!("cuda")));
    }
}
