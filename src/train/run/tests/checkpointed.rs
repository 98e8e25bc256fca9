//! Runs that recompute spans in the backward pass.

use super::*;
use crate::nn::graph::Span;

/// The cuts of the run's network, every second one left out.
fn spans(recipe: &Recipe) -> Arc<[Span]> {
    let cuts = recipe.model.graph(recipe.data.frames).unwrap().cuts();
    let mut start = 0;
    let span = |two: &[usize]| {
        let nodes = start..two[two.len() - 1];
        start = nodes.end;
        Span::new(nodes, true)
    };
    cuts.chunks(2).map(span).collect()
}

/// The same models, and the option may change in the middle of a run.
#[test]
fn checkpointed_networks_train_the_same() {
    let place = Place::new();
    let train = |out: &str, resume: bool, changes: &[&str]| {
        let recipe = place.recipe(changes);
        let way = Way { out, resume, ..Way::default() };
        let options =
            RunOptions { spans: Some(spans(&recipe)), ..place.options(way, &Arc::default()) };
        train(&recipe, &options)
    };
    let checkpointed = "train.execution=checkpointed";
    place.ok("usual", &[]);
    train("checkpointed", false, &[checkpointed]).unwrap();
    train("divided", false, &[checkpointed, "train.accumulate=2"]).unwrap();
    train("changing", false, &[checkpointed, "train.epochs=1"]).unwrap();
    train("changing", true, &["train.epochs=2"]).unwrap();
    place.ok("usual-divided", &["train.accumulate=2"]);
    let wanted = place.tensors("usual");
    assert!(place.tensors("checkpointed") == wanted);
    assert!(place.tensors("changing") == wanted, "resumed");
    assert!(place.tensors("divided") == place.tensors("usual-divided"), "in turns");
    let way = Way { out: "without", changes: &[checkpointed], ..Way::default() };
    place.fails(way, "no plan says what to recompute");
}
