//! Filter banks as operations on tensors, for training on GPUs.
//!
//! The steps are those of [`Fbank`], in its order and in f32. Only the spectrum is computed in
//! another way, as a product with cosines and sines. Mean, pre-emphasis and window are no part of
//! that product, though they are linear, too: speech is loudest at low frequencies, which the first
//! two remove, and the rounding errors of a product grow with all that goes into it.
//!
//! So the logarithms differ from the processor's by less than 1e-4 in the filters whose output is
//! at most 40 dB below the frame's loudest. Further down the difference grows as the amplitude
//! falls. The processor's FFT is as far off there: it rounds to f32, too.

mod exact;
#[cfg(test)]
mod tests;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use self::exact::exact;
use crate::audio::{Dither, Fbank, FbankConfig};
use crate::backend::lasting;
use crate::error::{Error, Result};
use crate::model_file::Frontend;

/// Frames computed at a time: 13 MB of samples in frames of 25 ms at 16 kHz.
const AT_ONCE: usize = 8192;
/// Most samples of a frame: their cosines and sines take 64 MiB.
const LONGEST: usize = 4096;

/// The front-end of a model on a device.
pub struct DeviceExtractor {
    config: FbankConfig,
    cmn: bool,
    device: Device,
    /// `[1, length, 1]`.
    window: Tensor<3>,
    /// Cosines, then sines, of the bins that filters use: `[2 * bins, length, 1]`.
    waves: Tensor<3>,
    /// `[mels, bins, 1]`.
    filters: Tensor<3>,
    /// The numbers of [`Dither`], where the settings ask for it.
    noise: Option<Tensor<1>>,
}

impl DeviceExtractor {
    /// Refuses settings that only the processor computes.
    ///
    /// # Errors
    /// Frames that reach beyond the audio (`snip_edges = false`), and frames of more than 4096
    /// samples.
    pub fn check(frontend: &Frontend) -> Result<()> {
        let config = &frontend.fbank;
        let length = config.frame_length();
        let what = match config.snip_edges {
            false => "snip_edges = false".to_owned(),
            true if length > LONGEST => format!("frames of {length} samples, {LONGEST} at most"),
            true => return Ok(()),
        };
        Err(Error::invalid(format!(
            "fbank: {what}: the processor computes such features, a device does not"
        )))
    }

    /// Prepares the tables.
    ///
    /// # Errors
    /// Those of [`Fbank::new`] and of [`DeviceExtractor::check`].
    pub fn new(frontend: &Frontend, device: &Device) -> Result<Self> {
        Self::check(frontend)?;
        let fbank = Fbank::new(frontend.fbank.clone())?;
        let config = fbank.config().clone();
        let (length, padded) = (config.frame_length(), config.frame_length().next_power_of_two());
        let device = device.clone().inner();
        let constant = |values: Vec<f32>, shape: [usize; 3]| {
            let data = TensorData::new(values, shape);
            lasting(Tensor::<3>::from_data(data, (&device, DType::F32)))
        };
        let first = fbank.filters().map(|(first, _)| first).min().unwrap_or(0);
        let end = fbank.filters().map(|(first, weights)| first + weights.len()).max().unwrap_or(0);
        let bins = end - first;
        let wave = |function: fn(f64) -> f64| {
            (first..end).flat_map(move |bin| {
                (0..length).map(move |i| {
                    // Whole turns are left out before anything is rounded.
                    let turn = (bin * i % padded) as f64 / padded as f64;
                    function(std::f64::consts::TAU * turn) as f32
                })
            })
        };
        let waves = wave(f64::cos).chain(wave(f64::sin)).collect();
        let mut filters = vec![0.0f32; config.mels * bins];
        for (row, (begin, weights)) in filters.chunks_exact_mut(bins).zip(fbank.filters()) {
            row[begin - first..][..weights.len()].copy_from_slice(weights);
        }
        Ok(Self {
            window: constant(config.window.values(length), [1, length, 1]),
            waves: constant(waves, [2 * bins, length, 1]),
            filters: constant(filters, [config.mels, bins, 1]),
            noise: (config.dither > 0.0).then(|| {
                let numbers = Dither::table().to_vec();
                let count = numbers.len();
                constant(numbers, [1, 1, count]).reshape([count])
            }),
            cmn: frontend.cmn,
            config,
            device,
        })
    }

    /// Features `[batch, frames, mels]` of samples `[batch, samples]` (full scale 1). The mean is
    /// subtracted where the front-end does so. `dither` holds the offset of each frame's noise
    /// `[batch, frames]`, as [`Dither::offsets`] draws them. Without it, and where the settings ask
    /// for no dither, there is none.
    ///
    /// Features have no gradient. They are on a device with autodiff if the samples are.
    ///
    /// Nothing is checked: samples that are not finite, or so large that their spectrum overflows
    /// f32, give features that are not finite.
    ///
    /// # Panics
    /// If the samples are fewer than those of one frame, or the offsets are not those of the
    /// frames.
    pub fn features(&self, samples: Tensor<2>, dither: Option<Tensor<2, Int>>) -> Tensor<3> {
        let frames = self.config.frames_of(samples.dims()[1]);
        self.in_parts(samples, dither, (AT_ONCE / frames.max(1)).max(1))
    }

    /// [`DeviceExtractor::features`] of so many utterances at a time.
    fn in_parts(
        &self,
        samples: Tensor<2>,
        dither: Option<Tensor<2, Int>>,
        utterances: usize,
    ) -> Tensor<3> {
        let [batch, count] = samples.dims();
        let frames = self.config.frames_of(count);
        assert!(frames > 0, "{count} samples are shorter than one frame");
        if let Some(dither) = &dither {
            assert_eq!(dither.dims(), [batch, frames], "an offset for each frame");
        }
        let on_tape = samples.is_autodiff();
        let mut offsets =
            dither.map(|offsets| offsets.inner().split(utterances, 0)).into_iter().flatten();
        let parts = samples.inner().cast(DType::F32).split(utterances, 0);
        let parts: Vec<_> =
            parts.into_iter().map(|samples| self.part(samples, offsets.next())).collect();
        let features = Tensor::cat(parts, 0);
        if on_tape { features.autodiff() } else { features }
    }

    fn part(&self, samples: Tensor<2>, offsets: Option<Tensor<2, Int>>) -> Tensor<3> {
        let frames = self.shaped(self.frames(samples, offsets));
        let power = power(exact(self.waves.clone(), frames));
        let spectrum = if self.config.power { power } else { power.sqrt() };
        let mels = exact(self.filters.clone(), spectrum);
        let values = if self.config.log {
            // The larger of two numbers would turn NaN into the floor.
            let low = mels.clone().lower_elem(Fbank::FLOOR);
            mels.mask_fill(low, Fbank::FLOOR).log()
        } else {
            mels
        };
        let values = if self.cmn { centred(values, 2) } else { values };
        values.swap_dims(1, 2)
    }

    /// Samples at their scale with their noise, `[batch, length, frames]`.
    fn frames(&self, samples: Tensor<2>, offsets: Option<Tensor<2, Int>>) -> Tensor<3> {
        let [batch, count] = samples.dims();
        let (length, shift) = (self.config.frame_length(), self.config.frame_shift());
        let frames = self.config.frames_of(count);
        let within = Tensor::<1, Int>::arange(0..length as i64, &self.device);
        let starts = Tensor::<1, Int>::arange(0..frames as i64, &self.device) * shift as i64;
        let within: Tensor<2, Int> = within.reshape([length, 1]);
        let starts: Tensor<2, Int> = starts.reshape([1, frames]);
        let x = samples.select(1, (within + starts).reshape([length * frames]));
        let x: Tensor<3> = x.reshape([batch, length, frames]);
        let x = x * self.config.scale as f32;
        let (Some(offsets), Some(noise)) = (offsets, &self.noise) else { return x };
        let within = Tensor::<1, Int>::arange(0..length as i64, (&self.device, offsets.dtype()));
        let within: Tensor<3, Int> = within.reshape([1, length, 1]);
        let offsets: Tensor<3, Int> = offsets.reshape([batch, 1, frames]);
        let places = (within + offsets).reshape([batch * length * frames]);
        let noise: Tensor<3> = noise.clone().select(0, places).reshape([batch, length, frames]);
        x + noise * self.config.dither as f32
    }

    /// Mean removal, pre-emphasis and window, `[batch, length, frames]`.
    fn shaped(&self, frames: Tensor<3>) -> Tensor<3> {
        let x = if self.config.remove_dc_offset { centred(frames, 1) } else { frames };
        let coefficient = self.config.preemphasis;
        let x = if coefficient == 0.0 {
            x
        } else {
            let last = x.dims()[1] - 1;
            let previous = vec![x.clone().narrow(1, 0, 1), x.clone().narrow(1, 0, last)];
            x - Tensor::cat(previous, 1) * coefficient
        };
        x * self.window.clone()
    }
}

/// The values without their mean along an axis. A sum of large values loses digits, so the mean of
/// what is left is added to the mean.
fn centred(x: Tensor<3>, axis: usize) -> Tensor<3> {
    let count = x.dims()[axis] as f32;
    let rough = x.clone().sum_dim(axis) / count;
    let missed = (x.clone() - rough.clone()).sum_dim(axis) / count;
    x - (rough + missed)
}

/// The power of each bin, `[batch, bins, frames]`, from its two parts, `[batch, 2 * bins, frames]`.
fn power(parts: Tensor<3>) -> Tensor<3> {
    let bins = parts.dims()[1] / 2;
    let (real, imaginary) = (parts.clone().narrow(1, 0, bins), parts.narrow(1, bins, bins));
    real.clone() * real + imaginary.clone() * imaginary
}
