use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::default_model::MODEL;
use super::*;
use crate::train::Recipe;
use crate::zoo::Row;

/// Most bytes of the model inside the program.
const MOST: usize = 1_500_000;

fn cards() -> Vec<(&'static str, Card)> {
    names().map(|name| (name, Card::of(name).unwrap())).collect()
}

/// Addresses that a reader can open.
fn is_public(at: &str) -> bool {
    at.starts_with("https://") && !at.contains(' ')
}

#[test]
fn every_folder_of_models_is_in_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let folder = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let folders: BTreeSet<String> = std::fs::read_dir(root).unwrap().map(folder).collect();
    let embedded: BTreeSet<String> = names().chain([DEFAULT]).map(str::to_owned).collect();
    assert_eq!(folders, embedded);
}

#[test]
fn cards_describe_networks_of_the_zoo() {
    for (name, card) in cards() {
        assert_eq!(card.arch.name, name);
        assert!(Row::of(name).is_some(), "{name}");
        card.arch.check().unwrap_or_else(|e| panic!("{name}: {e}"));
        match &card.frontend {
            Input::Kaldi(frontend) => {
                assert_eq!(frontend.fbank.mels, card.arch.mels, "{name}");
                frontend.fbank.check().unwrap();
            }
            Input::Own(words) => assert!(!words.is_empty(), "{name}"),
        }
    }
    assert!(Card::of("resnet10").is_none() && Card::of("rev1-resnet34").is_none());
}

#[test]
fn figures_have_public_sources() {
    for (name, card) in cards() {
        assert!(is_public(&card.paper.at) && !card.paper.title.is_empty(), "{name}");
        for weights in &card.weights {
            assert!(is_public(&weights.at) && !weights.licence.is_empty(), "{name}");
        }
        assert!(!card.published.is_empty(), "{name}");
        for published in &card.published {
            assert!(is_public(&published.source) && !published.rates.is_empty(), "{name}");
            for rates in &published.rates {
                // Vox1-H is the hardest list in every table.
                let [o, e, h] = rates.eer_percent;
                assert!(0.0 < o && o < h && e < h && h < 5.0, "{name}: {rates:?}");
                let costs = rates.min_dcf.unwrap_or([0.5; 3]);
                assert!(costs.iter().all(|cost| (0.0..1.0).contains(cost)), "{name}: {rates:?}");
            }
        }
        for measured in &card.measured {
            assert!(measured.value > 0.0 && !measured.command.is_empty(), "{name}: {measured:?}");
        }
    }
}

/// The message has the sections as they must be.
#[test]
fn sizes_are_those_that_follow_from_the_architecture() {
    let mut wrong = String::new();
    for (name, card) in cards() {
        let right = Bytes::of(&card.arch).unwrap();
        if card.bytes != right {
            let section = toml::to_string(&right).unwrap();
            wrong += &format!("\nmodels/{name}/model.toml\n[bytes]\n{section}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn costs_are_those_of_the_account() {
    let card = Card::of("resnet34").unwrap();
    let derived = Derived::of(&card.arch, 200).unwrap();
    assert_eq!(derived.parameters, 6_634_336);
    assert!((4.4e9..4.6e9).contains(&(derived.macs as f64)), "{derived:?}");
    assert!(derived.held_bytes.is_none());
}

#[test]
fn unknown_keys_are_refused() {
    let text = "note = \"x\"\ncolour = \"red\"\n";
    let error = toml::from_str::<Card>(text).unwrap_err().to_string();
    assert!(error.contains("colour"), "{error}");
}

#[test]
fn the_model_inside_is_small_and_its_card_is_true() {
    let card = DefaultCard::get();
    let digest: String = Sha256::digest(MODEL).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!((card.bytes, card.sha256.as_str()), (MODEL.len(), digest.as_str()));
    assert!(MODEL.len() <= MOST, "{} bytes", MODEL.len());

    let model = default_model(&Device::default()).unwrap();
    let header = &model.header;
    let packed = &header.quantization;
    assert!(!packed.is_empty() && packed.values().all(|tensor| tensor.scheme.bits <= 4));
    let training = header.training.as_ref().expect("revox has trained it");
    assert_eq!((card.made.seed, &card.made.version), (training.seed, &training.version));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recipe = Recipe::load(root.join(&card.made.recipe), &[]).unwrap();
    assert_eq!((&recipe.model, recipe.seed), (&header.arch, card.made.seed));

    // To the digits that the card has.
    let threshold = header.scoring.threshold_eer.expect("it holds a threshold");
    let wanted = card.tested[0].threshold;
    assert!((threshold - wanted).abs() < 1e-4, "threshold = {threshold}, not {wanted}");
    assert!(card.data.iter().all(|data| is_public(&data.at) && !data.licence.is_empty()));
    assert_eq!(card.tested.len(), 2);
    for (tested, most) in card.tested.iter().zip([8.5, 6.0]) {
        assert!(0.0 < tested.f32_eer_percent && tested.f32_eer_percent <= most, "{tested:?}");
        assert!((tested.eer_percent - tested.f32_eer_percent).abs() <= 0.5, "{tested:?}");
    }
}
