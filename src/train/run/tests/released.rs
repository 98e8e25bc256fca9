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
