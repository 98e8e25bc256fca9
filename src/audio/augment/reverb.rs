//! Reverberation: convolution with a room impulse response of unit energy, as WeSpeaker's
//! `processor.py` does it.
//!
//! Samples and response are cut into blocks of one length. The spectra of the response's blocks are
//! computed once; each block of samples costs two transforms, however long the response is.

use std::cell::RefCell;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Fewest and most samples of a block.
const BLOCK: [usize; 2] = [256, 8192];

type Plans = (Arc<dyn RealToComplex<f32>>, Arc<dyn ComplexToReal<f32>>);

thread_local! {
    static PLANNER: RefCell<RealFftPlanner<f32>> = RefCell::new(RealFftPlanner::new());
}

/// Transforms of this length and back. A thread plans them once.
fn plans(length: usize) -> Plans {
    PLANNER.with_borrow_mut(|planner| {
        (planner.plan_fft_forward(length), planner.plan_fft_inverse(length))
    })
}

/// A room impulse response that can be applied many times.
pub struct Response {
    /// Samples of a block.
    block: usize,
    /// Spectra of the response's blocks, each of which is padded to twice its length. A silent
    /// response has none.
    spectra: Vec<Complex32>,
}

impl Response {
    /// Prepares a response. It is scaled to unit energy; then the part before its largest value is
    /// cut off, so the direct sound keeps its place.
    pub fn new(samples: &[f32]) -> Self {
        let taps = samples.len() - peak(samples);
        Self::in_blocks(samples, taps.next_power_of_two().clamp(BLOCK[0], BLOCK[1]))
    }

    fn in_blocks(samples: &[f32], block: usize) -> Self {
        let energy: f64 = samples.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        if energy == 0.0 {
            return Self { block, spectra: Vec::new() };
        }
        let (forward, _) = plans(2 * block);
        // Transforms forth and back multiply by their length.
        let scale = (1.0 / energy.sqrt()) as f32 / (2 * block) as f32;
        let taps = &samples[peak(samples)..];
        let mut spectra = Vec::with_capacity(taps.len().div_ceil(block) * (block + 1));
        let (mut frame, mut spectrum) = (forward.make_input_vec(), forward.make_output_vec());
        let mut scratch = forward.make_scratch_vec();
        for part in taps.chunks(block) {
            frame[..part.len()].copy_from_slice(part);
            frame[part.len()..].fill(0.0);
            forward
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                .expect("buffers of the plan's length");
            spectra.extend(spectrum.iter().map(|&bin| bin * scale));
        }
        Self { block, spectra }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(self.spectra.as_slice())
    }

    /// Convolves samples with the response and keeps the first `samples.len()` values. A silent
    /// response changes nothing.
    pub fn apply(&self, samples: &mut [f32]) {
        let bins = self.block + 1;
        let parts = (self.spectra.len() / bins).min(samples.len().div_ceil(self.block));
        if parts == 0 {
            return;
        }
        let (forward, inverse) = plans(2 * self.block);
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        let mut scratch = vec![Complex32::default(); scratch];
        let (mut frame, mut sum) = (forward.make_input_vec(), forward.make_output_vec());
        // Spectra of the last blocks, as many as the response has parts.
        let mut past = vec![Complex32::default(); parts * bins];
        // What the blocks so far add to the next one.
        let mut tail = vec![0.0f32; self.block];
        for (number, block) in samples.chunks_mut(self.block).enumerate() {
            frame[..block.len()].copy_from_slice(block);
            frame[block.len()..].fill(0.0);
            let newest = &mut past[number % parts * bins..][..bins];
            forward
                .process_with_scratch(&mut frame, newest, &mut scratch)
                .expect("buffers of the plan's length");
            sum.fill(Complex32::default());
            for (age, response) in self.spectra.chunks_exact(bins).take(parts).enumerate() {
                if age > number {
                    break;
                }
                let block = &past[(number - age) % parts * bins..][..bins];
                for ((s, &b), &r) in sum.iter_mut().zip(block).zip(response) {
                    *s += b * r;
                }
            }
            // The first and the last bin of a real signal's spectrum are real. Overflow leaves
            // imaginary parts there, which the inverse would refuse.
            sum[0].im = 0.0;
            sum[bins - 1].im = 0.0;
            inverse
                .process_with_scratch(&mut sum, &mut frame, &mut scratch)
                .expect("buffers of the plan's length");
            let (now, later) = frame.split_at(self.block);
            for ((x, n), t) in block.iter_mut().zip(now).zip(&tail) {
                *x = n + t;
            }
            tail.copy_from_slice(later);
        }
    }
}

/// The place of the largest value, either sign.
fn peak(samples: &[f32]) -> usize {
    let values = samples.iter().enumerate();
    values.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).map_or(0, |(i, _)| i)
}

/// Convolves `samples` with `response`, once: see [`Response`].
pub fn reverberate(samples: &mut [f32], response: &[f32]) {
    Response::new(response).apply(samples);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// Convolution as it is defined.
    fn direct(signal: &[f32], response: &[f32]) -> Vec<f32> {
        let norm = response.iter().map(|&r| f64::from(r).powi(2)).sum::<f64>().sqrt();
        let taps = &response[peak(response)..];
        (0..signal.len())
            .map(|t| {
                let taps = taps.iter().zip(signal[..=t].iter().rev());
                (taps.map(|(&r, &x)| f64::from(r) * f64::from(x)).sum::<f64>() / norm) as f32
            })
            .collect()
    }

    fn assert_close(found: &[f32], wanted: &[f32], what: &str) {
        assert_eq!(found.len(), wanted.len());
        for (t, (a, b)) in found.iter().zip(wanted).enumerate() {
            assert!((a - b).abs() < 1e-5, "{what}: sample {t} is {a} instead of {b}");
        }
    }

    /// A decaying response with a few samples in front of the direct sound.
    fn response(taps: usize, draw: &mut Stream) -> Vec<f32> {
        let decay = 0.001f64.powf(1.0 / taps as f64);
        let mut response: Vec<f32> =
            (0..taps).map(|i| (0.3 * draw.normal() * decay.powi(i as i32)) as f32).collect();
        response[taps.min(7) - 1] = -2.0;
        response
    }

    #[test]
    fn equals_direct_convolution() {
        let mut draw = Stream::new(1, "test", &[]);
        for (length, taps, block) in [
            (300, 40, 256),
            (1, 1, 4),
            (1, 50, 16),
            (64, 64, 64),
            (65, 129, 64),
            (3000, 1000, 256),
            (1000, 3000, 128),
            (2047, 513, 128),
        ] {
            let signal: Vec<f32> = (0..length).map(|_| 0.3 * draw.normal() as f32).collect();
            let response = response(taps, &mut draw);
            let wanted = direct(&signal, &response);
            let what = format!("{length} samples, {taps} taps, blocks of {block}");
            let mut wet = signal.clone();
            Response::in_blocks(&response, block).apply(&mut wet);
            assert_close(&wet, &wanted, &what);
            let mut wet = signal.clone();
            reverberate(&mut wet, &response);
            assert_close(&wet, &wanted, &what);
        }
    }

    #[test]
    fn a_crop_in_a_large_room_equals_direct_convolution() {
        let mut draw = Stream::new(2, "test", &[]);
        let mut signal: Vec<f32> = (0..20_000).map(|_| 0.3 * draw.normal() as f32).collect();
        let response = response(9000, &mut draw);
        let wanted = direct(&signal, &response);
        let ready = Response::new(&response);
        assert_eq!((ready.block, ready.bytes()), (8192, 2 * 8193 * 8));
        ready.apply(&mut signal);
        assert_close(&signal, &wanted, "9000 taps");
    }

    #[test]
    fn an_impulse_changes_nothing() {
        let signal: Vec<f32> = (0..100).map(|i| (i as f32).sin()).collect();
        let mut same = signal.clone();
        reverberate(&mut same, &[0.0, 0.0, 0.3]);
        assert!(same.iter().zip(&signal).all(|(a, b)| (a - b).abs() < 1e-6));
        reverberate(&mut same, &[0.0; 5]);
        reverberate(&mut same, &[]);
        assert!(same.iter().zip(&signal).all(|(a, b)| (a - b).abs() < 1e-6));
        reverberate(&mut [], &[1.0, 0.5]);
    }

    #[test]
    fn samples_that_overflow_do_not_panic() {
        let mut samples = vec![3e38f32; 1000];
        reverberate(&mut samples, &[1.0, -0.5, 0.25]);
        assert_eq!(samples.len(), 1000);
    }
}
