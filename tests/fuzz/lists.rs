//! Lists, recipes and files of embeddings.

use std::path::Path;

use revox::Error;
use revox::corpus::{Text, TrialList, Words, read_trials, read_utt2spk, read_wav_scp};
use revox::rng::Stream;
use revox::scoring::{Curve, Embeddings, ScoreList, ScoredTrial, read_scores};
use revox::train::Recipe;
use safetensors::tensor::{Dtype, TensorView};

use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::shared;
use crate::text::text;

/// Files of the shared data in this folder and those below it.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let Some(folder) = shared::shared(folder) else { return Vec::new() };
    let entries =
        walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|e| e.expect("an entry"));
    let files: Vec<Vec<u8>> = entries
        .filter(|e| e.file_type().is_file() && e.metadata().is_ok_and(|m| m.len() < 4000))
        .map(|e| std::fs::read(e.path()).expect("a file"))
        .collect();
    assert!(!files.is_empty(), "no small files in the shared data");
    files
}

pub fn seeds_of(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|t| t.as_bytes().to_vec()).collect()
}

/// An error of a list names its line. It names only the file if the list is blank or text of
/// another encoding.
pub fn refused(error: &Error, path: &Path, bytes: &[u8]) -> Outcome {
    let lines = 1 + bytes.iter().filter(|&&b| b == b'\n').count();
    let text = String::from_utf8_lossy(bytes);
    let blank = text.strip_prefix('\u{feff}').unwrap_or(&text).trim().is_empty();
    let other = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    match error.bare() {
        Error::Line { path: named, line, .. } if named == path && (1..=lines).contains(line) => {
            Ok(Verdict::Refused)
        }
        Error::File { path: named, .. } if named == path && (blank || other) => {
            Ok(Verdict::Refused)
        }
        error => Err(format!("an error without its line: {error}")),
    }
}

/// Error rates of scores are rates.
fn rated(trials: &[ScoredTrial]) -> Result<(), String> {
    let labelled: Option<Vec<(f64, bool)>> =
        trials.iter().map(|t| Some((t.score, t.label?))).collect();
    // Without both kinds of trials there are none, and an error says so.
    let Some(curve) = labelled.and_then(|l| Curve::new(l).ok()) else { return Ok(()) };
    let (eer, far) = (curve.eer(), curve.at_far(0.01));
    match (0.0..=1.0).contains(&eer.rate) && !eer.threshold.is_nan() && far.fpr <= 0.01 {
        true => Ok(()),
        false => Err(format!("EER {} at {}, false accepts {}", eer.rate, eer.threshold, far.fpr)),
    }
}

/// The reader of long lists gives the same errors as the other one, and reads as many entries.
fn as_long(
    path: &Path,
    trials: &Result<usize, Error>,
    scores: &Result<usize, Error>,
) -> Result<(), String> {
    let text = || Text::open(path);
    let long_trials =
        text().and_then(|text| TrialList::read(text, &mut Words::default(), &mut |_| ()));
    let long_scores =
        text().and_then(|text| ScoreList::read(text, &mut Words::default(), &mut |_| ()));
    let same = |short: &Result<usize, Error>, long: Result<usize, Error>| {
        let shown =
            |result: &Result<usize, Error>| result.as_ref().map_err(Error::to_string).copied();
        match (shown(short), shown(&long)) {
            (a, b) if a == b => Ok(()),
            (a, b) => Err(format!("{a:?}, but as a long list {b:?}")),
        }
    };
    same(trials, long_trials.map(|list| list.trials().len()))?;
    same(scores, long_scores.map(|list| list.trials.len()))
}

#[test]
fn text_lists() {
    let good = seeds_of(&[
        "u1 a.wav\nu2 sub/b c.flac\n",
        "1 u1 u2\n0 u1 u3\n",
        "u1 u2 target\nu1 u3 nontarget\n",
        "u1 u2 0.25 target\nu1 u3 -1.5 nontarget\nu2 u3 1e-3 nontarget\n",
        "u1\tspeaker\r\nu2\tspeaker\r\n",
        "0 1 inf 1\n1 0 -inf 0\n",
    ]);
    let seeds = [good.clone(), files("cases/lists")].concat();
    let words = [
        "target",
        "nontarget",
        "impostor",
        "tgt",
        "imp",
        "same",
        "u1",
        "u2",
        "a.wav",
        "-",
        "|",
        "../u1.wav",
    ];
    run(&Target {
        name: "text_lists",
        file: "list",
        good: &good,
        make: &|stream| text(stream, &seeds, &words),
        read: &|path, bytes| {
            let mut verdict = Verdict::Refused;
            let mut judge = |result: Result<(), Error>| -> Result<(), String> {
                match result {
                    Ok(()) => verdict = Verdict::Read,
                    Err(e) => {
                        refused(&e, path, bytes)?;
                    }
                }
                Ok(())
            };
            judge(read_wav_scp(path).map(drop))?;
            judge(read_utt2spk(path).map(drop))?;
            let trials = read_trials(path).map(|trials| trials.len());
            let scores = read_scores(path);
            if let Ok(trials) = &scores {
                rated(trials)?;
            }
            let scores = scores.map(|trials| trials.len());
            as_long(path, &trials, &scores)?;
            judge(trials.map(drop))?;
            judge(scores.map(drop))?;
            Ok(verdict)
        },
    });
}

/// The changes of a recipe (`--set`) that its comments ask for.
fn changes(text: &str) -> Vec<String> {
    text.lines().filter_map(|l| l.strip_prefix("#set ")).map(str::to_owned).collect()
}

fn finite(value: &toml::Value) -> bool {
    match value {
        toml::Value::Float(x) => x.is_finite(),
        toml::Value::Array(all) => all.iter().all(finite),
        toml::Value::Table(all) => all.values().all(finite),
        _ => true,
    }
}

/// A recipe is refused by name, or all its numbers are finite and it survives being written.
fn read_recipe(path: &Path, bytes: &[u8]) -> Outcome {
    let recipe = match Recipe::load(path, &changes(&String::from_utf8_lossy(bytes))) {
        Ok(recipe) => recipe,
        Err(e) if ["recipe.toml", "override"].iter().any(|w| e.to_string().contains(w)) => {
            return Ok(Verdict::Refused);
        }
        Err(e) => return Err(format!("an error without its file: {e}")),
    };
    let written = recipe.to_toml();
    // Recipes can hold a seed of 64 bits, but TOML tables cannot.
    if toml::from_str::<toml::Table>(&written).is_ok_and(|table| !table.values().all(finite)) {
        return Err(format!("a value that is not a number passes: {written}"));
    }
    match Recipe::parse(&written, path, &[]) {
        Ok(again) if again == recipe => Ok(Verdict::Read),
        Ok(_) => Err(format!("read as another recipe: {written}")),
        Err(e) => Err(format!("not read again: {e}")),
    }
}

#[test]
fn recipes() {
    let small = "seed = 1\n[data]\ntrain = \"a\"\ndev = \"b\"\n[model]\nname = \"resnet10\"\n";
    let full = format!(
        "{small}[margin]\ninitial = 0.0\n[schedule]\nscale_ratio = 1.0\n\
         [optimizer]\nkind = \"adamw8bit\"\n[augment]\nnoise_snr = [0.0, 15.0]\n\
         [loss.inter_topk]\nk = 3\n[augment.spec]\n[quantize]\nbits = 2\n\
         [quantize.sensitivity]\n#set train.epochs=30\n#set optimizer.beta1=0.8\n\
         #set data.speeds=[0.9, 1.0]\n"
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let names = ["quickstart.toml", "speechocean/baseline.toml", "voxceleb/resnet.toml"];
    // With the values of their bases: a fuzzed file stands alone.
    let whole = |name: &str| Recipe::load(folder.join(name), &[]).expect("a recipe").to_toml();
    let mut good: Vec<Vec<u8>> = names.map(|name| whole(name).into_bytes()).into();
    good.extend(seeds_of(&[small, &full]));
    let words = [
        "data",
        "train",
        "dev",
        "augment",
        "model",
        "loss",
        "margin",
        "optimizer",
        "schedule",
        "quantize",
        "epochs",
        "scale",
        "scale_ratio",
        "weight_decay",
        "momentum",
        "epsilon",
        "probability",
        "speeds",
        "\"sgd\"",
        "\"adamw\"",
        "\"sgd8bit\"",
        "\"rev2-resnet34\"",
        "\"mixed\"",
        "#set ",
        "synth",
        "base",
        "\"recipe.toml\"",
        "[0.0, nan]",
        "[inf]",
    ];
    run(&Target {
        name: "recipes",
        file: "recipe.toml",
        good: &good,
        make: &|stream| text(stream, &good, &words),
        read: &read_recipe,
    });
}

/// A file of embeddings in the older form: one tensor an utterance.
fn one_tensor_each(ids: &[&str]) -> Vec<u8> {
    let bytes: Vec<u8> = [0.5f32, -1.25].iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = || TensorView::new(Dtype::F32, vec![2], &bytes).expect("bytes of the shape's size");
    safetensors::serialize(ids.iter().map(|id| (*id, view())), None).expect("a file")
}

fn read_embeddings(path: &Path, _bytes: &[u8]) -> Outcome {
    let all = match Embeddings::load(path) {
        Ok(all) => all,
        Err(e) if e.to_string().contains("e.safetensors") => return Ok(Verdict::Refused),
        Err(e) => return Err(format!("an error without its file: {e}")),
    };
    let sound = |(i, id): (usize, &str)| {
        all.position(id) == Some(i)
            && all.row(i).len() == all.dim()
            && all.row(i).iter().all(|x| x.is_finite())
    };
    match !all.is_empty()
        && all.dim() > 0
        && all.ids().len() == all.len()
        && all.ids().enumerate().all(sound)
    {
        true => Ok(Verdict::Read),
        false => Err(format!("{} embeddings of {} values that are none", all.len(), all.dim())),
    }
}

#[test]
fn embeddings() {
    let mut some = Embeddings::new(3);
    some.push("a", &[1.0, 2.0, 3.0]).expect("a new id");
    some.push("sub/ü b.wav", &[-1.0, 0.0, 1e-30]).expect("a new id");
    let folder = tempfile::tempdir().expect("a folder");
    some.save(folder.path().join("e")).expect("written");
    let good = vec![
        std::fs::read(folder.path().join("e")).expect("a file"),
        one_tensor_each(&["a", "b", "id00017/x/1.wav"]),
        one_tensor_each(&["embeddings", "ids"]),
    ];
    let words = [
        "embeddings",
        "ids",
        "F32",
        "U8",
        "F16",
        "I64",
        "shape",
        "dtype",
        "data_offsets",
        "__metadata__",
    ];
    let make = |stream: &mut Stream| match stream.chance(0.5) {
        true => mutate::bytes(stream, &good, 200),
        false => {
            let seed = pick(stream, &good).clone();
            mutate::with_header(stream, &seed, |stream, header| text(stream, &[header], &words))
        }
    };
    run(&Target {
        name: "embeddings",
        file: "e.safetensors",
        good: &good,
        make: &make,
        read: &read_embeddings,
    });
}
