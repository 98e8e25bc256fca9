//! Augmentation of training utterances: speed, reverberation, noise, SpecAugment. Each draws from a
//! stream keyed by (seed, epoch, utterance), so the result does not depend on threads or order.

mod noise;
mod reverb;
mod spec;

pub use super::resample::speed;
pub use noise::add_noise;
pub use reverb::reverberate;
pub use spec::{SpecAugment, mask};
