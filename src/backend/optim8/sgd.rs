//! SGD with momentum.

use super::{OneMoment, Step, Update, Value};

/// What SGD does with each value: `g += weight_decay * p; m = momentum * m + fresh * g; p -= rate *
/// (nesterov ? g + momentum * m : m)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub rate: f32,
    /// Momentum.
    pub momentum: f32,
    /// 1 in the first step, 1 - dampening afterwards.
    pub fresh: f32,
    /// Weight decay, coupled.
    pub weight_decay: f32,
    /// Nesterov's form.
    pub nesterov: bool,
}

impl SgdStep {
    /// The step goes along `direction[0] * g + direction[1] * m`.
    fn direction(&self) -> [f32; 2] {
        if self.nesterov { [1.0, self.momentum] } else { [0.0, 1.0] }
    }
}

impl From<SgdStep> for Step {
    fn from(step: SgdStep) -> Self {
        Self::One(OneMoment::Sgd(step))
    }
}

impl Update<1> for SgdStep {
    #[inline(always)]
    fn change<V: Value>(&self, parameter: &V, gradient: V, [m]: [V; 1]) -> (V, [V; 1]) {
        let [own, looked] = self.direction();
        let g = gradient.plus(self.weight_decay, parameter);
        let m = V::blend(self.momentum, m, self.fresh, g.clone()).bounded();
        (m.clone().scaled(looked).plus(own, &g).scaled(self.rate), [m])
    }
}

/// The same on a device.
#[cfg(feature = "cube")]
mod kernel {
    use burn_cubecl::cubecl;
    use cubecl::prelude::*;

    use super::SgdStep;
    use crate::backend::optim8::cube::{OnDevice, UpdateOne, bounded};

    #[derive(CubeType, CubeLaunch)]
    pub(in crate::backend::optim8) struct SgdNumbers {
        rate: f32,
        momentum: f32,
        fresh: f32,
        weight_decay: f32,
        own: f32,
        looked: f32,
    }

    impl OnDevice for SgdStep {
        type Numbers = SgdNumbers;

        fn numbers(&self) -> SgdNumbersLaunch {
            let [own, looked] = self.direction();
            let Self { rate, momentum, fresh, weight_decay, .. } = *self;
            SgdNumbersLaunch::new(rate, momentum, fresh, weight_decay, own, looked)
        }
    }

    #[cube]
    impl UpdateOne for SgdStep {
        fn update(p: f32, g: f32, m: f32, n: &SgdNumbers) -> (f32, f32) {
            let g = g + n.weight_decay * p;
            let m = bounded(n.momentum * m + n.fresh * g);
            (p - n.rate * (n.own * g + n.looked * m), m)
        }
    }
}
