//! Rearrangements of streams.

use burn::tensor::Tensor;

use super::{Halves, Squeeze};
use crate::backend::Streams;
use crate::backend::rearrange::{join, split, squeeze, unsqueeze};
use crate::backend::reversible::Rearrange;

impl Rearrange for Squeeze {
    fn forward(&self, x: Streams) -> Streams {
        x.into_iter().map(|x| squeeze(x, [self.mels, self.frames])).collect()
    }

    fn inverse(&self, y: Streams) -> Streams {
        y.into_iter().map(|y| unsqueeze(y, [self.mels, self.frames])).collect()
    }
}

fn halves(x: Tensor<4>) -> [Tensor<4>; 2] {
    let first = x.dims()[1] / 2;
    split(x, first)
}

impl Rearrange for Halves {
    fn forward(&self, x: Streams) -> Streams {
        match self {
            Self::Split => x.into_iter().flat_map(halves).collect(),
            Self::Join => x.into_iter().reduce(join).into_iter().collect(),
        }
    }

    fn inverse(&self, y: Streams) -> Streams {
        self.opposite().forward(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    #[test]
    fn squeezing_keeps_every_element_and_orders_them_as_documented() {
        let x = Tensor::<1, Int>::arange(0..2 * 3 * 4 * 6, &Device::default())
            .float()
            .reshape([2, 3, 4, 6]);
        for squeeze in [
            Squeeze { mels: 2, frames: 2 },
            Squeeze { mels: 2, frames: 1 },
            Squeeze { mels: 4, frames: 3 },
        ] {
            let streams = squeeze.forward(vec![x.clone()]);
            assert_eq!(squeeze.inverse(streams.clone())[0].to_data(), x.to_data());
            let y = &streams[0];
            let at = |t: &Tensor<4>, i: [usize; 4]| -> f32 {
                t.clone()
                    .slice([i[0]..i[0] + 1, i[1]..i[1] + 1, i[2]..i[2] + 1, i[3]..i[3] + 1])
                    .into_scalar()
            };
            let (h, w) = (squeeze.mels - 1, squeeze.frames - 1);
            let channel = (h * squeeze.frames + w) * 3 + 2;
            assert_eq!(
                at(y, [1, channel, 0, 1]),
                at(&x, [1, 2, h, squeeze.frames + w]),
                "{squeeze:?}"
            );
        }
    }

    #[test]
    fn halves_are_put_together_again() {
        let x = Tensor::<1, Int>::arange(0..24, &Device::default()).float().reshape([2, 6, 1, 2]);
        let halves = Halves::Split.forward(vec![x.clone()]);
        assert_eq!(halves.iter().map(Tensor::dims).collect::<Vec<_>>(), [[2, 3, 1, 2]; 2]);
        assert_eq!(Halves::Split.inverse(halves)[0].to_data(), x.to_data());
    }
}
