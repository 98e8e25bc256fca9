//! Gradients go to the other ranks in buckets: many small tensors in one sum, and large ones while
//! the next are read from the device.

use std::collections::VecDeque;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Shape, Tensor, TensorData};

use super::{Communicator, Summing};
use crate::backend::failure;
use crate::error::{Error, Result};
use crate::panics::panic_text;

/// A bucket is full from so many values on: 4 MiB of f32. Smaller ones would wait more for the
/// network's latency, larger ones leave less to overlap.
const FULL: usize = 1 << 20;

/// The sum of every gradient over ranks, in rank order (unless NCCL sums), on the device where it
/// was. Gradients go in the order in which the module visits its parameters, which must be the same
/// on all ranks. A parameter without a gradient has none on any rank. Values are summed in f32.
///
/// Tensors of a bucket are joined on their device and read to the host, so a GPU is waited for once
/// a bucket. A gradient leaves the device when its bucket begins, and its sum comes back when all
/// have been read. So host and device together hold each value once, and one bucket twice.
///
/// # Errors
/// A device that fails, or a fault of the connection.
pub fn sum_in_buckets<M: Module>(
    comm: &dyn Communicator,
    gradients: GradientsParams,
    module: &M,
) -> Result<GradientsParams> {
    if comm.size() == 1 {
        return Ok(gradients);
    }
    sum_in(FULL, comm, gradients, module)
}

fn sum_in<M: Module>(
    full: usize,
    comm: &dyn Communicator,
    gradients: GradientsParams,
    module: &M,
) -> Result<GradientsParams> {
    let mut pack = Pack { full, comm, gradients, filling: Bucket::default(), begun: Ok(vec![]) };
    module.visit(&mut pack);
    pack.begin();
    let Pack { gradients, begun, .. } = pack;
    let mut unpack =
        Unpack { gradients, parts: VecDeque::new(), begun: begun?.into(), fault: None };
    module.visit(&mut unpack);
    match unpack.fault {
        Some(error) => Err(error),
        None => Ok(unpack.gradients),
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

/// Takes gradients out, and begins their sums.
struct Pack<'a> {
    full: usize,
    comm: &'a dyn Communicator,
    gradients: GradientsParams,
    filling: Bucket,
    begun: Result<Vec<Begun>>,
}

impl Pack<'_> {
    /// Begins the sum of the bucket that is being filled.
    fn begin(&mut self) {
        let Bucket { places, mut values, .. } = std::mem::take(&mut self.filling);
        let Ok(begun) = &mut self.begun else { return };
        let values = match values.len() {
            0 => return,
            1 => values.remove(0),
            _ => Tensor::cat(values, 0),
        };
        match read(values) {
            Ok(values) => begun.push(Begun { places, sum: self.comm.begin_sum(values) }),
            Err(error) => self.begun = Err(error),
        }
    }
}

impl ModuleVisitor for Pack<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let (shape, device) = (gradient.shape(), gradient.device());
        let count = shape.num_elements();
        // Tensors of one bucket are joined on one device.
        if self.filling.places.last().is_some_and(|place| place.device != device) {
            self.begin();
        }
        self.filling.places.push(Place { id: param.id, shape, device });
        self.filling.values.push(gradient.reshape([count]));
        self.filling.count += count;
        if self.filling.count >= self.full {
            self.begin();
        }
    }
}

/// Puts sums back where gradients were taken out.
struct Unpack {
    gradients: GradientsParams,
    /// Of the bucket that is being emptied.
    parts: VecDeque<(Place, Vec<f32>)>,
    begun: VecDeque<Begun>,
    fault: Option<Error>,
}

impl Unpack {
    /// Waits for the next bucket if the latest one is empty.
    fn fill(&mut self) {
        if !self.parts.is_empty() || self.fault.is_some() {
            return;
        }
        let Some(Begun { places, sum }) = self.begun.pop_front() else { return };
        match sum.wait() {
            Ok(values) => {
                let mut rest = &values[..];
                self.parts.extend(places.into_iter().map(|place| {
                    let (part, behind) = rest.split_at(place.shape.num_elements());
                    rest = behind;
                    (place, part.to_vec())
                }));
            }
            Err(error) => self.fault = Some(error),
        }
    }
}

impl ModuleVisitor for Unpack {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.fill();
        // A parameter without a gradient is not among the places.
        let Some((place, values)) = self.parts.pop_front_if(|(place, _)| place.id == param.id)
        else {
            return;
        };
        let data = TensorData::new(values, place.shape);
        self.gradients.register(param.id, Tensor::<D>::from_data(data, &place.device));
    }
}

/// The values of a tensor, as f32.
fn read(values: Tensor<1>) -> Result<Vec<f32>> {
    match values.try_into_data() {
        Ok(data) => Ok(data.iter::<f32>().collect()),
        Err(e) => Err(failure(&panic_text(&e.to_string()))),
    }
}

#[cfg(test)]
mod tests;
