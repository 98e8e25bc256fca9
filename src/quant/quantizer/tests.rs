//! Weights that cannot be quantized, and layers of one value.

use burn::tensor::Device;

use super::*;
use crate::nn::{Init, Linear, assign_named};
use crate::quant::TensorScheme;

/// Two bits for a layer's weight, from stage 1 on.
fn quantizer(update: Update) -> Quantizer {
    let planned = Planned { shape: vec![3, 5], scheme: TensorScheme::kmeans(2), stage: 1 };
    let plan = Plan::from([("weight".to_owned(), planned)]);
    Quantizer::new(plan, QuantizeConfig { update, ..QuantizeConfig::default() })
}

fn layer() -> Linear {
    Linear::new(Init::new(&Device::default(), 3), 5, 3)
}

fn with(layer: Linear, weights: Vec<f32>) -> Linear {
    assign_named(layer, HashMap::from([("weight".to_owned(), TensorData::new(weights, [3, 5]))]))
}

#[test]
fn what_fails_names_the_tensor_and_leaves_the_module_as_it_was() {
    for update in [Update::Lloyd, Update::FrozenMean] {
        let quantizer = quantizer(update);
        let attached = quantizer.attach(layer()).unwrap();
        quantizer.set_stage(1);
        let mut weights: Vec<f32> = (0..15u8).map(f32::from).collect();
        weights[3] = f32::INFINITY;
        let layer = with(attached, weights);
        let before = collect_named(&layer);
        for failed in [quantizer.begin(&layer, 1), quantizer.refresh(&layer)] {
            assert_eq!(
                failed.unwrap_err().to_string(),
                "tensor `weight`: weight 3 is inf",
                "{update:?}"
            );
        }
        assert_eq!(collect_named(&layer), before);
    }
    let quantizer = quantizer(Update::Lloyd);
    let error = quantizer.attach(with(layer(), vec![f32::NAN; 15])).unwrap_err().to_string();
    assert_eq!(error, "tensor `weight`: weight 0 is NaN");
}

/// A layer of one value has a codebook of one, until it comes to life.
#[test]
fn a_layer_of_one_value_begins_its_stage() {
    let values = |layer: &Linear| layer.weight.val().into_data().try_to_vec::<f32>().unwrap();
    let quantizer = quantizer(Update::Lloyd);
    let layer = with(quantizer.attach(layer()).unwrap(), vec![0.5; 15]);
    let layer = quantizer.begin(&layer, 1).unwrap().apply(layer);
    quantizer.set_stage(1);
    assert_eq!(values(&layer), [0.5; 15]);
    let (_, book, codes) = quantizer.encoded(&layer).unwrap().remove(0);
    assert_eq!((book.values(), codes), (&[0.5][..], vec![0; 15]));
    let weights: Vec<f32> = (0..15u8).map(|i| f32::from(i % 4)).collect();
    let layer = with(layer, weights.clone());
    let layer = quantizer.refresh(&layer).unwrap().apply(layer);
    assert_eq!(values(&layer), weights);
}
