//! SGD with its momentum in 32 bits: Burn's, with PyTorch's conventions. Burn's momentum would
//! otherwise dampen by 0.1.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::optim::momentum::MomentumConfig;
use serde::{Deserialize, Serialize};

use super::Stepper;
use super::settings::{bad, below_one, decays, or_panic};
use super::stepper::Burns;
use crate::backend::optim8::{SgdStep, Step};
use crate::error::Result;

/// What Burn's state holds in a record.
const MOMENTS: &[&str] = &["momentum.velocity"];

/// Settings of SGD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default = "SgdConfig::recipe")]
pub struct SgdConfig {
    /// Momentum, 0 or more and below 1; 0 switches it off.
    pub momentum: f64,
    /// Nesterov's form; it needs momentum.
    pub nesterov: bool,
    /// Factor of the weights added to the gradient.
    pub weight_decay: f64,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: false, weight_decay: 0.0 }
    }
}

impl SgdConfig {
    setters! {
        with_momentum(momentum: f64),
        with_nesterov(nesterov: bool),
        with_weight_decay(weight_decay: f64),
    }

    /// The defaults of recipes: Nesterov's form and a weight decay of 1e-4.
    pub fn recipe() -> Self {
        Self { nesterov: true, weight_decay: 1e-4, ..Self::default() }
    }

    /// The optimizer of a whole module.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn try_init(&self) -> Result<ModuleOptimizer> {
        let Self { momentum, nesterov, weight_decay } = *self;
        below_one("momentum", momentum)?;
        decays(weight_decay)?;
        if nesterov && momentum == 0.0 {
            return Err(bad("nesterov needs momentum"));
        }
        let mut config = burn::optim::SgdConfig::new();
        if momentum > 0.0 {
            let momentum = MomentumConfig::new()
                .with_momentum(momentum)
                .with_dampening(0.0)
                .with_nesterov(nesterov);
            config = config.with_momentum(Some(momentum));
        }
        if weight_decay > 0.0 {
            config = config.with_weight_decay(Some(WeightDecayConfig::new(weight_decay as f32)));
        }
        Ok(config.init())
    }

    /// The optimizer of a whole module that steps many tensors in one launch on GPUs.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn stepper(&self) -> Result<Stepper> {
        let optimizer = self.try_init()?;
        let Self { momentum, nesterov, weight_decay } = *self;
        let numbers = move |rate: f64, _: u64| -> Step {
            let step = SgdStep {
                rate: rate as f32,
                momentum: momentum as f32,
                fresh: 1.0,
                weight_decay: weight_decay as f32,
                nesterov,
            };
            step.into()
        };
        let (moments, numbers) = (self.moments(), Box::new(numbers));
        Ok(Stepper::new(Burns { optimizer, steps: None, moments, numbers }))
    }

    fn moments(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { MOMENTS }
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

    use super::SgdConfig;
    use crate::error::Result;
    use crate::optim::Stepper;
    use crate::optim::record::{Held, Record, load};
    use crate::optim::settings::Settings;

    impl Settings for SgdConfig {
        fn optimizer(&self) -> Result<Stepper> {
            self.stepper()
        }

        fn restored(&self, record: Bytes) -> Result<Stepper> {
            let (optimizer, record) = (self.try_init()?, record.shared());
            Record::read(&record)?.check_parts("sgd", &[], self.moments())?;
            Ok(self.stepper()?.with_states(load(optimizer, record)?))
        }

        fn held(&self) -> Held {
            Held::whole()
        }

        fn state_bytes(&self, count: usize) -> usize {
            if self.momentum == 0.0 { 0 } else { 4 * count }
        }

        fn makes_new_values(&self, _: usize) -> bool {
            true
        }
    }
}
