use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use clap::Parser;
use serde_json::json;

use super::*;
use crate::audio::{FbankConfig, Quality, write_wav16};
use crate::cli::{Cli, Verb};
use crate::inference::{Facts, Receiver};
use crate::model_file::Frontend;
use crate::scoring::Embeddings;
use crate::zoo::{Architecture, Network};

const MELS: usize = 16;
const FILES: usize = 30;

/// A list of recordings, and a network.
struct Place {
    dir: tempfile::TempDir,
    network: Network,
}

/// What came of a run.
struct Ran {
    all: Embeddings,
    speech: Vec<(usize, f64)>,
    left_out: Vec<(String, String)>,
}

impl Place {
    fn make() -> Self {
        let arch = Architecture {
            width: 2,
            mels: MELS,
            embedding_dim: 8,
            ..Architecture::named("resnet10").unwrap()
        };
        let network = arch.init(&Device::default(), 1).unwrap();
        let place = Self { dir: tempfile::tempdir().unwrap(), network };
        (0..FILES).for_each(|i| place.write(i));
        let lines: String = (0..FILES).map(|i| format!("u{i} {i}.wav\n")).collect();
        std::fs::write(place.path("wav.scp"), lines).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn write(&self, i: usize) {
        let step = 0.01 + 0.003 * i as f32;
        let samples: Vec<f32> =
            (0..4000 + 1600 * (i % 4)).map(|t| (t as f32 * step).sin() * 0.5).collect();
        write_wav16(self.path(&format!("{i}.wav")), &samples, 16_000).unwrap();
    }

    fn damage(&self, i: usize) {
        std::fs::write(self.path(&format!("{i}.wav")), "no audio").unwrap();
    }

    /// Embeds the list in small parts. The file of what was done is removed only if the run `ends`.
    fn embed(&self, output: &str, more: &[&str], ends: bool) -> Result<Ran> {
        self.embed_until(&AtomicBool::new(false), output, more, ends)
    }

    /// The same, which ends with an error if `stop` is set.
    fn embed_until(
        &self,
        stop: &AtomicBool,
        output: &str,
        more: &[&str],
        ends: bool,
    ) -> Result<Ran> {
        let (list, output) = (self.path("wav.scp"), self.path(output));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut line = ["revox", "embed", "--wav-scp"].map(str::to_owned).to_vec();
        line.extend([text(&list), "-o".to_owned(), text(&output)]);
        line.extend(more.iter().map(|&word| word.to_owned()));
        let Verb::Embed(args) = Cli::try_parse_from(line).unwrap().verb else { unreachable!() };
        let frontend =
            Frontend { fbank: FbankConfig { mels: MELS, ..Default::default() }, cmn: true };
        let embedder = Embedder::new(&self.network, &frontend, &Device::default())?;
        let embedder = embedder.window(args.window).vad(args.vad).waiting(8000);
        let list = List::of(&args, &[])?;
        let collected = Collected::new(8, None)?;
        let mut work = Work::new(&args, &list, collected, false, true).stopped_by(stop);
        let described = || -> Result<serde_json::Value> {
            Ok(json!({"list": list.digest(), "window": args.window, "vad": args.vad}))
        };
        work.run(&embedder, &args.output, Box::new(described))?;
        let Done { all, speech, left_out, log, .. } = work.results()?;
        match log {
            Some(log) if ends => log.end()?,
            _ => {}
        }
        Ok(Ran { all, speech, left_out: left_out.entries().to_vec() })
    }
}

fn rows(all: &Embeddings) -> Vec<&[f32]> {
    (0..all.len()).map(|i| all.row(i)).collect()
}

#[test]
fn work_that_was_cut_off_goes_on_to_the_same_bits() {
    let place = Place::make();
    let whole = place.embed("whole", &[], true).unwrap();
    assert!(whole.all.len() == FILES && !place.has("whole.part"));
    // Each run ends at another file, behind what it has kept.
    for bad in [9, 17, 29] {
        place.damage(bad);
        let error = place.embed("cut", &[], true).err().unwrap().to_string();
        assert!(error.contains(&format!("{bad}.wav")), "{error}");
        assert!(error.contains("cut.part: the same command goes on there"), "{error}");
        assert!(place.has("cut.part"));
        place.write(bad);
    }
    // What was done is not read again.
    (0..5).for_each(|i| place.damage(i));
    let found = place.embed("cut", &[], true).unwrap();
    assert_eq!(rows(&found.all), rows(&whole.all));
    assert!((0..FILES).all(|i| found.all.position(&format!("u{i}")) == Some(i)));
    assert!(!place.has("cut.part"));
}

#[test]
fn work_that_another_process_stops_goes_on_later() {
    let place = Place::make();
    let whole = place.embed("whole", &[], true).unwrap();
    let stop = AtomicBool::new(true);
    let error = place.embed_until(&stop, "cut", &[], true).err().unwrap().to_string();
    assert_eq!(error, "another process has failed");
    assert!(!place.has("cut"));
    let found = place.embed("cut", &[], true).unwrap();
    assert_eq!(rows(&found.all), rows(&whole.all));
}

#[test]
fn what_was_left_out_is_still_known() {
    let place = Place::make();
    [3, 11, 28].into_iter().for_each(|i| place.damage(i));
    let first = place.embed("a", &["--skip-errors"], false).unwrap();
    assert!(first.all.len() == FILES - 3 && place.has("a.part"));
    let ids: Vec<&str> = first.left_out.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["u3", "u11", "u28"]);
    assert!(first.left_out[0].1.contains("wav.scp:4"), "{:?}", first.left_out);
    let error = place.embed("a", &[], false).err().unwrap().to_string();
    assert!(error.contains("left out `u3`") && error.contains("--skip-errors"), "{error}");
    let again = place.embed("a", &["--skip-errors"], true).unwrap();
    assert_eq!((rows(&again.all), again.left_out), (rows(&first.all), first.left_out));
}

#[test]
fn other_work_does_not_go_on() {
    let place = Place::make();
    place.embed("a", &[], false).unwrap();
    let error = place.embed("a", &["--window", "10"], true).err().unwrap().to_string();
    assert!(error.contains("a.part: holds results") && error.contains("another window"), "{error}");
    let error = place.embed("a", &["--vad"], true).err().unwrap().to_string();
    assert!(error.contains("another vad"), "{error}");
    let list = std::fs::read_to_string(place.path("wav.scp")).unwrap();
    std::fs::write(place.path("wav.scp"), list.replace("u7 ", "other ")).unwrap();
    let error = place.embed("a", &[], true).err().unwrap().to_string();
    assert!(error.contains("another list"), "{error}");
    std::fs::remove_file(place.path("a.part")).unwrap();
    let fresh = place.embed("a", &[], true).unwrap();
    assert_eq!(fresh.all.position("other"), Some(7));
}

#[test]
fn each_setting_that_changes_embeddings_is_part_of_the_work() {
    let place = Place::make();
    let list = place.path("wav.scp");
    let model = place.path("model");
    let by_model = |more: &[&str], model: Option<&Path>| {
        let words = ["revox", "embed", "--wav-scp", list.to_str().unwrap(), "-o", "e"];
        let cli = Cli::try_parse_from([&words[..], more].concat()).unwrap();
        let Verb::Embed(args) = cli.verb else { unreachable!() };
        let list = List::of(&args, &[]).unwrap();
        description(&args, &list, model, &cli.global).unwrap()
    };
    let described = |more: &[&str]| by_model(more, None);
    let usual = described(&[]);
    assert_eq!(described(&["--skip-errors", "--quiet"]), usual);
    let settings: [(&str, &[&str]); 3] =
        [("window", &["--window", "10"]), ("channel", &["--channel", "1"]), ("vad", &["--vad"])];
    for (name, more) in settings {
        let other = described(more);
        let keys = usual.as_object().unwrap().keys();
        let differ: Vec<&String> = keys.filter(|key| other[*key] != usual[*key]).collect();
        assert_eq!(differ, [name]);
    }
    let mut all: Vec<&String> = usual.as_object().unwrap().keys().collect();
    all.sort();
    let wanted = ["backend", "channel", "list", "model", "vad", "version", "window"];
    assert_eq!(all, wanted);
    // A model counts by its content.
    let written = |content: &str| {
        std::fs::write(&model, content).unwrap();
        by_model(&[], Some(&model))["model"].clone()
    };
    assert_ne!(written("one"), written("two"));
    assert_ne!(written("one"), usual["model"]);
}

/// Recordings without speech are errors of theirs, in this process and the next.
#[test]
fn recordings_without_speech_are_left_out() {
    let place = Place::make();
    for (i, level) in [(4, 0.0), (20, 1.0 / 32_768.0)] {
        let faint: Vec<f32> = (0..8000).map(|t| level * (t % 2) as f32).collect();
        write_wav16(place.path(&format!("{i}.wav")), &faint, 16_000).unwrap();
    }
    assert_eq!(place.embed("all", &[], true).unwrap().all.len(), FILES);
    let error = place.embed("a", &["--vad"], true).err().unwrap().to_string();
    assert!(error.contains("4.wav: silent: there is no speech in it"), "{error}");
    assert!(error.contains("--skip-errors"), "{error}");
    let wanted = place.embed("b", &["--vad", "--skip-errors"], false).unwrap();
    let again = place.embed("b", &["--vad", "--skip-errors"], true).unwrap();
    for ran in [&wanted, &again] {
        let ids: Vec<&str> = ran.left_out.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["u4", "u20"]);
        assert!(ran.left_out[1].1.contains("has no speech, or too little"), "{:?}", ran.left_out);
    }
    assert_eq!(rows(&again.all), rows(&wanted.all));
}

/// Seconds of speech are kept with embeddings, whether the earlier process was asked for them or
/// not.
#[test]
fn seconds_of_speech_outlive_a_process() {
    let place = Place::make();
    let speech = ["--speech", "utt2speech"];
    let whole = place.embed("whole", &speech, true).unwrap().speech;
    assert!(whole.iter().map(|(place, _)| *place).eq(0..FILES), "{whole:?}");
    assert!(whole.iter().all(|(_, seconds)| *seconds > 0.0 && *seconds < 1.0), "{whole:?}");
    place.damage(17);
    assert!(place.embed("cut", &[], true).is_err() && place.has("cut.part"));
    place.write(17);
    assert_eq!(place.embed("cut", &speech, true).unwrap().speech, whole);
    assert!(place.embed("none", &[], true).unwrap().speech.is_empty());
}

/// Such an embedding counts as that of a recording that cannot be read.
#[test]
fn embeddings_that_are_not_finite_are_left_out_or_named() {
    let place = Place::make();
    let scp = place.path("wav.scp");
    let outcome = |more: &[&str]| {
        let words = ["revox", "embed", "--wav-scp", scp.to_str().unwrap(), "-o", "-"];
        let cli = Cli::try_parse_from([&words[..], more].concat()).unwrap();
        let Verb::Embed(args) = cli.verb else { unreachable!() };
        let list = List::of(&args, &[]).unwrap();
        let mut work = Work::new(&args, &list, Collected::new(2, None).unwrap(), false, true);
        let rows = [[1.0, 2.0], [f32::NAN, 0.0], [1.0, f32::INFINITY], [3.0, 4.0]];
        for (place, row) in rows.into_iter().enumerate() {
            let facts = Facts {
                seconds: 1.0,
                rms: 0.1,
                silent: false,
                warnings: Vec::new(),
                frames: 98,
                quality: Quality::default(),
            };
            work.take(place, Ok((facts, row.to_vec()))).map_err(|e| e.to_string())?;
        }
        let done = work.results().map_err(|e| e.to_string())?;
        Ok::<_, String>((done.all, done.left_out.entries().to_vec()))
    };
    let (all, left_out) = outcome(&["--skip-errors"]).unwrap();
    assert_eq!(rows(&all), [[1.0, 2.0], [3.0, 4.0]]);
    assert!(all.ids().eq(["u0", "u3"]));
    let ids: Vec<&str> = left_out.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["u1", "u2"]);
    assert!(left_out[0].1.contains("1.wav: its embedding is not finite"), "{left_out:?}");
    let error = outcome(&[]).unwrap_err();
    let wanted = ["wav.scp:2", "1.wav: its embedding is not finite", "--skip-errors"];
    assert!(wanted.iter().all(|wanted| error.contains(wanted)), "{error}");
}
