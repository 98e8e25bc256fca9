//! Every number of a full recipe has a range, and every key a role.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::super::differences::spans;
use super::super::role::{CHANGEABLE, NEUTRAL, role_of};
use super::*;
use crate::error::Result;
use crate::train::Recipe;

/// Every option, except those of one kind of optimizer or loss.
const FULL: &str = r#"
    seed = 1
    init = "m"
    [data]
    train = "a"
    dev = "b"
    trials = "c"
    frames = 50
    passes = 2
    speeds = [1.0, 0.9]
    threads = 1
    cache_mib = 16
    tolerate = 0.01
    shard_mix = 4
    features = "device"
    [data.synth]
    out = "o"
    speakers = 4
    utterances = 4
    seconds = 1.0
    dev_speakers = 4
    seed = 1
    [frontend]
    sample_rate = 16000
    window = "hamming"
    dither = 1.0
    cmn = true
    [augment]
    probability = 0.5
    noise = "n"
    noise_snr = [0.0, 15.0]
    reverb = "r"
    cache_mib = 64
    normalize = true
    [augment.categories.noise]
    snr = [0.0, 15.0]
    mix = [1, 2]
    [augment.categories.music]
    snr = [5.0, 15.0]
    mix = [1, 2]
    [augment.categories.speech]
    snr = [13.0, 20.0]
    mix = [3, 7]
    [augment.spec]
    time_masks = 1
    time_width = 10
    mel_masks = 1
    mel_width = 5
    [model]
    name = "rev1-resnet10"
    width = 8
    mels = 24
    embedding_dim = 16
    pooling = "TSTP"
    two_embedding_layers = false
    [model.reversible]
    blocks = [1, 1, 1, 1]
    streams = "split"
    state = 8
    transition = "merged"
    merge = "concat"
    order = "pre-activation"
    inner = 1.0
    [margin]
    initial = 0.0
    last = 0.2
    increase_start_epoch = 2
    fix_start_epoch = 3
    increase = "exp"
    [schedule]
    initial_lr = 0.1
    final_lr = 0.01
    warm_up_epochs = 1.0
    warm_from_zero = true
    scale_ratio = 1.0
    [schedule.factors]
    projection = 2.0
    [train]
    epochs = 3
    batch_size = 8
    accumulate = 2
    sync_batch_norm = false
    shard_states = true
    patience = 2
    validate_every = 1
    average_last = 1
    freeze = ["projection"]
    execution = "taped"
    release_gradients = false
    precision = "f32"
    checkpoint_every = "15min"
    keep = 2
    [large_margin]
    epochs = 2
    frames = 100
    margin = 0.5
    initial_lr = 0.001
    final_lr = 0.0001
    warm_up_epochs = 1.0
    batch_size = 4
    augment = false
    [quantize]
    method = "mixed"
    bits = 4
    target_bytes = 100000
    layers = "all"
    keep = ["x"]
    small_layers = "refuse"
    update = "lloyd"
    refresh_every = 10
    lloyd_steps = 3
    per_channel = false
    offset = false
    clip = 1.0
    candidates = [1, 2]
    stages = 2
    order = "bits"
    restart_rate = true
    [quantize.sensitivity]
    measure = "error"
    probes = 5
    tolerance = 0.1
    batches = 4
    epsilon = 0.01
    [optimizer.states]
    block_size = 256
    min_size = 4096
    rounding = "nearest"
    [optimizer]
"#;

const SGD: &str = "kind = \"sgd8bit\"\nmomentum = 0.9\ndampening = 0.0\nnesterov = false\n\
                   weight_decay = 1e-4\n";
const ADAM: &str = "kind = \"adam8bit\"\nbeta1 = 0.9\nbeta2 = 0.999\nepsilon = 1e-8\n\
                    weight_decay = 0.0\nguard = true\n";

const AAM: &str = "[loss]\nkind = \"aam\"\nscale = 32.0\neasy_margin = false\nsub_centers = 2\n\
                   [loss.inter_topk]\nk = 3\npenalty = 0.06\n";
const SPHEREFACE2: &str = "[loss]\nkind = \"sphereface2\"\nscale = 32.0\nform = \"a\"\nt = 3\n\
                           lambda = 0.7\n";

/// A section and its option that the full recipes leave out.
const LAYERS: (&str, &str) = ("model", "layers");

fn full_recipes() -> [String; 2] {
    [format!("{FULL}{SGD}{AAM}"), format!("{FULL}{ADAM}{SPHEREFACE2}")]
}

fn parse(text: &str, change: &str) -> Result<Recipe> {
    Recipe::parse(text, Path::new("r.toml"), &[change.to_owned()])
}

/// Paths of the sections, and of the numbers with whether they are in an array.
#[derive(Default)]
struct Paths {
    sections: Vec<String>,
    numbers: BTreeSet<(String, bool)>,
}

impl Paths {
    fn walk(&mut self, path: &str, value: &toml::Value, in_array: bool) {
        match value {
            toml::Value::Table(table) => {
                self.sections.push(path.to_owned());
                for (name, value) in table {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.walk(&format!("{path}{dot}{name}"), value, false);
                }
            }
            toml::Value::Array(items) => items.iter().for_each(|item| self.walk(path, item, true)),
            toml::Value::Integer(_) | toml::Value::Float(_) => {
                self.numbers.insert((path.to_owned(), in_array));
            }
            _ => {}
        }
    }

    fn of(text: &str) -> Self {
        let mut paths = Self::default();
        paths.walk("", &toml::Value::Table(toml::from_str(text).unwrap()), false);
        paths
    }
}

#[test]
fn sections_are_no_lists() {
    let text = "[data]\ntrain = \"a\"\ndev = \"b\"\n[model]\nname = \"resnet10\"\n";
    for (change, key) in [
        ("margin=[0.9, 1000.0]", "margin"),
        ("schedule=[-1.0]", "schedule"),
        ("augment.spec=[1, 2, 3, 4]", "augment.spec"),
        ("quantize.sensitivity=[]", "quantize.sensitivity"),
        ("train=[{epochs = 3}]", "train"),
    ] {
        let error =
            Recipe::parse(text, Path::new("r.toml"), &[change.to_owned()]).unwrap_err().to_string();
        assert!(error.contains(&format!("{key} is a section, not a list")), "{error}");
    }
}

/// Without this test the next one would not see a new option.
#[test]
fn the_full_recipes_are_full() {
    let recipes = full_recipes();
    let wholes: Vec<toml::Value> =
        recipes.iter().map(|text| toml::from_str(text).unwrap()).collect();
    for text in recipes {
        Recipe::parse(&text, Path::new("r.toml"), &[]).unwrap();
        // Parts have any names.
        for path in Paths::of(&text).sections.into_iter().filter(|path| path != FACTORS) {
            let dot = if path.is_empty() { "" } else { "." };
            // The types name the options that they know.
            let error = parse(&text, &format!("{path}{dot}no_option=1")).unwrap_err().to_string();
            let (_, known) = error
                .split_once("unknown field `no_option`, expected")
                .unwrap_or_else(|| panic!("{path}: {error}"));
            let known = known.rsplit_once(" in `").map_or(known, |(names, _)| names);
            let names: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
            // A section of one type may have options that no single recipe can have together.
            let is_given = |name: &str, whole: &toml::Value| {
                let mut parts = path.split('.').filter(|p| !p.is_empty());
                let section = parts.try_fold(whole, |value, part| value.get(part));
                section.is_some_and(|section| section.get(name).is_some())
            };
            assert!(!names.is_empty(), "{error}");
            // The sizes of layers are the families' own.
            for name in names.into_iter().filter(|name| (path.as_str(), *name) != LAYERS) {
                assert!(
                    wholes.iter().any(|whole| is_given(name, whole)),
                    "`{name}` of [{path}] is missing in the full recipes"
                );
            }
        }
    }
}

/// Values that the next test does not expect to be refused: they mean something.
const LEGAL: [(&str, &str); 6] = [
    ("augment.noise_snr", "-1"),
    ("augment.categories.noise.snr", "-1"),
    ("augment.categories.music.snr", "-1"),
    ("augment.categories.speech.snr", "-1"),
    ("seed", "18446744073709551615"),
    ("data.synth.seed", "18446744073709551615"),
];

#[test]
fn every_number_has_a_range_and_errors_name_its_key() {
    let hostile = [
        "nan",
        "inf",
        "-inf",
        "-1",
        "1e30",
        "1e400",
        "18446744073709551615",
        "340282366920938463463374607431768211456",
    ];
    for text in full_recipes() {
        for (key, in_array) in Paths::of(&text).numbers {
            assert!(range(&key).is_some(), "{key} has no range");
            for value in hostile {
                let change =
                    if in_array { format!("{key}=[{value}]") } else { format!("{key}={value}") };
                let error = parse(&text, &change).map_or_else(|e| e.to_string(), |_| String::new());
                match LEGAL.contains(&(key.as_str(), value)) {
                    true => assert!(!error.contains("must be"), "{error}"),
                    false => assert!(
                        error.contains(&key) && error.contains("r.toml"),
                        "{change}: `{error}`"
                    ),
                }
            }
        }
    }
}

#[test]
fn every_range_is_of_a_number_that_there_is() {
    let numbers: BTreeSet<String> = full_recipes()
        .iter()
        .flat_map(|text| Paths::of(text).numbers)
        .map(|(key, _)| if role::is_within(&key, FACTORS) { FACTORS.to_owned() } else { key })
        .collect();
    let ranges: BTreeSet<String> = RANGES.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(ranges.len(), RANGES.len(), "a key stands twice");
    assert_eq!(ranges, numbers);
    assert!(RANGES.iter().all(|(_, low, high)| low < high));
}

#[test]
fn every_key_has_one_role_in_a_run_that_goes_on() {
    let keys: BTreeSet<String> =
        full_recipes().iter().flat_map(|text| spans(text).into_keys()).collect();
    for key in &keys {
        assert!(role_of(key).is_some(), "{key} has no role");
    }
    for key in CHANGEABLE.iter().chain(&NEUTRAL) {
        assert!(keys.iter().any(|k| role::is_within(k, key)), "no recipe has {key}");
        assert!(!(CHANGEABLE.contains(key) && NEUTRAL.contains(key)), "{key} has two roles");
    }
}

#[test]
fn messages_show_the_range_as_people_write_it() {
    let text = &full_recipes()[0];
    let refused = |change: &str| parse(text, change).unwrap_err().to_string();
    let wanted = "schedule.scale_ratio = -1: must be 1e-6 to 10000";
    assert_eq!(refused("schedule.scale_ratio=-1"), format!("r.toml: with override: {wanted}"));
    assert!(refused("seed=-3").ends_with("seed = -3: must be 0 or more"));
    assert!(refused("data.frames=0xf").ends_with("data.frames = 0xf: must be 16 to 100000"));
}

proptest! {
    #[test]
    fn numbers_pass_within_their_range_only(index in 0..RANGES.len(), value in any::<f64>()) {
        let (key, low, high) = RANGES[index];
        let results = full_recipes().map(|text| parse(&text, &format!("{key}={value:?}")));
        if !is_within(value, low, high) {
            prop_assert!(results.iter().all(|r| r.is_err()));
        }
    }
}
