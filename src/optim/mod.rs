//! SGD and Adam with states of 8 bits: one byte a value and one f32 a block, instead of four bytes
//! a value and state. Beside them, the same with states of 32 bits.
//!
//! All are optimizers of Burn: for any module and any learner, with gradient clipping,
//! accumulation and parameter groups. On GPUs, [`Stepper`]s of the same settings step many tensors
//! in one launch.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::GradientsParams;
//! use burn::tensor::{Device, Tensor};
//! use revox::optim::Adam8bitConfig;
//!
//! let device = Device::default().autodiff();
//! let mut model = LinearConfig::new(128, 128).init(&device);
//! let mut optimizer = Adam8bitConfig::new().with_beta2(0.99).init();
//! let loss = model.forward(Tensor::<2>::ones([1, 128], &device)).sum();
//! let gradients = GradientsParams::from_grads(loss.backward(), &model);
//! model = optimizer.step(1e-3, model, gradients);
//! ```
//!
//! Configurations are made as Burn's are. `init` gives the optimizer of a whole module and panics
//! if a setting is impossible; `try_init` returns an error instead. `stepper` gives a [`Stepper`].
//! Configurations with 8-bit states also have `build`, which gives the bare optimizer
//! ([`EightBit`]).
//!
//! Defaults are those of recipes, except SGD's: [`Sgd8bitConfig::default`] and
//! [`SgdConfig::default`] are plain momentum without weight decay, as PyTorch's users expect it.
//! Recipes take [`Sgd8bitConfig::recipe`] and [`SgdConfig::recipe`].
//!
//! [`Rule`] is what an 8-bit optimizer consists of. A new one is a file here with its settings, a
//! file in [`crate::backend::optim8`] with its arithmetic, and a few lines in the lists of both;
//! `docs/extending.md` names them.
//!
//! Sources: Dettmers et al., *8-bit Optimizers via Block-wise Quantization* (2021), and
//! bitsandbytes, whose order of operations the updates follow. There are three differences:
//! Nesterov's form and dampening work, second moments do not vanish (the setting `guard`), and a
//! gradient that is not finite changes nothing.

#[macro_use]
mod settings;

mod adam;
mod adam8bit;
mod eight_bit;
mod gate;
mod record;
mod rule;
mod sgd;
mod sgd8bit;
mod state;
mod states;
mod stepper;

pub use adam::{AdamConfig, AdamSettings, AdamWConfig};
pub use adam8bit::{Adam8bit, Adam8bitConfig, Adam8bitSettings, AdamW8bit, AdamW8bitConfig};
pub use eight_bit::EightBit;
pub use gate::Gate;
pub use record::restore;
#[cfg(feature = "train")]
pub(crate) use record::{Record, Rows, in_order, joined};
pub use rule::Rule;
#[cfg(feature = "train")]
pub(crate) use settings::Settings;
pub use sgd::SgdConfig;
pub use sgd8bit::{Sgd8bit, Sgd8bitConfig};
pub use state::OptimizerState;
pub use states::{StateRounding, States};
pub use stepper::Stepper;
#[cfg(feature = "train")]
pub(crate) use stepper::with_values;
#[cfg(feature = "train")]
pub(crate) use stepper::{Checks, Left};

/// The rules' numbers in records, with their names in messages.
const RULES: [(u64, &str); 2] =
    [(Sgd8bitConfig::RECORD, Sgd8bitConfig::NAME), (Adam8bitConfig::RECORD, Adam8bitConfig::NAME)];
