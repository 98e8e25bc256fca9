//! x
use super::Setting;
#[derive(Debug, Clone, Default)]
pub struct Breakdown;
pub fn account(_: &Setting) -> Breakdown {
    Breakdown
}
