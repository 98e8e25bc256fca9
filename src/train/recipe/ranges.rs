//! The range of every number that a recipe may hold, and of its interval. A value out of it is
//! refused when the recipe is read, under its key, whatever its type: not a number and infinity are
//! in no range.
//!
//! Some bounds are those of the mathematics (a probability, a momentum below 1). The others are far
//! beyond what anybody trains with, and below what overflows or never ends.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Every;

/// The key of an interval.
const INTERVAL: &str = "train.checkpoint_every";
/// Any finite number that the type holds.
const ANY: f64 = f64::INFINITY;
/// The largest coefficient of a moving average that is still below 1 in f32.
const BELOW_1: f64 = 0.999_999;

/// Keys with the smallest and the largest value. In an array each value has to be in the range.
const RANGES: &[(&str, f64, f64)] = &[
    ("seed", 0.0, ANY),
    ("data.frames", 16.0, 1e5),
    ("data.passes", 1.0, 1e4),
    ("data.speeds", 0.5, 2.0),
    ("data.threads", 1.0, 256.0),
    ("data.cache_mib", 0.0, 16_777_216.0),
    ("data.synth.speakers", 2.0, 1e5),
    ("data.synth.utterances", 2.0, 1e4),
    ("data.synth.seconds", 0.5, 60.0),
    ("data.synth.dev_speakers", 2.0, 1e5),
    ("data.synth.seed", 0.0, ANY),
    ("frontend.sample_rate", 1_000.0, 768_000.0),
    ("frontend.dither", 0.0, 1_000.0),
    ("augment.probability", 0.0, 1.0),
    ("augment.noise_snr", -60.0, 100.0),
    ("augment.spec.time_masks", 0.0, 1_000.0),
    ("augment.spec.time_width", 0.0, 1e5),
    ("augment.spec.mel_masks", 0.0, 1_000.0),
    ("augment.spec.mel_width", 0.0, 1_024.0),
    ("model.width", 1.0, 1_024.0),
    ("model.mels", 1.0, 1_024.0),
    ("model.embedding_dim", 1.0, 65_536.0),
    ("model.reversible.blocks", 0.0, 1_000.0),
    ("model.reversible.state", 1.0, 16_384.0),
    ("model.reversible.inner", 0.0, 64.0),
    ("loss.scale", 1e-3, 1e4),
    ("loss.sub_centers", 1.0, 64.0),
    ("loss.inter_topk.k", 1.0, 1e6),
    ("loss.inter_topk.penalty", 0.0, 1.5),
    ("margin.initial", 0.0, 1.5),
    ("margin.last", 0.0, 1.5),
    ("margin.increase_start_epoch", 1.0, 1e6),
    ("margin.fix_start_epoch", 1.0, 1e6),
    ("optimizer.momentum", 0.0, BELOW_1),
    ("optimizer.dampening", 0.0, 1.0),
    ("optimizer.weight_decay", 0.0, 1.0),
    ("optimizer.beta1", 0.0, BELOW_1),
    ("optimizer.beta2", 0.0, BELOW_1),
    ("optimizer.epsilon", 1e-20, 1.0),
    ("optimizer.states.block_size", 64.0, 4_096.0),
    ("optimizer.states.min_size", 0.0, 1e15),
    ("schedule.initial_lr", 1e-12, 100.0),
    ("schedule.final_lr", 1e-12, 100.0),
    ("schedule.warm_up_epochs", 0.0, 1e5),
    ("schedule.scale_ratio", 1e-6, 1e4),
    ("train.epochs", 1.0, 1e5),
    ("train.batch_size", 2.0, 65_536.0),
    ("train.accumulate", 1.0, 32_768.0),
    ("train.patience", 0.0, 1e5),
    ("train.validate_every", 1.0, 1e5),
    ("train.average_last", 1.0, 1e5),
    ("train.keep", 1.0, 1_000.0),
    ("quantize.bits", 1.0, 8.0),
    ("quantize.target_bytes", 1.0, i64::MAX as f64),
    ("quantize.refresh_every", 1.0, 1e6),
    ("quantize.lloyd_steps", 1.0, 1_000.0),
    ("quantize.clip", 1e-6, 1e6),
    ("quantize.candidates", 1.0, 8.0),
    ("quantize.stages", 1.0, 1e5),
    ("quantize.sensitivity.probes", 2.0, 1e5),
    ("quantize.sensitivity.tolerance", 0.0, 1_000.0),
    ("quantize.sensitivity.batches", 1.0, 1e4),
    ("quantize.sensitivity.epsilon", 1e-9, 10.0),
];

/// A number out of its range.
#[derive(Debug)]
pub(super) struct Outside {
    /// Where the text has it.
    pub span: Range<usize>,
    /// Key, value and range.
    pub message: String,
}

/// Compares every number, and the interval, with the range of its key. Keys without one are left to
/// the types, which know no such key.
pub(super) fn check(table: &DeTable<'_>) -> Result<(), Outside> {
    check_section("", table)
}

fn check_section(section: &str, table: &DeTable<'_>) -> Result<(), Outside> {
    table.iter().try_for_each(|(name, value)| {
        let dot = if section.is_empty() { "" } else { "." };
        check_value(&format!("{section}{dot}{name}"), value)
    })
}

fn check_value(key: &str, value: &Spanned<DeValue<'_>>) -> Result<(), Outside> {
    let (x, shown) = match value.get_ref() {
        DeValue::Table(table) => return check_section(key, table),
        // A section could be read from a list of its values too, which nobody could check or read.
        DeValue::Array(_) if is_section(key) => {
            return Err(Outside {
                span: value.span(),
                message: format!("{key} is a section, not a list"),
            });
        }
        DeValue::Array(items) => return items.iter().try_for_each(|item| check_value(key, item)),
        // What has more digits than 128 bits is as good as infinite.
        DeValue::Integer(n) => (
            i128::from_str_radix(n.as_str(), n.radix()).map_or(f64::INFINITY, |n| n as f64),
            n.to_string(),
        ),
        DeValue::Float(x) => (x.as_str().parse().unwrap_or(f64::NAN), x.to_string()),
        DeValue::String(text) if key == INTERVAL => {
            let outside = |wanted: String| Outside {
                span: value.span(),
                message: format!("{key} = {text:?}: {wanted}"),
            };
            return text.parse::<Every>().map(|_| ()).map_err(outside);
        }
        _ => return Ok(()),
    };
    match range(key) {
        Some((low, high)) if !is_within(x, low, high) => Err(Outside {
            span: value.span(),
            message: format!("{key} = {shown}: must be {}", described(low, high)),
        }),
        _ => Ok(()),
    }
}

/// Whether options are below a key.
fn is_section(key: &str) -> bool {
    RANGES.iter().any(|(name, ..)| name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn range(key: &str) -> Option<(f64, f64)> {
    RANGES.iter().find(|(name, ..)| *name == key).map(|&(_, low, high)| (low, high))
}

fn is_within(number: f64, low: f64, high: f64) -> bool {
    number.is_finite() && (low..=high).contains(&number)
}

fn described(low: f64, high: f64) -> String {
    match high == ANY {
        true => format!("{} or more", number(low)),
        false => format!("{} to {}", number(low), number(high)),
    }
}

/// Short for people: digits for what they write with digits.
fn number(x: f64) -> String {
    match x == 0.0 || (1e-3..1e9).contains(&x.abs()) {
        true => x.to_string(),
        false => format!("{x:e}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::differences::spans;
    use super::super::role::{CHANGEABLE, NEUTRAL, role_of};
    use super::*;
    use crate::error::Result;
    use crate::train::Recipe;

    /// Every option there is, but for those of other optimizers.
    const FULL: &str = r#"
        seed = 1
        [data]
        train = "a"
        dev = "b"
        trials = "c"
        frames = 50
        passes = 2
        speeds = [1.0, 0.9]
        threads = 1
        cache_mib = 16
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
        [loss]
        kind = "aam"
        scale = 32.0
        easy_margin = false
        sub_centers = 2
        [loss.inter_topk]
        k = 3
        penalty = 0.06
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
        [train]
        epochs = 3
        batch_size = 8
        accumulate = 2
        patience = 2
        validate_every = 1
        average_last = 1
        execution = "taped"
        precision = "f32"
        checkpoint_every = "15min"
        keep = 2
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

    const SGD: &str = "kind = \"sgd8bit\"\nmomentum = 0.9\ndampening = 0.0\nnesterov = false\nweight_decay = 1e-4\n";
    const ADAM: &str = "kind = \"adam8bit\"\nbeta1 = 0.9\nbeta2 = 0.999\nepsilon = 1e-8\nweight_decay = 0.0\nguard = true\n";

    fn full_recipes() -> [String; 2] {
        [format!("{FULL}{SGD}"), format!("{FULL}{ADAM}")]
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
                toml::Value::Array(items) => {
                    items.iter().for_each(|item| self.walk(path, item, true))
                }
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

    /// Without this the next test would not see an option that is new.
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
            let error = Recipe::parse(text, Path::new("r.toml"), &[change.to_owned()])
                .unwrap_err()
                .to_string();
            assert!(error.contains(&format!("{key} is a section, not a list")), "{error}");
        }
    }

    #[test]
    fn the_full_recipes_are_full() {
        for text in full_recipes() {
            Recipe::parse(&text, Path::new("r.toml"), &[]).unwrap();
            let whole: toml::Value = toml::from_str(&text).unwrap();
            for path in Paths::of(&text).sections {
                let dot = if path.is_empty() { "" } else { "." };
                // The types name the options that they know.
                let error =
                    parse(&text, &format!("{path}{dot}no_option=1")).unwrap_err().to_string();
                let (_, known) = error
                    .split_once("unknown field `no_option`, expected")
                    .unwrap_or_else(|| panic!("{path}: {error}"));
                let known = known.rsplit_once(" in `").map_or(known, |(names, _)| names);
                let names: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
                let section = path
                    .split('.')
                    .filter(|p| !p.is_empty())
                    .fold(&whole, |value, part| &value[part]);
                assert!(!names.is_empty(), "{error}");
                for name in names {
                    assert!(
                        section.get(name).is_some(),
                        "`{name}` of [{path}] is missing in the full recipe"
                    );
                }
            }
        }
    }

    /// What is not refused below, because it means something.
    const LEGAL: [(&str, &str); 3] = [
        ("augment.noise_snr", "-1"),
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
                    let change = if in_array {
                        format!("{key}=[{value}]")
                    } else {
                        format!("{key}={value}")
                    };
                    let error =
                        parse(&text, &change).map_or_else(|e| e.to_string(), |_| String::new());
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
            .map(|(key, _)| key)
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
            assert!(keys.contains(*key), "no recipe has {key}");
            assert!(!(CHANGEABLE.contains(key) && NEUTRAL.contains(key)), "{key} has two roles");
        }
    }

    #[test]
    fn messages_show_the_range_as_people_write_it() {
        let text = &full_recipes()[0];
        let refused = |change: &str| parse(text, change).unwrap_err().to_string();
        let wanted = "schedule.scale_ratio = -1: must be 1e-6 to 10000";
        assert_eq!(refused("schedule.scale_ratio=-1"), format!("r.toml: with --set: {wanted}"));
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
}
