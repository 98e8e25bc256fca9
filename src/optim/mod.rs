//! SGD and Adam with states of 8 bits: one byte a value and one f32 a block, instead of four bytes
//! a value and state.
//!
//! Both are optimizers of Burn: any module, any learner, with gradient clipping, accumulation and
//! parameter groups.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::GradientsParams;
//! use burn::optim::module_optimizer::ModuleOptimizer;
//! use burn::tensor::{Device, Tensor};
//! use revox::optim::Adam8bitConfig;
//!
//! let device = Device::default().autodiff();
//! let mut model = LinearConfig::new(128, 128).init(&device);
//! let mut optimizer: ModuleOptimizer = Adam8bitConfig::default().init()?.into();
//! let loss = model.forward(Tensor::<2>::ones([1, 128], &device)).sum();
//! let gradients = GradientsParams::from_grads(loss.backward(), &model);
//! model = optimizer.step(1e-3, model, gradients);
//! # Ok::<(), revox::Error>(())
//! ```
//!
//! Sources: Dettmers et al., *8-bit Optimizers via Block-wise Quantization* (2021), and
//! bitsandbytes, whose order of operations the updates follow. Where this differs: Nesterov's form
//! and dampening work, second moments do not vanish (see [`Adam8bitConfig::guard`]), and a gradient
//! that is not finite changes nothing.

mod adam8bit;
mod eight_bit;
mod record;
mod sgd8bit;
mod state;
mod states;

pub use adam8bit::{Adam8bit, Adam8bitConfig, Decay};
pub use eight_bit::EightBit;
pub use record::restore;
pub(crate) use record::{Record, in_order, load_record};
pub use sgd8bit::{Sgd8bit, Sgd8bitConfig};
pub use state::OptimizerState;
pub use states::{StateRounding, States};
