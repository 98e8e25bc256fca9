//! Differences in lists and files.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::corpus::Corpus;

/// Two corpora with trials, and a list of noises. The files hold a few bytes and have one time.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for corpus in ["train", "dev"] {
            place.write(&format!("{corpus}/wav.scp"), "a a.wav\nb b.wav\n");
            place.write(&format!("{corpus}/utt2spk"), "a s\nb t\n");
            place.write(&format!("{corpus}/a.wav"), "first");
            place.write(&format!("{corpus}/b.wav"), "second");
        }
        place.write("dev/trials.txt", "1 a a\n0 a b\n");
        place.write("noise/noise.scp", "n n.wav\n");
        place.write("noise/n.wav", "noise");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        self.set_time(name, 1_000_000_000);
    }

    /// Sets a file's time, in seconds since 1970.
    fn set_time(&self, name: &str, seconds: u64) {
        let file = File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    fn recipe(&self) -> Recipe {
        let noise = format!("augment.noise={}", self.path("noise/noise.scp").display());
        recipe(self.0.path(), &[&noise])
    }

    fn add(&self, recipe: &Recipe, verify: bool, stop: bool) -> Result<Identity> {
        let (train, dev) = (Corpus::load(self.path("train"))?, Corpus::load(self.path("dev"))?);
        let mut identity = Identity::new(recipe, None, "flex", 1);
        identity.add_data(recipe, &train, &dev, verify, true, &AtomicBool::new(stop))?;
        Ok(identity)
    }

    fn identity(&self, verify: bool) -> Identity {
        self.add(&self.recipe(), verify, false).unwrap()
    }

    /// Notes on the data as it is now.
    fn check(&self, verify: bool, old: &Identity, names: &[&str]) -> Result<Vec<String>, String> {
        let path = Path::new(CHECKPOINT);
        self.identity(verify).check_data(old, path, &accept(names)).map_err(told)
    }

    /// Checks a difference that `name` accepts and nothing else.
    #[track_caller]
    fn differs(&self, verify: bool, old: &Identity, name: &str, what: &str) {
        let error = self.check(verify, old, &["backend", "train"]).unwrap_err();
        let wanted = format!(
            "{CHECKPOINT}: the lists or audio files have changed since this checkpoint: \
             {name}: {what} [accept {name}]"
        );
        assert_eq!(error, wanted);
        assert_eq!(
            self.check(verify, old, &[name]).unwrap(),
            [format!("accepted: {name}: {what}")]
        );
    }
}

const LISTS: &str = "the lists have changed";
const SIZES: &str = "sizes of files have changed";
const TIMES: &str = "times of files have changed, their sizes have not";
const CONTENT: &str = "sizes of files are the same, but their content has changed";

#[test]
fn the_same_data_is_the_same() {
    let place = Place::new();
    let old = place.identity(false);
    assert_eq!(
        old.data.keys().collect::<Vec<_>>(),
        ["augment.noise", "data.dev", "data.train", "data.trials"]
    );
    assert_eq!(place.check(false, &old, &[]), Ok(vec![]));
    assert_eq!(place.identity(true), place.identity(true));
    assert_eq!(place.check(true, &place.identity(true), &[]), Ok(vec![]));
    assert!(
        place
            .identity(true)
            .data
            .iter()
            .all(|(name, data)| data.bytes.is_some() == (name != "data.trials"))
    );
}

#[test]
fn lists_sizes_and_times_of_each_part_are_compared() {
    let changed = |file: &str, text: &str, name: &str, what: &str| {
        let place = Place::new();
        let old = place.identity(false);
        place.write(file, text);
        place.differs(false, &old, name, what);
        assert_ne!(place.identity(false).data_hash(), old.data_hash(), "{file}");
    };
    changed("train/wav.scp", "a a.wav\nb a.wav\n", "data.train", LISTS);
    changed("train/utt2spk", "a t\nb s\n", "data.train", LISTS);
    changed("dev/utt2spk", "a s\nb s\n", "data.dev", LISTS);
    changed("dev/trials.txt", "1 a a\n0 b a\n", "data.trials", LISTS);
    changed("noise/noise.scp", "m n.wav\n", "augment.noise", LISTS);
    changed("train/b.wav", "longer than it was", "data.train", SIZES);
    changed("dev/a.wav", "", "data.dev", SIZES);
    changed("noise/n.wav", "noises", "augment.noise", SIZES);
    for (file, name) in
        [("train/a.wav", "data.train"), ("dev/b.wav", "data.dev"), ("noise/n.wav", "augment.noise")]
    {
        let place = Place::new();
        let old = place.identity(false);
        place.set_time(file, 999_999_999);
        place.differs(false, &old, name, TIMES);
        assert_eq!(place.identity(false).data_hash(), old.data_hash());
    }
    // Lists are their content, whenever they were written.
    let place = Place::new();
    let old = place.identity(false);
    for list in ["train/wav.scp", "train/utt2spk", "dev/trials.txt", "noise/noise.scp"] {
        place.set_time(list, 5);
    }
    assert_eq!(place.check(false, &old, &[]), Ok(vec![]));
}

#[test]
fn all_differences_are_in_one_message() {
    let place = Place::new();
    let old = place.identity(false);
    place.write("train/a.wav", "1");
    place.write("noise/noise.scp", "m n.wav\n");
    place.set_time("dev/b.wav", 7);
    let error = place.check(false, &old, &[]).unwrap_err();
    for part in [
        format!("augment.noise: {LISTS}; data.dev: {TIMES}; data.train: {SIZES} "),
        "[accept augment.noise data.dev data.train]".to_owned(),
    ] {
        assert!(error.contains(&part), "no `{part}` in: {error}");
    }
    assert_eq!(place.check(false, &old, &["data", "augment"]).unwrap().len(), 3);
}

#[test]
fn content_decides_where_times_differ() {
    let place = Place::new();
    let old = place.identity(true);
    place.set_time("train/a.wav", 5);
    let same = "data.train: times of files have changed, their content has not";
    assert_eq!(place.check(true, &old, &[]).unwrap(), [same]);
    // Without reading the content, the error says that it could be read.
    let unread = format!("{TIMES} (reading their content would tell whether that has)");
    place.differs(false, &old, "data.train", &unread);
    place.write("train/a.wav", "FIRST");
    place.set_time("train/a.wav", 5);
    place.differs(true, &old, "data.train", CONTENT);
}

#[test]
fn damage_behind_the_same_time_is_found_by_content_only() {
    let place = Place::new();
    let old = place.identity(true);
    place.write("noise/n.wav", "noisE");
    assert_eq!(place.check(false, &old, &[]), Ok(vec![]));
    place.differs(true, &old, "augment.noise", CONTENT);
    // Contents that are moved from one file to another are other contents.
    let place = Place::new();
    place.write("train/b.wav", "third");
    let old = place.identity(true);
    place.write("train/a.wav", "third");
    place.write("train/b.wav", "first");
    place.differs(true, &old, "data.train", CONTENT);
}

#[test]
fn hashes_of_content_are_handed_on() {
    let place = Place::new();
    let old = place.identity(true);
    let path = Path::new(CHECKPOINT);
    let mut ours = place.identity(false);
    ours.check_data(&old, path, &accept(&[])).unwrap();
    assert_eq!(ours, old);
    // Not past lists and sizes that are other ones.
    place.write("train/a.wav", "1");
    let mut ours = place.identity(false);
    ours.check_data(&old, path, &accept(&["data.train"])).unwrap();
    assert_eq!(ours.data["data.train"].bytes, None);
    assert_eq!(ours.data["data.dev"], old.data["data.dev"]);
}

#[test]
fn a_run_without_hashes_of_content_gets_them() {
    let place = Place::new();
    let note = "the run began without reading the content of its data: nothing to compare with; \
                from now on there is";
    assert_eq!(place.check(true, &place.identity(false), &[]).unwrap(), [note]);
    assert_eq!(place.check(true, &settings(&[]), &[]).unwrap(), [note]);
    assert_eq!(place.check(false, &settings(&[]), &[]), Ok(vec![]));
}

#[test]
fn noise_that_is_new_has_nothing_to_be_compared_with() {
    let place = Place::new();
    let plain = recipe(place.0.path(), &[]);
    let old = place.add(&plain, true, false).unwrap();
    assert_eq!(old.data.len(), 3);
    let notes = place.check(true, &old, &[]).unwrap();
    assert_eq!(notes, [format!("{CHECKPOINT} does not tell augment.noise: not compared")]);
    // The recipe tells of it.
    let ours = place.identity(false);
    assert!(compare(&ours, &old, &[]).unwrap_err().contains("[accept augment.noise]"));
    // And of noise that is there no more.
    let mut without = place.add(&plain, false, false).unwrap();
    assert!(
        compare(&without, &ours, &[])
            .unwrap_err()
            .contains("augment.noise = not given, in the checkpoint ")
    );
    assert_eq!(
        without.check_data(&ours, Path::new(CHECKPOINT), &accept(&[])).unwrap(),
        Vec::<String>::new()
    );
}

#[test]
fn files_that_cannot_be_read_are_named_with_their_line() {
    let place = Place::new();
    let (train, dev) =
        (Corpus::load(place.path("train")).unwrap(), Corpus::load(place.path("dev")).unwrap());
    let fails = |verify: bool, wanted: &str| {
        let mut identity = settings(&[]);
        let stop = AtomicBool::new(false);
        let error = identity
            .add_data(&place.recipe(), &train, &dev, verify, true, &stop)
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{error}");
    };
    fs::remove_file(place.path("noise/n.wav")).unwrap();
    fails(false, "noise.scp:1: ");
    fs::remove_file(place.path("dev/trials.txt")).unwrap();
    fails(false, "trials.txt: cannot read");
    fs::remove_file(place.path("dev/b.wav")).unwrap();
    fails(false, "dev/wav.scp:2: ");
    fs::remove_file(place.path("train/a.wav")).unwrap();
    fs::create_dir(place.path("train/a.wav")).unwrap();
    fails(true, "train/wav.scp:1: ");
}

#[test]
fn a_stop_is_no_fault_of_a_file() {
    let place = Place::new();
    for verify in [false, true] {
        let error = place.add(&place.recipe(), verify, true).unwrap_err();
        assert!(matches!(error, Error::Interrupted(_)), "{error}");
    }
}
