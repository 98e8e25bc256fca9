use std::sync::Mutex;

use super::*;
use crate::audio::write_wav16;
use crate::corpus::synth::{SynthConfig, make};
use crate::error::Remedy;

/// A corpus whose dev set has four speakers of three utterances.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let config = SynthConfig {
            speakers: 2,
            dev_speakers: 4,
            utterances: 3,
            seconds: 0.5,
            ..SynthConfig::new(place.0.path().join("corpus"))
        };
        make(&config, &AtomicBool::new(false), &|_, _| ()).unwrap();
        place
    }

    fn recipe(&self, tolerate: f64) -> Recipe {
        let text = format!(
            "[data]\ntrain = '{0}/train'\ndev = '{0}/dev'\ntolerate = {tolerate}\n\
             [model]\nname = \"resnet10\"\nwidth = 2\nmels = 24\nembedding_dim = 8\n",
            self.0.path().join("corpus").display()
        );
        Recipe::parse(&text, Path::new("r.toml"), &[]).unwrap()
    }

    fn set(&self, tolerate: f64) -> (DevSet, Arc<Mutex<Vec<String>>>) {
        let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = warnings.clone();
        let warn = move |text: &str| heard.lock().unwrap().push(text.to_owned());
        (DevSet::new(&self.recipe(tolerate), Arc::new(warn)).unwrap(), warnings)
    }
}

fn check_audio(set: &DevSet) -> Result<()> {
    set.check_audio(&|_, _| ())
}

fn path(set: &DevSet, place: usize) -> PathBuf {
    set.corpus().utterances[place].path().unwrap().to_owned()
}

/// How many trials name one of these utterances.
fn naming(set: &DevSet, places: &[usize]) -> usize {
    set.pairs.iter().filter(|(a, b)| places.contains(a) || places.contains(b)).count()
}

/// A file that is cut is one whose header tells. The others are found only by reading them.
#[test]
fn bad_files_are_left_out_with_their_trials() {
    let place = Place::new();
    let (set, warnings) = place.set(0.4);
    let bytes = std::fs::read(path(&set, 0)).unwrap();
    std::fs::write(path(&set, 0), &bytes[..bytes.len() / 2]).unwrap();
    write_wav16(path(&set, 4), &[0.0; 8000], 16_000).unwrap();
    write_wav16(path(&set, 8), &[0.1; 300], 16_000).unwrap();
    check_audio(&set).unwrap();
    let left_out = set.left_out();
    for (fault, wanted) in left_out.iter().zip(["promises", "silent", "shorter than one frame"]) {
        assert!(fault.contains("dev/wav.scp:") && fault.contains(wanted), "{fault}");
    }
    assert_eq!((left_out.len(), warnings.lock().unwrap().len()), (3, 3));
    let device = Device::default();
    let network = place.recipe(0.4).model.init(&device, 1).unwrap();
    let result = set.test(&network, &device).unwrap();
    assert_eq!(result.left_out, naming(&set, &[0, 4, 8]));
    assert!(result.left_out > 0 && !result.scored.is_empty());
    assert_eq!(result.scored.len() + result.left_out, set.pairs.len());
    assert_eq!(set.embeddings(&network, &device).unwrap().len(), 9);
    // A file that is gone by the time of a test.
    std::fs::remove_file(path(&set, 1)).unwrap();
    let later = set.test(&network, &device).unwrap();
    assert_eq!(later.left_out, naming(&set, &[0, 1, 4, 8]));
    let outcome = DevOutcome::new(Ok(later.clone()));
    assert_eq!((outcome.rates(), outcome.left_out()), ((later.eer, later.min_dcf), later.left_out));
    // One more is too many.
    std::fs::remove_file(path(&set, 2)).unwrap();
    let error = set.test(&network, &device).unwrap_err().to_string();
    assert!(error.contains("5 of 12 dev utterances cannot be read"), "{error}");
}

/// The scores of what is left are those of a test of all.
#[test]
fn what_is_left_scores_as_it_would() {
    let place = Place::new();
    let device = Device::default();
    let network = place.recipe(0.4).model.init(&device, 1).unwrap();
    let (whole, _) = place.set(0.4);
    let all = whole.test(&network, &device).unwrap();
    assert_eq!(all.left_out, 0);
    std::fs::remove_file(path(&whole, 5)).unwrap();
    let (set, _) = place.set(0.4);
    check_audio(&set).unwrap();
    let some = set.test(&network, &device).unwrap();
    let kept = whole.pairs.iter().zip(&all.scored).filter(|((a, b), _)| *a != 5 && *b != 5);
    let kept: Vec<_> = kept.map(|(_, scored)| *scored).collect();
    assert_eq!(kept.len(), some.scored.len());
    for (wanted, found) in kept.iter().zip(&some.scored) {
        assert!((wanted.0 - found.0).abs() < 1e-6, "{wanted:?} {found:?}");
        assert_eq!((wanted.1, wanted.2, wanted.3), (found.1, found.2, found.3));
    }
    let (a, b) = set.example_pair().unwrap();
    assert!(a.exists() && b.exists());
}

#[test]
fn too_many_bad_files_are_refused_before_any_test() {
    let place = Place::new();
    let (set, _) = place.set(0.001);
    write_wav16(path(&set, 3), &[0.0; 8000], 16_000).unwrap();
    let error = check_audio(&set).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("silent") && text.contains("allows none of 12 dev utterances"), "{text}");
    let wanted =
        Remedy::LeaveOut { key: "data.dev", tolerate: Some("0.2".to_owned()), resume: false };
    assert_eq!(error.remedy(), Some(&wanted));
    // Of each speaker one utterance is left, so no target trial is.
    for i in (0..12).filter(|i| i % 3 != 0) {
        write_wav16(path(&set, i), &[0.0; 8000], 16_000).unwrap();
    }
    let (set, _) = place.set(0.9);
    let error = check_audio(&set).unwrap_err().to_string();
    assert!(error.contains("trials.txt: ") && error.contains("without the trials of 9"), "{error}");
    let (set, _) = place.set(0.9);
    let set = set.stopped_by(Arc::new(AtomicBool::new(true)));
    assert!(matches!(check_audio(&set).unwrap_err(), Error::Interrupted(_)));
}
