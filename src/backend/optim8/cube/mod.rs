//! The steps as kernels for GPUs, one source for every runtime of CubeCL. There is a kernel for
//! each number of moments and each form of them, generic over the rule; it steps many tensors in
//! one launch. The codec alone runs in Burn's operations.

mod blocks;
mod codec;
mod group;
mod odd;
mod tables;
mod values;

pub(super) use codec::bounded;

use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::gate::Opening;
use super::{Codec, Floats, Ints, Optim8Ops, Step, plain};

/// A rule's step as a device sees it.
pub(super) trait OnDevice: Send + Sync + 'static {
    /// The numbers of the step.
    type Numbers: LaunchArg;

    /// Those of this step.
    fn numbers(&self) -> <Self::Numbers as LaunchArg>::RuntimeArg;
}

/// The arithmetic of a rule with one moment: what [`super::Update`] is on the CPU.
#[cube]
pub(super) trait UpdateOne: Send + Sync + 'static + OnDevice {
    /// From parameter, gradient and moment to the new parameter and moment.
    fn update(p: f32, g: f32, m: f32, n: &Self::Numbers) -> (f32, f32);
}

/// The arithmetic of a rule with two moments.
#[cube]
pub(super) trait UpdateTwo: Send + Sync + 'static + OnDevice {
    /// From parameter, gradient and moments to the new parameter and moments.
    fn update(p: f32, g: f32, m: f32, v: f32, n: &Self::Numbers) -> (f32, f32, f32);
}

impl Optim8Ops for CubeBackend {
    fn step_blocks(
        parameters: Floats<Self>,
        gradients: Floats<Self>,
        words: Ints<Self>,
        absmax: Floats<Self>,
        gate: Floats<Self>,
        factor: f32,
        codecs: Vec<Codec>,
        rule: Step,
    ) -> (Floats<Self>, Ints<Self>, Floats<Self>) {
        let mut held = words.0.into_iter().zip(absmax.0);
        let pairs = parameters.0.into_iter().zip(gradients.0);
        let items = pairs.map(|(parameter, gradient)| {
            let moments = held.by_ref().take(codecs.len()).collect();
            blocks::Item { parameter, gradient, moments }
        });
        let items = items.collect();
        let stepped = blocks::step(items, &Opening::new(gate, factor), &codecs, rule);
        let (mut parameters, mut words, mut absmax) = (Vec::new(), Vec::new(), Vec::new());
        for item in stepped {
            parameters.push(item.parameter);
            for moment in item.moments {
                words.push(moment.0);
                absmax.push(moment.1);
            }
        }
        (Floats(parameters), Ints(words), Floats(absmax))
    }

    fn step_values(
        parameters: Floats<Self>,
        gradients: Floats<Self>,
        moments: Floats<Self>,
        gate: Floats<Self>,
        factor: f32,
        rule: Step,
    ) -> (Floats<Self>, Floats<Self>) {
        let each = moments.0.len() / parameters.0.len();
        let mut held = moments.0.into_iter();
        let pairs = parameters.0.into_iter().zip(gradients.0);
        let items = pairs.map(|(parameter, gradient)| {
            let moments = held.by_ref().take(each).collect();
            values::Item { parameter, gradient, moments }
        });
        let items = items.collect();
        let stepped = values::step(items, &Opening::new(gate, factor), rule);
        let (mut parameters, mut moments) = (Vec::new(), Vec::new());
        for item in stepped {
            parameters.push(item.parameter);
            moments.extend(item.moments);
        }
        (Floats(parameters), Floats(moments))
    }

    fn gate(
        gradients: Floats<Self>,
        extra: Floats<Self>,
        factor: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        odd::gate(gradients.0, extra.0, factor)
    }

    fn not_finite(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match x.dtype {
            DType::F32 => odd::gate(vec![x], Vec::new(), 1.0).1,
            _ => plain::not_finite::<Self>(x),
        }
    }
}
