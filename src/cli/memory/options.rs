//! `--options`: the options of training beside each other.

use serde_json::{Value, json};

use crate::backend::BackendKind;
use crate::backend::reversible::Execution;
use crate::cli::Global;
use crate::error::Result;
use crate::memory::{Choice, Setting, options, options_table};
use crate::terminal::outln;

/// Prints a table for each step.
pub(super) fn run(settings: &[Setting], backend: BackendKind, global: &Global) -> Result<()> {
    let all: Vec<Vec<Choice>> =
        settings.iter().map(|setting| options(setting, backend)).collect::<Result<_>>()?;
    if global.json {
        let objects: Vec<Value> =
            all.iter().map(|choices| json!({ "options": rows(choices) })).collect();
        match <[Value; 1]>::try_from(objects) {
            Ok([one]) => outln!("{one}"),
            Err(all) => outln!("{}", Value::from(all)),
        }
        return Ok(());
    }
    let texts: Vec<String> = settings
        .iter()
        .zip(&all)
        .map(|(setting, choices)| text(setting, choices, backend))
        .collect();
    outln!("{}", texts.join("\n\n"));
    Ok(())
}

fn text(setting: &Setting, choices: &[Choice], backend: BackendKind) -> String {
    let Setting { batch, frames, speakers, .. } = setting;
    format!(
        "One training step, batch {batch} x {frames} frames, {speakers} classes, f32, on {}. All \
         of it is\narithmetic. Multiplications are those of convolutions and matrix products, \
         compared\nwith the first row's; a backward pass has two for each of a forward pass.\n\n{}",
        backend.name(),
        options_table(choices).trim_end()
    )
}

fn rows(choices: &[Choice]) -> Vec<Value> {
    let row = |choice: &Choice| {
        json!({
            "arch": choice.setting.arch.name,
            "checkpointed": choice.setting.execution == Some(Execution::Checkpointed),
            "optimizer_name": choice.setting.optimizer.name(),
            "release_gradients": choice.setting.release_gradients,
            "weights_as": choice.setting.weights.name(),
            "peak": choice.account.peak,
            "multiplications": choice.multiplications,
        })
    };
    choices.iter().map(row).collect()
}
