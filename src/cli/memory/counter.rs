//! Steps that are run and counted.

use crate::backend::{BackendKind, failure};
use crate::cli::Global;
use crate::error::Result;
use crate::memory::{Measured, Setting, advised, measure_beside, used_by_driver};
use crate::panics::quietly;

/// Counts steps on a device.
pub(super) struct Counter<'a> {
    global: &'a Global,
    /// What the driver says is in use before the device is opened, if it is NVIDIA's.
    idle: Option<u64>,
}

impl<'a> Counter<'a> {
    pub fn new(global: &'a Global) -> Self {
        Self { global, idle: used(global) }
    }

    /// A step on the device.
    ///
    /// # Errors
    /// A step that fails. If memory was short, the error says what would fit.
    pub fn count(&self, setting: &Setting) -> Result<Measured> {
        let Self { global, idle } = *self;
        let (free, device) = (global.free(), global.open()?);
        let measured = quietly(|| measure_beside(setting, &device, &|| used(global)))
            .unwrap_or_else(|panic| Err(failure(&panic)))
            .map_err(|e| advised(e, setting, global.backend, free))?;
        // What this program has taken.
        let taken = |bytes: usize| bytes.saturating_sub(idle.unwrap_or(0) as usize);
        Ok(Measured { driver: measured.driver.map(taken), ..measured })
    }
}

/// What NVIDIA's driver says is in use on the device.
fn used(global: &Global) -> Option<u64> {
    (global.backend == BackendKind::Cuda).then(|| used_by_driver(global.device)).flatten()
}
