//! Steps of ranks that divide states, against those of one optimizer.

use std::thread;

use burn::tensor::Device;
use burn_pack::Reader;

use super::*;
use crate::backend::collective::{Alone, threads};
use crate::losses::HeadConfig;
use crate::nn::collect_named;
use crate::optim::{Gate, in_order};
use crate::train::OptimizerConfig;
use crate::zoo::Architecture;

/// As recipes have them; the small network's tensors are held in 8 bits.
const OPTIMIZERS: [&str; 5] = [
    "kind = \"sgd\"",
    "kind = \"adam\"",
    "kind = \"adamw\"",
    "kind = \"sgd8bit\"\nstates.min_size = 64",
    "kind = \"adamw8bit\"\nstates.min_size = 64",
];

fn by_ranks<T: Send>(size: usize, work: impl Fn(Arc<dyn Communicator>) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let begin = |end: Arc<dyn Communicator>| {
            let work = &work;
            scope.spawn(move || work(end))
        };
        let begun: Vec<_> = threads::all(size).into_iter().map(begin).collect();
        begun.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn trainee(embedding_dim: usize) -> Trainee {
    let arch = Architecture {
        width: 2,
        mels: 16,
        embedding_dim,
        ..Architecture::named("resnet10").unwrap()
    };
    Trainee::new(&arch, &HeadConfig::default(), 3, &Device::default(), 1).unwrap().train()
}

/// Gradients that differ from step to step.
fn drawn(trainee: &Trainee, turn: usize) -> GradientsParams {
    struct Draw(GradientsParams, f32);

    impl ModuleVisitor for Draw {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0.register(param.id, param.val().inner() * 0.3 + self.1);
            }
        }
    }

    let mut draw = Draw(GradientsParams::new(), 0.1 - 0.07 * turn as f32);
    trainee.visit(&mut draw);
    draw.0
}

type Bits = Vec<(String, Vec<u32>)>;

fn bits(trainee: &Trainee) -> Bits {
    let bits = |(name, data): (String, burn::tensor::TensorData)| {
        (name, data.iter::<f32>().map(f32::to_bits).collect())
    };
    collect_named(&trainee.valid()).into_iter().map(bits).collect()
}

fn record(optimizer: &Stepper) -> Vec<u8> {
    in_order(optimizer.into_bytes().unwrap()).unwrap().to_vec()
}

/// Bytes of the states that an optimizer holds.
fn held(optimizer: &Stepper) -> usize {
    let reader = Reader::from_bytes(optimizer.into_bytes().unwrap().shared()).unwrap();
    let tensors = reader.into_tensors().unwrap().into_iter();
    tensors.map(|tensor| tensor.into_parts().unwrap().4.len()).sum()
}

/// Weights, and the record that a checkpoint has, are equal to the bit. Each rank holds the bytes
/// that its share has by arithmetic.
#[test]
fn ranks_that_divide_states_step_as_one() {
    for text in OPTIMIZERS {
        let config: OptimizerConfig = toml::from_str(text).unwrap();
        let mut one = config.init().unwrap();
        let wanted = (0..3).fold(trainee(8), |model, turn| {
            let gradients = drawn(&model, turn);
            one.step(0.01, model, gradients, Gate::Open(0.5))
        });
        let (wanted, states) = (bits(&wanted), record(&one));
        let all_states = one.into_bytes().unwrap().to_vec();
        let all = by_ranks(3, |ranks| {
            let mut model = trainee(8);
            let division = Division::of(&model, &config, 3);
            let share = division.bytes()[ranks.rank()];
            // Several rounds.
            let shards = Shards::new(&ranks, division, 3000);
            assert!(shards.rounds() > 1, "{text}");
            let mut optimizer = config.init().unwrap();
            for turn in 0..3 {
                let gradients = shards.own_gradients(&model, drawn(&model, turn));
                model = optimizer.step(0.01, model, gradients, Gate::Open(0.5));
                for round in 0..shards.rounds() {
                    model = shards.exchanged(round, &model).unwrap().put(model);
                }
            }
            assert!(bits(&model) == wanted, "{text}: rank {}", ranks.rank());
            assert_eq!(held(&optimizer), share, "{text}: rank {}", ranks.rank());
            let whole = shards.whole(&optimizer).unwrap();
            assert_eq!(whole.is_some(), ranks.rank() == 0);
            // A run that goes on reads all states, and keeps its own.
            let read = config.restore(Bytes::from_bytes_vec(all_states.clone())).unwrap();
            let again = shards.own_states(read).unwrap();
            assert!(record(&again) == record(&optimizer), "{text}: rank {}", ranks.rank());
            whole.map(|whole| (in_order(whole).unwrap().to_vec(), share))
        });
        let (whole, share) = all.into_iter().flatten().next().unwrap();
        assert!(whole == states, "{text}: another record");
        assert!(2 * share < held(&one), "{text}: {share} bytes of a third");
    }
}

#[test]
fn ranks_that_divide_otherwise_are_refused() {
    let config = OptimizerConfig::named("sgd").unwrap();
    let told = by_ranks(2, |ranks| {
        let model = trainee(if ranks.rank() == 1 { 64 } else { 8 });
        let shards = Shards::new(&ranks, Division::of(&model, &config, 2), AT_ONCE);
        shards.exchanged(0, &model).err().map(|e| e.to_string())
    });
    let wanted = Some("ranks divide the optimizer's states in different ways".to_owned());
    assert_eq!(told, [wanted.clone(), wanted]);
}

/// It takes a recipe that wants it, and several ranks.
#[test]
fn one_rank_divides_nothing() {
    let text = "[data]\ntrain = \"a\"\ndev = \"b\"\n[model]\nname = \"resnet10\"\n";
    let recipe = |shard: bool| {
        let change = [format!("train.shard_states={shard}")];
        Recipe::parse(text, std::path::Path::new("r.toml"), &change).unwrap()
    };
    let alone: Arc<dyn Communicator> = Arc::new(Alone);
    let two = threads::all(2).remove(0);
    let divides = |shard, ranks| Shards::of(&recipe(shard), ranks, &trainee(8).valid()).is_some();
    assert_eq!(
        [divides(true, &alone), divides(false, &two), divides(true, &two)],
        [false, false, true]
    );
}
