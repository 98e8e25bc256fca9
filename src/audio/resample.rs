//! Sample-rate conversion through `rubato`'s synchronous FFT resampler. The quality is fixed, since
//! scores depend on it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Display;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler};

use crate::error::{Error, Result};

/// Fewest frames per resampler call. The filter is as long as a call, so the number decides the
/// quality.
const CHUNK: usize = 1024;

/// Largest sample whose spectrum stays finite, with room to spare. Full scale is 1.
const LOUDEST: f32 = 1e30;

/// Most frames of a block. The filter's memory grows with the block, and a file's header must not
/// decide over memory. Usual rates stay far below: 22254 Hz to 16 kHz takes 22254.
const LONGEST: usize = 3 << 17;

/// Most resamplers that a thread keeps.
const KEPT: usize = 4;

/// A resampler with the rates that it is made for.
type Made = ((u32, u32), Fft<f32>);

thread_local! {
    /// Resamplers of [`resample`] and their rates. Making one takes longer than a crop.
    static KEPT_HERE: RefCell<Vec<Made>> = const { RefCell::new(Vec::new()) };
}

/// A resampler that was kept, as if it were new.
fn kept(rates: (u32, u32)) -> Option<Fft<f32>> {
    KEPT_HERE.with_borrow_mut(|all| {
        let place = all.iter().position(|(of, _)| *of == rates)?;
        let mut resampler = all.swap_remove(place).1;
        resampler.reset();
        Some(resampler)
    })
}

fn keep(rates: (u32, u32), resampler: Fft<f32>) {
    KEPT_HERE.with_borrow_mut(|all| {
        all.truncate(KEPT - 1);
        all.push((rates, resampler));
    });
}

/// Converts samples from one rate to another, Hz. The result has `round(len * to / from)` samples
/// and no delay.
///
/// # Errors
/// A rate that no audio has; rates whose common divisor is too small; samples that are too large or
/// no numbers.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>> {
    if from == to || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    refuse_loud(samples, 0, from, to)?;
    let mut resampler = match kept((from, to)) {
        Some(resampler) => resampler,
        None => prepare(from, to)?,
    };
    let input =
        InterleavedSlice::new(samples, 1, samples.len()).map_err(|e| failed(from, to, e))?;
    let output =
        resampler.process_all(&input, samples.len(), None).map_err(|e| failed(from, to, e))?;
    keep((from, to), resampler);
    let mut output = output.take_data();
    output.resize(resampled_length(samples.len(), from, to), 0.0);
    Ok(output)
}

/// Number of samples after resampling.
pub(super) fn resampled_length(samples: usize, from: u32, to: u32) -> usize {
    (samples as f64 * f64::from(to) / f64::from(from)).round() as usize
}

fn failed(from: u32, to: u32, why: impl Display) -> Error {
    Error::invalid(format!("cannot resample from {from} Hz to {to} Hz: {why}"))
}

/// Refuses samples over which the resampler would panic: those that are too large or no numbers.
/// `before` counts the samples in front of these.
fn refuse_loud(samples: &[f32], before: usize, from: u32, to: u32) -> Result<()> {
    match samples.iter().position(|x| x.is_nan() || x.abs() > LOUDEST) {
        None => Ok(()),
        Some(i) => {
            let why = if samples[i].is_nan() { "not a number" } else { "which is too large" };
            Err(failed(from, to, format!("sample {} is {:e}, {why}", before + i, samples[i])))
        }
    }
}

/// Whether audio can have a rate. Outside this range the header must be wrong.
pub(super) fn is_rate(rate: u32) -> bool {
    (1000..=768_000).contains(&rate)
}

fn prepare(from: u32, to: u32) -> Result<Fft<f32>> {
    if !is_rate(from) {
        return Err(failed(from, to, "not a rate of audio"));
    }
    // A call must hold an even number of the smallest blocks (from/gcd frames). The delay, half a
    // call, is then a whole number of frames at both rates. An odd number of blocks would shift the
    // result by half a frame.
    let block = 2 * (from / gcd(from, to)) as usize;
    if block > LONGEST {
        return Err(failed(
            from,
            to,
            format!("the rates have no common divisor above {}", gcd(from, to)),
        ));
    }
    let chunk = block * CHUNK.div_ceil(block);
    Fft::new(from as usize, to as usize, chunk, 1, FixedSync::Both).map_err(|e| failed(from, to, e))
}

/// [`resample`] for samples that come in pieces. The results in a row are, to the bit, that of the
/// whole.
pub(super) struct Resampling {
    from: u32,
    to: u32,
    /// Made with the first samples.
    resampler: Option<Fft<f32>>,
    /// Samples that do not fill a call yet.
    waiting: Vec<f32>,
    /// Buffer for the result of a call.
    output: Vec<f32>,
    /// Number of samples that came in.
    taken: usize,
    /// Number of samples that went out.
    given: usize,
    /// Number of samples left out so far, because the delay comes first.
    dropped: usize,
}

impl Resampling {
    /// A conversion from one rate to another.
    pub fn new(from: u32, to: u32) -> Self {
        let (waiting, output) = (Vec::new(), Vec::new());
        Self { from, to, resampler: None, waiting, output, taken: 0, given: 0, dropped: 0 }
    }

    /// Takes the next samples and appends those at the new rate to `out`. With `is_last`, also all
    /// that are still to come.
    ///
    /// # Errors
    /// Those of [`resample`].
    pub fn push(&mut self, samples: &[f32], is_last: bool, out: &mut Vec<f32>) -> Result<()> {
        let (from, to) = (self.from, self.to);
        refuse_loud(samples, self.taken, from, to)?;
        self.taken += samples.len();
        self.waiting.extend_from_slice(samples);
        let made = match self.resampler.take() {
            Some(resampler) => resampler,
            None if self.taken == 0 => return Ok(()),
            None => prepare(from, to)?,
        };
        let resampler = self.resampler.insert(made);
        let (call, delay) = (resampler.input_frames_next(), resampler.output_delay());
        self.output.resize(resampler.output_frames_max(), 0.0);
        let most = if is_last { resampled_length(self.taken, from, to) } else { usize::MAX };
        let mut at = 0;
        // Zeros follow the last samples until the delay is made up for.
        while self.waiting.len() - at >= call || is_last && self.given < most {
            let count = call.min(self.waiting.len() - at);
            let place = Indexing::new().input_offset(at).partial_len(count);
            let input = InterleavedSlice::new(self.waiting.as_slice(), 1, self.waiting.len());
            let input = input.map_err(|e| failed(from, to, e))?;
            let length = self.output.len();
            let output = InterleavedSlice::new_mut(self.output.as_mut_slice(), 1, length);
            let mut output = output.map_err(|e| failed(from, to, e))?;
            let made = resampler.process_into_buffer(&input, &mut output, Some(&place));
            let (_, made) = made.map_err(|e| failed(from, to, e))?;
            at += count;
            let late = made.min(delay - self.dropped);
            self.dropped += late;
            let end = made.min(late.saturating_add(most - self.given));
            out.extend_from_slice(&self.output[late..end]);
            self.given += end - late;
        }
        self.waiting.drain(..at);
        Ok(())
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Speed perturbation as in sox's `speed`: the same samples played `factor` times as fast, so pitch
/// and tempo change together.
///
/// # Errors
/// Those of [`resample`]: a factor below 0.1 or above 76.8, and samples that are too large or no
/// numbers.
pub fn speed(samples: &[f32], factor: f64) -> Result<Cow<'_, [f32]>> {
    if factor == 1.0 {
        return Ok(Cow::Borrowed(samples));
    }
    // Rates in a small ratio keep the FFT short; 0.9 is 9/10, 1.1 is 11/10.
    let from = (factor * 10_000.0).round() as u32;
    Ok(Cow::Owned(resample(samples, from, 10_000)?))
}

#[cfg(test)]
mod tests;
