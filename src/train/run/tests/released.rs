//! Runs that free gradients during the backward pass.

use super::*;

/// The same models, and the option may change in the middle of a run.
#[test]
fn released_gradients_train_the_same() {
    let place = Place::new();
    for (name, width) in [("resnet10", 2), ("rev2-resnet10", 8)] {
        let (name, width) = (format!("model.name={name}"), format!("model.width={width}"));
        let train = |out: &str, resume: bool, epochs: &str, release: bool| {
            let release = format!("train.release_gradients={release}");
            let optimizer = "optimizer=adamw8bit";
            let small = "optimizer.states.min_size=16";
            let changes =
                &[name.as_str(), width.as_str(), optimizer, small, epochs, release.as_str()];
            let (report, _) = place.train(Way { out, resume, accept: &[], changes }).unwrap();
            assert_eq!(report.epochs, if epochs.ends_with('1') { 1 } else { 2 });
        };
        let out = |kind: &str| format!("{}-{kind}", &name[11..]);
        let [usual, released, changing] = ["usual", "released", "changing"].map(out);
        train(&usual, false, "train.epochs=2", false);
        train(&released, false, "train.epochs=2", true);
        train(&changing, false, "train.epochs=1", true);
        train(&changing, true, "train.epochs=2", false);
        let wanted = place.tensors(&usual);
        assert!(place.tensors(&released) == wanted, "{name}");
        assert!(place.tensors(&changing) == wanted, "{name}, resumed");
    }
}

/// A run whose weights have 24 bits goes on where it was cut off, to the bit. Resuming it in f32 is
/// a choice.
#[test]
fn weights_in_24_bits_are_resumed() {
    let place = Place::new();
    let train = |out: &str, resume: bool, accept: &[&str], more: [&str; 2]| {
        let all = [
            "model.name=rev2-resnet10",
            "model.width=8",
            "train.release_gradients=true",
            "optimizer=sgd8bit",
            "optimizer.states.min_size=16",
            more[0],
            more[1],
        ];
        place.train(Way { out, resume, accept, changes: &all }).map(|_| ())
    };
    let (small, f32) = ("train.weights=bf16+8", "train.weights=f32");
    train("whole", false, &[], ["train.epochs=2", small]).unwrap();
    train("parts", false, &[], ["train.epochs=1", small]).unwrap();
    train("parts", true, &[], ["train.epochs=2", small]).unwrap();
    train("f32", false, &[], ["train.epochs=2", f32]).unwrap();
    let tensors = ["whole", "parts", "f32"].map(|out| {
        let mut tensors = place.tensors(out);
        let all = tensors.clone();
        tensors.retain(|name, _| !name.contains("running_"));
        (all, tensors.into_values().flatten().all(|bits| bits & 0xff == 0))
    });
    let [(whole, is_cut), (parts, _), (_, f32_is_cut)] = tensors;
    assert!(parts == whole);
    assert!(is_cut && !f32_is_cut);
    let longer = ["train.epochs=3", f32];
    let error = train("parts", true, &[], longer).unwrap_err().to_string();
    assert!(error.contains("train.weights"), "{error}");
    train("parts", true, &["train.weights"], longer).unwrap();
}
