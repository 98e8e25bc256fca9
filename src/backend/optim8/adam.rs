//! Adam and AdamW.

use super::{Step, TwoMoments, Update, Value};

/// What Adam does with each value: `g += coupled * p; m = beta1 * m + (1 - beta1) * g; v = beta2 *
/// v + (1 - beta2) * g^2; p = shrink * p - rate * m / (sqrt(v) + epsilon)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Learning rate times sqrt(1 - beta2^t) / (1 - beta1^t).
    pub rate: f32,
    /// beta1 and 1 - beta1.
    pub first: [f32; 2],
    /// beta2 and 1 - beta2.
    pub second: [f32; 2],
    /// Epsilon times sqrt(1 - beta2^t).
    pub epsilon: f32,
    /// Weight decay added to the gradient (Adam).
    pub coupled: f32,
    /// 1 - learning rate * weight decay (AdamW).
    pub shrink: f32,
}

impl From<AdamStep> for Step {
    fn from(step: AdamStep) -> Self {
        Self::Two(TwoMoments::Adam(step))
    }
}

impl Update<2> for AdamStep {
    #[inline(always)]
    fn shrink(&self) -> f32 {
        self.shrink
    }

    #[inline(always)]
    fn change<V: Value>(&self, parameter: &V, gradient: V, [m, v]: [V; 2]) -> (V, [V; 2]) {
        let g = gradient.plus(self.coupled, parameter);
        let m = V::blend(self.first[0], m, self.first[1], g.clone()).bounded();
        let square = g.clone().times(g);
        let v = V::blend(self.second[0], v, self.second[1], square).bounded();
        let root = v.clone().root().raised(self.epsilon);
        (m.clone().over(root).scaled(self.rate), [m, v])
    }
}

/// The same on a device.
#[cfg(feature = "cube")]
mod kernel {
    use burn_cubecl::cubecl;
    use cubecl::prelude::*;

    use super::AdamStep;
    use crate::backend::optim8::cube::{OnDevice, UpdateTwo, bounded};

    #[derive(CubeType, CubeLaunch)]
    pub(in crate::backend::optim8) struct AdamNumbers {
        rate: f32,
        beta1: f32,
        rest1: f32,
        beta2: f32,
        rest2: f32,
        epsilon: f32,
        coupled: f32,
        shrink: f32,
    }

    impl OnDevice for AdamStep {
        type Numbers = AdamNumbers;

        fn numbers(&self) -> AdamNumbersLaunch {
            let Self { rate, first, second, epsilon, coupled, shrink } = *self;
            let ([beta1, rest1], [beta2, rest2]) = (first, second);
            AdamNumbersLaunch::new(rate, beta1, rest1, beta2, rest2, epsilon, coupled, shrink)
        }
    }

    #[cube]
    impl UpdateTwo for AdamStep {
        fn update(p: f32, g: f32, m: f32, v: f32, n: &AdamNumbers) -> (f32, f32, f32) {
            let g = g + n.coupled * p;
            let m = bounded(n.beta1 * m + n.rest1 * g);
            let v = bounded(n.beta2 * v + n.rest2 * (g * g));
            (n.shrink * p - n.rate * (m / (f32::sqrt(v) + n.epsilon)), m, v)
        }
    }
}
