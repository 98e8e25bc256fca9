//! Peaks that are taken apart: many classes, blocks between stages.

use super::*;

/// Many classes come in parts: no matrix of batch by classes is there. The account knows that.
#[test]
fn many_classes_take_little_memory() {
    let _guard = alone();
    count(&setting("resnet10", None));
    let mut worst = 0.0f64;
    for (optimizer, release_gradients) in
        [("sgd8bit", false), ("sgd8bit", true), ("sgd", false), ("sgd", true), ("adamw", false)]
    {
        let (batch, speakers) = (16, 140_000);
        let large = Setting {
            optimizer: OptimizerConfig::named(optimizer).unwrap(),
            batch,
            frames: 40,
            speakers,
            release_gradients,
            ..setting("rev2-resnet18", None)
        };
        let counted = count(&large);
        worst = worst.max(off_from(&large, &counted));
        let (step, matrix) = (counted.peak - counted.resident, 4 * batch * speakers);
        let weights = 4 * large.arch.embedding_dim * speakers;
        eprintln!("{step} bytes beside resident ones: a matrix has {matrix}, weights {weights}");
        // The gradient of the weights, and for 32-bit states new values.
        let whole = if optimizer == "sgd8bit" { 1 } else { 2 };
        assert!(step < whole * weights + 4 * matrix, "{step} bytes, a matrix has {matrix}");
    }
    assert!(worst < 0.1, "off by {:.1} %", 100.0 * worst);
}

/// Where Type I's transitions are blocks, the backward pass takes them in pieces. With a tape of
/// the first one, 21 activations of the block's width were there at a time, four wide ones among
/// them, and the image; in pieces there are 15: three narrow and three wide ones.
#[test]
fn transitions_come_in_pieces() {
    let _guard = alone();
    count(&setting("resnet10", None));
    let mut worst = 0.0f64;
    for release_gradients in [false, true] {
        let optimizer = OptimizerConfig::named("sgd8bit").unwrap();
        let narrow =
            Setting { optimizer, release_gradients, batch: 8, ..setting("rev1-resnet50", None) };
        worst = worst.max(off(&narrow));
        let width = 4 * narrow.batch * narrow.arch.width * narrow.arch.mels * narrow.frames;
        let ours = account(&narrow).unwrap().at_peak.activations;
        assert!(ours < 17 * width, "{ours} bytes, an activation has {width}");
    }
    assert!(worst < 0.1, "off by {:.1} %", 100.0 * worst);
}

/// A tape of a function of DF-ResNet's first reversible stage has four activations, each four times
/// as wide as a stream. With streams and gradients, 22 of a stream's size were there at a time; in
/// pieces there are 16.
#[test]
fn wide_functions_are_taken_back_in_pieces() {
    let _guard = alone();
    count(&setting("resnet10", None));
    let mut worst = 0.0f64;
    for (name, release_gradients) in [("rev1-df-resnet32", false), ("rev1-df-resnet56", true)] {
        let optimizer = OptimizerConfig::named("sgd8bit").unwrap();
        let mut wide = Setting { optimizer, release_gradients, batch: 8, ..setting(name, None) };
        wide.arch.reversible.inner = Some(1.0);
        let ours = account(&wide).unwrap();
        assert_eq!(ours.place, "stage 1", "{ours:?}");
        let counted = count(&wide);
        worst = worst.max(off_from(&wide, &counted));
        let stream = 4 * wide.batch * wide.arch.width * wide.arch.mels * wide.frames;
        let step = counted.peak - counted.resident;
        eprintln!("{name}: {step} bytes beside resident ones, a stream has {stream}");
        assert!(step < 19 * stream, "{step} bytes, a stream has {stream}");
    }
    assert!(worst < 0.1, "off by {:.1} %", 100.0 * worst);
}
