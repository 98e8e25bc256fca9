//! Every kind of difference: named, accepted, refused.

mod data;
mod settings;

use std::path::Path;

use super::*;

const CHECKPOINT: &str = "runs/r/checkpoint.safetensors";

fn accept(names: &[&str]) -> Accept {
    Accept::parse(&names.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// A small recipe, with the data in a folder.
fn recipe(folder: &Path, changes: &[&str]) -> Recipe {
    let folder = folder.display();
    let text = format!(
        "[data]\ntrain = '{folder}/train'\ndev = '{folder}/dev'\n[model]\nname = \"resnet18\"\n"
    );
    let changes: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
    Recipe::parse(&text, Path::new("r.toml"), &changes).unwrap()
}

fn settings(changes: &[&str]) -> Identity {
    Identity::new(&recipe(Path::new("d"), changes), None, "flex", 1)
}

/// As [`settings`], with a record of data. A checkpoint without one counts as old.
fn recorded(changes: &[&str]) -> Identity {
    let data = BTreeMap::from([("data.train".to_owned(), Fingerprint::default())]);
    Identity { data, ..settings(changes) }
}

/// An error's text, with what would help in brackets.
fn told(error: Error) -> String {
    match error.remedy() {
        Some(Remedy::Accept { names }) => format!("{error} [accept {}]", names.join(" ")),
        Some(Remedy::Set { key, value, names }) => {
            format!("{error} [set {key}={value}, accept {}]", names.join(" "))
        }
        Some(Remedy::OtherFolder) => format!("{error} [another folder]"),
        Some(other) => format!("{error} [{other:?}]"),
        None => error.to_string(),
    }
}

fn compare(ours: &Identity, old: &Identity, names: &[&str]) -> Result<Vec<String>, String> {
    ours.check_settings(old, Path::new(CHECKPOINT), &accept(names)).map_err(told)
}
