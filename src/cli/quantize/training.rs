//! Training through the quantizer.

use std::sync::Arc;

use burn::tensor::Device;

use super::Args;
use super::activations::{Calibrated, Calibrator};
use crate::backend::collective::Alone;
use crate::cli::train::{plan_memory, with_advice};
use crate::cli::{Global, signals};
use crate::error::Result;
use crate::fs;
use crate::model_file::{Model, NamedTensors};
use crate::terminal::{errln, note};
use crate::train::{Recipe, Report, RunOptions, Start, fine_tune};

/// Trains in the given folder, or in one beside the output, which is removed at the end, and writes
/// the model. Its activations are calibrated before that, if they become bytes.
pub(super) fn train(
    args: &Args,
    global: &Global,
    recipe: &Recipe,
    start: Start,
    device: &Device,
    calibrator: Option<&Calibrator>,
) -> Result<(Model, Report, Option<Calibrated>)> {
    let output = args.output.as_ref().expect("clap asks for it");
    let out = args.run_folder().expect("a recipe is given");
    let free = global.free();
    let options = RunOptions {
        second_page: None,
        page: plan_memory(recipe, global, &[device], 1, free)?,
        out: out.clone(),
        resume: args.resume,
        accept: args.accept.clone(),
        verify_data: false,
        backend: global.backend.name().to_owned(),
        device: device.clone(),
        others: Vec::new(),
        ranks: Arc::new(Alone),
        stop: signals::watch()?,
        quiet: global.quiet,
        dashboard: false,
        warn: Arc::new(|text: &str| errln!("warning: {text}")),
        note: Arc::new(|text: &str| note!("{text}")),
    };
    let report = fine_tune(recipe, &options, start)
        .map_err(|e| with_advice(e, recipe, global, [1, 1], free))?;
    let mut model = Model::load(&report.model, device)?;
    let kept = format!("the training is in {}; go on with --resume", out.display());
    let calibration = calibrator.map(|c| c.calibrate(&mut model)).transpose();
    let calibration = calibration.map_err(|e| e.and(&kept))?;
    model.save(output, NamedTensors::default()).map_err(|e| e.and(&kept))?;
    if args.run.is_none() {
        // Another process may have begun a run in it meanwhile.
        let removed = fs::Lock::take(&out).and_then(|_alone| fs::remove_dir_all(&out));
        if let Err(e) = removed {
            errln!(
                "warning: {e}; the model is written, and {} is not needed any more",
                out.display()
            );
        }
    }
    Ok((model, report, calibration))
}
