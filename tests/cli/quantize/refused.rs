//! What cannot be quantized, or not in that way.

use super::{SMALL, args, place};

#[test]
fn impossible_wishes_are_refused() {
    let place = place();
    let fails = |rest: &[&str], wanted: &[&str]| {
        place.fails(&args(&["-o", "x.safetensors"], rest), wanted);
        assert!(!place.path("x.safetensors").exists());
    };
    fails(
        &["--bits", "8"],
        &["`conv1.weight`", "18 weights are fewer than the 256 values", "small_layers"],
    );
    for (option, bad) in [("--bits", "9"), ("--bits", "0"), ("--pareto", "sizes.png")] {
        let ran = place.run(&args(&["-o", "x.safetensors"], &[option, bad]));
        assert!(ran.code == 2 && ran.err.contains(option), "{bad}: {}", ran.err);
    }
    place.fails(&args(&["-o", "x.onnx"], &["--bits", "4"]), &["x.onnx: no file of this ending"]);
    fails(
        &["--method", "mixed", "--target-size", "50kB"],
        &["a recipe is needed", "measure = \"error\""],
    );
    fails(&["--method", "mixed"], &["target_bytes", "needs a size"]);
    fails(&["--set", "quantize.stages=2"], &["choices of training"]);
    fails(&["--set", "train.epochs=2"], &["--set train", "without a recipe"]);
    fails(&["--set", "quantize.bit=2"], &["unknown field `bit`"]);
    fails(
        &["--set", "quantize.keep=[\"conv9.weight\"]"],
        &["no weight `conv9.weight`", "seg_1.weight"],
    );
    let tune = ["--recipe", "tune.toml", "--bits", "1"];
    let staged = |set: &'static str| {
        [&tune[..], &SMALL, &["--set", "quantize.stages=4", "--set", set]].concat()
    };
    fails(&staged("quantize.order=front"), &["4 stages need as many epochs"]);
    let late = [
        &tune[..],
        &SMALL,
        &[
            "--set",
            "quantize.stages=3",
            "--set",
            "quantize.order=front",
            "--set",
            "train.average_last=2",
        ],
    ]
    .concat();
    fails(&late, &["average_last = 2", "more than the epochs of the last stage (1)"]);
    fails(&[&tune[..], &["--set", "model.name=resnet18"]].concat(), &["tune.toml", "[model]"]);
    place.fails(
        &["train", "r.toml", "--set", "quantize.bits=2", "--out", "y"],
        &["[quantize]", "revox quantize"],
    );
    place.fails(&args(&["-o", "m.safetensors"], &SMALL), &["m.safetensors", "would be lost"]);
    place.ok(&args(&["--bits", "2", "-o", "q.safetensors"], &SMALL));
    place.fails(
        &["quantize", "q.safetensors", "-o", "x.safetensors"],
        &["q.safetensors", "is quantized"],
    );
    place.fails(
        &["train", "tune.toml", "--init", "q.safetensors", "--out", "y"],
        &["q.safetensors", "is quantized"],
    );
    // Weights that are not numbers.
    let tensors = revox::model_file::read_safetensors(&place.path("m.safetensors")).unwrap();
    let json = tensors.1["revox"].clone();
    for (value, wanted) in [(f32::NAN, "is NaN"), (f32::INFINITY, "is inf")] {
        let mut changed = tensors.0.clone();
        let (_, data) = changed.0.iter_mut().find(|(n, _)| n == "layer1.0.conv1.weight").unwrap();
        let mut values: Vec<f32> = data.iter::<f32>().collect();
        values[3] = value;
        *data = burn::tensor::TensorData::new(values, data.shape().to_vec());
        let path = place.path("bad.safetensors");
        std::fs::write(&path, changed.to_safetensors(&path, "revox", json.clone()).unwrap())
            .unwrap();
        place.fails(
            &[
                "quantize",
                "bad.safetensors",
                "--bits",
                "1",
                "-o",
                "x.safetensors",
                SMALL[0],
                SMALL[1],
            ],
            &["bad.safetensors: value 3 of tensor `layer1.0.conv1.weight`", wanted],
        );
    }
    assert_eq!(place.run(&["quantize", "m.safetensors"]).code, 2);
    assert_eq!(
        place.run(&["quantize", "m.safetensors", "-o", "x", "--target-size", "much"]).code,
        2
    );
}
