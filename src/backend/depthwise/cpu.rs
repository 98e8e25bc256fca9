//! The kernel's gradient on f32 values in memory.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use rayon::prelude::*;

use crate::backend::flex::{contiguous, slice};
use crate::lanes::Lanes;

/// See [`super::DepthwiseOps::depthwise_weight_gradient`]. Channels run in parallel. Each is summed
/// in one order, whatever the number of threads.
pub(super) fn weight_gradient(
    x: FloatTensor<Flex>,
    dy: FloatTensor<Flex>,
    kernel: usize,
) -> FloatTensor<Flex> {
    let (x, dy) = (contiguous(x), contiguous(dy));
    let shape: Vec<usize> = dy.layout().shape().to_vec();
    let [batch, channels, mels, frames] = shape[..] else {
        panic!("depthwise wants four axes, not {shape:?}")
    };
    let (xs, dys) = (slice(&x), slice(&dy));
    let taps = kernel * kernel;
    let mut gradient = vec![0.0f32; channels * taps];
    gradient.par_chunks_mut(taps).enumerate().for_each(|(c, out)| {
        let mut sums = vec![0.0f64; taps];
        for b in 0..batch {
            let plane = (b * channels + c) * mels * frames;
            let (x, dy) = (&xs[plane..plane + mels * frames], &dys[plane..plane + mels * frames]);
            correlate(x, dy, frames, kernel, &mut sums);
        }
        out.iter_mut().zip(&sums).for_each(|(o, s)| *o = *s as f32);
    });
    FloatTensor::<Flex>::from_data(TensorData::new(gradient, [channels, 1, kernel, kernel]))
}

/// Adds, for every tap, the product of one plane of `dy` with the plane of `x` shifted by the tap.
fn correlate(x: &[f32], dy: &[f32], frames: usize, kernel: usize, sums: &mut [f64]) {
    let (pad, mels) = (kernel / 2, dy.len() / frames);
    for h in 0..mels {
        let dy = &dy[h * frames..(h + 1) * frames];
        for i in 0..kernel {
            // Output row h reads input row h + i - pad.
            let Some(row) = (h + i).checked_sub(pad).filter(|&r| r < mels) else { continue };
            let x = &x[row * frames..(row + 1) * frames];
            for j in 0..kernel {
                let from = pad.saturating_sub(j).min(frames);
                let to = (frames + pad).saturating_sub(j).min(frames).max(from);
                let x = &x[(from + j).saturating_sub(pad).min(frames)..];
                let sum = Lanes::<16>::sum2(&dy[from..to], &x[..to - from], |dy, x| dy * x);
                sums[i * kernel + j] += f64::from(sum);
            }
        }
    }
}
