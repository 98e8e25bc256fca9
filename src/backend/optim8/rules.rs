//! The list of rules. A new one is a file with its arithmetic, such as `sgd.rs`, and two lines
//! here: a variant, and an arm of the macro beside it.

use burn::backend::Dispatch;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

use super::{AdamStep, Blocks, Codec, Floats, Gate, Ints, Optim8Ops, SgdStep};

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

/// What a step needs of one tensor: parameter and gradient of one shape, and the flat moments.
pub(crate) struct Part<M> {
    pub parameter: FloatTensor<Dispatch>,
    pub gradient: FloatTensor<Dispatch>,
    pub moments: Vec<M>,
}

/// What a step makes of one tensor: the parameter and its moments.
pub(crate) type Stepped<M> = (FloatTensor<Dispatch>, Vec<M>);

/// A step of any rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// One moment.
    One(OneMoment),
    /// Two moments.
    Two(TwoMoments),
}

impl Step {
    /// How many moments the rule keeps.
    fn moments(self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Two(_) => 2,
        }
    }

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
        gate: &Gate,
    ) -> (Tensor<D>, Vec<Blocks>) {
        let (parameter, gradient) = (parameter.into_dispatch(), gradient.into_dispatch());
        let part = Part { parameter, gradient, moments };
        let [(parameter, moments)] = exactly(self.on_blocks_of(vec![part], codecs, gate));
        (Tensor::from_dispatch(parameter), moments)
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
        gate: &Gate,
    ) -> (Tensor<D>, Vec<Tensor<1>>) {
        self.expect(moments.len());
        let (parameter, gradient) = (parameter.into_dispatch(), gradient.into_dispatch());
        let part = Part { parameter, gradient, moments };
        let [(parameter, moments)] = exactly(self.on_values_of(vec![part], gate));
        (Tensor::from_dispatch(parameter), moments)
    }

    /// [`Self::on_blocks`] of several tensors of one device, with the same codecs: GPUs step many
    /// of them in one launch.
    pub(crate) fn on_blocks_of(
        self,
        parts: Vec<Part<Blocks>>,
        codecs: &[Codec],
        gate: &Gate,
    ) -> Vec<Stepped<Blocks>> {
        if parts.is_empty() {
            return Vec::new();
        }
        self.expect(codecs.len());
        let (mut parameters, mut gradients) = (Vec::new(), Vec::new());
        let (mut words, mut absmax) = (Vec::new(), Vec::new());
        for part in parts {
            self.expect(part.moments.len());
            parameters.push(part.parameter);
            gradients.push(part.gradient);
            for moment in part.moments {
                words.push(moment.words.into_dispatch());
                absmax.push(moment.absmax.into_dispatch());
            }
        }
        let (gate, factor) = gate.parts();
        let (Floats(parameters), Ints(words), Floats(absmax)) =
            <Dispatch as Optim8Ops>::step_blocks(
                Floats(parameters),
                Floats(gradients),
                Ints(words),
                Floats(absmax),
                gate,
                factor,
                codecs.to_vec(),
                self,
            );
        let blocks = |(words, absmax)| Blocks::from_dispatch(words, absmax);
        let mut moments = words.into_iter().zip(absmax).map(blocks);
        let each = codecs.len();
        parameters.into_iter().map(|p| (p, moments.by_ref().take(each).collect())).collect()
    }

    /// [`Self::on_values`] of several tensors of one device. A rule with one moment can also do
    /// without it, for all of them.
    pub(crate) fn on_values_of(
        self,
        parts: Vec<Part<Tensor<1>>>,
        gate: &Gate,
    ) -> Vec<Stepped<Tensor<1>>> {
        let Some(first) = parts.first() else { return Vec::new() };
        let each = first.moments.len();
        if each > 0 || self.moments() > 1 {
            self.expect(each);
        }
        let (mut parameters, mut gradients, mut moments) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            assert_eq!(part.moments.len(), each, "all tensors have as many moments");
            parameters.push(part.parameter);
            gradients.push(part.gradient);
            moments.extend(part.moments.into_iter().map(Tensor::into_dispatch));
        }
        let (gate, factor) = gate.parts();
        let (Floats(parameters), Floats(moments)) = <Dispatch as Optim8Ops>::step_values(
            Floats(parameters),
            Floats(gradients),
            Floats(moments),
            gate,
            factor,
            self,
        );
        let mut moments = moments.into_iter().map(Tensor::from_dispatch);
        parameters.into_iter().map(|p| (p, moments.by_ref().take(each).collect())).collect()
    }

    fn expect(self, found: usize) {
        let kept = self.moments();
        assert!(found == kept, "{found} moments or codecs for a rule with {kept}");
    }
}

pub(super) fn exactly<T, const N: usize>(items: Vec<T>) -> [T; N] {
    let count = items.len();
    items.try_into().unwrap_or_else(|_| panic!("{count} things where {N} are expected"))
}
