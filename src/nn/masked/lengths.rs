//! Where utterances of several lengths end.

use burn::tensor::{Device, Tensor, TensorData};

use super::{Masked, Padded};

/// How long each utterance of a batch is, at one resolution.
#[derive(Debug)]
pub(super) struct Lengths {
    pub(super) each: Vec<usize>,
    /// Frames of the tensors.
    frames: usize,
    /// `[batch, frames]`: 1 for an utterance's own frames, 0 behind them.
    mask: Tensor<2>,
}

impl Masked {
    /// The place of these lengths in tensors of so many frames.
    pub(super) fn place(&mut self, each: Vec<usize>, frames: usize, device: &Device) -> usize {
        let same = |known: &Lengths| known.each == each && known.frames == frames;
        if let Some(place) = self.all.iter().position(same) {
            return place;
        }
        let row = |&length: &usize| (0..frames).map(move |t| f32::from(t < length));
        let mask = TensorData::new(each.iter().flat_map(row).collect(), [each.len(), frames]);
        let mask = Tensor::from_data(mask, device);
        self.all.push(Lengths { each, frames, mask });
        self.all.len() - 1
    }

    /// The place of lengths behind an operation, which made a tensor of so many frames. `of` says
    /// what becomes of a length.
    pub(super) fn then(
        &mut self,
        lengths: Option<usize>,
        frames: usize,
        of: impl Fn(usize) -> usize,
    ) -> Option<usize> {
        let Lengths { each, mask, .. } = &self.all[lengths?];
        let (each, device) = (each.iter().map(|&n| of(n)).collect(), mask.device());
        Some(self.place(each, frames, &device))
    }

    /// The mask, to be multiplied with `x`.
    pub(super) fn mask<const D: usize>(&self, place: usize, x: &Tensor<D>) -> Tensor<D> {
        let mask = self.all[place].mask.clone();
        let mut shape = [1; D];
        [shape[0], shape[D - 1]] = mask.dims();
        let mask: Tensor<D> = mask.reshape(shape);
        mask.cast(x.dtype())
    }

    /// The value with zeros behind each utterance.
    pub(super) fn cut<const D: usize>(&self, x: Padded<D>) -> Padded<D> {
        let Some(place) = x.lengths.filter(|_| !x.zeros) else { return x };
        let mask = self.mask(place, &x.tensor);
        Padded { tensor: x.tensor * mask, lengths: x.lengths, zeros: true }
    }
}
