//! Damaged records, foreign records, records in order.

use super::*;
use crate::optim::{Adam8bitConfig, Sgd8bitConfig, States};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

fn states() -> States {
    States { min_size: 64, ..States::default() }
}

fn step(optimizer: &mut ModuleOptimizer, module: Linear) -> Linear {
    let mut gradients = GradientsParams::new();
    gradients.register(module.weight.id, Tensor::<2>::ones([20, 10], &Device::default()));
    optimizer.step(0.1, module, gradients)
}

/// Flips every bit and makes every cut: an error, or a record that the next step uses.
#[test]
fn damage_is_an_error_or_harmless() {
    let sgd = || Sgd8bitConfig { states: states(), ..Default::default() }.build().unwrap();
    let adam = || Adam8bitConfig { states: states(), ..Default::default() }.build().unwrap();
    type Load<'a> = &'a dyn Fn(Bytes) -> Result<ModuleOptimizer>;
    let loads: [(ModuleOptimizer, Load); 2] = [
        (sgd().into(), &|record| restore(sgd(), record)),
        (adam().into(), &|record| restore(adam(), record)),
    ];
    for (mut optimizer, load) in loads {
        let module = LinearConfig::new(20, 10).init(&Device::default()).train();
        let module = step(&mut optimizer, module);
        let good = optimizer.into_bytes().unwrap().to_vec();
        let mut refused = 0;
        for i in 0..good.len() {
            let mut damaged = good.clone();
            damaged[i] ^= 1 << (i % 8);
            let record = Bytes::from_bytes_vec(damaged);
            match load(record.clone()) {
                Err(error) => {
                    assert!(
                        error.to_string().contains("the optimizer's record"),
                        "byte {i}: {error}"
                    );
                    refused += 1;
                }
                Ok(mut loaded) => {
                    if Record::read(&record).unwrap().check_module(&module).is_ok() {
                        step(&mut loaded, module.clone());
                    }
                }
            }
        }
        assert!(refused > 100, "{refused} of {} bytes", good.len());
        for cut in (0..good.len()).step_by(13) {
            assert!(load(Bytes::from_bytes_vec(good[..cut].to_vec())).is_err(), "cut at {cut}");
        }
    }
}

#[test]
fn a_record_in_order_is_the_same_record() {
    let module = LinearConfig::new(20, 10).init(&Device::default()).train();
    let config = || Adam8bitConfig { states: states(), ..Default::default() };
    let mut optimizer = config().init();
    step(&mut optimizer, module);
    let record = optimizer.into_bytes().unwrap();
    let sorted = in_order(record.clone()).unwrap();
    let names = |bytes: &Bytes| {
        let tensors = Reader::from_bytes(bytes.clone()).unwrap().into_tensors().unwrap();
        tensors
            .into_iter()
            .map(|t| (t.name.clone(), t.to_bytes().unwrap().to_vec()))
            .collect::<Vec<_>>()
    };
    let (mut before, after) = (names(&record), names(&sorted));
    before.sort();
    assert!(before.len() > 1 && before == after);
    // Loaded and written again, in whatever order Burn has it, it is what it was.
    let again = restore(config().build().unwrap(), sorted.clone()).unwrap();
    assert!(in_order(again.into_bytes().unwrap()).unwrap()[..] == sorted[..]);
    assert!(in_order(Bytes::from_bytes_vec(vec![1, 2, 3])).is_err());
}

#[test]
fn states_of_another_module_are_refused() {
    let mut optimizer = Sgd8bitConfig::default().init();
    let device = Device::default();
    let module = step(&mut optimizer, LinearConfig::new(20, 10).init(&device).train());
    let record = Record::read(&optimizer.into_bytes().unwrap()).unwrap();
    record.check_module(&module).unwrap();
    let error =
        record.check_module(&LinearConfig::new(20, 10).init(&device)).unwrap_err().to_string();
    assert!(error.contains("there is no parameter"), "{error}");
    let mut other = LinearConfig::new(10, 10).init(&device);
    other.weight = burn::module::Param::initialized(module.weight.id, other.weight.val());
    let error = record.check_module(&other).unwrap_err().to_string();
    assert!(error.contains("its state of `weight` is not one of shape [10, 10]"), "{error}");
}
