use rayon::ThreadPoolBuilder;

use super::*;
use crate::infer::tests::{model, noise};
use crate::zoo::tests::small;

const METHODS: [RangeMethod; 2] = [RangeMethod::Percentile, RangeMethod::Mse];

fn small_model() -> Model {
    model(&small(16).find(|arch| arch.name == "resnet10").unwrap())
}

fn utterances(count: usize) -> Vec<Features> {
    let of = |i: usize| Features { values: noise(30 + 7 * i, 16), frames: 30 + 7 * i, mels: 16 };
    (0..count).map(of).collect()
}

fn calibrated(model: &Model, floats: &Floats) -> Calibration {
    calibrate(model, &utterances(3), RangeMethod::Percentile, floats, &mut |_, _| ()).unwrap()
}

fn refused(features: &[Features], floats: &Floats) -> String {
    let model = small_model();
    let made = calibrate(&model, features, RangeMethod::Mse, floats, &mut |_, _| ());
    made.unwrap_err().to_string()
}

#[test]
fn ranges_are_of_all_layers_but_the_first() {
    let model = small_model();
    for method in METHODS {
        let made =
            calibrate(&model, &utterances(3), method, &Floats::None, &mut |_, _| ()).unwrap();
        let Activations { bits, method: named, utterances, layers } = &made.activations;
        assert_eq!((*bits, *named, *utterances), (8, method, 3));
        assert_eq!(made.activations.check(), Ok(()));
        // Four blocks of two convolutions, three of them with a projection.
        assert_eq!(layers.len(), 11, "{layers:?}");
        assert!(!layers.contains_key("conv1.weight") && made.floats.is_empty());
        // Behind ReLU nothing is negative; projections have none.
        assert!(layers.values().all(|ranges| ranges.input[0] == 0.0));
        let has_negative = |name: &str| layers[name].output[0] < 0.0;
        assert!(has_negative("layer2.0.shortcut.0.weight"));
        assert!(!has_negative("layer2.0.conv1.weight"));
        assert!(made.cosine_distance > 0.0 && made.cosine_distance < 0.02, "{made:?}");
        let (utterance, largest) = made.largest;
        assert!(utterance < 3 && largest >= made.cosine_distance, "{made:?}");
    }
}

/// What one layer makes and the next one reads is one value.
#[test]
fn a_value_has_one_range() {
    let layers = calibrated(&small_model(), &Floats::None).activations.layers;
    let (first, second) = (layers["layer1.0.conv1.weight"], layers["layer1.0.conv2.weight"]);
    assert_eq!(first.output, second.input);
    let projection = layers["layer2.0.shortcut.0.weight"];
    assert_eq!(projection.input, second.output);
    assert_eq!(projection.input, layers["layer2.0.conv1.weight"].input);
}

#[test]
fn named_layers_stay_in_f32() {
    let model = small_model();
    let names = ["layer3.0.conv2.weight", "layer1.0.conv1.weight"].map(str::to_owned);
    let made = calibrated(&model, &Floats::Named(names.to_vec()));
    let floats: Vec<&str> = made.floats.iter().map(|layer| layer.name.as_str()).collect();
    // In the network's order.
    assert_eq!(floats, ["layer1.0.conv1.weight", "layer3.0.conv2.weight"]);
    assert!(made.floats.iter().all(|layer| layer.cost > 0.0), "{:?}", made.floats);
    assert_eq!(made.activations.layers.len(), 9);
    assert!(names.iter().all(|name| !made.activations.layers.contains_key(name)));
}

#[test]
fn layers_stay_in_f32_until_the_limit_holds() {
    let model = small_model();
    let whole = calibrated(&model, &Floats::None);
    let all = calibrated(&model, &Floats::Auto { limit: whole.cosine_distance });
    assert_eq!(all, whole);
    let limit = 0.5 * whole.cosine_distance;
    let made = calibrated(&model, &Floats::Auto { limit });
    assert!(made.cosine_distance <= limit, "{made:?}");
    assert!(!made.floats.is_empty() && !made.activations.layers.is_empty(), "{made:?}");
    assert_eq!(made.floats.len() + made.activations.layers.len(), 11);
    assert!(made.floats.is_sorted_by(|a, b| a.cost >= b.cost), "{:?}", made.floats);
    // One layer fewer in f32 is beyond the limit.
    let few = &made.floats[..made.floats.len() - 1];
    let few = few.iter().map(|layer| layer.name.clone()).collect();
    assert!(calibrated(&model, &Floats::Named(few)).cosine_distance > limit);
    // Nothing is within no distance.
    let none = calibrated(&model, &Floats::Auto { limit: 0.0 });
    assert_eq!((none.floats.len(), none.activations.layers.len()), (11, 0));
    assert_eq!((none.cosine_distance, none.largest), (0.0, (0, 0.0)));
}

#[test]
fn threads_change_nothing() {
    let model = small_model();
    let run = |threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let model = model.clone();
        pool.install(move || calibrated(&model, &Floats::Auto { limit: 1e-9 }))
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn progress_counts_passes() {
    let model = small_model();
    for limit in [0.0, 1.0] {
        let mut heard = Vec::new();
        let mut progress = |done: usize, all: usize| heard.push((done, all));
        let (features, floats) = (utterances(9), Floats::Auto { limit });
        calibrate(&model, &features, RangeMethod::Mse, &floats, &mut progress).unwrap();
        // Two passes to look, one in integers, each layer alone over 8, four of bisection.
        let all = 3 * 9 + 11 * 8 + 4 * 9;
        let done = if limit == 0.0 { 3 * 9 + 11 * 8 + 3 * 9..=all } else { 27..=27 };
        assert!(done.contains(&heard.len()), "{}", heard.len());
        assert!(heard.iter().enumerate().all(|(i, &(done, of))| (done, of) == (i + 1, all)));
    }
}

#[test]
fn impossible_calibrations_are_errors() {
    let none = refused(&[], &Floats::None);
    assert!(none.contains("one utterance or more"), "{none}");
    let mut bad = utterances(2);
    bad[1].values[5] = f32::NAN;
    let bad = refused(&bad, &Floats::None);
    assert!(bad.contains("`layer1.0.conv1.weight` reads values that are not finite"), "{bad}");
    let named = |name: &str| refused(&utterances(1), &Floats::Named(vec![name.to_owned()]));
    let near = named("layer1.0.conv2");
    assert!(near.contains("did you mean layer1.0.conv2.weight?"), "{near}");
    let first = named("conv1.weight");
    assert!(first.contains("in f32 in any case"), "{first}");
    let unknown = named("encoder");
    assert!(unknown.contains("there are: layer1.0.conv1.weight, "), "{unknown}");
    let mut short = utterances(1);
    short[0].frames += 1;
    let short = refused(&short, &Floats::None);
    assert!(short.contains("frames of 16 mels"), "{short}");
}
