//! What was made, and sizes that mixed precision could make.

use std::path::Path;

use serde_json::json;

use super::activations::{self, Calibrated};
use crate::cli::{Global, info, shown, tell};
use crate::error::Result;
use crate::fs;
use crate::model_file::{LayerSize, Model, NamedTensors, layer_sizes};
use crate::quant::{QuantizeConfig, frontier_svg};
use crate::terminal::outln;
use crate::train::Report;
use crate::train::quantize::{Layer, frontier};

/// A model with packed weights, and how it came about.
pub(super) struct Packed<'a> {
    /// The model.
    pub model: &'a Model,
    /// The costs by which bits or stages were chosen.
    pub layers: &'a [Layer],
    /// Of the training, if there was one.
    pub report: Option<&'a Report>,
    /// Of activations, if they became bytes.
    pub calibration: Option<&'a Calibrated>,
}

/// Tells of a packed model in the file `output`.
///
/// # Errors
/// Those of [`info::as_json`].
pub(super) fn show(made: &Packed, output: &Path, global: &Global) -> Result<()> {
    let Packed { model: packed, layers, report, calibration } = *made;
    let parameters = packed.header.arch.layout()?.parameters();
    let sizes = layer_sizes(packed);
    let bytes: usize = sizes.iter().map(|l| l.bytes).sum();
    let file = packed.to_bytes(output, NamedTensors::default())?.len();
    let ratio = 4.0 * parameters as f64 / bytes as f64;
    let trace =
        |l: &LayerSize| layers.iter().find(|x| x.name == l.name).and_then(|x| x.trace.as_ref());
    if global.json {
        let mut all = info::as_json(packed, file as u64)?;
        all["ratio"] = json!(ratio);
        all["parameter_bytes"] = json!(bytes);
        for (row, size) in all["layers"].as_array_mut().into_iter().flatten().zip(&sizes) {
            if let Some(t) = trace(size) {
                row["mean_trace"] = json!({"mean": t.mean, "error": t.error, "probes": t.probes});
            }
        }
        if let Some(r) = report {
            all["eer"] = json!(r.eer);
            all["eer_ci95"] = json!(r.eer_ci95.map(|c| [c.low, c.high]));
            all["min_dcf"] = json!({"0.01": r.min_dcf[0], "0.05": r.min_dcf[1]});
        }
        if let Some(calibration) = calibration {
            all["calibration"] = activations::as_json(calibration);
        }
        tell(output, &all.to_string());
        return Ok(());
    }
    let is_packed = |l: &&LayerSize| packed.header.quantization.contains_key(&l.name);
    for layer in sizes.iter().filter(is_packed) {
        let trace = trace(layer)
            .map_or(String::new(), |t| format!("  mean trace {:.3e} ± {:.1e}", t.mean, t.error));
        let word = if layer.bits == 1 { "bit" } else { "bits" };
        tell(
            output,
            &format!("{:40} {:2} {word:4} {:9} bytes{trace}", layer.name, layer.bits, layer.bytes),
        );
    }
    let quantized: usize = sizes.iter().filter(is_packed).map(|l| l.bytes).sum();
    tell(output, &format!("{:40}         {:9} bytes", "everything else (f32)", bytes - quantized));
    let megabytes = |bytes: usize| 1e-6 * bytes as f64;
    let (before, after) = (megabytes(4 * parameters), megabytes(bytes));
    tell(output, &format!("parameters {before:.3} MB -> {after:.3} MB ({ratio:.2}x)"));
    if let Some(r) = report {
        let interval = r.eer_ci95.map_or(String::new(), |c| {
            format!(" (95 % interval {:.2} to {:.2} %)", 100.0 * c.low, 100.0 * c.high)
        });
        tell(output, &format!("dev EER {:.2} %{interval}", 100.0 * r.eer));
    }
    show_calibration(calibration, output);
    tell(output, &format!("{file} bytes in {}", output.display()));
    Ok(())
}

/// Tells of a model whose weights stayed as they were, in a file of so many bytes.
///
/// # Errors
/// Those of [`info::as_json`].
pub(super) fn show_kept(
    model: &Model,
    calibration: &Calibrated,
    file: usize,
    output: &Path,
    global: &Global,
) -> Result<()> {
    if global.json {
        let mut all = info::as_json(model, file as u64)?;
        all["calibration"] = activations::as_json(calibration);
        tell(output, &all.to_string());
        return Ok(());
    }
    show_calibration(Some(calibration), output);
    tell(output, &format!("{file} bytes in {}", output.display()));
    Ok(())
}

fn show_calibration(calibration: Option<&Calibrated>, output: &Path) {
    let lines = calibration.map(activations::lines).unwrap_or_default();
    lines.iter().for_each(|line| tell(output, line));
}

/// Tells of every size that mixed precision reaches best, and plots them.
///
/// # Errors
/// Those of [`frontier`]; a plot that cannot be written.
pub(super) fn show_frontier(
    model: &Model,
    config: &QuantizeConfig,
    layers: &[Layer],
    plot: &Path,
    global: &Global,
) -> Result<()> {
    let points = frontier(model, config, layers)?;
    let line: Vec<(f64, f64)> = points.iter().map(|p| (p.bytes as f64 / 1e6, p.cost)).collect();
    fs::write_bytes(plot, frontier_svg(&line, &model.header.arch.name)?.as_bytes())?;
    if global.json {
        let names: Vec<&str> = layers.iter().map(|l| l.name.as_str()).collect();
        let points: Vec<_> = points
            .iter()
            .map(|p| {
                let (bytes, mean) = (p.bytes, p.mean_bits);
                json!({"bytes": bytes, "mean_bits": mean, "perturbation": p.cost, "bits": p.bits})
            })
            .collect();
        outln!("{}", json!({"layers": names, "points": points, "plot": shown(plot)}));
        return Ok(());
    }
    outln!(
        "{:>12} {:>10} {:>13}  bits of the layers, in the network's order",
        "bytes",
        "mean bits",
        "perturbation"
    );
    for p in &points {
        let bits: String = p.bits.iter().map(|b| char::from(b'0' + *b as u8)).collect();
        outln!("{:12} {:10.3} {:13.4e}  {bits}", p.bytes, p.mean_bits, p.cost);
    }
    outln!("plot {}", plot.display());
    Ok(())
}
