//! Every network against tables of what revox 0.1.0 said of it: names and shapes of its tensors,
//! and its costs to the byte.

use burn::tensor::Device;
use revox::backend::reversible::Execution;
use revox::memory::{Setting, account};
use revox::nn::names_and_shapes;
use revox::train::OptimizerConfig;
use revox::zoo::{Architecture, names};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::shared::{fixture, json};

fn named(name: &str) -> Architecture {
    Architecture::named(name).unwrap()
}

fn number(value: &Value, key: &str) -> usize {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} of {value}")) as usize
}

#[test]
fn names_and_shapes_are_those_of_the_table() {
    let table = json(fixture("zoo/names.json"));
    let wanted = table["sha256"].as_object().unwrap();
    assert_eq!(wanted.len(), 51);
    for name in wanted.keys() {
        let arch = Architecture {
            width: number(&table, "width"),
            mels: number(&table, "mels"),
            embedding_dim: number(&table, "embedding_dim"),
            ..named(name)
        };
        let traced = arch.graph(32).unwrap().names_and_shapes();
        let built = arch.init(&Device::default(), 0).unwrap();
        assert_eq!(traced, names_and_shapes(&built), "{name}");
        let line = |(name, shape): (String, Vec<usize>)| {
            let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
            format!("{name} {}\n", shape.join("x"))
        };
        let mut lines: Vec<String> = traced.into_iter().map(line).collect();
        lines.sort();
        let text = lines.concat();
        let digest: String =
            Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(wanted[name], digest, "{name} has other tensors:\n{text}");
    }
}

#[test]
fn full_size_graphs_have_the_tensors_of_their_modules() {
    let mut seen = 0;
    for name in names() {
        let arch = named(&name);
        let traced = arch.graph(200).unwrap();
        let built = arch.init(&Device::default(), 0).unwrap();
        assert_eq!(traced.names_and_shapes(), names_and_shapes(&built), "{name}");
        seen += 1;
    }
    assert!(seen >= 51);
}

#[test]
fn costs_are_those_of_the_table() {
    let table = json(fixture("zoo/accounts.json"));
    let rows = table["zoo"].as_array().unwrap();
    assert_eq!(rows.len(), 51);
    for row in rows {
        let name = row["arch"].as_str().unwrap();
        let arch = named(name);
        let ours = arch.account(number(&table, "frames")).unwrap();
        let held = match arch.reversible_type() {
            Some(_) => ours.held_bytes(),
            None => ours.activation_bytes(),
        };
        let ours = [ours.parameters(), ours.macs(), ours.activation_bytes(), held];
        let keys = ["parameters", "macs", "activation_bytes", "held_bytes"];
        assert_eq!(ours, keys.map(|key| number(row, key)), "{name}: {keys:?}");
    }
}

/// The training step that a row of the table is about.
fn setting(row: &Value, sizes: &Value) -> Setting {
    let arch = named(row["arch"].as_str().unwrap());
    Setting {
        execution: match row["execution"].as_str() {
            None => None,
            Some("taped") => Some(Execution::Taped),
            Some(other) => panic!("unknown execution {other}"),
        },
        batch: number(sizes, "batch"),
        frames: number(sizes, "frames"),
        speakers: number(sizes, "speakers"),
        ..Setting::new(
            Architecture { width: number(sizes, "width"), mels: number(sizes, "mels"), ..arch },
            OptimizerConfig::named(row["kind"].as_str().unwrap()).unwrap(),
        )
    }
}

/// Compares a row with the account of its setting. Returns whether it told all of it: rows of other
/// optimizers than SGD have only what an optimizer changes.
fn check_bytes(row: &Value, setting: &Setting) -> bool {
    let ours = account(setting).unwrap();
    let wanted = |key: &str| number(row, key);
    assert_eq!([ours.optimizer, ours.peak], [wanted("optimizer"), wanted("peak")], "{row}");
    if row.get("weights").is_none() {
        return false;
    }
    assert_eq!(row["reversible"], setting.is_reversible(), "{row}");
    let keys = ["weights", "gradients", "activations", "head"];
    let found = [ours.weights, ours.gradients, ours.activations, ours.head];
    assert_eq!(found, keys.map(wanted), "{keys:?} of {row}");
    let peak = &row["at_peak"];
    assert_eq!(peak["place"], ours.place, "{row}");
    let keys = ["gradients", "activations", "workspace"];
    let found = [ours.at_peak.gradients, ours.at_peak.activations, ours.at_peak.workspace];
    assert_eq!(found, keys.map(|key| number(peak, key)), "{keys:?} at the peak of {row}");
    let stage =
        |stage: &Value| (stage["name"].as_str().unwrap().to_owned(), number(stage, "bytes"));
    let stages: Vec<(String, usize)> =
        row["stages"].as_array().unwrap().iter().map(stage).collect();
    assert_eq!(ours.stages, stages, "{row}");
    true
}

#[test]
fn bytes_of_a_training_step_are_those_of_the_table() {
    let table = json(fixture("zoo/accounts.json"));
    let rows = table["memory"].as_array().unwrap();
    // The account counts the workspace of each thread.
    let threads =
        rayon::ThreadPoolBuilder::new().num_threads(number(&table, "threads")).build().unwrap();
    let whole = threads.install(|| {
        let check = |row: &&Value| {
            let sizes = &table["sizes"][number(row, "size")];
            check_bytes(row, &setting(row, sizes))
        };
        rows.iter().filter(check).count()
    });
    // Two sizes: every network with five optimizers, and reversible ones taped.
    assert_eq!((rows.len(), whole), (2 * (5 * 51 + 34), 2 * (51 + 34)));
}
