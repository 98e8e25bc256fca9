//! Optimizers by name: Burn's, with PyTorch's conventions (Burn's momentum would otherwise dampen by 0.1).

use burn::optim::decay::WeightDecayConfig;
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, SgdConfig};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Which optimizer, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Stochastic gradient descent; weight decay is added to the gradient.
    Sgd {
        /// Momentum, 0 to switch it off.
        #[serde(default = "default_momentum")]
        momentum: f64,
        /// Nesterov's form.
        #[serde(default = "default_nesterov")]
        nesterov: bool,
        /// Factor of the weights added to the gradient.
        #[serde(default = "default_sgd_decay")]
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay.
    AdamW {
        /// Decay of the first moment.
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
        /// Factor of the weights, times the learning rate, subtracted from them.
        #[serde(default = "default_adam_decay")]
        weight_decay: f64,
    },
}

fn default_momentum() -> f64 {
    0.9
}
fn default_nesterov() -> bool {
    true
}
fn default_sgd_decay() -> f64 {
    1e-4
}
fn default_beta1() -> f64 {
    0.9
}
fn default_beta2() -> f64 {
    0.999
}
fn default_epsilon() -> f64 {
    1e-8
}
fn default_adam_decay() -> f64 {
    0.05
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Sgd { momentum: default_momentum(), nesterov: default_nesterov(), weight_decay: default_sgd_decay() }
    }
}

impl OptimizerConfig {
    /// The optimizer. Impossible settings are errors.
    pub fn init(&self) -> Result<ModuleOptimizer> {
        let bad = |m: String| Err(Error::Invalid(format!("optimizer: {m}")));
        let unit = |x: f64| (0.0..1.0).contains(&x);
        match *self {
            Self::Sgd { momentum, nesterov, weight_decay } => {
                if !(unit(momentum) && weight_decay >= 0.0 && weight_decay.is_finite()) {
                    return bad(format!("momentum = {momentum}, weight_decay = {weight_decay}"));
                }
                if nesterov && momentum == 0.0 {
                    return bad("nesterov needs momentum".into());
                }
                let mut config = SgdConfig::new();
                if momentum > 0.0 {
                    let momentum =
                        MomentumConfig::new().with_momentum(momentum).with_dampening(0.0).with_nesterov(nesterov);
                    config = config.with_momentum(Some(momentum));
                }
                if weight_decay > 0.0 {
                    config = config.with_weight_decay(Some(WeightDecayConfig::new(weight_decay as f32)));
                }
                Ok(config.init())
            }
            Self::AdamW { beta1, beta2, epsilon, weight_decay } => {
                if !(unit(beta1) && unit(beta2) && epsilon > 0.0 && weight_decay >= 0.0 && weight_decay.is_finite()) {
                    return bad(format!(
                        "beta1 = {beta1}, beta2 = {beta2}, epsilon = {epsilon}, weight_decay = {weight_decay}"
                    ));
                }
                Ok(AdamWConfig::new()
                    .with_beta_1(beta1 as f32)
                    .with_beta_2(beta2 as f32)
                    .with_epsilon(epsilon as f32)
                    .with_weight_decay(weight_decay as f32)
                    .init())
            }
        }
    }
}
