//! One utterance's embedding by a network with f32 weights and by the same network packed: time,
//! bytes, and the time of making the codebooks.

use burn::tensor::{Device, Tensor, TensorData};
use cpu_time::ProcessTime;
use peak_alloc::PeakAlloc;

use super::{Figure, time};
use crate::backend::is_gpu;
use crate::error::{Error, Result};
use crate::inference::{masked, padded_length};
use crate::model_file::{Frontend, Header, Model};
use crate::nn::{Mode, names_and_shapes};
use crate::quant::{QuantizeConfig, Quantizer, uniform};
use crate::rng::Stream;
use crate::train::quantize::quantize;
use crate::zoo::{Architecture, Network};

/// What to measure.
#[derive(Debug, Clone)]
pub struct EmbedBench {
    /// Networks.
    pub architectures: Vec<String>,
    /// Bits of the packed weights.
    pub bits: usize,
    /// Frames of the utterance.
    pub frames: usize,
    /// Timed passes; their median counts.
    pub runs: usize,
    /// Name of the backend, for the figures.
    pub backend: &'static str,
}

/// For each network: seconds of an embedding in f32 and packed, and their ratio; bytes of memory
/// that each network holds, and the most it holds in a pass; processor seconds of k-means over all
/// its weights. Bytes are the host's, and are counted where [`PeakAlloc`] is the program's
/// allocator.
///
/// # Errors
/// Unknown architectures, impossible bits, no pass to time, files that cannot be written or read.
pub fn embed(
    bench: &EmbedBench,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<Figure>> {
    if bench.runs == 0 || bench.frames == 0 {
        return Err(Error::invalid("at least one pass over at least one frame must be timed"));
    }
    let mut figures = Vec::new();
    for name in &bench.architectures {
        let arch = Architecture::named(name)?;
        let mut figure = |what: &str, value: f64, unit: &'static str| {
            let (backend, threads) = (bench.backend, rayon::current_num_threads());
            figures.push(Figure {
                name: format!("embed/{name}/{what}"),
                value,
                unit,
                backend,
                threads,
            });
        };
        let mut stream = Stream::new(1, "bench", &[]);
        let mut values: Vec<f32> =
            (0..bench.frames * arch.mels).map(|_| stream.normal() as f32).collect();
        let padded = is_gpu(device).then(|| padded_length(bench.frames));
        let frames = padded.unwrap_or(bench.frames);
        values.resize(frames * arch.mels, 0.0);
        let input = Tensor::<3>::from_data(TensorData::new(values, [1, frames, arch.mels]), device);
        let pass = |network: &Network| match padded {
            None => network.forward(input.clone(), Mode::Eval).into_data(),
            Some(_) => masked(network, input.clone(), vec![bench.frames]).into_data(),
        };
        let config = QuantizeConfig { bits: bench.bits, ..QuantizeConfig::default() };
        report(&format!("{name}, f32"));
        let before = PeakAlloc.current_usage();
        let network = arch.init(device, 1)?;
        let dense = weigh(before, || drop(pass(&network)), bench.runs, device)?;
        figure("f32", dense.seconds, "s");
        figure("f32/held", dense.held as f64, "bytes");
        figure("f32/peak", dense.peak as f64, "bytes");
        report(&format!("{name}, k-means, {} bits", bench.bits));
        let quantizer = Quantizer::new(uniform(&names_and_shapes(&network), &config)?, config);
        let begun = ProcessTime::now();
        let attached = quantizer.attach(network.clone())?;
        figure("kmeans/cpu", begun.elapsed().as_secs_f64(), "CPU s");
        drop(attached);
        let model = Model { header: Header::new(arch, Frontend::default()), network };
        report(&format!("{name}, packed"));
        // The packed network is read from a file, as in any program: the f32 weights are gone.
        let bytes = quantize(&model, &quantizer, device)?
            .to_bytes(std::path::Path::new(name), Default::default())?;
        drop(model);
        let folder = tempfile::tempdir()
            .map_err(|e| Error::io(std::env::temp_dir(), "create a folder in", e))?;
        let path = folder.path().join("packed.safetensors");
        crate::fs::write_bytes(&path, &bytes)?;
        figure("packed/file", bytes.len() as f64, "bytes");
        drop(bytes);
        let before = PeakAlloc.current_usage();
        let network = Model::load(&path, device)?.network;
        let packed = weigh(before, || drop(pass(&network)), bench.runs, device)?;
        figure("packed", packed.seconds, "s");
        figure("packed/held", packed.held as f64, "bytes");
        figure("packed/peak", packed.peak as f64, "bytes");
        figure("ratio", packed.seconds / dense.seconds, "packed / f32");
    }
    Ok(figures)
}

struct Weighed {
    seconds: f64,
    held: usize,
    peak: usize,
}

/// Time of a pass, bytes held between passes, and the most held during one. Bytes held `before`
/// there was a network do not count.
fn weigh(before: usize, pass: impl Fn(), runs: usize, device: &Device) -> Result<Weighed> {
    pass(); // draws lazy weights
    let held = PeakAlloc.current_usage().saturating_sub(before);
    let seconds = time(device, runs, &pass)?.wall;
    PeakAlloc.reset_peak_usage();
    pass();
    Ok(Weighed { seconds, held, peak: PeakAlloc.peak_usage().saturating_sub(before) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_has_its_figures() {
        let mut bench = EmbedBench {
            architectures: vec!["resnet10".into()],
            bits: 4,
            frames: 20,
            runs: 1,
            backend: "flex",
        };
        let mut reports = 0;
        let figures = embed(&bench, &Device::default(), &mut |_| reports += 1).unwrap();
        assert_eq!((figures.len(), reports), (9, 3));
        let value = |what: &str| {
            figures.iter().find(|f| f.name == format!("embed/resnet10/{what}")).unwrap().value
        };
        assert!(value("ratio") > 0.0 && value("f32") > 0.0 && value("packed") > 0.0);
        assert!(value("packed/file") > 1e5);
        bench.architectures = vec!["resnet11".into()];
        assert!(embed(&bench, &Device::default(), &mut |_| ()).is_err());
    }
}
