//! Features of a list of recordings, by several threads, in the order of the list.

use rayon::prelude::*;

use super::Args;
use crate::audio::{Fbank, subtract_mean};
use crate::cli::Global;
use crate::cli::embed::{LeftOut, List, Warnings};
use crate::cli::remedy::told;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::rng::{Stream, fnv1a64};
use crate::terminal::errln;

/// Takes the id of an utterance and its features `[frames, mels]`.
pub(super) type Taker<'a> = dyn FnMut(&str, Vec<f32>) -> Result<()> + 'a;

/// The work on a list.
pub(super) struct Work<'a> {
    pub args: &'a Args,
    pub list: &'a List,
    pub fbank: &'a Fbank,
    /// Seed of the dither.
    pub seed: u64,
}

/// What was done.
#[derive(Default)]
pub(super) struct Done {
    pub files: usize,
    pub frames: usize,
    pub left_out: LeftOut,
}

impl Work<'_> {
    /// Computes the features of all recordings. The threads hold two recordings each at most, so
    /// the length of the list costs no memory here.
    ///
    /// # Errors
    /// A recording that cannot be read, unless such ones may be left out; none that could be read;
    /// those of `take`.
    pub fn run(&self, global: &Global, take: &mut Taker) -> Result<Done> {
        let (list, mut done, mut warnings) = (self.list, Done::default(), Warnings::default());
        let mut progress = Progress::new("fbank", list.len(), global.quiet);
        let at_once = 2 * rayon::current_num_threads();
        for first in (0..list.len()).step_by(at_once) {
            let wave = first..list.len().min(first + at_once);
            let computed: Vec<Result<(Vec<f32>, Option<String>)>> =
                wave.clone().into_par_iter().map(|place| self.features(place)).collect();
            for (place, computed) in wave.zip(computed) {
                progress.add(1);
                match computed.map_err(|e| list.at(place, e, false)) {
                    Ok((features, warning)) => {
                        if let Some(warning) = warning {
                            warnings.add(&format!("{}: {warning}", list.shown(place)));
                        }
                        done.files += 1;
                        done.frames += features.len() / self.args.mels;
                        take(list.id(place), features)?;
                    }
                    Err(e) if self.args.skip_errors => {
                        done.left_out.add(list.id(place), &told(&e));
                    }
                    Err(e) if list.len() > 1 => {
                        return Err(e.and("--skip-errors leaves out what cannot be read"));
                    }
                    Err(e) => return Err(e),
                }
            }
        }
        if done.files == 0 {
            // This list alone has all reasons.
            if let Some(skipped) = &self.args.skipped {
                done.left_out.write(skipped)?;
            }
            return Err(Error::Undefined(format!("none of {} files could be read", list.len())));
        }
        let unprinted = warnings.unprinted();
        if unprinted > 0 {
            errln!("warning: {unprinted} more warnings of recordings");
        }
        Ok(done)
    }

    /// The features of the recording at a place, and a warning about it. They do not depend on the
    /// other recordings.
    fn features(&self, place: usize) -> Result<(Vec<f32>, Option<String>)> {
        let Args { sample_rate, channel, cmn, mels, .. } = *self.args;
        let mut source = self.list.open(place, sample_rate, channel)?;
        let id = self.list.id(place);
        let mut noise = Stream::new(self.seed, "dither", &[fnv1a64(id.as_bytes())]);
        let mut features = self.fbank.features_of(&mut source, Some(&mut noise))?;
        if cmn {
            subtract_mean(&mut features, mels);
        }
        Ok((features, source.narrowband_warning()))
    }
}
