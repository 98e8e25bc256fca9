//! Optimizers by name: Burn's, with PyTorch's conventions (Burn's momentum would otherwise dampen
//! by 0.1), and ours with 8-bit states.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, SgdConfig};
use burn::tensor::Bytes;
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};
use crate::optim::{self, Adam8bit, Adam8bitConfig, Decay, Sgd8bit, Sgd8bitConfig, States};

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
    /// [`OptimizerConfig::Sgd`] with its momentum in 8 bits.
    Sgd8bit {
        /// Momentum, above 0.
        #[serde(default = "default_momentum")]
        momentum: f64,
        /// How much less than whole a gradient enters the momentum; 0 with Nesterov's form.
        #[serde(default)]
        dampening: f64,
        /// Nesterov's form.
        #[serde(default = "default_nesterov")]
        nesterov: bool,
        /// Factor of the weights added to the gradient.
        #[serde(default = "default_sgd_decay")]
        weight_decay: f64,
        /// How states are held.
        #[serde(default)]
        states: States,
    },
    /// Adam with both moments in 8 bits; weight decay is added to the gradient.
    Adam8bit {
        /// Decay of the first moment.
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
        /// Factor of the weights added to the gradient.
        #[serde(default)]
        weight_decay: f64,
        /// Never store a second moment that is not 0 as 0.
        #[serde(default = "default_guard")]
        guard: bool,
        /// How states are held.
        #[serde(default)]
        states: States,
    },
    /// [`OptimizerConfig::AdamW`] with both moments in 8 bits.
    AdamW8bit {
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
        /// Never store a second moment that is not 0 as 0.
        #[serde(default = "default_guard")]
        guard: bool,
        /// How states are held.
        #[serde(default)]
        states: States,
    },
}

fn default_guard() -> bool {
    true
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
        Self::Sgd {
            momentum: default_momentum(),
            nesterov: default_nesterov(),
            weight_decay: default_sgd_decay(),
        }
    }
}

impl OptimizerConfig {
    /// Names that recipes and `--optimizer` take.
    pub const NAMES: [&str; 5] = ["sgd", "adamw", "sgd8bit", "adam8bit", "adamw8bit"];

    /// One of [`Self::NAMES`], with its default settings.
    pub fn named(name: &str) -> Result<Self> {
        let table =
            toml::Table::from_iter([("kind".to_owned(), toml::Value::String(name.to_owned()))]);
        table
            .try_into()
            .map_err(|e: toml::de::Error| Error::Invalid(format!("optimizer: {}", e.message())))
    }

    /// The optimizer. Impossible settings are errors.
    ///
    /// The 8-bit ones do not look at gradients: whoever steps a whole module has looked at all of
    /// them (as [`crate::train`] does) or asks for [`crate::optim`]'s own configurations.
    pub fn init(&self) -> Result<ModuleOptimizer> {
        match self.eight_bit()? {
            None => self.of_burn(),
            Some(EightBit::Sgd(optimizer)) => Ok(optimizer.into()),
            Some(EightBit::Adam(optimizer)) => Ok(optimizer.into()),
        }
    }

    /// The optimizer with its states from a checkpoint.
    ///
    /// # Errors
    /// A record of another kind of optimizer or block size, or a damaged one.
    pub fn restore(&self, record: Bytes) -> Result<ModuleOptimizer> {
        match self.eight_bit()? {
            Some(EightBit::Sgd(optimizer)) => optim::restore(optimizer, record),
            Some(EightBit::Adam(optimizer)) => optim::restore(optimizer, record),
            None => {
                // Names of what Burn's states hold.
                let (steps, tensors): (&[&str], &[&str]) = match self {
                    Self::Sgd { momentum: 0.0, .. } => (&[], &[]),
                    Self::Sgd { .. } => (&[], &["momentum.velocity"]),
                    _ => (&["momentum.time"], &["momentum.moment_1", "momentum.moment_2"]),
                };
                let (optimizer, record) = (self.of_burn()?, record.shared());
                optim::Record::read(&record)?.check_parts(self.name(), steps, tensors)?;
                optim::load_record(optimizer, record)
            }
        }
    }

    /// Bytes of state for tensors of so many values.
    pub fn state_bytes(&self, tensors: &[usize]) -> usize {
        let sum = |bytes: &dyn Fn(usize) -> usize| tensors.iter().map(|&n| bytes(n)).sum::<usize>();
        match self {
            Self::Sgd { momentum: 0.0, .. } => 0,
            Self::Sgd { .. } => sum(&|n| 4 * n),
            Self::AdamW { .. } => sum(&|n| 8 * n),
            Self::Sgd8bit { states, .. } => sum(&|n| states.bytes(n)),
            Self::Adam8bit { states, .. } | Self::AdamW8bit { states, .. } => {
                sum(&|n| 2 * states.bytes(n))
            }
        }
    }

    /// The name in recipes.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::AdamW { .. } => "adamw",
            Self::Sgd8bit { .. } => "sgd8bit",
            Self::Adam8bit { .. } => "adam8bit",
            Self::AdamW8bit { .. } => "adamw8bit",
        }
    }

    /// The name of the optimizer with the same states in 32 bits.
    pub fn whole(&self) -> &'static str {
        match self {
            Self::Sgd { .. } | Self::Sgd8bit { .. } => "sgd",
            Self::AdamW { .. } | Self::Adam8bit { .. } | Self::AdamW8bit { .. } => "adamw",
        }
    }

    /// Whether a step on a tensor of so many values needs memory for new ones; the steps in 8 bits
    /// change parameter and states where they are.
    pub fn makes_new_values(&self, count: usize) -> bool {
        match self {
            Self::Sgd { .. } | Self::AdamW { .. } => true,
            Self::Sgd8bit { states, .. }
            | Self::Adam8bit { states, .. }
            | Self::AdamW8bit { states, .. } => count < states.min_size,
        }
    }

    fn eight_bit(&self) -> Result<Option<EightBit>> {
        let adam =
            |[beta1, beta2, epsilon, weight_decay]: [f64; 4], decay, guard, states: &States| {
                let config = Adam8bitConfig {
                    beta1,
                    beta2,
                    epsilon,
                    weight_decay,
                    decay,
                    guard,
                    states: states.clone(),
                };
                Ok(Some(EightBit::Adam(config.init()?.with_gradient_check(false))))
            };
        match *self {
            Self::Sgd { .. } | Self::AdamW { .. } => Ok(None),
            Self::Sgd8bit { momentum, dampening, nesterov, weight_decay, ref states } => {
                let config = Sgd8bitConfig {
                    momentum,
                    dampening,
                    nesterov,
                    weight_decay,
                    states: states.clone(),
                };
                Ok(Some(EightBit::Sgd(config.init()?.with_gradient_check(false))))
            }
            Self::Adam8bit { beta1, beta2, epsilon, weight_decay, guard, ref states } => {
                adam([beta1, beta2, epsilon, weight_decay], Decay::Coupled, guard, states)
            }
            Self::AdamW8bit { beta1, beta2, epsilon, weight_decay, guard, ref states } => {
                adam([beta1, beta2, epsilon, weight_decay], Decay::Decoupled, guard, states)
            }
        }
    }

    fn of_burn(&self) -> Result<ModuleOptimizer> {
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
                    let momentum = MomentumConfig::new()
                        .with_momentum(momentum)
                        .with_dampening(0.0)
                        .with_nesterov(nesterov);
                    config = config.with_momentum(Some(momentum));
                }
                if weight_decay > 0.0 {
                    config =
                        config.with_weight_decay(Some(WeightDecayConfig::new(weight_decay as f32)));
                }
                Ok(config.init())
            }
            Self::AdamW { beta1, beta2, epsilon, weight_decay } => {
                if !(unit(beta1)
                    && unit(beta2)
                    && epsilon > 0.0
                    && weight_decay >= 0.0
                    && weight_decay.is_finite())
                {
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
            _ => unreachable!("the others have 8-bit states"),
        }
    }
}

enum EightBit {
    Sgd(Sgd8bit),
    Adam(Adam8bit),
}

/// Reads `optimizer = "sgd8bit"` as well as a table with the key `kind`.
pub(super) fn name_or_table<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<OptimizerConfig, D::Error> {
    struct Either;

    impl<'de> Visitor<'de> for Either {
        type Value = OptimizerConfig;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            write!(
                f,
                "the name of an optimizer ({}) or a table with its `kind`",
                OptimizerConfig::NAMES.join(", ")
            )
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
            let pair = std::iter::once(("kind", name));
            OptimizerConfig::deserialize(MapDeserializer::new(pair))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            OptimizerConfig::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(Either)
}
