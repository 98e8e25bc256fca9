//! What changes from iteration to iteration: learning rate and margin. Pure functions of the
//! iteration, so a resumed run needs no state of theirs.

mod exponential_decrease;
mod margin;

pub use exponential_decrease::ExponentialDecrease;
pub use margin::{Increase, MarginSchedule};
