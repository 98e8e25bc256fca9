//! The 8-bit optimizers as a user of Burn meets them: any module, clipping, accumulation, records,
//! bad gradients.

mod families;
mod records;
mod settings;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::optim::{GradientsAccumulator, GradientsParams, Optimizer};
use burn::tensor::{Device, Tensor, TensorData};
use revox::optim::{AdamW8bit, AdamW8bitConfig, Sgd8bit, Sgd8bitConfig, States};
use revox::rng::Stream;

/// A module with tensors of several sizes and ranks; `wide` is big enough for 8 bits.
#[derive(Module, Debug)]
struct Net {
    wide: Linear,
    norm: BatchNorm,
    narrow: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        let mut stream = Stream::new(1, "net", &[]);
        let mut noise = |shape: [usize; 2]| {
            let values: Vec<f32> =
                (0..shape[0] * shape[1]).map(|_| stream.normal() as f32 * 0.1).collect();
            Param::from_data(TensorData::new(values, shape), device)
        };
        let mut wide = LinearConfig::new(64, 100).init(device);
        let mut narrow = LinearConfig::new(100, 3).init(device);
        (wide.weight, narrow.weight) = (noise([64, 100]), noise([100, 3]));
        wide.bias = wide
            .bias
            .map(|b| Param::initialized(b.id, Tensor::zeros([100], device).require_grad()));
        narrow.bias = narrow
            .bias
            .map(|b| Param::initialized(b.id, Tensor::zeros([3], device).require_grad()));
        Self { wide, norm: BatchNormConfig::new(100).init(device), narrow }
    }

    fn gradients(&self, seed: u64, device: &Device) -> GradientsParams {
        let mut stream = Stream::new(seed, "input", &[]);
        let values: Vec<f32> = (0..8 * 64).map(|_| stream.normal() as f32).collect();
        let x = Tensor::<2>::from_data(TensorData::new(values, [8, 64]), device);
        let y = self.narrow.forward(self.norm.forward(self.wide.forward(x)).tanh());
        GradientsParams::from_grads((y.clone() * y).mean().backward(), self)
    }
}

/// Bits of every parameter, by its place in the module.
fn bits<M: Module>(module: &M) -> Vec<u32> {
    struct Collect(Vec<u32>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(
                param.val().into_data().try_to_vec::<f32>().unwrap().into_iter().map(f32::to_bits),
            );
        }
    }
    let mut collect = Collect(Vec::new());
    module.visit(&mut collect);
    collect.0
}

fn device() -> Device {
    Device::default().autodiff()
}

fn sgd() -> Sgd8bit {
    Sgd8bitConfig::recipe().build().unwrap()
}

fn adam() -> AdamW8bit {
    AdamW8bitConfig::new().with_weight_decay(0.01).build().unwrap()
}

/// Steps of an optimizer on a fresh module.
fn run(mut optimizer: ModuleOptimizer, steps: u64) -> Net {
    let device = device();
    (0..steps).fold(Net::new(&device), |net, step| {
        let gradients = net.gradients(step, &device);
        optimizer.step(0.01, net, gradients)
    })
}

fn far(a: &Net, b: &Net) -> f64 {
    let [a, b] = [bits(a), bits(b)].map(|x| x.into_iter().map(f32::from_bits).collect::<Vec<_>>());
    a.iter().zip(&b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

#[test]
fn any_module_trains_almost_as_in_32_bits() {
    let all32 = States { min_size: usize::MAX, ..States::default() };
    let start = Net::new(&device());
    let exact = Sgd8bitConfig::recipe().with_states(all32.clone());
    let (ours, exact) = (run(sgd().into(), 20), run(exact.init(), 20));
    assert!(
        far(&ours, &exact) < 0.05 * far(&exact, &start),
        "{} of {}",
        far(&ours, &exact),
        far(&exact, &start)
    );
    let exact = AdamW8bitConfig { weight_decay: 0.01, states: all32, ..Default::default() };
    let (ours, exact) = (run(adam().into(), 20), run(exact.init(), 20));
    assert!(
        far(&ours, &exact) < 0.5 * far(&exact, &start),
        "{} of {}",
        far(&ours, &exact),
        far(&exact, &start)
    );
    assert!(far(&ours, &exact) > 0.0, "nothing was held in 8 bits");
}

#[test]
fn gradient_clipping_applies() {
    let device = device();
    let clipped =
        ModuleOptimizer::from(sgd()).with_grad_clipping(GradientClippingConfig::Value(1e-6).init());
    let config = Sgd8bitConfig::default();
    let before = Net::new(&device);
    let after = run(clipped, 1);
    // Weight decay is added after clipping: at most rate * (1 + momentum) * (1e-6 + 1e-4 * largest
    // weight).
    let bound = 0.01 * (1.0 + config.momentum) * (1e-6 + 1e-4);
    assert!(far(&before, &after) < bound && far(&before, &after) > 0.0, "{}", far(&before, &after));
    assert!(far(&before, &run(sgd().into(), 1)) > 10.0 * bound);
}

#[test]
fn accumulated_gradients_are_their_sum() {
    let device = device();
    let net = Net::new(&device);
    let mut accumulator = GradientsAccumulator::new();
    accumulator.accumulate(&net, net.gradients(1, &device));
    accumulator.accumulate(&net, net.gradients(2, &device));
    let together = ModuleOptimizer::from(adam()).step(0.01, net.clone(), accumulator.grads());
    let mut once = GradientsAccumulator::new();
    once.accumulate(&net, net.gradients(2, &device));
    once.accumulate(&net, net.gradients(1, &device));
    let other = ModuleOptimizer::from(adam()).step(0.01, net.clone(), once.grads());
    assert!(bits(&together) == bits(&other));
    assert!(far(&together, &net) > 0.0);
}

fn values(x: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(x.to_vec(), [x.len()]), &Device::default())
}

/// One optimizer on one tensor.
fn refuses<O: Optimizer>(optimizer: &O, skipped: impl Fn() -> u64) {
    let wave: Vec<f32> = (0..5000).map(|i| (i as f32).sin()).collect();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let before = skipped();
        // A first step that cannot be made leaves no state behind.
        let mut broken = wave.clone();
        broken[4999] = bad;
        let (p, state) = optimizer.step::<1>(0.1, values(&wave), values(&broken), None);
        assert!(state.is_none() && p.into_data() == values(&wave).into_data());
        // In between: the same as if it had not been.
        let good = |p, state| optimizer.step::<1>(0.1, p, values(&wave), state);
        let (p, state) = good(values(&wave), None);
        let (q, again) = optimizer.step::<1>(0.1, p.clone(), values(&broken), state.clone());
        assert!(p.clone().into_data() == q.clone().into_data());
        let ((p, _), (q, _)) = (good(p, state), good(q, again));
        assert!(p.into_data() == q.into_data(), "the state has changed");
        assert_eq!(skipped() - before, 2);
    }
}

#[test]
fn gradients_that_are_not_finite_change_nothing_and_are_counted() {
    let (sgd, adam) = (sgd(), adam());
    refuses(&sgd, || sgd.clone().skipped());
    refuses(&adam, || adam.clone().skipped());
}

#[test]
fn odd_sizes() {
    let optimizer = adam();
    for count in [0usize, 1, 4095, 4096, 4097, 4353] {
        let x: Vec<f32> = (0..count).map(|i| (i as f32 * 0.7).cos()).collect();
        let (p, state) = optimizer.step::<1>(0.1, values(&x), values(&x), None);
        assert_eq!(p.dims(), [count]);
        // The first step of Adam is the rate times the sign, whatever the states are held in.
        let moved = p.into_data().try_to_vec::<f32>().unwrap();
        let shrink = 1.0 - 0.1 * 0.01;
        for (new, old) in moved.iter().zip(&x) {
            assert!(
                (new - (shrink * old - 0.1 * old.signum())).abs() < 1e-5,
                "{count}: {new} from {old}"
            );
        }
        let bytes = state.map_or(0, |s| s.bytes());
        let wanted = if count < 4096 {
            8 * count
        } else {
            2 * (count.next_multiple_of(4) + 4 * count.div_ceil(256))
        };
        assert_eq!(bytes, wanted, "{count} values");
    }
}

#[test]
fn gradients_as_large_as_numbers_go_do_not_ruin_a_block() {
    let optimizer = adam();
    let mut g = vec![1.0f32; 5000];
    g[7] = f32::MAX;
    let (mut p, mut state) = optimizer.step::<1>(0.1, values(&vec![0.0; 5000]), values(&g), None);
    for _ in 0..3 {
        (p, state) = optimizer.step::<1>(0.1, p, values(&vec![1.0; 5000]), state);
    }
    let p = p.into_data().try_to_vec::<f32>().unwrap();
    assert!(p.iter().all(|x| x.is_finite()), "{:?}", p.iter().position(|x| !x.is_finite()));
    assert!(p[4999] < -0.3);
}
