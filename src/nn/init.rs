//! Where a part hangs in the network, which decides the names, ids and initial values of its
//! parameters.

use burn::module::{Param, ParamId, RunningState};
use burn::tensor::{Device, Shape, Tensor, TensorData};

use crate::rng::{Stream, fnv1a64};

/// A place in the network under construction.
///
/// Initial values are drawn per parameter from a stream keyed by (seed, full name): they depend
/// neither on the order of construction nor on the backend. Parameter ids are hashes of the names,
/// so optimizer states find their parameters after a restart.
#[derive(Clone)]
pub struct Init {
    device: Device,
    seed: u64,
    path: String,
    /// Buffers are views of a single value each.
    blank: bool,
}

impl Init {
    /// The root of a network.
    pub fn new(device: &Device, seed: u64) -> Self {
        Self { device: device.clone(), seed, path: String::new(), blank: false }
    }

    /// The root of a network that is looked at and never run or changed: its buffers take no
    /// memory, as its weights take none before they are used.
    pub fn blank() -> Self {
        // On the processor, if this build can use it.
        #[cfg(feature = "flex")]
        let device = Device::flex();
        #[cfg(not(feature = "flex"))]
        let device = Device::default();
        Self { blank: true, ..Self::new(&device, 0) }
    }

    /// The place `name` below this one. An empty name is this place itself.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        let path = match (self.path.as_str(), name.to_string()) {
            ("", name) => name,
            (path, name) if name.is_empty() => path.to_owned(),
            (path, name) => format!("{path}.{name}"),
        };
        Self { path, ..self.clone() }
    }

    /// A parameter drawn uniformly from (-bound, bound) when it is first used.
    pub fn uniform<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        bound: f64,
    ) -> Param<Tensor<D>> {
        let (path, seed) = (self.at(name).path, self.seed);
        self.lazy(name, shape, move || {
            let mut stream = Stream::new(seed, &path, &[]);
            (0..shape.iter().product()).map(|_| stream.between(-bound, bound) as f32).collect()
        })
    }

    /// A parameter that starts at one value, `[n]`.
    pub fn constant(&self, name: &str, n: usize, value: f32) -> Param<Tensor<1>> {
        self.lazy(name, [n], move || vec![value; n])
    }

    /// A parameter that starts at one value and has the name of this place.
    pub fn here<const D: usize>(&self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.lazy("", shape, move || vec![value; shape.iter().product()])
    }

    /// A buffer (not trained), `[n]`.
    pub fn buffer(&self, name: &str, n: usize, value: f32) -> RunningState<Tensor<1>> {
        let values = |count: usize| {
            Tensor::<1>::from_data(TensorData::new(vec![value; count], [count]), &self.device)
        };
        let value = if self.blank { values(1).expand([n]) } else { values(n) };
        RunningState::with_id(self.id(name), value)
    }

    fn id(&self, name: &str) -> ParamId {
        ParamId::from(fnv1a64(self.at(name).path.as_bytes()))
    }

    fn lazy<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        values: impl Fn() -> Vec<f32> + Send + Sync + 'static,
    ) -> Param<Tensor<D>> {
        Param::uninitialized(
            self.id(name),
            move |device: &Device, require_grad: bool| {
                Tensor::from_data(TensorData::new(values(), shape), device)
                    .set_require_grad(require_grad)
            },
            self.device.clone(),
            true,
            Shape::from(shape),
        )
    }
}
