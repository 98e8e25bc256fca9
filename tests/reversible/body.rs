//! Bodies to test with.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::activation::{relu, silu};
use burn::tensor::{DType, Device, Tensor, TensorData};
use revox::backend::reversible::{Execution, GRID, Reversible, Step, run};
use revox::backend::{Layer, Mode, Streams};
use revox::nn::{BatchNorm, Conv2d, Conv2dConfig, Halves, Init, collect_named, gradients_named};
use revox::rng::Stream;

/// conv - BN - activation - conv - BN.
#[derive(Module, Debug)]
pub struct Unit {
    pub conv1: Conv2d,
    pub bn1: BatchNorm,
    pub conv2: Conv2d,
    pub bn2: BatchNorm,
    #[module(skip)]
    smooth: bool,
}

impl Unit {
    pub fn new(init: Init, width: usize, smooth: bool) -> Self {
        let conv = |name: &str| Conv2dConfig::new(width, width, 3).init(init.at(name));
        let norm = |name: &str| BatchNorm::new(init.at(name), width);
        Self {
            conv1: conv("conv1"),
            bn1: norm("bn1"),
            conv2: conv("conv2"),
            bn2: norm("bn2"),
            smooth,
        }
    }
}

impl Layer for Unit {
    fn forward(&self, x: Streams, mode: Mode) -> Streams {
        let one = |x| {
            let y = self.bn1.forward(self.conv1.forward(x), mode);
            let y = if self.smooth { silu(y) } else { relu(y) };
            self.bn2.forward(self.conv2.forward(y), mode)
        };
        x.into_iter().map(one).collect()
    }
}

/// Couplings on the halves of the channels.
#[derive(Module, Debug)]
pub struct Body {
    pub blocks: Vec<(Unit, Unit)>,
    #[module(skip)]
    pub grid: Option<i32>,
}

impl Body {
    pub fn new(device: &Device, seed: u64, blocks: usize, width: usize, smooth: bool) -> Self {
        let init = Init::new(device, seed);
        let unit = |b: usize, name: &str| Unit::new(init.at(b).at(name), width, smooth);
        Self {
            blocks: (0..blocks).map(|b| (unit(b, "f"), unit(b, "g"))).collect(),
            grid: Some(GRID),
        }
    }
}

impl Reversible for Body {
    fn steps(&self) -> Vec<Step<'_>> {
        let couplings = self.blocks.iter().map(|(f, g)| Step::Couple(f, g));
        let (split, join) = (Step::Rearrange(&Halves::Split), Step::Rearrange(&Halves::Join));
        [split].into_iter().chain(couplings).chain([join]).collect()
    }

    fn grid(&self) -> Option<i32> {
        self.grid
    }
}

/// Every parameter and buffer in another float type.
pub fn cast<M: Module>(module: M, dtype: DType) -> M {
    struct Cast(DType);
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|t| t.cast(self.0))
        }
    }
    module.map(&mut Cast(dtype))
}

pub fn noise<const D: usize>(
    shape: [usize; D],
    purpose: &str,
    dtype: DType,
    device: &Device,
) -> Tensor<D> {
    let mut stream = Stream::new(3, purpose, &[]);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    Tensor::<D>::from_data(TensorData::new(values, shape), device).cast(dtype)
}

pub fn numbers(data: TensorData) -> Vec<f64> {
    data.convert::<f64>().try_to_vec::<f64>().unwrap()
}

/// Everything one step gives, by name: output, gradients of input and parameters, buffers
/// afterwards.
pub type Outcome = Vec<(String, Vec<f64>)>;

/// A step of `body` (of a plain device), whose loss weighs the outputs with noise.
pub fn step<M: Reversible>(body: &M, x: &Tensor<4>, execution: Execution) -> Outcome {
    let (device, dtype, shape) = (x.device(), x.dtype(), x.dims());
    // A copy with its own running statistics.
    let body = body.valid().train();
    let x = x.clone().autodiff().require_grad();
    let y = run(&body, x.clone(), Mode::Train, execution);
    let loss = (y.clone() * noise(y.dims(), "loss", dtype, &device)).sum();
    let gradients = loss.backward();
    assert_eq!(x.grad(&gradients).unwrap().dims(), shape);
    let mut all = vec![
        ("output".into(), numbers(y.into_data())),
        ("input".into(), numbers(x.grad(&gradients).unwrap().into_data())),
    ];
    let named = |(name, data): (String, TensorData)| (name, numbers(data));
    all.extend(gradients_named(&body, &gradients).into_iter().map(named));
    let buffers = collect_named(&body.valid()).into_iter().filter(|(n, _)| n.contains("running_"));
    all.extend(buffers.map(named));
    all
}

/// Relative L2 of every entry.
pub fn distances(ours: &Outcome, wanted: &Outcome) -> Vec<(String, f64)> {
    assert_eq!(ours.len(), wanted.len());
    let one = |ours: &(String, Vec<f64>), wanted: &(String, Vec<f64>)| {
        let ((name, a), (same, b)) = (ours, wanted);
        assert_eq!((name, a.len()), (same, b.len()));
        let difference: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
        (name.clone(), (difference / b.iter().map(|b| b * b).sum::<f64>().max(1e-300)).sqrt())
    };
    ours.iter().zip(wanted).map(|(a, b)| one(a, b)).collect()
}

/// The largest of [`distances`].
pub fn worst(ours: &Outcome, wanted: &Outcome) -> (String, f64) {
    distances(ours, wanted).into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}
