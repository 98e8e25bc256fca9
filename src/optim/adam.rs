//! Adam and AdamW with both moments in 32 bits: Burn's, with PyTorch's epsilon.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::module_optimizer::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use super::Stepper;
use super::settings::{below_one, decays, or_panic, within};
use super::stepper::Burns;
use crate::backend::optim8::{AdamStep, Step};
use crate::error::Result;

/// What Burn's state holds in a record: the count of steps, and the moments.
const STEPS: &str = "momentum.time";
const MOMENTS: &[&str] = &["momentum.moment_1", "momentum.moment_2"];

/// Settings of Adam: weight decay is added to the gradient.
pub type AdamConfig = AdamSettings<false>;
/// Settings of AdamW: weight decay shrinks the weights before the step.
pub type AdamWConfig = AdamSettings<true>;

/// Settings of Adam, or of AdamW with `DECOUPLED` weight decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamSettings<const DECOUPLED: bool> {
    /// Decay of the first moment, 0 or more and below 1.
    #[serde(default = "beta1")]
    pub beta1: f64,
    /// Decay of the second moment, 0 or more and below 1.
    #[serde(default = "beta2")]
    pub beta2: f64,
    /// Added to the root of the second moment.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// Factor of the weights: for Adam added to the gradient, for AdamW, times the learning rate,
    /// subtracted from the weights.
    #[serde(default = "weight_decay::<DECOUPLED>")]
    pub weight_decay: f64,
}

pub(super) fn beta1() -> f64 {
    0.9
}
pub(super) fn beta2() -> f64 {
    0.999
}
pub(super) fn epsilon() -> f64 {
    1e-8
}
pub(super) fn weight_decay<const DECOUPLED: bool>() -> f64 {
    if DECOUPLED { 0.05 } else { 0.0 }
}

/// Refuses impossible numbers of Adam and AdamW, whatever holds their moments.
pub(super) fn check(beta1: f64, beta2: f64, epsilon: f64, weight_decay: f64) -> Result<()> {
    below_one("beta1", beta1)?;
    below_one("beta2", beta2)?;
    within("epsilon", epsilon, epsilon > 0.0 && epsilon.is_finite(), "finite and above 0")?;
    decays(weight_decay)
}

impl<const DECOUPLED: bool> Default for AdamSettings<DECOUPLED> {
    fn default() -> Self {
        Self {
            beta1: beta1(),
            beta2: beta2(),
            epsilon: epsilon(),
            weight_decay: weight_decay::<DECOUPLED>(),
        }
    }
}

impl<const DECOUPLED: bool> AdamSettings<DECOUPLED> {
    setters! {
        with_beta1(beta1: f64),
        with_beta2(beta2: f64),
        with_epsilon(epsilon: f64),
        with_weight_decay(weight_decay: f64),
    }

    /// The optimizer of a whole module.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn try_init(&self) -> Result<ModuleOptimizer> {
        let Self { beta1, beta2, epsilon, weight_decay } = *self;
        check(beta1, beta2, epsilon, weight_decay)?;
        let [beta1, beta2, epsilon, weight_decay] =
            [beta1, beta2, epsilon, weight_decay].map(|x| x as f32);
        if DECOUPLED {
            let config = burn::optim::AdamWConfig::new()
                .with_beta_1(beta1)
                .with_beta_2(beta2)
                .with_epsilon(epsilon)
                .with_weight_decay(weight_decay);
            return Ok(config.init());
        }
        let mut config = burn::optim::AdamConfig::new()
            .with_beta_1(beta1)
            .with_beta_2(beta2)
            .with_epsilon(epsilon);
        if weight_decay > 0.0 {
            config = config.with_weight_decay(Some(WeightDecayConfig::new(weight_decay)));
        }
        Ok(config.init())
    }

    /// The optimizer of a whole module that steps many tensors in one launch on GPUs.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn stepper(&self) -> Result<Stepper> {
        let (optimizer, settings) = (self.try_init()?, self.clone());
        let numbers = Box::new(move |rate: f64, t: u64| settings.numbers(rate, t));
        let (steps, moments) = (Some(STEPS), MOMENTS);
        Ok(Stepper::new(Burns { optimizer, steps, moments, numbers }))
    }

    /// The numbers of step `t`, computed in f32 as Burn does.
    fn numbers(&self, rate: f64, t: u64) -> Step {
        let Self { beta1, beta2, epsilon, weight_decay } = *self;
        let [beta1, beta2, epsilon] = [beta1, beta2, epsilon].map(|x| x as f32);
        let t = t.min(i32::MAX as u64) as i32; // the powers have long been 0 by then
        let (c1, c2) = (1.0 - beta1.powi(t), (1.0 - beta2.powi(t)).sqrt());
        let decay = f64::from(weight_decay as f32);
        let (coupled, shrink) = match DECOUPLED {
            false => (decay, 1.0),
            true => (0.0, 1.0 - rate * decay),
        };
        let step = AdamStep {
            rate: (rate * f64::from(c2 / c1)) as f32,
            first: [beta1, 1.0 - beta1],
            second: [beta2, 1.0 - beta2],
            epsilon: c2 * epsilon,
            coupled: coupled as f32,
            shrink: shrink as f32,
        };
        step.into()
    }

    /// The optimizer of a whole module.
    ///
    /// # Panics
    /// If a setting is impossible. [`Self::try_init`] returns an error instead.
    pub fn init(&self) -> ModuleOptimizer {
        or_panic(self.try_init())
    }
}

#[cfg(feature = "train")]
mod training {
    use burn::tensor::Bytes;

    use super::{AdamSettings, MOMENTS, STEPS};
    use crate::error::Result;
    use crate::optim::Stepper;
    use crate::optim::record::{Held, Record, load};
    use crate::optim::settings::Settings;

    impl<const DECOUPLED: bool> Settings for AdamSettings<DECOUPLED> {
        fn optimizer(&self) -> Result<Stepper> {
            self.stepper()
        }

        fn restored(&self, record: Bytes) -> Result<Stepper> {
            let name = if DECOUPLED { "adamw" } else { "adam" };
            let (optimizer, record) = (self.try_init()?, record.shared());
            Record::read(&record)?.check_parts(name, &[STEPS], MOMENTS)?;
            Ok(self.stepper()?.with_states(load(optimizer, record)?))
        }

        fn held(&self) -> Held {
            Held::whole()
        }

        fn state_bytes(&self, count: usize) -> usize {
            8 * count
        }

        fn makes_new_values(&self, _: usize) -> bool {
            true
        }
    }
}
