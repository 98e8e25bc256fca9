//! Steppers against Burn's optimizers, on CPUs. The GPU is in a file of its own.

#[cfg(feature = "wgpu-bare")]
mod gpu;
mod release;

use burn::tensor::TensorData;

use super::*;
use crate::backend::BackendKind;
use crate::optim::in_order;
use crate::rng::Stream;
use crate::train::OptimizerConfig;

/// Tensors of many sizes and of several ranks.
#[derive(Module, Debug)]
struct Net {
    vectors: Vec<Param<Tensor<1>>>,
    wide: Param<Tensor<2>>,
    cube: Option<Param<Tensor<3>>>,
}

const SIZES: [usize; 6] = [1, 3, 64, 4095, 4096, 70_001];

fn noise<const D: usize>(shape: [usize; D], seed: u64, scale: f32, device: &Device) -> Tensor<D> {
    let mut stream = Stream::new(seed, "stepper", &[]);
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| stream.normal() as f32 * 0.1 * scale).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn cpu() -> Device {
    [BackendKind::Flex, BackendKind::Ndarray]
        .into_iter()
        .find_map(|kind| kind.device(0).ok())
        .expect("tests are built with a CPU backend")
}

impl Net {
    fn new(sizes: &[usize]) -> Self {
        let device = cpu();
        let vector =
            |(i, &n): (usize, &usize)| Param::from_tensor(noise([n], i as u64, 1.0, &device));
        let net = Self {
            vectors: sizes.iter().enumerate().map(vector).collect(),
            wide: Param::from_tensor(noise([64, 100], 90, 1.0, &device)),
            cube: Some(Param::from_tensor(noise([3, 5, 2], 91, 1.0, &device))),
        };
        net.train()
    }
}

/// Gradients of all parameters but the first, times a factor.
fn gradients(net: &Net, turn: u64, factor: f32) -> GradientsParams {
    struct Draw {
        drawn: GradientsParams,
        next: u64,
        factor: f32,
    }

    impl ModuleVisitor for Draw {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let (value, seed) = (param.val().inner(), self.next);
            self.next += 1;
            if !seed.is_multiple_of(1000) {
                let drawn = noise(value.dims(), seed, self.factor, &value.device());
                self.drawn.register(param.id, drawn);
            }
        }
    }

    let mut draw = Draw { drawn: GradientsParams::new(), next: 1000 * (turn + 1), factor };
    net.visit(&mut draw);
    draw.drawn
}

/// The values of every parameter, in their order.
fn values(net: &Net) -> Vec<f32> {
    struct Collect(Vec<f32>);

    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().try_to_vec::<f32>().unwrap());
        }
    }

    let mut collect = Collect(Vec::new());
    net.visit(&mut collect);
    collect.0
}

fn bits(net: &Net) -> Vec<u32> {
    values(net).into_iter().map(f32::to_bits).collect()
}

fn record(stepper: &Stepper) -> Vec<u8> {
    in_order(stepper.into_bytes().unwrap()).unwrap().to_vec()
}

fn bytes(record: Vec<u8>) -> Bytes {
    Bytes::from_bytes_vec(record)
}

/// The six optimizers, and SGD without momentum.
fn configs() -> Vec<OptimizerConfig> {
    let named = OptimizerConfig::NAMES.map(|name| OptimizerConfig::named(name).unwrap());
    let bare = crate::optim::SgdConfig::new().with_momentum(0.0).with_weight_decay(0.1);
    named.into_iter().chain([OptimizerConfig::Sgd(bare)]).collect()
}

fn step(stepper: &mut Stepper, net: Net, turn: u64, gate: Gate) -> Net {
    let gradients = gradients(&net, turn, 1.0);
    stepper.step(0.01, net, gradients, gate)
}

/// How many values are not the same within rounding errors.
fn others(ours: &[f32], wanted: &[f32]) -> usize {
    assert_eq!(ours.len(), wanted.len());
    let near = |(a, b): &(&f32, &f32)| (*a - *b).abs() < 1e-5 * (1.0 + b.abs());
    ours.iter().zip(wanted).filter(|pair| !near(pair)).count()
}

#[test]
fn on_cpus_it_is_burns_optimizer_to_the_bit() {
    for config in configs() {
        let (mut ours, mut net) = (config.init().unwrap(), Net::new(&SIZES));
        let (mut burns, mut other) = (ours.kind.tensor_by_tensor(), net.clone());
        assert!(record(&ours) == in_order(burns.into_bytes().unwrap()).unwrap()[..]);
        for turn in 0..3 {
            net = step(&mut ours, net, turn, Gate::Open(1.0));
            let gradients = gradients(&other, turn, 1.0);
            other = burns.step(0.01, other, gradients);
            assert!(bits(&net) == bits(&other), "{}, step {turn}", config.name());
            let wanted = in_order(burns.into_bytes().unwrap()).unwrap();
            assert!(record(&ours) == wanted[..], "{}, step {turn}", config.name());
        }
    }
}

#[test]
fn gates_on_cpus_multiply_gradients_or_close() {
    let on = |x: f32| [Gate::Open(x), Gate::Device(Tensor::from_floats([x], &cpu()))];
    for config in configs() {
        for [small, closed] in [0, 1].map(|i| [1.0 / 1024.0, 0.0].map(|x| on(x)[i].clone())) {
            let (mut ours, net) = (config.init().unwrap(), Net::new(&SIZES[..5]));
            let mut wanted = ours.clone();
            let ours_net = step(&mut ours, net.clone(), 0, small);
            let less = gradients(&net, 0, 1.0 / 1024.0);
            let net = wanted.step(0.01, net, less, Gate::Open(1.0));
            assert!(bits(&ours_net) == bits(&net), "{}", config.name());
            let after = ours.step(0.01, ours_net, gradients(&net, 1, f32::NAN), closed);
            ours.take_back();
            assert!(bits(&after) == bits(&net), "{}", config.name());
            assert!(record(&ours) == record(&wanted), "{}", config.name());
        }
    }
}

/// The steps of all tensors together, in the plain operations of a CPU, against one tensor after
/// the other: the same bits if states are in 8 bits, the same within rounding errors if Burn's
/// optimizers step one tensor after the other.
#[test]
fn together_is_one_after_the_other() {
    let device = cpu();
    for config in configs() {
        let (mut ours, mut net) = (config.init().unwrap(), Net::new(&SIZES));
        let (mut wanted, mut other) = (ours.clone(), net.clone());
        for turn in 0..3 {
            let drawn = gradients(&net, turn, 1.0);
            net = ours.together(&device, 0.01, net, drawn, &Gate::Open(1.0));
            other = step(&mut wanted, other, turn, Gate::Open(1.0));
        }
        assert!(matches!(ours.form, Form::Together(_)));
        let what = config.name();
        match what.ends_with("8bit") {
            true => {
                assert!(bits(&net) == bits(&other), "{what}");
                assert!(record(&ours) == record(&wanted), "{what}");
            }
            false => {
                assert_eq!(others(&values(&net), &values(&other)), 0, "{what}");
                assert_eq!(record(&ours).len(), record(&wanted).len(), "{what}");
            }
        }
        // A closed gate changes nothing, and the count of steps goes back.
        let (before, was) = (bits(&net), record(&ours));
        let closed = Gate::Device(Tensor::from_floats([0.0], &device));
        let drawn = gradients(&net, 3, f32::NAN);
        net = ours.together(&device, 0.01, net, drawn, &closed);
        ours.take_back();
        assert!(bits(&net) == before && record(&ours) == was, "{what}");
        // Tensor by tensor it goes on from there, here and from the record.
        let mut again = config.restore(bytes(was)).unwrap();
        let next = step(&mut ours, net.clone(), 4, Gate::Open(1.0));
        assert!(bits(&next) == bits(&step(&mut again, net, 4, Gate::Open(1.0))), "{what}");
        let other = step(&mut wanted, other, 4, Gate::Open(1.0));
        assert_eq!(others(&values(&next), &values(&other)), 0, "{what}");
        assert!(matches!(ours.form, Form::TensorByTensor(_)));
    }
}

/// Every other tensor has a factor. Its step is that of the rate times the factor, tensor by tensor
/// and together. A factor of 1 changes no bit, and one of 0 no weight.
#[test]
fn factors_are_those_of_the_rate() {
    let device = cpu();
    let net = Net::new(&SIZES);
    let ids: Vec<ParamId> = net.vectors.iter().map(|vector| vector.id).collect();
    let with = |factor: f64| -> HashMap<ParamId, f64> {
        ids.iter().step_by(2).map(|id| (*id, factor)).collect()
    };
    for config in configs() {
        let what = config.name();
        let train = |rate: f64, factors: HashMap<ParamId, f64>, together: bool| {
            let mut stepper = config.init().unwrap().with_factors(factors);
            (0..3).fold(net.clone(), |net, turn| {
                let drawn = gradients(&net, turn, 1.0);
                match together {
                    true => stepper.together(&device, rate, net, drawn, &Gate::Open(1.0)),
                    false => stepper.step(rate, net, drawn, Gate::Open(1.0)),
                }
            })
        };
        for together in [false, true] {
            let plain = train(0.01, HashMap::new(), together);
            assert!(bits(&train(0.01, with(1.0), together)) == bits(&plain), "{what}");
            let [none, half, mixed] = [(0.01, 0.0), (0.005, 1.0), (0.01, 0.5)]
                .map(|(rate, factor)| train(rate, with(factor), together));
            for (i, id) in ids.iter().enumerate() {
                let of = |net: &Net| {
                    let vector = net.vectors[i].val().into_data();
                    vector.iter::<f32>().map(f32::to_bits).collect::<Vec<u32>>()
                };
                assert_eq!(*id, mixed.vectors[i].id);
                let (still, twin) = match i % 2 {
                    0 => (&net, &half),
                    _ => (&plain, &plain),
                };
                assert!(of(&none) == of(still), "{what}: tensor {i}");
                assert!(of(&mixed) == of(twin), "{what}: tensor {i}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "the optimizer's record has moments of [16, 16] blocks in 8 bits")]
fn states_of_another_module_panic() {
    let mut stepper = OptimizerConfig::named("adam8bit").unwrap().init().unwrap();
    let net = Net::new(&[7, 4096]);
    let mut other = net.clone();
    let drawn = gradients(&net, 0, 1.0);
    stepper.together(&cpu(), 0.01, net, drawn, &Gate::Open(1.0));
    let id = other.vectors[1].id;
    let longer = noise([5000], 1, 1.0, &cpu()).autodiff().require_grad();
    other.vectors[1] = Param::initialized(id, longer);
    let drawn = gradients(&other, 1, 1.0);
    stepper.together(&cpu(), 0.01, other, drawn, &Gate::Open(1.0));
}

/// The parameters stay what they are to automatic differentiation.
#[test]
fn stepped_parameters_can_be_trained_on() {
    let device = cpu().autodiff().gradient_checkpointing();
    let x = Tensor::<2>::ones([2, 4], &device);
    let mut model = burn::nn::LinearConfig::new(4, 3).init(&device);
    let mut stepper = OptimizerConfig::named("sgd").unwrap().init().unwrap();
    for _ in 0..2 {
        let loss = model.forward(x.clone()).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = stepper.together(&cpu(), 0.01, model, gradients, &Gate::Open(1.0));
        let weight = model.weight.val();
        assert!(weight.is_require_grad() && weight.is_autodiff());
        let strategy = device.gradient_checkpointing_strategy();
        assert_eq!(weight.gradient_checkpointing_strategy(), strategy);
    }
}
