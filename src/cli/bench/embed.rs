//! `revox bench embed`.

use std::path::PathBuf;

use super::show;
use crate::bench::{EmbedBench, Figure, embed};
use crate::cli::Global;
use crate::cli::values::{ArchitectureName, at_least, bits, counted};
use crate::error::Result;
use crate::infer::Level;
use crate::terminal::outln;

/// Time and memory of an embedding by Burn and by the runtime without it, with f32 weights and with
/// packed ones; of those in integers, by the runtime, with ranges of activations from synthetic
/// speech; of those by rten, a runtime for ONNX files; time of making codebooks.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  RAYON_NUM_THREADS=1 revox bench embed resnet34 df-resnet110 --bits 4
  revox bench embed resnet34 --frames 298 --level avx2 --save models")]
pub(super) struct Args {
    /// Architectures, with random weights.
    #[arg(default_values = ["resnet34"], value_parser = ArchitectureName,
          hide_possible_values = true)]
    architectures: Vec<String>,
    /// Bits of the packed weights. Layers with too few weights get fewer.
    #[arg(long, default_value_t = 4, value_parser = bits)]
    bits: usize,
    /// Frames of the utterance.
    #[arg(long, default_value_t = 200)]
    frames: usize,
    /// Passes timed.
    #[arg(long, default_value_t = 15, value_parser = at_least::<1>)]
    runs: usize,
    /// Vector instructions of the runtime: portable, avx2, avx512, neon or simd128; the best that
    /// the processor has, unless this is given.
    #[arg(long, value_parser = level)]
    level: Option<Level>,
    /// Keep the models in this folder, as NAME.safetensors, NAME-int8.safetensors,
    /// NAME-packed.safetensors and NAME-packed-int8.safetensors.
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
}

/// Instructions by their name.
fn level(text: &str) -> Result<Level, String> {
    let there = Level::available();
    let found = there.iter().find(|&&level| level.name() == text);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = there.iter().map(|&level| level.name()).collect();
        format!("this processor has {}", names.join(", "))
    })
}

pub(super) fn run(args: &Args, global: &Global, report: &mut dyn FnMut(&str)) -> Result<()> {
    let bench = EmbedBench {
        architectures: args.architectures.clone(),
        bits: args.bits,
        frames: args.frames,
        runs: args.runs,
        backend: global.backend.name(),
        level: args.level.unwrap_or_else(Level::best),
        save: args.save.clone(),
    };
    let figures = embed(&bench, &global.open()?, report)?;
    show(&figures, global, || {
        outln!(
            "Burn on {}, runtime with {}, {}, median of {} passes; int8 ranges: synthetic speech",
            bench.backend,
            bench.level.name(),
            counted(rayon::current_num_threads(), "thread"),
            bench.runs
        );
        figures.iter().for_each(|f| outln!("{:52} {} {}", f.name, value(f), f.unit));
    })
}

/// A figure's value in a column. Differences by rounding are far below four decimals.
fn value(figure: &Figure) -> String {
    match (1e-30..1e-3).contains(&figure.value) {
        true => format!("{:14.1e}", figure.value),
        false => format!("{:14.4}", figure.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_of_this_processor_have_names() {
        assert_eq!(level("portable"), Ok(Level::Portable));
        assert_eq!(level(Level::best().name()), Ok(Level::best()));
        let foreign = if cfg!(target_arch = "x86_64") { Level::Neon } else { Level::Avx512 };
        for name in [foreign.name(), "mmx"] {
            assert!(level(name).unwrap_err().starts_with("this processor has portable"), "{name}");
        }
    }

    #[test]
    fn small_values_keep_their_digits() {
        let figure =
            |value| Figure { name: String::new(), value, unit: "s", backend: "flex", threads: 1 };
        assert_eq!(value(&figure(3.21e-7)), "        3.2e-7");
        assert_eq!(value(&figure(0.25)), "        0.2500");
        assert_eq!(value(&figure(0.0)), "        0.0000");
    }
}
