//! Saved and loaded.

use burn::optim::AdamWConfig;
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::Bytes;
use revox::optim::{AdamW8bitConfig, Sgd8bitConfig, StateRounding, States, restore};

use super::{Net, adam, bits, device, sgd};

fn saved(optimizer: &ModuleOptimizer) -> Bytes {
    optimizer.into_bytes().unwrap()
}

/// Three steps, a record, three steps: the same bits as without the record in between.
fn survives(make: impl Fn() -> ModuleOptimizer, load: impl Fn(Bytes) -> ModuleOptimizer) {
    let device = device();
    let mut optimizer = make();
    let mut net = Net::new(&device);
    for step in 0..3 {
        let gradients = net.gradients(step, &device);
        net = optimizer.step(0.01, net, gradients);
    }
    let mut loaded = load(saved(&optimizer));
    let mut other = net.clone();
    for step in 3..6 {
        let gradients = net.gradients(step, &device);
        net = optimizer.step(0.01, net, gradients);
        let gradients = other.gradients(step, &device);
        other = loaded.step(0.01, other, gradients);
    }
    assert!(bits(&net) == bits(&other));
}

#[test]
fn saved_and_resumed_bit_for_bit() {
    survives(|| sgd().into(), |record| restore(sgd(), record).unwrap());
    survives(|| adam().into(), |record| restore(adam(), record).unwrap());
    // Burn's own way.
    survives(|| adam().into(), |record| ModuleOptimizer::from(adam()).from_bytes(record).unwrap());
    let wide = || {
        let states = States {
            block_size: 2048,
            rounding: StateRounding::SignPreserving,
            ..States::default()
        };
        AdamW8bitConfig { states, ..Default::default() }.build().unwrap()
    };
    survives(|| wide().into(), |record| restore(wide(), record).unwrap());
}

#[test]
fn a_record_is_as_small_as_the_state() {
    let record = saved(&after_a_step(adam().into()));
    // 6,400 weights in 8 bits and 603 values in 32, two moments each; names and alignment beside.
    let states = 2 * (6400 + 4 * 25 + 4 * 603);
    assert!(
        record.len() > states && record.len() < states + 12_000,
        "{} bytes for {states}",
        record.len()
    );
}

fn after_a_step(optimizer: ModuleOptimizer) -> ModuleOptimizer {
    stepped(optimizer, &Net::new(&device()))
}

fn stepped(mut optimizer: ModuleOptimizer, net: &Net) -> ModuleOptimizer {
    let gradients = net.gradients(0, &device());
    optimizer.step(0.01, net.clone(), gradients);
    optimizer
}

fn wide() -> States {
    States { block_size: 2048, ..States::default() }
}

#[test]
fn records_of_others_are_refused() {
    let refused = |loaded: revox::Result<ModuleOptimizer>, wanted: &[&str]| {
        let message = loaded.err().expect("refused").to_string();
        for wanted in wanted {
            assert!(message.contains(wanted), "{wanted}: {message}");
        }
    };
    let sgd_record = saved(&after_a_step(sgd().into()));
    let adam_record = saved(&after_a_step(adam().into()));
    let names = ["is of Sgd8bit with blocks of 256", "this is Adam8bit with blocks of 256"];
    refused(restore(adam(), sgd_record.clone()), &names);
    let sgd2048 = Sgd8bitConfig { states: wide(), ..Default::default() }.build().unwrap();
    refused(
        restore(sgd2048, sgd_record),
        &["Sgd8bit with blocks of 256", "Sgd8bit with blocks of 2048"],
    );
    let states = States { min_size: 10_000, ..States::default() };
    let all32 = AdamW8bitConfig { states, ..Default::default() }.build().unwrap();
    refused(
        restore(all32, adam_record.clone()),
        &["8 bits for a tensor of 6400 values", "min_size is 10000"],
    );
    refused(
        restore(adam(), saved(&after_a_step(AdamWConfig::new().init()))),
        &["another optimizer"],
    );
    refused(restore(adam(), Bytes::from_bytes_vec(vec![1, 2, 3])), &["record"]);
    let cut = adam_record[..adam_record.len() / 2].to_vec();
    refused(restore(adam(), Bytes::from_bytes_vec(cut)), &["record"]);
}

/// Burn loads without asking; the first step then says what is wrong.
fn load_and_step(maker: impl Into<ModuleOptimizer>, loader: impl Into<ModuleOptimizer>) {
    let net = Net::new(&device());
    let record = saved(&stepped(maker.into(), &net));
    stepped(loader.into().from_bytes(record).unwrap(), &net);
}

#[test]
#[should_panic(expected = "is of Adam8bit with blocks of 256, 6400 values in 8 bits; \
                this is Adam8bit with blocks of 2048")]
fn another_block_size_shows_at_the_first_step() {
    load_and_step(adam(), AdamW8bitConfig::new().with_states(wide()).build().unwrap());
}

#[test]
#[should_panic(expected = "is of another optimizer; this is Sgd8bit")]
fn another_optimizer_shows_at_the_first_step() {
    load_and_step(AdamWConfig::new().init(), sgd());
}
