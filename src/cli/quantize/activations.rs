//! Activations in bytes: ranges from the utterances of a calibration.

use std::path::PathBuf;

use clap::ValueEnum;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::audio::Level;
use crate::cli::embed::List;
use crate::cli::values::counted;
use crate::cli::{Global, check_heard};
use crate::error::{Error, Result};
use crate::infer::{Calibration, FloatLayer, Floats, calibrate};
use crate::inference::{Extractor, FAINT, Features};
use crate::model_file::Model;
use crate::progress::Progress;
use crate::quant::RangeMethod;
use crate::rng::Stream;
use crate::terminal::{errln, note};

/// Utterances that are calibrated on at most.
const UTTERANCES: usize = 64;
/// Fewer utterances than this tell little of the values that a model will meet.
const FEW: usize = 8;
/// Seconds of an utterance that are read at most.
const SECONDS: usize = 10;
/// Mean cosine distance, between embeddings in f32 and with activations in bytes, that `--floats
/// auto` lets pass.
const LIMIT: f64 = 0.005;

/// What activations become.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// Bytes.
    Int8,
}

/// Options of activations in bytes.
#[derive(Debug, clap::Args)]
pub(super) struct Calibrating {
    /// Convolutions compute in integers, on the backend flex: their weights are rounded to 8 bits
    /// when the model is read, and their activations have ranges that --calibrate finds. Without
    /// --method, --bits, --target-size, --recipe and --set the file's weights stay as they are,
    /// packed or not. The first convolution, pooling and the last layer compute in f32.
    #[arg(long, value_enum, value_name = "FORM", requires = "calibrate")]
    #[arg(conflicts_with = "pareto")]
    activations: Option<Form>,
    /// Utterances that the model will hear: a wav.scp, a folder of audio files, or a corpus. At
    /// most 64 of them are used, drawn under --seed, and 10 s of each.
    #[arg(long, value_name = "AUDIO", requires = "activations")]
    calibrate: Option<PathBuf>,
    /// How a range is found: all values but a small part at either end (percentile, the default),
    /// or least squared error (mse).
    #[arg(long, value_enum, value_name = "METHOD", requires = "activations")]
    range: Option<RangeMethod>,
    /// Layers that compute in f32, by the names of their weights. `none`: no more than must.
    /// `auto`, the default: those that cost most, until embeddings are within a cosine distance of
    /// 0.005.
    #[arg(long, value_name = "LAYERS", value_delimiter = ',', requires = "activations")]
    floats: Vec<String>,
    /// Channel, from 0, to read of every file of --calibrate. Files of several channels need it.
    #[arg(long, requires = "calibrate")]
    channel: Option<usize>,
}

impl Calibrating {
    /// The utterances of the calibration, if activations become bytes.
    ///
    /// # Errors
    /// Those of [`List::of_path`].
    pub fn list(&self) -> Result<Option<List>> {
        self.activations.and(self.calibrate.as_deref()).map(List::of_path).transpose()
    }

    /// Reads the utterances of a list.
    ///
    /// # Errors
    /// An utterance that cannot be read, is silent or shorter than the network takes.
    pub fn read(&self, list: &List, model: &Model, global: &Global) -> Result<Calibrator> {
        let seed = global.seed.unwrap_or(0);
        let mut places = Stream::new(seed, "calibration", &[]).sample(list.len(), UTTERANCES);
        places.sort_unstable();
        if places.len() < list.len() {
            let (some, all) = (places.len(), counted(list.len(), "utterance"));
            note!("the calibration is on {some} of {all}, drawn under seed {seed}");
        }
        let frontend = Extractor::new(&model.header.frontend)?;
        let frontend = frontend.at_least(model.network.least_frames());
        let read = |&place: &usize| utterance(list, place, &frontend, self.channel);
        let read: Vec<Result<(Features, f64)>> = places.par_iter().map(read).collect();
        // The first error in the list's order, whichever thread met one first.
        let read = read.into_iter().collect::<Result<Vec<_>>>()?;
        let (utterances, levels): (Vec<Features>, Vec<f64>) = read.into_iter().unzip();
        if places.len() < FEW {
            let count = counted(places.len(), "utterance");
            errln!("warning: the calibration is on {count}; {FEW} or more find safer ranges");
        }
        let faint: Vec<usize> = (0..levels.len()).filter(|&i| levels[i] < FAINT).collect();
        if let Some(&first) = faint.first() {
            let (count, name) = (counted(faint.len(), "utterance"), list.shown(places[first]));
            let below = -levels[first];
            errln!(
                "warning: the calibration has {count} of very faint audio, first {name}, \
                 {below:.0} dB below full scale"
            );
        }
        let ids = places.iter().map(|&place| list.id(place).to_owned()).collect();
        let (method, floats) = (self.range.unwrap_or_default(), self.floats());
        Ok(Calibrator { utterances, ids, method, floats, quiet: global.quiet })
    }

    /// What `--floats` means.
    fn floats(&self) -> Floats {
        let names: Vec<&str> = self.floats.iter().map(String::as_str).collect();
        match names[..] {
            [] | ["auto"] => Floats::Auto { limit: LIMIT },
            ["none"] => Floats::None,
            _ => Floats::Named(self.floats.clone()),
        }
    }
}

/// The features of an utterance's beginning, and its level in dB relative to full scale.
///
/// # Errors
/// An utterance that cannot be read, is silent or shorter than the network takes.
fn utterance(
    list: &List,
    place: usize,
    frontend: &Extractor,
    channel: Option<usize>,
) -> Result<(Features, f64)> {
    let rate = frontend.fbank().config().sample_rate;
    let read = || {
        let mut source = list.open(place, rate, channel)?;
        let samples = source.read(SECONDS * rate as usize)?;
        let path = source.path();
        let level = Level::of(&samples);
        check_heard(path, level.is_silent(), "the calibration")?;
        let features = frontend.features(&samples, None);
        let features = features.map_err(|e| e.retold(|text| Error::file(path, text)))?;
        Ok((features, 20.0 * level.rms().log10()))
    };
    read().map_err(|e| list.at(place, e, false))
}

/// A calibration before it begins.
pub(super) struct Calibrator {
    utterances: Vec<Features>,
    /// Their ids.
    ids: Vec<String>,
    method: RangeMethod,
    floats: Floats,
    quiet: bool,
}

/// What a calibration found, and for which model.
pub(super) struct Calibrated {
    made: Calibration,
    /// The id of the utterance with the largest distance.
    utterance: String,
    /// Whether the model's weights are packed.
    is_packed: bool,
}

impl Calibrator {
    /// Gives a model the ranges of its activations.
    ///
    /// # Errors
    /// Those of [`calibrate`]; a model of which no layer is left that computes in integers.
    pub fn calibrate(&self, model: &mut Model) -> Result<Calibrated> {
        model.header.activations = None;
        let (mut bar, mut before) = (None, 0);
        let mut progress = |done: usize, all: usize| {
            let bar = bar.get_or_insert_with(|| Progress::new("calibrating", all, self.quiet));
            bar.add(done.saturating_sub(before));
            before = done;
        };
        let made = calibrate(model, &self.utterances, self.method, &self.floats, &mut progress)?;
        if made.activations.layers.is_empty() {
            return Err(Error::invalid(match made.floats.is_empty() {
                true => "the network has no layer that could compute in integers",
                false => {
                    "no layer is left that computes in integers; --floats none leaves all of them, \
                     whatever they cost"
                }
            }));
        }
        made.activations.check().map_err(Error::Invalid)?;
        model.header.activations = Some(made.activations.clone());
        let utterance = self.ids[made.largest.0].clone();
        Ok(Calibrated { made, utterance, is_packed: !model.header.quantization.is_empty() })
    }
}

/// What a calibration found, beside what `info` tells of a model.
pub(super) fn as_json(calibrated: &Calibrated) -> Value {
    let made = &calibrated.made;
    let layer = |l: &FloatLayer| json!({"name": l.name, "cost": l.cost});
    let floats: Vec<Value> = made.floats.iter().map(layer).collect();
    json!({
        "cosine_distance": made.cosine_distance,
        "largest_cosine_distance": made.largest.1,
        "utterance": calibrated.utterance,
        "floats": floats,
    })
}

/// The same in lines: the layers that stay f32, then the sum.
pub(super) fn lines(calibrated: &Calibrated) -> Vec<String> {
    let Calibrated { made, utterance, is_packed } = calibrated;
    let layer = |l: &FloatLayer| {
        format!("{:40} f32; alone in integers it costs a cosine distance of {:.1e}", l.name, l.cost)
    };
    let mut lines: Vec<String> = made.floats.iter().map(layer).collect();
    let activations = &made.activations;
    lines.push(format!(
        "activations of {} in {} bits (ranges by {}, {})",
        counted(activations.layers.len(), "layer"),
        activations.bits,
        activations.method.name(),
        counted(activations.utterances, "utterance")
    ));
    let other = match is_packed {
        true => "the same weights with f32 activations",
        false => "f32",
    };
    lines.push(format!(
        "cosine distance to {other}, on these utterances: mean {:.1e}, largest {:.1e} \
         ({utterance})",
        made.cosine_distance, made.largest.1
    ));
    lines
}
