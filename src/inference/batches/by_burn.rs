//! Batches by Burn.

use std::borrow::Borrow;

use burn::tensor::{Device, Tensor, TensorData};

use crate::inference::Features;
use crate::inference::shapes::{Shapes, masked};
use crate::nn::Mode;
use crate::zoo::Network;

/// The embeddings of feature sets of one shape `[frames, mels]`.
pub(super) fn as_they_are<F: Borrow<Features>>(
    network: &Network,
    device: &Device,
    [frames, mels]: [usize; 2],
    batch: &[(usize, F)],
) -> Vec<Vec<f32>> {
    let values: Vec<f32> = batch
        .iter()
        .flat_map(|(_, features)| Borrow::<Features>::borrow(features).values.iter().copied())
        .collect();
    let input = TensorData::new(values, [batch.len(), frames, mels]);
    rows(network.forward(Tensor::<3>::from_data(input, device), Mode::Eval))
}

/// The embeddings of feature sets, padded to `[frames, mels]`, in the first rows of a batch of this
/// size.
pub(super) fn padded<F: Borrow<Features>>(
    network: &Network,
    device: &Device,
    shapes: Shapes,
    [length, mels]: [usize; 2],
    size: usize,
    batch: &[(usize, F)],
) -> Vec<Vec<f32>> {
    let mut input = vec![0.0f32; size * length * mels];
    let mut lengths = Vec::with_capacity(size);
    for ((_, features), row) in batch.iter().zip(input.chunks_exact_mut(length * mels)) {
        let Features { values, frames, mels } = Borrow::<Features>::borrow(features);
        row[..frames * mels].copy_from_slice(values);
        lengths.push(*frames);
    }
    shapes.count(size, length, lengths.iter().sum());
    // An empty place is an utterance of zeros, whose embedding nobody reads.
    lengths.resize(size, length);
    let input = TensorData::new(input, [size, length, mels]);
    rows(masked(network, Tensor::<3>::from_data(input, device), lengths))
}

/// `[batch, dim]` as rows.
fn rows(output: Tensor<2>) -> Vec<Vec<f32>> {
    let dim = output.dims()[1];
    let output = output.into_data().convert::<f32>();
    let values = output.as_slice::<f32>().expect("just converted to f32");
    values.chunks_exact(dim).map(<[f32]>::to_vec).collect()
}
