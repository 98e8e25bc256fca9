//! What all configurations have in common.

#[cfg(feature = "train")]
use burn::tensor::Bytes;

#[cfg(feature = "train")]
use super::Stepper;
#[cfg(feature = "train")]
use super::record::Held;
use crate::error::{Error, Result};

/// What training and the account of memory ask of a configuration.
#[cfg(feature = "train")]
pub(crate) trait Settings {
    /// The optimizer. It does not check gradients, because training has checked them.
    fn optimizer(&self) -> Result<Stepper>;

    /// The optimizer with its states from a record.
    fn restored(&self, record: Bytes) -> Result<Stepper>;

    /// How it holds moments.
    fn held(&self) -> Held;

    /// Bytes of state for a tensor of `count` values.
    fn state_bytes(&self, count: usize) -> usize;

    /// Whether a step on a tensor of `count` values needs memory for new ones. Steps in 8 bits
    /// change parameter and states where they are.
    fn makes_new_values(&self, count: usize) -> bool;
}

/// `new`, and `with_` for each setting, as Burn's configurations have them.
macro_rules! setters {
    ($($with:ident($field:ident: $type:ty)),+ $(,)?) => {
        /// The default settings.
        #[must_use]
        pub fn new() -> Self {
            Self::default()
        }

        $(
            #[doc = concat!("The same settings with another `", stringify!($field), "`.")]
            #[must_use]
            pub fn $with(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            }
        )+
    };
}

/// Refuses a setting that is not `fine`. The error has its name, its value and what is `wanted`.
pub(super) fn within(name: &str, value: f64, fine: bool, wanted: &str) -> Result<()> {
    match fine {
        true => Ok(()),
        false => Err(bad(format!("{name} = {value}: must be {wanted}"))),
    }
}

/// Refuses the decay of a moment, or a momentum, outside of [0, 1).
pub(super) fn below_one(name: &str, value: f64) -> Result<()> {
    within(name, value, (0.0..1.0).contains(&value), "0 or more and below 1")
}

/// Refuses a weight decay that is negative or not finite.
pub(super) fn decays(weight_decay: f64) -> Result<()> {
    let fine = weight_decay >= 0.0 && weight_decay.is_finite();
    within("weight_decay", weight_decay, fine, "finite and 0 or more")
}

/// The error of impossible settings.
pub(super) fn bad(what: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("optimizer: {what}"))
}

/// Unwraps what was made. Panics with the error of impossible settings.
pub(super) fn or_panic<T>(made: Result<T>) -> T {
    made.unwrap_or_else(|error| panic!("{error}"))
}
