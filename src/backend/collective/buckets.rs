//! Gradients go to the other ranks in buckets: many small tensors in one sum, and large ones while
//! the next are read from the device.
//!
//! [`Buckets`] take gradients in any order that is the same on all ranks. [`Sending`] puts those of
//! reversible bodies in while the backward pass goes on, so that sums are under way before its end.

mod sending;

use std::collections::HashMap;
use std::mem;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Shape, Tensor, TensorData};

pub use self::sending::Sending;
use super::{Communicator, Summing};
use crate::backend::failure;
use crate::error::Result;
use crate::panics::panic_text;

/// A bucket is full from so many values on: 4 MiB of f32. Smaller ones would wait more for the
/// network's latency, larger ones leave less to overlap.
const FULL: usize = 1 << 20;

/// Gradients on their way to their sums over ranks, in rank order unless NCCL sums. Values are
/// summed in f32.
///
/// Tensors of a bucket are joined on their device and read to the host, so a GPU is waited for once
/// a bucket. A gradient leaves the device when its bucket begins, and its sum comes back when all
/// have been read. So host and device together hold each value once, and one bucket twice.
pub struct Buckets {
    full: usize,
    filling: Bucket,
    begun: Vec<Begun>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self::of(FULL)
    }
}

/// A gradient in a bucket.
struct Place {
    id: ParamId,
    shape: Shape,
    device: Device,
}

/// Gradients that are summed together, each flat.
#[derive(Default)]
struct Bucket {
    places: Vec<Place>,
    values: Vec<Tensor<1>>,
    count: usize,
}

/// A bucket whose sum is under way.
struct Begun {
    places: Vec<Place>,
    sum: Box<dyn Summing>,
}

/// What a device said that failed.
type Words = String;

impl Buckets {
    /// Buckets that are full from so many values on.
    pub fn of(full: usize) -> Self {
        Self { full, filling: Bucket::default(), begun: Vec::new() }
    }

    /// Adds these gradients to those that are on their way, and waits for the sums: all gradients,
    /// on the devices where they were. They go in the order in which the module visits its
    /// parameters, which must be the same on all ranks. A parameter without a gradient has none on
    /// any rank.
    ///
    /// # Errors
    /// A device that fails, or a fault of the connection.
    pub fn finish<M: Module>(
        mut self,
        comm: &dyn Communicator,
        gradients: GradientsParams,
        module: &M,
    ) -> Result<GradientsParams> {
        let mut pack = Pack { buckets: &mut self, comm, gradients, done: Ok(()) };
        module.visit(&mut pack);
        let Pack { gradients, done, .. } = pack;
        done.and_then(|()| self.begin(comm)).map_err(|words| failure(&words))?;
        let mut unpack = Unpack { gradients, sums: HashMap::new() };
        for begun in self.begun {
            begun.wait(&mut unpack.sums)?;
        }
        module.visit(&mut unpack);
        Ok(unpack.gradients)
    }

    /// Adds a gradient of a shape, flat. A full bucket begins.
    fn add(
        &mut self,
        comm: &dyn Communicator,
        id: ParamId,
        shape: Shape,
        gradient: Tensor<1>,
    ) -> Result<(), Words> {
        let (count, device) = (shape.num_elements(), gradient.device());
        // Tensors of one bucket are joined on one device.
        if self.filling.places.last().is_some_and(|place| place.device != device) {
            self.begin(comm)?;
        }
        self.filling.places.push(Place { id, shape, device });
        self.filling.values.push(gradient);
        self.filling.count += count;
        if self.filling.count >= self.full { self.begin(comm) } else { Ok(()) }
    }

    /// Begins the sum of the bucket that is being filled.
    fn begin(&mut self, comm: &dyn Communicator) -> Result<(), Words> {
        let Bucket { places, mut values, .. } = mem::take(&mut self.filling);
        let values = match values.len() {
            0 => return Ok(()),
            1 => values.remove(0),
            _ => Tensor::cat(values, 0),
        };
        let values = read(values)?;
        self.begun.push(Begun { places, sum: comm.begin_sum(values) });
        Ok(())
    }
}

impl Begun {
    /// Waits for the sums of the bucket's gradients, and puts each back on its device, flat.
    fn wait(self, sums: &mut HashMap<ParamId, (Tensor<1>, Shape)>) -> Result<()> {
        let values = self.sum.wait()?;
        let mut rest = &values[..];
        for Place { id, shape, device } in self.places {
            let (part, behind) = rest.split_at(shape.num_elements());
            rest = behind;
            let data = TensorData::new(part.to_vec(), [part.len()]);
            sums.insert(id, (Tensor::from_data(data, &device), shape));
        }
        Ok(())
    }
}

/// Takes gradients out, and puts them into buckets.
struct Pack<'a> {
    buckets: &'a mut Buckets,
    comm: &'a dyn Communicator,
    gradients: GradientsParams,
    done: Result<(), Words>,
}

impl ModuleVisitor for Pack<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        // After a fault nothing more begins.
        if self.done.is_ok() {
            let shape = gradient.shape();
            let flat = gradient.reshape([shape.num_elements()]);
            self.done = self.buckets.add(self.comm, param.id, shape, flat);
        }
    }
}

/// Puts sums back where gradients were taken out.
struct Unpack {
    gradients: GradientsParams,
    /// Flat, with their shapes.
    sums: HashMap<ParamId, (Tensor<1>, Shape)>,
}

impl ModuleVisitor for Unpack {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some((sum, shape)) = self.sums.remove(&param.id) {
            self.gradients.register(param.id, sum.reshape::<D, _>(shape));
        }
    }
}

/// The values of a tensor, as f32.
fn read(values: Tensor<1>) -> Result<Vec<f32>, Words> {
    match values.try_into_data() {
        Ok(data) => Ok(data.iter::<f32>().collect()),
        Err(e) => Err(panic_text(&e.to_string())),
    }
}

#[cfg(test)]
mod tests;
