//! Augmentation of training utterances: speed, reverberation, noise, SpecAugment. Each draws from a
//! stream keyed by (seed, epoch, utterance), so the result does not depend on threads or order.

mod category;
mod noise;
mod reverb;
mod spec;

pub use super::resample::speed;
pub use category::{Categories, Category};
pub use noise::{add_at_ratio, add_noise, power, repeated};
pub use reverb::{Response, reverberate};
pub use spec::{SpecAugment, mask};
