//! Measurements on the backend that a user has.

mod data;
mod embed;
mod optim;
mod report;
mod train;

pub use data::{DataBench, data};
pub use embed::{EmbedBench, embed};
pub use optim::{OptimBench, optim};
pub use report::report;
pub use train::{TrainBench, train};

use std::time::Instant;

use burn::tensor::Device;
use cpu_time::ProcessTime;
use serde::Serialize;

use crate::error::{Error, Result};

/// One measured figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much.
    pub value: f64,
    /// The unit.
    pub unit: &'static str,
    /// Backend, or the instructions of the runtime without Burn.
    pub backend: &'static str,
    /// Threads of the CPU.
    pub threads: usize,
}

/// Seconds of a piece of work.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Took {
    /// On the clock.
    wall: f64,
    /// Of processors, summed over all threads of this process.
    cpu: f64,
}

/// Repeats `work` and gives its median times. One run before them does not count. The clock is read
/// only when the device has finished.
fn time(device: &Device, runs: usize, mut work: impl FnMut()) -> Result<Took> {
    let sync = || device.sync().map_err(|e| Error::Backend(e.to_string()));
    work();
    sync()?;
    let mut took = Vec::with_capacity(runs);
    for _ in 0..runs {
        let (wall, cpu) = (Instant::now(), ProcessTime::now());
        work();
        sync()?;
        took.push(Took { wall: wall.elapsed().as_secs_f64(), cpu: cpu.elapsed().as_secs_f64() });
    }
    let median = |of: fn(&Took) -> f64| {
        let mut values: Vec<f64> = took.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Ok(Took { wall: median(|t| t.wall), cpu: median(|t| t.cpu) })
}
