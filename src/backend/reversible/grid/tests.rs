use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;

use super::{GridOps, plain};

#[test]
fn the_fast_path_equals_the_plain_twin() {
    let values: Vec<f32> =
        (0..4001).map(|i| (i as f32 - 2000.0) * 0.001_2 * 1.0001f32.powi(i)).collect();
    let tensor = |values: &[f32]| {
        FloatTensor::<Flex>::from_data(TensorData::new(values.to_vec(), [values.len()]))
    };
    let read = |t: FloatTensor<Flex>| t.as_slice::<f32>().unwrap().to_vec();
    let other: Vec<f32> = values.iter().rev().map(|v| 0.7 * v).collect();
    for bits in [10, 18, 20] {
        let wanted = read(plain::snap::<Flex>(tensor(&values), bits));
        assert!(
            read(<Flex as GridOps>::snap(tensor(&values), bits)) == wanted,
            "snap, {bits} bits"
        );
        for back in [false, true] {
            let (x, change) = (tensor(&other), tensor(&values));
            let wanted = read(plain::shift::<Flex>(x.clone(), change.clone(), bits, back));
            for (shared, x, change) in [
                ("both", x.clone(), change.clone()),
                ("change", tensor(&other), change.clone()),
                ("x", x.clone(), tensor(&values)),
                ("none", tensor(&other), tensor(&values)),
            ] {
                let ours = read(<Flex as GridOps>::shift(x, change, bits, back));
                assert!(ours == wanted, "{bits} bits, back {back}, shared: {shared}");
            }
        }
    }
}
