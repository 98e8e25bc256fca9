//! One utterance's embedding by the runtime without Burn and by Burn, each with f32 weights and
//! with packed ones, by the runtime in integers, and by rten: time, bytes, and the time of making
//! the codebooks.

mod int8;
#[cfg(feature = "cli")]
mod other;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use cpu_time::ProcessTime;
use peak_alloc::PeakAlloc;

use super::{Figure, time};
use crate::audio::FbankConfig;
use crate::backend::is_gpu;
use crate::error::{Error, Result};
use crate::fs;
use crate::infer::{Level, Runtime, difference};
use crate::inference::{masked, padded_length};
use crate::model_file::{Frontend, Header, Model};
use crate::nn::{Mode, names_and_shapes};
use crate::quant::config::SmallLayers;
use crate::quant::{QuantizeConfig, Quantizer, uniform};
use crate::rng::Stream;
use crate::train::quantize::quantize;
use crate::zoo::Architecture;

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
    /// Name of Burn's backend, for the figures.
    pub backend: &'static str,
    /// Instructions of the runtime.
    pub level: Level,
    /// A folder for the models that are measured: `NAME.safetensors`, `NAME-int8.safetensors`,
    /// `NAME-packed.safetensors` and `NAME-packed-int8.safetensors`.
    pub save: Option<PathBuf>,
}

/// For each network, with f32 weights and packed, by Burn and by the runtime (`runtime/...`):
/// seconds of an embedding, without its features; multiply-accumulates a second; bytes of memory
/// that the network holds, and the most it holds in a pass. Of the runtime also the bytes of its
/// weights and its arena, its part of Burn's time, and how far its embedding is from Burn's. Of
/// both, the ratio of packed to f32. Processor seconds of k-means over all weights.
///
/// The runtime also computes in integers, with ranges of synthetic speech, from f32 weights
/// (`runtime/int8`) and from packed ones (`runtime/packed-int8`): the same, the ratio to its time
/// in floats, and the cosine distance to embeddings in floats.
///
/// With the feature `cli`, rten runs the ONNX file of the f32 weights, on as many threads: seconds,
/// how far its embedding is from Burn's, and the runtime's part of its time.
///
/// Bytes are the host's, and are counted where [`PeakAlloc`] is the program's allocator. The
/// runtime computes on the CPU, whatever Burn's device.
///
/// # Errors
/// Unknown architectures, impossible bits, instructions that the processor lacks, no pass to time,
/// files that cannot be written or read.
pub fn embed(
    bench: &EmbedBench,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<Figure>> {
    if bench.runs == 0 || bench.frames == 0 {
        return Err(Error::invalid("at least one pass over at least one frame must be timed"));
    }
    let small_layers = SmallLayers::FewerBits;
    let config = QuantizeConfig { bits: bench.bits, small_layers, ..QuantizeConfig::default() };
    config.check()?;
    let temporary = tempfile::tempdir()
        .map_err(|e| Error::io(std::env::temp_dir(), "create a folder in", e))?;
    let folder = bench.save.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder)?;
    let mut figures = Vec::new();
    for name in &bench.architectures {
        let mut subject = Subject::new(bench, Architecture::named(name)?, device)?;
        report(&format!("{name}, f32"));
        let before = PeakAlloc.current_usage();
        let model = subject.model()?;
        let dense = subject.measure("f32", before, &model)?;
        #[cfg(feature = "cli")]
        {
            report(&format!("{name}, rten"));
            if let Some(lack) = subject.measure_other(&model, &dense)? {
                report(&format!("{name}: rten cannot run it: {lack}"));
            }
        }
        report(&format!("{name}, int8, with ranges of synthetic speech"));
        subject.measure_int8("int8", &model, &dense, bench.save.as_deref())?;
        report(&format!("{name}, k-means, {} bits", bench.bits));
        let plan = uniform(&names_and_shapes(&model.network), &config)?;
        let quantizer = Quantizer::new(plan, config.clone());
        let begun = ProcessTime::now();
        let attached = quantizer.attach(model.network.clone())?;
        subject.figure(bench.backend, "kmeans/cpu", begun.elapsed().as_secs_f64(), "CPU s");
        drop(attached);
        report(&format!("{name}, packed"));
        let packed = quantize(&model, &quantizer, device)?;
        let bytes = packed.to_bytes(Path::new(name), Default::default())?;
        drop(packed);
        if bench.save.is_some() {
            model.save(folder.join(format!("{name}.safetensors")), Default::default())?;
        }
        drop(model);
        // The packed network is read from a file, as in any program: the f32 weights are gone.
        let path = folder.join(format!("{name}-packed.safetensors"));
        fs::write_bytes(&path, &bytes)?;
        subject.figure(bench.backend, "packed/file", bytes.len() as f64, "bytes");
        drop(bytes);
        let before = PeakAlloc.current_usage();
        let model = Model::load(&path, device)?;
        let packed = subject.measure("packed", before, &model)?;
        let unit = "packed / f32";
        subject.figure(bench.backend, "ratio", packed.burn / dense.burn, unit);
        let by = bench.level.name();
        subject.figure(by, "runtime/ratio", packed.runtime / dense.runtime, unit);
        report(&format!("{name}, packed, int8"));
        subject.measure_int8("packed-int8", &model, &packed, bench.save.as_deref())?;
        figures.extend(subject.figures);
    }
    Ok(figures)
}

/// A network under measurement.
struct Subject<'a> {
    bench: &'a EmbedBench,
    device: &'a Device,
    arch: Architecture,
    /// Multiply-accumulates of a pass, in billions.
    giga: f64,
    /// `[frames, mels]`.
    features: Vec<f32>,
    /// The features as Burn takes them, padded on GPUs, `[1, frames, mels]`.
    input: Tensor<3>,
    figures: Vec<Figure>,
}

/// Passes over a model.
struct Measured {
    /// Seconds of Burn's.
    burn: f64,
    /// Seconds of the runtime's.
    runtime: f64,
    /// Burn's embedding.
    embedding: Vec<f32>,
}

impl<'a> Subject<'a> {
    fn new(bench: &'a EmbedBench, arch: Architecture, device: &'a Device) -> Result<Self> {
        let mut stream = Stream::new(1, "bench", &[]);
        let features: Vec<f32> =
            (0..bench.frames * arch.mels).map(|_| stream.normal() as f32).collect();
        let giga = arch.account(bench.frames)?.macs() as f64 / 1e9;
        let frames = if is_gpu(device) { padded_length(bench.frames) } else { bench.frames };
        let mut values = features.clone();
        values.resize(frames * arch.mels, 0.0);
        let input = Tensor::from_data(TensorData::new(values, [1, frames, arch.mels]), device);
        Ok(Self { bench, device, arch, giga, features, input, figures: Vec::new() })
    }

    /// The network with random weights.
    fn model(&self) -> Result<Model> {
        let network = self.arch.init(self.device, 1)?;
        let fbank = FbankConfig { mels: self.arch.mels, ..FbankConfig::default() };
        let frontend = Frontend { fbank, ..Frontend::default() };
        Ok(Model { header: Header::new(self.arch.clone(), frontend), network })
    }

    fn figure(&mut self, backend: &'static str, what: &str, value: f64, unit: &'static str) {
        let name = format!("embed/{}/{what}", self.arch.name);
        let threads = rayon::current_num_threads();
        self.figures.push(Figure { name, value, unit, backend, threads });
    }

    fn weighed(&mut self, backend: &'static str, form: &str, weighed: &Weighed) {
        self.figure(backend, form, weighed.seconds, "s");
        self.figure(backend, &format!("{form}/rate"), self.giga / weighed.seconds, "GMAC/s");
        self.figure(backend, &format!("{form}/held"), weighed.held as f64, "bytes");
        self.figure(backend, &format!("{form}/peak"), weighed.peak as f64, "bytes");
    }

    /// Passes by Burn, then by the runtime, over a model whose weights have this form. `before` are
    /// the bytes held before there was the model.
    fn measure(&mut self, form: &str, before: usize, model: &Model) -> Result<Measured> {
        let (bench, device) = (self.bench, self.device);
        let (input, is_padded) = (self.input.clone(), is_gpu(device));
        let pass = || match is_padded {
            true => masked(&model.network, input.clone(), vec![bench.frames]).into_data(),
            false => model.network.forward(input.clone(), Mode::Eval).into_data(),
        };
        let burn = weigh(before, || drop(pass()), bench.runs, device)?;
        self.weighed(bench.backend, form, &burn);
        let embedding: Vec<f32> = pass().iter::<f32>().collect();
        let runtime = self.run(form, model, burn.seconds, &embedding)?;
        Ok(Measured { burn: burn.seconds, runtime, embedding })
    }

    /// Passes by the runtime over a model of this form, beside Burn's seconds and its embedding.
    /// Gives seconds.
    fn run(&mut self, form: &str, model: &Model, burn: f64, wanted: &[f32]) -> Result<f64> {
        let (bench, device) = (self.bench, self.device);
        // Burn's pass has drawn lazy weights, so these bytes are the runtime's alone.
        let before = PeakAlloc.current_usage();
        let runtime = Runtime::with_level(model, bench.level)?;
        let embedding = || runtime.embed(&self.features, bench.frames);
        let arena = runtime.arena_bytes(bench.frames)?;
        let own = weigh(before, || drop(embedding()), bench.runs, device)?;
        let off = off(&embedding()?, wanted)?;
        let (by, form) = (bench.level.name(), format!("runtime/{form}"));
        self.weighed(by, &form, &own);
        self.figure(by, &format!("{form}/weights"), runtime.weight_bytes() as f64, "bytes");
        self.figure(by, &format!("{form}/arena"), arena as f64, "bytes");
        self.figure(by, &format!("{form}/ratio"), own.seconds / burn, "of Burn's time");
        self.figure(by, &format!("{form}/off"), off, "of the largest value");
        Ok(own.seconds)
    }

    /// Passes by the runtime in integers over a model that was measured in floats.
    fn measure_int8(
        &mut self,
        form: &str,
        model: &Model,
        floats: &Measured,
        save: Option<&Path>,
    ) -> Result<()> {
        let (model, distance) = int8::calibrated(model)?;
        if let Some(folder) = save {
            let file = format!("{}-{form}.safetensors", self.arch.name);
            model.save(folder.join(file), Default::default())?;
        }
        let seconds = self.run(form, &model, floats.burn, &floats.embedding)?;
        let by = self.bench.level.name();
        let of_floats = seconds / floats.runtime;
        self.figure(by, &format!("runtime/{form}/of-floats"), of_floats, "int8 / floats");
        self.figure(by, &format!("runtime/{form}/distance"), distance, "cosine distance");
        Ok(())
    }
}

/// [`difference`] of embeddings that say something.
fn off(ours: &[f32], wanted: &[f32]) -> Result<f64> {
    let off = difference(ours, wanted);
    match off.is_finite() && wanted.iter().any(|&x| x != 0.0) {
        true => Ok(off),
        false => Err(Error::Undefined("the random weights give embeddings of zeros or NaN".into())),
    }
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
mod tests;
