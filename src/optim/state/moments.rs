//! The moments of a parameter, in 32 bits or in 8.

use burn::tensor::{Device, Tensor};

use crate::backend::optim8::{Blocks, PER_WORD};
use crate::backend::{lasting, lasting_int};

/// The moments of one parameter.
#[derive(Debug, Clone)]
pub(in crate::optim) enum Moments {
    /// Of a small tensor, in 32 bits: `[n]` each.
    Values(Vec<Tensor<1>>),
    /// In 8 bits.
    Blocks(Vec<Blocks>),
}

impl Moments {
    /// How many they are.
    pub fn count(&self) -> usize {
        match self {
            Self::Values(moments) => moments.len(),
            Self::Blocks(moments) => moments.len(),
        }
    }

    /// Whether they are so many moments of a parameter of `count` values.
    pub fn fits(&self, moments: usize, count: usize, block: usize) -> bool {
        let blocks = |b: &Blocks| {
            b.words.dims() == [count.div_ceil(PER_WORD)]
                && b.absmax.dims() == [count.div_ceil(block)]
        };
        self.count() == moments
            && match self {
                Self::Values(moments) => moments.iter().all(|m| m.dims() == [count]),
                Self::Blocks(moments) => moments.iter().all(blocks),
            }
    }

    /// What they are, for messages.
    pub fn named(&self) -> String {
        match self {
            Self::Values(moments) => {
                let counts: Vec<usize> = moments.iter().map(|m| m.dims()[0]).collect();
                format!("moments of {counts:?} values in 32 bits")
            }
            Self::Blocks(moments) => {
                let counts: Vec<usize> = moments.iter().map(|m| m.absmax.dims()[0]).collect();
                format!("moments of {counts:?} blocks in 8 bits")
            }
        }
    }

    /// Takes them out; none are left.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Values(Vec::new()))
    }

    /// The same outside of the pages that a GPU's activations share.
    pub fn lasting(self) -> Self {
        match self {
            Self::Values(moments) => Self::Values(moments.into_iter().map(lasting).collect()),
            Self::Blocks(moments) => {
                let apart =
                    |m: Blocks| Blocks { words: lasting_int(m.words), absmax: lasting(m.absmax) };
                Self::Blocks(moments.into_iter().map(apart).collect())
            }
        }
    }

    /// The same on another device.
    pub fn moved_to(self, device: &Device) -> Self {
        match self {
            Self::Values(moments) => {
                Self::Values(moments.into_iter().map(|m| m.to_device(device)).collect())
            }
            Self::Blocks(moments) => {
                Self::Blocks(moments.into_iter().map(|m| m.moved_to(device)).collect())
            }
        }
    }
}
