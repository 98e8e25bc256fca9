//! `revox info`.

use std::path::PathBuf;

use serde_json::json;

use super::Global;
use crate::error::Result;
use crate::model_file::Model;
use crate::nn::collect_named;

/// What is in a model file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  revox info model.safetensors")]
pub struct Args {
    /// The model.
    model: PathBuf,
    /// Every tensor.
    #[arg(long)]
    layers: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let model = Model::load(&args.model, &global.open()?)?;
    let header = &model.header;
    let parameters = header.arch.account(200)?.parameters();
    let bytes = std::fs::metadata(&args.model).map_err(|e| crate::Error::io(&args.model, "read", e))?.len();
    let layers: Vec<(String, Vec<usize>)> =
        collect_named(&model.network).into_iter().map(|(name, data)| (name, data.shape().to_vec())).collect();
    let size = |shape: &[usize]| 4 * shape.iter().product::<usize>();
    if global.json {
        let layers: Vec<_> =
            layers.iter().map(|(name, s)| json!({"name": name, "shape": s, "bits": 32, "bytes": size(s)})).collect();
        println!(
            "{}",
            json!({"arch": header.arch, "parameters": parameters, "bytes": bytes, "frontend": header.frontend,
                "embedding_dim": header.embedding_dim, "training": header.training, "scoring": header.scoring, "layers": layers})
        );
        return Ok(());
    }
    let (arch, f) = (&header.arch, &header.frontend.fbank);
    println!(
        "architecture  {} (width {}, {:?} pooling, {}-d)",
        arch.name, arch.width, arch.pooling, arch.embedding_dim
    );
    println!("parameters    {parameters}");
    println!("file          {bytes} bytes");
    println!(
        "front-end     {} Hz, {} mels, {:?} window, {}/{} ms, scale {}, CMN {}; trained with dither {}",
        f.sample_rate,
        f.mels,
        f.window,
        f.frame_length_ms,
        f.frame_shift_ms,
        f.scale,
        if header.frontend.cmn { "on" } else { "off" },
        f.dither
    );
    match &header.training {
        Some(t) => println!(
            "trained       {} steps, seed {}, revox {}, data {}",
            t.steps,
            t.seed,
            t.version,
            &t.data_hash[..t.data_hash.len().min(12)]
        ),
        None => println!("trained       elsewhere (imported)"),
    }
    match header.scoring.threshold_eer {
        Some(t) => println!("threshold     {t:.4} at the dev trials' equal error rate"),
        None => println!("threshold     none"),
    }
    for (far, threshold) in &header.scoring.thresholds {
        println!("              {threshold:.4} at false-accept rate {far}");
    }
    if args.layers {
        for (name, shape) in &layers {
            println!("{name:40} {shape:?} 32 bits, {} bytes", size(shape));
        }
    }
    Ok(())
}
