//! Expansions that run together with the depthwise convolution behind them, against programs whose
//! layers run one after the other.

use super::forms::{coded, in_integers};
use super::*;
use crate::infer::layer::Layers;
use crate::infer::lower::joined;
use crate::infer::program::Program;
use crate::nn::Graph;
use crate::quant::Activations;

const NETWORKS: [&str; 4] =
    ["gemini-df-resnet60", "df-resnet32", "rev1-df-resnet32", "redimnet-b1"];

fn graph(name: &str, frames: usize) -> Graph {
    Architecture::named(name).unwrap().graph(frames).unwrap()
}

fn is_joined<L>(work: &Work<L>) -> bool {
    matches!(work, Work::Expansion { .. })
}

fn layers(graph: &Graph, lowered: &Lowered) -> Layers {
    Layers::make(graph, lowered.recipes(), &mut coded(graph), Level::best()).unwrap()
}

/// How many expansions are joined.
fn expansions(name: &str, frames: usize) -> usize {
    let graph = graph(name, frames);
    let apart = lower(&graph, None).unwrap();
    let together = joined(&graph).unwrap();
    let count = together.steps.iter().filter(|step| is_joined(&step.work)).count();
    assert!(!apart.steps.iter().any(|step| is_joined(&step.work)));
    assert_eq!(together.steps.len() + count, apart.steps.len());
    count
}

/// All 36 blocks; of longer utterances those behind the layers that halve the frames.
#[test]
fn the_blocks_of_a_df_resnet_are_joined() {
    let found = [298, 1500, 3000].map(|frames| expansions("gemini-df-resnet114", frames));
    assert_eq!(found, [36, 33, 0]);
    assert_eq!(expansions("df-resnet56", 298), 18);
    assert_eq!(expansions("resnet34", 298), 0);
}

/// With any number of threads, weights as floats and in 4 bits.
#[test]
fn joined_steps_change_no_bit() {
    let pools = [1, 2, 3].map(|n| ThreadPoolBuilder::new().num_threads(n).build().unwrap());
    let small_layers = SmallLayers::FewerBits;
    for name in NETWORKS {
        let arch = small(16).find(|arch| arch.name == name).unwrap();
        let whole = model(&arch);
        let config = QuantizeConfig { bits: 4, small_layers, ..QuantizeConfig::default() };
        let packed = packed(&whole, config);
        let least = arch.least_frames().unwrap();
        for model in [&whole, &packed] {
            let runtime = || Runtime::of(model).unwrap();
            let (apart, together) = (runtime().step_by_step(), pools.each_ref().map(|_| runtime()));
            for frames in [least, least + 1, 41, 203] {
                let features = noise(frames, arch.mels);
                let bits = |runtime: &Runtime| -> Vec<u32> {
                    let made = runtime.embed(&features, frames).unwrap();
                    made.into_iter().map(f32::to_bits).collect()
                };
                let wanted = bits(&apart);
                for (pool, runtime) in pools.iter().zip(&together) {
                    let (found, threads) =
                        (pool.install(|| bits(runtime)), pool.current_num_threads());
                    assert_eq!(found, wanted, "{name}, {frames} frames, {threads} threads");
                }
            }
        }
    }
}

/// Bytes of the arena for three seconds, with steps that are joined and without.
fn arenas(name: &str, activations: Option<&Activations>) -> [usize; 2] {
    let (graph, level) = (graph(name, 298), Level::best());
    let lowered = lower(&graph, activations).unwrap();
    let layers = layers(&graph, &lowered);
    [true, false].map(|joins| {
        let program = Program::new(&graph, &layers, level, activations, joins).unwrap();
        let is_any = program.steps.iter().any(|step| is_joined(&step.work));
        assert_eq!(is_any, joins && activations.is_none());
        program.arena_bytes()
    })
}

/// What an expansion makes, and what the depthwise convolution makes of it, were the two largest
/// values. One is left.
#[test]
fn joined_steps_take_less_memory() {
    let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let [together, apart] = pool.install(|| arenas("gemini-df-resnet60", None));
    assert!(3 * together < 2 * apart, "{together} bytes, {apart} apart");
}

#[test]
fn programs_in_integers_stay_as_they_are() {
    let (_, activations, _) = in_integers("gemini-df-resnet60", 298);
    let [together, apart] = arenas("gemini-df-resnet60", Some(&activations));
    assert_eq!(together, apart);
}
