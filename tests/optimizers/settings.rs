//! Settings: the same optimizers in 32 bits, a user's own rule, impossible values.

use burn::module::{Module, Param};
use burn::nn::LinearConfig;
use burn::optim::GradientsParams;
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::{Device, Tensor, TensorData};
use revox::backend::optim8::{Codec, Step};
use revox::optim::{
    Adam8bitConfig, AdamConfig, AdamW8bitConfig, AdamWConfig, EightBit, Rule, Sgd8bitConfig,
    SgdConfig, States,
};

use super::{bits, far, run};

/// A tensor after steps with given gradients.
fn driven(mut optimizer: ModuleOptimizer) -> Vec<f32> {
    let device = Device::default();
    let wave = |phase: usize| -> Vec<f32> {
        (0..40).map(|i| ((i * (phase + 1)) as f32 * 0.7).sin()).collect()
    };
    let of = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [8, 5]), &device);
    let mut module = LinearConfig::new(8, 5).with_bias(false).init(&device);
    module.weight = Param::from_tensor(of(wave(0)));
    let mut module = module.train();
    for step in 1..6 {
        let mut gradients = GradientsParams::new();
        gradients.register(module.weight.id, of(wave(step)));
        module = optimizer.step(0.01, module, gradients);
    }
    module.weight.val().into_data().try_to_vec().unwrap()
}

/// Without 8-bit states the optimizers are Burn's, with PyTorch's conventions.
#[test]
fn states_in_32_bits_are_those_of_burns_optimizers() {
    let states = || States { min_size: usize::MAX, ..States::default() };
    let near = |ours: ModuleOptimizer, burns: ModuleOptimizer, what: &str| {
        for (a, b) in driven(ours).iter().zip(driven(burns)) {
            assert!((a - b).abs() < 1e-5, "{what}: {a} and {b}");
        }
    };
    for (nesterov, decay) in [(false, 0.0), (true, 0.1)] {
        let ours = Sgd8bitConfig::new()
            .with_nesterov(nesterov)
            .with_weight_decay(decay)
            .with_states(states());
        let burns = SgdConfig::new().with_nesterov(nesterov).with_weight_decay(decay);
        near(ours.init(), burns.init(), "SGD");
    }
    for decay in [0.0, 0.1] {
        let ours = Adam8bitConfig::new().with_weight_decay(decay).with_states(states());
        near(ours.init(), AdamConfig::new().with_weight_decay(decay).init(), "Adam");
        let ours = AdamW8bitConfig::new().with_weight_decay(decay).with_states(states());
        near(ours.init(), AdamWConfig::new().with_weight_decay(decay).init(), "AdamW");
    }
    // What decay acts on matters.
    let adam = driven(AdamConfig::new().with_weight_decay(0.1).init());
    let adamw = driven(AdamWConfig::new().with_weight_decay(0.1).init());
    assert!(adam.iter().zip(&adamw).any(|(a, b)| (a - b).abs() > 1e-4));
}

/// A user's own rule: SGD whose momentum grows from step to step.
#[derive(Debug, Clone)]
struct Warming(Sgd8bitConfig);

impl Rule for Warming {
    const NAME: &'static str = "Warming";
    const RECORD: u64 = 99;
    const MOMENTS: usize = Sgd8bitConfig::MOMENTS;

    fn check(&self) -> revox::Result<()> {
        self.0.check()
    }

    fn states(&self) -> &States {
        self.0.states()
    }

    fn codecs(&self) -> Vec<Codec> {
        self.0.codecs()
    }

    fn at(&self, rate: f64, t: u64) -> Step {
        let momentum = self.0.momentum * (1.0 - 0.5f64.powi(t as i32));
        self.0.clone().with_momentum(momentum).at(rate, t)
    }
}

#[test]
fn a_users_own_rule_is_an_optimizer() {
    let warming = || EightBit::new(Warming(Sgd8bitConfig::new())).unwrap();
    let sgd = || Sgd8bitConfig::new().init();
    // The first step has no momentum yet.
    assert!(bits(&run(warming().into(), 1)) == bits(&run(sgd(), 1)));
    assert!(far(&run(warming().into(), 5), &run(sgd(), 5)) > 1e-6);
    let impossible = Warming(Sgd8bitConfig::new().with_momentum(2.0));
    assert!(EightBit::new(impossible).unwrap_err().to_string().contains("momentum = 2"));
}

#[test]
#[should_panic(expected = "optimizer: beta1 = 1: must be 0 or more and below 1")]
fn impossible_settings_panic_in_init() {
    Adam8bitConfig::new().with_beta1(1.0).init();
}

#[test]
fn impossible_settings_are_errors() {
    let sgd = |change: fn(&mut Sgd8bitConfig)| {
        let mut config = Sgd8bitConfig::default();
        change(&mut config);
        config.build().unwrap_err().to_string()
    };
    assert!(sgd(|c| c.momentum = 0.0).contains("momentum = 0"));
    assert!(sgd(|c| c.momentum = 1.0).contains("momentum = 1"));
    assert!(sgd(|c| c.momentum = f64::NAN).contains("momentum = NaN"));
    assert!(sgd(|c| c.weight_decay = -1.0).contains("weight_decay = -1"));
    assert!(sgd(|c| c.states.block_size = 0).contains("block_size = 0"));
    assert!(sgd(|c| c.dampening = 2.0).contains("dampening = 2"));
    assert!(sgd(|c| (c.nesterov, c.dampening) = (true, 0.5)).contains("nesterov"));
    let adam = |change: fn(&mut Adam8bitConfig)| {
        let mut config = Adam8bitConfig::default();
        change(&mut config);
        config.build().unwrap_err().to_string()
    };
    assert!(adam(|c| c.beta1 = 1.0).contains("beta1 = 1"));
    assert!(adam(|c| c.beta2 = -0.1).contains("beta2 = -0.1"));
    assert!(adam(|c| c.beta2 = f64::NAN).contains("beta2 = NaN"));
    assert!(adam(|c| c.epsilon = 0.0).contains("epsilon = 0"));
    assert!(adam(|c| c.states.block_size = 257).contains("block_size = 257"));
}

/// Moments in 8 and in 32 bits have the same bounds, and the error names the setting.
#[test]
fn both_kinds_refuse_the_same_numbers() {
    let refused = |made: [revox::Result<ModuleOptimizer>; 2], wanted: &str| {
        for made in made {
            let error = made.err().expect("refused").to_string();
            assert_eq!(error, format!("optimizer: {wanted}"));
        }
    };
    let adam = |beta1: f64, beta2: f64, epsilon: f64, decay: f64| {
        let whole = AdamConfig { beta1, beta2, epsilon, weight_decay: decay };
        let eight = Adam8bitConfig::new().with_beta1(beta1).with_beta2(beta2);
        let eight = eight.with_epsilon(epsilon).with_weight_decay(decay);
        [whole.try_init(), eight.try_init()]
    };
    refused(adam(-0.1, 0.9, 1e-8, 0.0), "beta1 = -0.1: must be 0 or more and below 1");
    refused(adam(0.9, f64::NAN, 1e-8, 0.0), "beta2 = NaN: must be 0 or more and below 1");
    refused(adam(0.9, 0.9, f64::INFINITY, 0.0), "epsilon = inf: must be finite and above 0");
    refused(adam(0.9, 0.9, 1e-8, f64::NAN), "weight_decay = NaN: must be finite and 0 or more");
    let sgd = |decay: f64| {
        let eight = Sgd8bitConfig::new().with_weight_decay(decay);
        [SgdConfig::new().with_weight_decay(decay).try_init(), eight.try_init()]
    };
    refused(sgd(f64::INFINITY), "weight_decay = inf: must be finite and 0 or more");
    let momentum = SgdConfig::new().with_momentum(1.0).try_init();
    let error = momentum.err().expect("refused").to_string();
    assert_eq!(error, "optimizer: momentum = 1: must be 0 or more and below 1");
    assert!(adam(0.9, 0.999, 1e-8, 0.1).iter().all(Result::is_ok));
}
