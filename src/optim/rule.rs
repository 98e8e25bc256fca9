//! What an optimizer with 8-bit states consists of.

use super::States;
use crate::backend::optim8::{Codec, Step};
use crate::error::Result;

/// The settings of an optimizer with 8-bit states, and the numbers of each step. The arithmetic
/// itself is the [`Step`]'s. [`super::EightBit`] makes an optimizer of a rule.
pub trait Rule: Clone + Send + Sync + 'static {
    /// The name in messages.
    const NAME: &'static str;
    /// The number that stands for the rule in records. 1 and 2 are SGD and Adam.
    const RECORD: u64;
    /// How many moments each parameter has.
    const MOMENTS: usize;

    /// Refuses impossible settings.
    ///
    /// # Errors
    /// Names the setting, its value and what it must be.
    fn check(&self) -> Result<()>;

    /// How the moments are held.
    fn states(&self) -> &States;

    /// The codec of each moment, all with the block size of the states.
    fn codecs(&self) -> Vec<Codec>;

    /// Step number `t`, counted from 1, with this learning rate.
    fn at(&self, rate: f64, t: u64) -> Step;
}
