//! Multiplications of a cascade, and of each model alone.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::named::Named;
use super::side::{Embedded, Side};
use crate::error::Result;
use crate::inference::WINDOW;
use crate::model_file::Header;

/// Mean multiply-accumulate operations a trial: of the small model alone, of the large one alone,
/// of both as a cascade. They are as many whatever the bits of weights.
pub(super) struct Costs {
    /// Every trial embeds its test recording anew. The enrollment's embeddings are known.
    pub anew: [f64; 3],
    /// Every recording of the list is embedded once by a model that needs it, and the embedding is
    /// kept. This is what the work cost, but for `--compare` and the choice of the band.
    pub kept: [f64; 3],
    /// Recordings that are embedded by the small model, and by the large one in the cascade.
    pub recordings: [usize; 2],
}

impl Costs {
    /// For trials whose recordings the small model has embedded, and of which these are unclear.
    ///
    /// # Errors
    /// Those of [`Architecture::account`](crate::zoo::Architecture::account).
    pub fn of(
        named: &Named,
        by_small: &Embedded,
        unclear: &[usize],
        [small, large]: [&Header; 2],
    ) -> Result<Self> {
        let (small, large) = (each(small, by_small)?, each(large, by_small)?);
        let trials = named.trials().len();
        let test = |trial: usize| by_small.row(named.sides(trial)[1]);
        let mean = |sum: f64| sum / trials as f64;
        let alone = |costs: &[f64]| mean((0..trials).map(|trial| costs[test(trial)]).sum());
        let more = mean(unclear.iter().map(|&trial| large[test(trial)]).sum());
        let once = |costs: &[f64]| mean(costs.iter().sum());
        let needed = named.used(unclear);
        let more_once = mean(needed.iter().map(|&place| large[by_small.row(place)]).sum());
        Ok(Self {
            anew: [alone(&small), alone(&large), alone(&small) + more],
            kept: [once(&small), once(&large), once(&small) + more_once],
            recordings: [small.len(), needed.len()],
        })
    }
}

/// Seconds of the recording by which two models are compared.
const SECONDS: usize = 3;

/// A warning if the small model multiplies as often as the large one, or more often.
///
/// # Errors
/// Those of [`Architecture::account`](crate::zoo::Architecture::account).
pub(super) fn swapped(models: [&Side; 2]) -> Result<Option<String>> {
    let mut macs = [0; 2];
    for (macs, model) in macs.iter_mut().zip(models) {
        let Header { arch, frontend, .. } = model.header();
        let frames = frontend.fbank.frames_of(SECONDS * frontend.fbank.sample_rate as usize);
        *macs = arch.account(frames.max(arch.least_frames()?))?.macs();
    }
    let [small, large] = macs;
    let what = match small.cmp(&large) {
        Ordering::Less => return Ok(None),
        Ordering::Equal => "as many multiplications as",
        Ordering::Greater => "more multiplications than",
    };
    let [small, large] = models.map(|model| model.path().display());
    let [few, many] = macs.map(|macs| macs as f64 / 1e9);
    Ok(Some(format!(
        "the small model {small} takes {what} the large one {large} ({few:.3} and {many:.3} \
         billion for {SECONDS} s): this cascade spares none; SMALL comes first in SMALL:LARGE"
    )))
}

/// The multiplications of each embedding by a model.
fn each(header: &Header, embedded: &Embedded) -> Result<Vec<f64>> {
    let fbank = &header.frontend.fbank;
    let (rate, least) = (f64::from(fbank.sample_rate), header.arch.least_frames()?);
    let longest = ((WINDOW * rate) as usize).max(1);
    // Many recordings have the same number of frames.
    let mut known: HashMap<usize, f64> = HashMap::new();
    let mut all = Vec::with_capacity(embedded.seconds().len());
    for seconds in embedded.seconds() {
        // Windows are cut as the embedder cuts them.
        let samples = (seconds * rate).round() as usize;
        let windows = samples.div_ceil(longest).max(1);
        let frames = fbank.frames_of(samples.div_ceil(windows)).max(least);
        let once = match known.get(&frames) {
            Some(once) => *once,
            None => {
                let once = header.arch.account(frames)?.macs() as f64;
                known.insert(frames, once);
                once
            }
        };
        all.push(windows as f64 * once);
    }
    Ok(all)
}
