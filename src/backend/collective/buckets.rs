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

/// The sum of every gradient over ranks, in rank order, on the device where it was. Gradients go in
/// the order in which the module visits its parameters, which must be the same on all ranks. A
/// parameter without a gradient has none on any rank. Values are summed in f32.
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
mod tests {
    use super::*;
    use crate::backend::collective::Alone;
    use crate::backend::collective::threads::each_rank;
    use crate::rng::Stream;

    #[derive(Module, Debug)]
    struct Net {
        vectors: Vec<Param<Tensor<1>>>,
        /// Without a gradient.
        still: Param<Tensor<2>>,
        wide: Param<Tensor<2>>,
    }

    const SIZES: [usize; 5] = [1, 3, 300, 64, 5];

    /// Values that all ranks can draw, one parameter's of one rank.
    fn noise(count: usize, rank: usize, place: usize) -> Vec<f32> {
        let mut stream = Stream::new(9, "buckets", &[rank as u64, place as u64]);
        (0..count).map(|_| stream.normal() as f32).collect()
    }

    /// The same net on every rank.
    fn net() -> Net {
        let device = Device::default();
        let vector = |(id, n): (usize, usize)| {
            Param::initialized(ParamId::from(id as u64), Tensor::<1>::zeros([n], &device))
        };
        let matrix =
            |id: u64| Param::initialized(ParamId::from(id), Tensor::<2>::zeros([4, 10], &device));
        Net {
            vectors: SIZES.into_iter().enumerate().map(vector).collect(),
            still: matrix(100),
            wide: matrix(101),
        }
    }

    fn gradients(net: &Net, rank: usize) -> GradientsParams {
        let device = Device::default();
        let mut gradients = GradientsParams::new();
        for (place, (vector, count)) in net.vectors.iter().zip(SIZES).enumerate() {
            let data = TensorData::new(noise(count, rank, place), [count]);
            gradients.register(vector.id, Tensor::<1>::from_data(data, &device));
        }
        let data = TensorData::new(noise(40, rank, 9), [4, 10]);
        gradients.register(net.wide.id, Tensor::<2>::from_data(data, &device));
        gradients
    }

    /// The bits of all gradients, in their order; none where there is no gradient.
    fn bits(net: &Net, gradients: &GradientsParams) -> Vec<Option<Vec<u32>>> {
        fn of<const D: usize>(gradients: &GradientsParams, id: ParamId) -> Option<Vec<u32>> {
            let data = gradients.get::<D>(id)?.into_data();
            Some(data.iter::<f32>().map(f32::to_bits).collect())
        }

        let vectors = net.vectors.iter().map(|vector| of::<1>(gradients, vector.id));
        let matrices = [&net.still, &net.wide].map(|matrix| of::<2>(gradients, matrix.id));
        vectors.chain(matrices).collect()
    }

    /// The bits of a parameter's sum over these ranks, by scalar Rust.
    fn naive(ranks: &[usize], count: usize, place: usize) -> Option<Vec<u32>> {
        let mut sum = noise(count, ranks[0], place);
        for rank in &ranks[1..] {
            sum.iter_mut().zip(noise(count, *rank, place)).for_each(|(sum, x)| *sum += x);
        }
        Some(sum.into_iter().map(f32::to_bits).collect())
    }

    fn wanted(ranks: &[usize]) -> Vec<Option<Vec<u32>>> {
        let vectors = SIZES.into_iter().enumerate().map(|(place, n)| naive(ranks, n, place));
        vectors.chain([None, naive(ranks, 40, 9)]).collect()
    }

    /// Whatever the size of the buckets: one for each tensor, some for several, one for all.
    #[test]
    fn every_gradient_is_summed_over_ranks() {
        for full in [1, 4, 70, FULL] {
            let sums = each_rank(3, |comm| {
                let net = net();
                let sums = sum_in(full, comm, gradients(&net, comm.rank()), &net).unwrap();
                assert_eq!(sums.get::<2>(net.wide.id).unwrap().dims(), [4, 10]);
                bits(&net, &sums)
            });
            let wanted = wanted(&[0, 1, 2]);
            assert!(sums.iter().all(|sums| *sums == wanted), "buckets of {full}");
        }
    }

    #[test]
    fn alone_gradients_stay_what_they_are() {
        let net = net();
        let sums = sum_in_buckets(&Alone, gradients(&net, 1), &net).unwrap();
        assert_eq!(bits(&net, &sums), wanted(&[1]));
    }

    /// A connection that fails is an error, and no gradient.
    #[test]
    fn a_fault_of_the_connection_is_told() {
        #[derive(Debug)]
        struct Broken;
        struct Never;

        impl Summing for Never {
            fn wait(self: Box<Self>) -> Result<Vec<f32>> {
                Err(Error::Training("rank 1 did not come".into()))
            }
        }

        impl Communicator for Broken {
            fn rank(&self) -> usize {
                0
            }

            fn size(&self) -> usize {
                2
            }

            fn begin_sum(&self, _: Vec<f32>) -> Box<dyn Summing> {
                Box::new(Never)
            }

            fn sum_f64(&self, values: &[f64]) -> Result<Vec<f64>> {
                Ok(values.to_vec())
            }

            fn broadcast(&self, bytes: Vec<u8>, _: usize) -> Result<Vec<u8>> {
                Ok(bytes)
            }

            fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
                Ok(vec![bytes])
            }

            fn barrier(&self) -> Result<()> {
                Ok(())
            }
        }

        let net = net();
        let error = sum_in_buckets(&Broken, gradients(&net, 0), &net).unwrap_err();
        assert_eq!(error.to_string(), "rank 1 did not come");
    }
}
