//! synth
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
/// Settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynthConfig {
    /// Where to.
    pub out: PathBuf,
}
impl SynthConfig {
    /// Check.
    pub fn check(&self) -> Result<()> {
        Ok(())
    }
}
/// Ensure.
pub fn ensure(_config: &SynthConfig, _quiet: bool) -> Result<()> {
    Ok(())
}
