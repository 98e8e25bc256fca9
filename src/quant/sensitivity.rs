use crate::error::Result;
use serde::{Deserialize, Serialize};
/// x
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SensitivityConfig {}
impl SensitivityConfig {
    /// x
    pub fn check(&self) -> Result<()> {
        Ok(())
    }
}
