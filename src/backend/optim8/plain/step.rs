//! Steps, tensor by tensor, and how the gate before them is made.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, FloatDType};

use super::passage::Passage;
use super::{Moment, bools, cast, count, dequantize, quantize};
use crate::backend::optim8::gate::Opening;
use crate::backend::optim8::rules::{exactly, with_one, with_two};
use crate::backend::optim8::{Codec, Floats, Ints, Optim8Ops, Step, Update, Value};

/// A parameter and its moments in 8 bits.
type Stepped<B> = (FloatTensor<B>, Vec<Moment<B>>);

/// A flat tensor that a rule computes with: f32, or the parameter in its own type of floats.
/// Moments that 8 bits will hold are `BOUNDED`.
struct Values<B: Backend, const BOUNDED: bool>(FloatTensor<B>);

impl<B: Backend, const BOUNDED: bool> Clone for Values<B, BOUNDED> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backend, const BOUNDED: bool> Value for Values<B, BOUNDED> {
    fn blend(a: f32, x: Self, b: f32, y: Self) -> Self {
        Self(B::float_add(x.scaled(a).0, y.scaled(b).0))
    }

    fn plus(self, factor: f32, other: &Self) -> Self {
        match factor {
            0.0 => self,
            _ => {
                let other = Self(cast::<B>(other.0.clone(), DType::F32));
                Self(B::float_add(self.0, other.scaled(factor).0))
            }
        }
    }

    fn scaled(self, factor: f32) -> Self {
        match factor {
            1.0 => self,
            _ => Self(B::float_mul_scalar(self.0, factor.into())),
        }
    }

    fn raised(self, number: f32) -> Self {
        Self(B::float_add_scalar(self.0, number.into()))
    }

    fn times(self, other: Self) -> Self {
        Self(B::float_mul(self.0, other.0))
    }

    fn over(self, other: Self) -> Self {
        Self(B::float_div(self.0, other.0))
    }

    fn root(self) -> Self {
        Self(B::float_sqrt(self.0))
    }

    fn sign(self) -> Self {
        Self(B::float_sign(self.0))
    }

    fn bounded(self) -> Self {
        match BOUNDED {
            true => Self(B::float_clamp(self.0, f32::MIN.into(), f32::MAX.into())),
            false => self,
        }
    }
}

/// New parameter, in its own type of floats, and moments.
fn update<B: Backend, R: Update<M>, const M: usize, const BOUNDED: bool>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    moments: [Values<B, BOUNDED>; M],
    rule: &R,
) -> (FloatTensor<B>, [Values<B, BOUNDED>; M]) {
    let parameter = Values::<B, BOUNDED>(parameter);
    let gradient = Values::<B, BOUNDED>(cast::<B>(gradient, DType::F32));
    let (change, moments) = rule.change(&parameter, gradient, moments);
    let change = cast::<B>(change.0, parameter.0.dtype());
    (B::float_sub(parameter.scaled(rule.shrink()).0, change), moments)
}

/// A step with moments in 32 bits. All tensors are flat.
fn step32<B: Backend, R: Update<M>, const M: usize>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    moments: [FloatTensor<B>; M],
    rule: &R,
) -> (FloatTensor<B>, [FloatTensor<B>; M]) {
    let moments = moments.map(Values::<B, false>);
    let (parameter, moments) = update(parameter, gradient, moments, rule);
    (parameter, moments.map(|moment| moment.0))
}

/// A step with moments in 8 bits: decode, update, encode. All tensors are flat.
pub(in crate::backend::optim8) fn step8<B: Backend, R: Update<M>, const M: usize>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    moments: [Moment<B>; M],
    codecs: [Codec; M],
    rule: &R,
) -> (FloatTensor<B>, [Moment<B>; M]) {
    let n = count::<B>(&parameter);
    let mut each = codecs.iter();
    let moments = moments.map(|(words, absmax)| {
        let codec = *each.next().expect("a codec for each moment");
        Values::<B, true>(dequantize::<B>(words, absmax, codec, n))
    });
    let (parameter, moments) = update(parameter, gradient, moments, rule);
    let mut each = codecs.iter();
    let moments = moments.map(|moment| {
        let codec = *each.next().expect("a codec for each moment");
        quantize::<B>(moment.0, codec)
    });
    (parameter, moments)
}

fn flat<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let count = count::<B>(&x);
    B::float_reshape(x, [count].into())
}

/// A step with moments in 8 bits on a parameter of any shape.
pub(in crate::backend::optim8) fn step_blocks<B: Backend>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    moments: Vec<Moment<B>>,
    opening: &Opening<B>,
    codecs: &[Codec],
    rule: Step,
) -> Stepped<B> {
    let (shape, passage) = (parameter.shape(), Passage::of(opening));
    if matches!(passage, Passage::Closed) {
        return (parameter, moments);
    }
    let (parameter, gradient) = (flat::<B>(parameter), passage.gradient(flat::<B>(gradient)));
    let (old, held) = (passage.kept(&parameter), passage.kept(&moments));
    let codecs = codecs.to_vec();
    let (parameter, moments) = match rule {
        Step::One(rule) => {
            let (moments, codecs) = (exactly(moments), exactly(codecs));
            let (parameter, moments) = with_one!(
                rule,
                step => step8::<B, _, 1>(parameter, gradient, moments, codecs, &step)
            );
            (parameter, Vec::from(moments))
        }
        Step::Two(rule) => {
            let (moments, codecs) = (exactly(moments), exactly(codecs));
            let (parameter, moments) = with_two!(
                rule,
                step => step8::<B, _, 2>(parameter, gradient, moments, codecs, &step)
            );
            (parameter, Vec::from(moments))
        }
    };
    let parameter = B::float_reshape(passage.floats(old, parameter), shape);
    let mut held = held.into_iter().flatten();
    let moments = moments.into_iter().map(|(words, absmax)| {
        let (old_words, old_absmax) = held.next().unzip();
        (passage.ints(old_words, words), passage.floats(old_absmax, absmax))
    });
    let moments = moments.collect();
    (parameter, moments)
}

/// A step with flat moments in 32 bits on a parameter of any shape. A rule with one moment can do
/// without it.
pub(in crate::backend::optim8) fn step_values<B: Backend>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    mut moments: Vec<FloatTensor<B>>,
    opening: &Opening<B>,
    rule: Step,
) -> (FloatTensor<B>, Vec<FloatTensor<B>>) {
    let (shape, passage) = (parameter.shape(), Passage::of(opening));
    if matches!(passage, Passage::Closed) {
        return (parameter, moments);
    }
    let (parameter, gradient) = (flat::<B>(parameter), passage.gradient(flat::<B>(gradient)));
    let (old, held) = (passage.kept(&parameter), passage.kept(&moments));
    let stateless = moments.is_empty();
    if stateless {
        let (shape, device) = (parameter.shape(), parameter.device());
        moments.push(B::float_zeros(shape, &device, FloatDType::F32));
    }
    let (parameter, mut moments) = match rule {
        Step::One(rule) => {
            let moments = exactly(moments);
            let (parameter, moments) =
                with_one!(rule, step => step32::<B, _, 1>(parameter, gradient, moments, &step));
            (parameter, Vec::from(moments))
        }
        Step::Two(rule) => {
            let moments = exactly(moments);
            let (parameter, moments) =
                with_two!(rule, step => step32::<B, _, 2>(parameter, gradient, moments, &step));
            (parameter, Vec::from(moments))
        }
    };
    if stateless {
        moments.clear();
    }
    let parameter = B::float_reshape(passage.floats(old, parameter), shape);
    let mut held = held.into_iter().flatten();
    let moments = moments.into_iter().map(|moment| passage.floats(held.next(), moment)).collect();
    (parameter, moments)
}

/// Makes a step with moments in 8 bits, `each` of them of every tensor, tensor by tensor.
pub(in crate::backend::optim8) fn one_by_one<B: Backend>(
    [parameters, gradients, absmax]: [Floats<B>; 3],
    words: Ints<B>,
    each: usize,
    step: impl Fn(FloatTensor<B>, FloatTensor<B>, Vec<Moment<B>>) -> Stepped<B>,
) -> (Floats<B>, Ints<B>, Floats<B>) {
    let mut held = words.0.into_iter().zip(absmax.0);
    let (mut stepped, mut words, mut absmax) = (Vec::new(), Vec::new(), Vec::new());
    for (parameter, gradient) in parameters.0.into_iter().zip(gradients.0) {
        let moments = held.by_ref().take(each).collect();
        let (parameter, moments) = step(parameter, gradient, moments);
        stepped.push(parameter);
        for moment in moments {
            words.push(moment.0);
            absmax.push(moment.1);
        }
    }
    (Floats(stepped), Ints(words), Floats(absmax))
}

/// The gate `[1]`, and how many values of the gradients are not finite, `[1]`: both f32.
pub(in crate::backend::optim8) fn gate<B: Optim8Ops>(
    gradients: Vec<FloatTensor<B>>,
    extra: Vec<FloatTensor<B>>,
    factor: f32,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let device = gradients.iter().chain(&extra).next().expect("a gate for some tensor").device();
    let sum = |tensors: Vec<FloatTensor<B>>| {
        let zero = B::float_zeros([1].into(), &device, FloatDType::F32);
        let counts = tensors.into_iter().map(|x| cast::<B>(B::not_finite(x), DType::F32));
        counts.fold(zero, B::float_add)
    };
    let bad = sum(gradients);
    let any = B::float_add(bad.clone(), sum(extra));
    let closed = B::float_greater_elem(any, 0f32.into(), bools::<B>(&bad));
    let open = B::float_zeros([1].into(), &device, FloatDType::F32);
    let open = B::float_add_scalar(open, factor.into());
    (B::float_mask_fill(open, closed, 0f32.into()), bad)
}
