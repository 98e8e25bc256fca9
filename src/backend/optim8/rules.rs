//! The list of rules. A new one is a file with its arithmetic, such as `sgd.rs`, and two lines
//! here: a variant, and an arm of the macro beside it.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::{AdamStep, Blocks, Codec, Optim8Ops, SgdStep, flat, plain};

/// A step of a rule with one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OneMoment {
    /// SGD with momentum.
    Sgd(SgdStep),
}

/// Runs `$body` with the rule's own step as `$step`.
macro_rules! with_one {
    ($rule:expr, $step:ident => $body:expr) => {
        match $rule {
            $crate::backend::optim8::OneMoment::Sgd($step) => $body,
        }
    };
}

/// A step of a rule with two moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TwoMoments {
    /// Adam and AdamW.
    Adam(AdamStep),
}

/// Runs `$body` with the rule's own step as `$step`.
macro_rules! with_two {
    ($rule:expr, $step:ident => $body:expr) => {
        match $rule {
            $crate::backend::optim8::TwoMoments::Adam($step) => $body,
        }
    };
}

pub(super) use {with_one, with_two};

/// A step of any rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// One moment.
    One(OneMoment),
    /// Two moments.
    Two(TwoMoments),
}

impl Step {
    /// Makes the step with moments in 8 bits, each with its codec: new parameter and moments.
    /// Parameter and gradient have one shape; the codecs have one block size.
    ///
    /// # Panics
    /// If there are not as many moments and codecs as the rule keeps.
    pub fn on_blocks<const D: usize>(
        self,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        moments: Vec<Blocks>,
        codecs: &[Codec],
    ) -> (Tensor<D>, Vec<Blocks>) {
        let shape = parameter.shape();
        let (parameter, gradient) =
            (flat(parameter).into_dispatch(), flat(gradient).into_dispatch());
        let codecs = codecs.to_vec();
        let (parameter, moments) = match self {
            Self::One(rule) => {
                let ([moment], [codec]) = (exactly(moments), exactly(codecs));
                let (parameter, words, absmax) = <Dispatch as Optim8Ops>::step8_one(
                    parameter,
                    gradient,
                    moment.words.into_dispatch(),
                    moment.absmax.into_dispatch(),
                    codec,
                    rule,
                );
                (parameter, vec![Blocks::from_dispatch(words, absmax)])
            }
            Self::Two(rule) => {
                let [first, second] = exactly(moments);
                let (parameter, words1, absmax1, words2, absmax2) =
                    <Dispatch as Optim8Ops>::step8_two(
                        parameter,
                        gradient,
                        first.words.into_dispatch(),
                        first.absmax.into_dispatch(),
                        second.words.into_dispatch(),
                        second.absmax.into_dispatch(),
                        exactly(codecs),
                        rule,
                    );
                let moments = [(words1, absmax1), (words2, absmax2)];
                (parameter, moments.map(|(w, a)| Blocks::from_dispatch(w, a)).into())
            }
        };
        (Tensor::<1>::from_dispatch(parameter).reshape(shape), moments)
    }

    /// Makes the step with moments in 32 bits, `[n]` each: new parameter and moments. Parameter
    /// and gradient have one shape of `n` values.
    ///
    /// # Panics
    /// If there are not as many moments as the rule keeps.
    pub fn on_values<const D: usize>(
        self,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        moments: Vec<Tensor<1>>,
    ) -> (Tensor<D>, Vec<Tensor<1>>) {
        let shape = parameter.shape();
        let (parameter, gradient) =
            (flat(parameter).into_dispatch(), flat(gradient).into_dispatch());
        let moments: Vec<_> = moments.into_iter().map(Tensor::into_dispatch).collect();
        let (parameter, moments) = match self {
            Self::One(rule) => {
                let moments = exactly(moments);
                let (parameter, moments) = with_one!(
                    rule,
                    step => plain::step32::<Dispatch, _, 1>(parameter, gradient, moments, &step)
                );
                (parameter, Vec::from(moments))
            }
            Self::Two(rule) => {
                let moments = exactly(moments);
                let (parameter, moments) = with_two!(
                    rule,
                    step => plain::step32::<Dispatch, _, 2>(parameter, gradient, moments, &step)
                );
                (parameter, Vec::from(moments))
            }
        };
        let moments = moments.into_iter().map(Tensor::from_dispatch).collect();
        (Tensor::<1>::from_dispatch(parameter).reshape(shape), moments)
    }
}

fn exactly<T, const N: usize>(items: Vec<T>) -> [T; N] {
    let count = items.len();
    items.try_into().unwrap_or_else(|_| panic!("{count} moments or codecs for a rule with {N}"))
}
