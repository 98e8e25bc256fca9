//! The recipes of this repository.

use std::path::{Path, PathBuf};

use super::parse;
use crate::losses::LossKind;
use crate::train::recipe::{MarginConfig, Recipe};

#[test]
fn every_recipe_of_ours_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let files = walkdir::WalkDir::new(root).into_iter().map(|e| e.unwrap().into_path());
    let recipes: Vec<PathBuf> =
        files.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    assert!(recipes.len() > 15, "{recipes:?}");
    for path in recipes {
        // A recipe that trains a model further takes the model's network and names none, and so
        // does a base of such a recipe.
        let names_none =
            path.file_stem().is_some_and(|stem| stem == "fine-tune" || stem == "corpora");
        let named = ["model.name=resnet18".to_owned()];
        let changes: &[String] = if names_none { &named[..] } else { &[] };
        let recipe = Recipe::load(&path, changes).unwrap();
        assert_eq!(parse(&recipe.to_toml(), &[]).unwrap(), recipe, "{path:?}");
    }
}

/// One recipe of ours, with changes.
fn ours(name: &str, changes: &[&str]) -> Recipe {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes").join(name);
    let changes: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
    Recipe::load(path, &changes).unwrap()
}

#[test]
fn recipes_over_others_change_what_they_say() {
    let lab = ours("speechocean/lab.toml", &["model.name=rev1-resnet18"]);
    assert_eq!(ours("speechocean/lab-rev1.toml", &[]), lab);
    let lab = ours("speechocean/lab-df.toml", &["model.name=rev2-df-resnet32"]);
    assert_eq!(ours("speechocean/lab-df-rev2.toml", &[]), lab);
    assert_eq!((lab.model.width, lab.train.epochs, lab.train.batch_size), (8, 14, 32));
    let resnet = ours("voxceleb/resnet.toml", &[]);
    assert_eq!(resnet.model.name, "resnet34");
    let ecapa = ours("voxceleb/ecapa-tdnn.toml", &[]);
    assert_eq!(ecapa.model.name, "ecapa-tdnn-glob-512");
    assert_eq!(Recipe { model: resnet.model.clone(), ..ecapa }, resnet);
    let campplus = ours("voxceleb/campplus.toml", &[]);
    assert_eq!(campplus.model.name, "campplus");
    assert_eq!(Recipe { model: resnet.model.clone(), ..campplus }, resnet);
    let df = ours("voxceleb/df-resnet.toml", &[]);
    assert_eq!((df.optimizer.name(), df.margin), ("adamw", MarginConfig::default()));
    assert_eq!(df.data, resnet.data);
    let redimnet = ours("voxceleb/redimnet2-b2.toml", &[]);
    assert_eq!((redimnet.loss.kind, redimnet.model.mels), (LossKind::SphereFace2, 72));
    assert_eq!((redimnet.optimizer.name(), redimnet.train.batch_size), ("sgd", 512));
    let last = redimnet.second_phase().unwrap();
    assert_eq!((last.margin.last, last.train.batch_size, last.augment.noise), (0.3, 128, None));
    assert_eq!((last.schedule.initial_lr, last.schedule.final_lr), (3e-4, 3e-5));
    let tuned = ours("voxceleb/fine-tune.toml", &["model.name=resnet34"]);
    assert_eq!((&tuned.data, &tuned.augment), (&resnet.data, &resnet.augment));
    assert_eq!((&tuned.loss, tuned.train.epochs), (&resnet.loss, 12));
}

/// Kaldi's ranges for MUSAN, in every recipe for VoxCeleb.
#[test]
fn voxceleb_is_augmented_as_kaldi_does() {
    for name in ["resnet", "df-resnet", "ecapa-tdnn", "campplus", "redimnet2-b2", "fine-tune"] {
        let recipe = ours(&format!("voxceleb/{name}.toml"), &["model.name=resnet18"]);
        let categories = recipe.augment.categories;
        let all: Vec<_> = categories.named().map(|(name, c)| (name, c.snr, c.mix)).collect();
        let wanted = [
            ("noise", [0.0, 15.0], [1, 1]),
            ("music", [5.0, 15.0], [1, 1]),
            ("speech", [13.0, 20.0], [3, 7]),
        ];
        assert_eq!(all, wanted, "{name}");
    }
}

/// WeSpeaker's second phase for ReDimNet2: 1e-4 to 1e-5, times 12, for two GPUs of 128 crops.
#[test]
fn redimnet2_ends_as_published() {
    let recipe = ours("voxceleb/redimnet2-b2.toml", &[]);
    let next = recipe.second_phase().unwrap();
    let (crops, gpus) = (next.train.batch_size, 2.0);
    assert_eq!((next.data.frames, next.train.epochs, crops), (600, 5, 128));
    assert_eq!((next.margin.initial, next.margin.last), (0.3, 0.3));
    assert_eq!((&next.loss, &next.optimizer), (&recipe.loss, &recipe.optimizer));
    assert!(recipe.augment.noise.is_some() && next.augment.noise.is_none());
    assert!(next.augment.reverb.is_none() && next.augment.categories.is_empty());
    let schedules = next.schedules(100);
    for (iteration, theirs) in [(0, 1e-4 * 12.0), (500, 1e-5 * 12.0)] {
        let ours = gpus * schedules.at(iteration).rate;
        assert!((ours / theirs - 1.0).abs() < 1e-6, "{iteration}: {ours}, not {theirs}");
    }
}
