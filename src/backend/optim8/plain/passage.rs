//! Steps behind a gate, in operations that every backend has.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::DType;

use super::{bools, cast};
use crate::backend::optim8::gate::Opening;

/// What a gate does to a step: it multiplies the gradient, and gives the old values back if it is
/// closed.
pub(super) enum Passage<B: Backend> {
    Closed,
    Open(f32),
    /// The gate, `[1]`.
    Device(FloatTensor<B>),
}

impl<B: Backend> Passage<B> {
    pub fn of(opening: &Opening<B>) -> Self {
        match (&opening.gate, opening.factor) {
            (Some(gate), _) => Self::Device(cast::<B>(gate.clone(), DType::F32)),
            (None, 0.0) => Self::Closed,
            (None, factor) => Self::Open(factor),
        }
    }

    /// The flat gradient times the gate's factor.
    pub fn gradient(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        match self {
            Self::Closed | Self::Open(1.0) => x,
            Self::Open(factor) => B::float_mul_scalar(x, (*factor).into()),
            Self::Device(gate) => {
                let gate = B::float_expand(gate.clone(), x.shape());
                B::float_mul(cast::<B>(x, DType::F32), gate)
            }
        }
    }

    /// `new`, or `old` behind a closed gate.
    pub fn floats(&self, old: Option<FloatTensor<B>>, new: FloatTensor<B>) -> FloatTensor<B> {
        let (Self::Device(gate), Some(old)) = (self, old) else { return new };
        let closed = B::float_equal_elem(gate.clone(), 0f32.into(), bools::<B>(gate));
        B::float_mask_where(new, B::bool_expand(closed, old.shape()), old)
    }

    pub fn ints(&self, old: Option<IntTensor<B>>, new: IntTensor<B>) -> IntTensor<B> {
        let (Self::Device(gate), Some(old)) = (self, old) else { return new };
        let closed = B::float_equal_elem(gate.clone(), 0f32.into(), bools::<B>(gate));
        B::int_mask_where(new, B::bool_expand(closed, old.shape()), old)
    }

    /// What the gate may have to give back.
    pub fn kept<T: Clone>(&self, x: &T) -> Option<T> {
        matches!(self, Self::Device(_)).then(|| x.clone())
    }
}
