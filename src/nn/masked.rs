//! The interpreter that computes utterances of several lengths together.

mod lengths;
mod padded;

use std::ops::Range;

use burn::tensor::Tensor;

use self::lengths::Lengths;
pub use self::padded::Padded;
use self::padded::{on, pair, plus, shared, single};
use super::over_frames::floored;
use super::pooling::statistics_of_each;
use super::{
    AnyPart, BatchNorm, Body, Combine, Conv1d, Conv2d, ConvConfig, Exec, LayerNorm, Linear, Map,
    Mix, Mode, Net, Run, Stage, Statistics, Step, over_frames,
};
use crate::backend::reversible::{Execution, Rearrange, Reversible};

/// Runs layers on utterances that were padded to one length. Each utterance gets what [`Run`] makes
/// of it alone in evaluation mode, up to rounding.
///
/// An utterance that is alone ends where its tensor ends: convolutions see zeros behind it, and
/// statistics do not count what is behind it. Here a mask writes these zeros in front of every
/// convolution over several frames, and softmax and pooling leave out what is behind. Everywhere
/// else values behind an utterance are computed and never read. [`Exec::pad`] makes an utterance
/// itself longer, to its own next multiple.
#[derive(Debug)]
pub struct Masked {
    run: Run,
    /// The lengths at each resolution that was met.
    all: Vec<Lengths>,
}

impl Masked {
    /// Images `[batch, 1, mels, frames]` -> embeddings `[batch, embedding_dim]`. The first
    /// `lengths[i]` frames are those of utterance `i`. Any finite values may stand behind them.
    ///
    /// # Panics
    /// There are more or fewer lengths than utterances, or a length is not 1 to `frames`.
    pub fn embed<N: Net>(network: &N, image: Tensor<4>, lengths: Vec<usize>) -> Tensor<2> {
        let [batch, _, _, frames] = image.dims();
        assert!(
            lengths.len() == batch && lengths.iter().all(|n| (1..=frames).contains(n)),
            "lengths {lengths:?} of {batch} utterances in {frames} frames"
        );
        let mut masked = Self { run: Run::new(Mode::Eval), all: Vec::new() };
        let lengths = Some(masked.place(lengths, frames, &image.device()));
        let image = Padded { tensor: image, lengths, zeros: false };
        Net::forward(network, &mut masked, image).tensor
    }

    fn conv<const D: usize, const N: usize>(
        &mut self,
        config: &ConvConfig<D, N>,
        x: Padded<D>,
        layer: impl FnOnce(&mut Run, Tensor<D>) -> Tensor<D>,
    ) -> Padded<D> {
        // A kernel of one frame sees nothing beside it.
        let narrow = config.kernel[N - 1] == 1 && config.padding[N - 1] == 0;
        let x = if narrow { x } else { self.cut(x) };
        let zeros = x.zeros && narrow && !config.bias;
        let tensor = layer(&mut self.run, x.tensor);
        let of = |length| {
            let mut size = [1; N];
            size[N - 1] = length;
            config.output_size(size)[N - 1]
        };
        let lengths = self.then(x.lengths, tensor.dims()[D - 1], of);
        Padded { tensor, lengths, zeros }
    }

    fn rearrange(
        &mut self,
        rearrange: &dyn Rearrange,
        x: Vec<Padded<4>>,
        of: impl Fn(usize) -> usize,
    ) -> Vec<Padded<4>> {
        let (lengths, zeros) = (shared(&x), x.iter().all(|x| x.zeros));
        let made = rearrange.forward(x.into_iter().map(|x| x.tensor).collect());
        let lengths = self.then(lengths, made[0].dims()[3], of);
        made.into_iter().map(|tensor| Padded { tensor, lengths, zeros }).collect()
    }

    /// A function of a coupling.
    fn function(&mut self, part: &dyn AnyPart, x: Padded<4>) -> Padded<4> {
        single(part.masked(self, vec![x]))
    }
}

impl Exec for Masked {
    type Value<const D: usize> = Padded<D>;

    fn stage(&mut self, _: Stage) {}

    fn conv2d(&mut self, layer: &Conv2d, x: Padded<4>) -> Padded<4> {
        self.conv(layer.config(), x, |run, x| run.conv2d(layer, x))
    }

    fn conv1d(&mut self, layer: &Conv1d, x: Padded<3>) -> Padded<3> {
        self.conv(layer.config(), x, |run, x| run.conv1d(layer, x))
    }

    fn norm<const D: usize>(&mut self, layer: &BatchNorm, x: Padded<D>, relu: bool) -> Padded<D> {
        let Padded { tensor, lengths, .. } = x;
        Padded { tensor: self.run.norm(layer, tensor, relu), lengths, zeros: false }
    }

    fn layer_norm<const D: usize>(&mut self, layer: &LayerNorm, x: Padded<D>) -> Padded<D> {
        let Padded { tensor, lengths, .. } = x;
        Padded { tensor: self.run.layer_norm(layer, tensor), lengths, zeros: false }
    }

    fn map<const D: usize>(&mut self, f: Map, x: Padded<D>) -> Padded<D> {
        let Padded { tensor, lengths, zeros } = x;
        let (tensor, zeros) = match (f, lengths) {
            (Map::Softmax, Some(place)) => {
                let mask = self.mask(place, &tensor);
                (floored(tensor, mask), true)
            }
            _ => (tensor, zeros && f.keeps_zero()),
        };
        Padded { tensor: self.run.map(f, tensor), lengths, zeros }
    }

    fn combine<const D: usize>(&mut self, f: Combine, x: Padded<D>, y: Padded<D>) -> Padded<D> {
        let both = [x, y];
        let (lengths, zeros) = (shared(&both), both.iter().all(|x| x.zeros));
        let [x, y] = both.map(|x| x.tensor);
        Padded { tensor: self.run.combine(f, x, y), lengths, zeros }
    }

    fn concat<const D: usize>(&mut self, all: Vec<Padded<D>>, axis: usize) -> Padded<D> {
        let (lengths, zeros) = (shared(&all), all.iter().all(|x| x.zeros));
        assert!(lengths.is_none() || axis < D - 1, "frames do not follow frames");
        let tensors = all.into_iter().map(|x| x.tensor).collect();
        Padded { tensor: self.run.concat(tensors, axis), lengths, zeros }
    }

    fn channels<const D: usize>(&mut self, x: &Padded<D>, range: Range<usize>) -> Padded<D> {
        Padded { tensor: self.run.channels(&x.tensor, range), ..*x }
    }

    fn mean<const D: usize>(&mut self, x: &Padded<D>, axes: &[usize]) -> Padded<D> {
        let place = x.lengths.filter(|_| axes.contains(&(D - 1)));
        let mask = place.map(|place| self.mask(place, &x.tensor));
        let tensor = over_frames::mean(x.tensor.clone(), axes, mask);
        match axes.contains(&(D - 1)) {
            true => Padded::whole(tensor),
            false => Padded { tensor, ..*x },
        }
    }

    fn swap(&mut self, x: Padded<4>) -> Padded<4> {
        Padded { tensor: self.run.swap(x.tensor), ..x }
    }

    fn segments(&mut self, x: &Padded<3>, frames: usize) -> Padded<3> {
        let mask = x.lengths.map(|place| self.mask(place, &x.tensor));
        let tensor = over_frames::segments(x.tensor.clone(), frames, mask);
        Padded { tensor, lengths: x.lengths, zeros: false }
    }

    fn spread(&mut self, x: Padded<3>, like: &Padded<3>) -> Padded<3> {
        let tensor = self.run.spread(x.tensor, &like.tensor);
        Padded { tensor, lengths: like.lengths, zeros: false }
    }

    fn attend(&mut self, heads: usize, q: Padded<3>, k: Padded<3>, v: Padded<3>) -> Padded<3> {
        // Weights of frames behind an utterance are 0; its values there must be finite.
        let all = [q, k, v];
        let lengths = shared(&all);
        let [q, k, v] = all.map(|x| x.tensor);
        let mask = lengths.map(|place| {
            let mask = self.mask(place, &q);
            let [batch, _, frames] = mask.dims();
            mask.reshape([batch, 1, 1, frames])
        });
        let tensor = over_frames::attend(heads, [q, k, v], mask);
        Padded { tensor, lengths, zeros: false }
    }

    fn mix(&mut self, layer: &Mix, all: Vec<Padded<3>>) -> Padded<3> {
        let (lengths, zeros) = (shared(&all), all.iter().all(|x| x.zeros));
        let tensor = self.run.mix(layer, all.into_iter().map(|x| x.tensor).collect());
        Padded { tensor, lengths, zeros }
    }

    fn simam(&mut self, x: Padded<4>) -> Padded<4> {
        let mask = x.lengths.map(|place| self.mask(place, &x.tensor));
        Padded { tensor: over_frames::simam(x.tensor, mask), ..x }
    }

    fn trim(&mut self, x: Padded<4>, multiple: usize) -> Padded<4> {
        let tensor = self.run.trim(x.tensor, multiple);
        let lengths = self.then(x.lengths, tensor.dims()[3], |length| length - length % multiple);
        // What was cut off an utterance is behind it now.
        Padded { tensor, lengths, zeros: false }
    }

    fn repeat(&mut self, x: Padded<3>, times: usize) -> Padded<3> {
        let tensor = self.run.repeat(x.tensor, times);
        let lengths = self.then(x.lengths, tensor.dims()[2], |length| length * times);
        Padded { tensor, lengths, zeros: x.zeros }
    }

    fn copy(&mut self, x: &Padded<4>) -> Padded<4> {
        x.clone()
    }

    fn pad(&mut self, x: Padded<4>, multiples: [usize; 2]) -> Padded<4> {
        // The zeros behind an utterance become its own.
        let x = if multiples[1] > 1 { self.cut(x) } else { x };
        let tensor = self.run.pad(x.tensor, multiples);
        let longer = |length: usize| length.next_multiple_of(multiples[1]);
        let lengths = self.then(x.lengths, tensor.dims()[3], longer);
        Padded { tensor, lengths, zeros: x.zeros }
    }

    fn reshape<const D: usize, const O: usize>(
        &mut self,
        x: Padded<D>,
        shape: [i32; O],
    ) -> Padded<O> {
        let Padded { tensor, lengths, zeros } = x;
        let frames = tensor.dims()[D - 1];
        let tensor = self.run.reshape(tensor, shape);
        let kept = lengths.is_none() || tensor.dims()[O - 1] == frames;
        assert!(kept, "frames are the last axis: {shape:?}");
        Padded { tensor, lengths, zeros }
    }

    fn pool(&mut self, kind: Statistics, x: Padded<3>, attention: Option<Padded<3>>) -> Padded<2> {
        let Padded { tensor, lengths, .. } = x;
        let attention = attention.map(|x| x.tensor);
        Padded::whole(match lengths {
            None => self.run.pool(kind, tensor, attention),
            Some(place) => {
                let mask = self.mask(place, &tensor);
                statistics_of_each(kind, tensor, attention, &self.all[place].each, mask)
            }
        })
    }

    fn linear<const D: usize>(&mut self, layer: &Linear, x: Padded<D>) -> Padded<D> {
        let Padded { tensor, lengths, .. } = x;
        Padded { tensor: self.run.linear(layer, tensor), lengths, zeros: false }
    }

    fn body<B: Body>(&mut self, body: &B, x: Padded<4>, _: Execution) -> Padded<4> {
        let grid = Reversible::grid(body);
        // As `reversible::run` does: what comes from outside is put on the grid first.
        let mut rounded = false;
        let streams = body.walk().into_iter().fold(vec![x], |x, (_, step)| match step {
            Step::Keep(part) => {
                rounded = false;
                part.masked(self, x)
            }
            Step::Couple(block) => {
                let mut pair = pair(x);
                if !std::mem::replace(&mut rounded, true) {
                    pair = pair.map(|x| on(grid, x));
                }
                let ([x1, x2], [f, g]) = (pair, block.functions());
                let change = self.function(f, x2.clone());
                let y1 = plus(grid, x1, change);
                let change = self.function(g, y1.clone());
                vec![y1, plus(grid, x2, change)]
            }
            Step::Squeeze(squeeze) => self.rearrange(squeeze, x, |length| {
                let frames = squeeze.frames;
                assert_eq!(length % frames, 0, "{length} frames are squeezed by {frames}");
                length / frames
            }),
            Step::Halves(halves) => self.rearrange(halves, x, |length| length),
        });
        single(streams)
    }
}

#[cfg(test)]
pub(super) mod tests;
