//! Recipes over other recipes, and bases that are refused.

use super::*;
use crate::train::{OptimizerConfig, Recipe};

const BELOW: &str = "seed = 7\n[data]\ntrain = \"a\"\ndev = \"b\"\nframes = 120\n\
                     [model]\nname = \"resnet18\"\nwidth = 8\n\
                     [optimizer]\nkind = \"adamw\"\nbeta1 = 0.8\n\
                     [train]\nepochs = 9\naverage_last = 3\n";

/// A folder with recipes, the one to be read first.
fn folder(recipes: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in recipes {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn read(recipes: &[(&str, &str)], changes: &[&str]) -> Result<Recipe> {
    let dir = folder(recipes);
    let changes: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
    Recipe::load(dir.path().join(recipes[0].0), &changes)
}

/// The message, with paths as they are below the folder.
fn refused(recipes: &[(&str, &str)], changes: &[&str]) -> String {
    let dir = folder(recipes);
    let changes: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
    let error = Recipe::load(dir.path().join(recipes[0].0), &changes).unwrap_err().to_string();
    error.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn values_lie_over_those_of_the_base_table_by_table() {
    let ours = "base = \"below.toml\"\n[model]\nname = \"rev1-resnet18\"\n[train]\nepochs = 5\n";
    let recipe = read(&[("r.toml", ours), ("below.toml", BELOW)], &["data.frames=50"]).unwrap();
    let changes = ["model.name=rev1-resnet18", "train.epochs=5", "data.frames=50"];
    assert_eq!(recipe, read(&[("below.toml", BELOW)], &changes).unwrap());
    assert_eq!((recipe.seed, recipe.data.frames, recipe.model.width), (7, 50, 8));
    let written = recipe.to_toml();
    assert!(!written.contains("base ="), "{written}");
    assert_eq!(Recipe::parse(&written, Path::new("copy.toml"), &[]).unwrap(), recipe);
}

#[test]
fn a_base_is_beside_its_recipe_and_may_have_a_base() {
    let recipes = [
        ("x/r.toml", "base = \"../y/mid.toml\"\nseed = 1\n"),
        ("y/mid.toml", "base = \"low/below.toml\"\nseed = 2\n[data]\nframes = 60\n"),
        ("y/low/below.toml", BELOW),
    ];
    let recipe = read(&recipes, &[]).unwrap();
    assert_eq!((recipe.seed, recipe.data.frames, recipe.train.epochs), (1, 60, 9));
}

#[test]
fn an_optimizer_is_changed_by_a_section_and_replaced_by_a_name() {
    let optimizer = |ours: &str| {
        let ours = format!("base = \"b.toml\"\n{ours}");
        read(&[("r.toml", ours.as_str()), ("b.toml", BELOW)], &[]).unwrap().optimizer
    };
    let adamw = |settings: &str| -> OptimizerConfig {
        toml::from_str(&format!("kind = \"adamw\"\n{settings}")).unwrap()
    };
    let ours = "[optimizer]\nweight_decay = 0.05\n";
    assert_eq!(optimizer(ours), adamw("beta1 = 0.8\nweight_decay = 0.05\n"));
    let name = "optimizer = \"sgd\"\n";
    assert_eq!(optimizer(name), OptimizerConfig::named("sgd").unwrap());
    // The name in the middle takes the place of the section below it.
    let recipes = [
        ("r.toml", "base = \"mid.toml\"\n[optimizer]\nweight_decay = 0.05\n"),
        ("mid.toml", "base = \"b.toml\"\noptimizer = \"adam\"\n"),
        ("b.toml", BELOW),
    ];
    let wanted: OptimizerConfig = toml::from_str("kind = \"adam\"\nweight_decay = 0.05\n").unwrap();
    assert_eq!(read(&recipes, &[]).unwrap().optimizer, wanted);
}

#[test]
fn errors_are_at_the_line_of_the_file_that_holds_it() {
    let with = |ours: &str, below: &str, changes: &[&str]| {
        let ours = format!("base = \"below.toml\"\n{ours}");
        let below = format!("{BELOW}{below}");
        refused(&[("r.toml", ours.as_str()), ("below.toml", below.as_str())], changes)
    };
    let error = with("", "widht = 1\n", &[]);
    assert!(error.starts_with("below.toml:15: unknown field `widht`"), "{error}");
    let error = with("[train]\nwidht = 1\n", "", &[]);
    assert!(error.starts_with("r.toml:3: unknown field `widht`"), "{error}");
    assert_eq!(with("", "keep = 0\n", &[]), "below.toml:15: train.keep = 0: must be 1 to 1000");
    assert_eq!(
        with("[train]\nepochs = 2\n", "", &[]),
        "below.toml:14: train.average_last = 3: train.epochs is 2; make average_last 2 or less \
         too, or train.epochs 3 or more"
    );
    let error = with("[train]\naverage_last = 12\n", "", &[]);
    assert!(error.starts_with("r.toml:3: train.average_last = 12: train.epochs is 9;"), "{error}");
    assert_eq!(
        with("", "", &["data.frames=1"]),
        "r.toml: with override: data.frames = 1: must be 16 to 100000"
    );
    assert!(with("", "[data", &[]).starts_with("below.toml:15: "));
}

#[test]
fn what_is_no_base_is_refused_with_the_line_that_names_it() {
    let error = refused(&[("r.toml", "seed = 1\nbase = 3\n")], &[]);
    assert_eq!(error, "r.toml:2: base: must be the path of a recipe, as in \"resnet.toml\"");
    let error = refused(&[("r.toml", "base = \"none.toml\"\n")], &[]);
    assert!(error.starts_with("r.toml:1: base: none.toml: cannot read"), "{error}");
    let error = refused(&[("r.toml", BELOW)], &["base=below.toml"]);
    assert!(error.contains("unknown field `base`"), "{error}");
}

#[test]
fn circles_and_towers_of_recipes_are_refused() {
    let error = refused(&[("r.toml", "base = \"r.toml\"\n")], &[]);
    assert_eq!(error, "r.toml:1: base: a circle: r.toml is itself based on r.toml");
    let recipes = [("a/r.toml", "base = \"../b.toml\"\n"), ("b.toml", "\nbase = \"a/r.toml\"\n")];
    let error = refused(&recipes, &[]);
    assert_eq!(
        error,
        "a/../b.toml:2: base: a circle: a/../a/r.toml is itself based on a/../b.toml"
    );
    let tower = |height: usize| {
        let names: Vec<String> = (0..=height).map(|i| format!("{i}.toml")).collect();
        let texts: Vec<String> = (0..height)
            .map(|i| format!("base = \"{}\"\n", names[i + 1]))
            .chain([BELOW.to_owned()])
            .collect();
        let recipes: Vec<(&str, &str)> =
            names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
        match read(&recipes, &[]) {
            Ok(_) => String::new(),
            Err(_) => refused(&recipes, &[]),
        }
    };
    assert_eq!(tower(MOST_BASES), "");
    assert_eq!(tower(MOST_BASES + 1), "8.toml:1: base: a recipe has at most 8 others below it");
}
