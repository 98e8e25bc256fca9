//! One process: nobody to talk to.

use super::{Communicator, Summing};
use crate::error::Result;

/// The only rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alone;

struct Summed(Vec<f32>);

impl Communicator for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn begin_sum(&self, values: Vec<f32>) -> Box<dyn Summing> {
        Box::new(Summed(values))
    }

    fn sum_f64(&self, values: &[f64]) -> Result<Vec<f64>> {
        Ok(values.to_vec())
    }

    fn broadcast(&self, bytes: Vec<u8>, _root: usize) -> Result<Vec<u8>> {
        Ok(bytes)
    }

    fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        Ok(vec![bytes])
    }

    fn barrier(&self) -> Result<()> {
        Ok(())
    }
}

impl Summing for Summed {
    fn wait(self: Box<Self>) -> Result<Vec<f32>> {
        Ok(self.0)
    }
}
