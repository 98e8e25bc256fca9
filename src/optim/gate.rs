//! Whether a step is made: see [`Gate`].

pub use crate::backend::optim8::Gate;
