//! A store of voices whose enrolments are killed at any moment, while others read it.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use revox::audio::FbankConfig;
use revox::model_file::{Frontend, Header, Model};
use revox::rng::Stream;
use revox::scoring::Store;
use revox::zoo::Architecture;

use crate::place::{Place, Running, variable};

const STORE: &str = "voices.db";
/// What SQLite keeps beside the store while it writes.
const JOURNAL: &str = "voices.db-journal";
/// Recordings of each voice.
const RECORDINGS: usize = 2;
/// How long after the beginning of a write a process is killed, at most.
const WRITE: Duration = Duration::from_micros(600);

/// A small model, and recordings.
fn place() -> Place {
    let place = Place::empty();
    let arch = Architecture {
        width: 2,
        mels: 40,
        embedding_dim: 16,
        ..Architecture::named("resnet10").unwrap()
    };
    let network = arch.init(&Default::default(), 1).unwrap();
    let fbank = FbankConfig { mels: 40, ..Default::default() };
    let header = Header::new(arch, Frontend { fbank, cmn: true });
    Model { header, network }.save(place.path("m.safetensors"), Default::default()).unwrap();
    let sizes = ["--speakers", "2", "--dev-speakers", "2", "--utterances", "2", "--seconds", "3"];
    place.ok(&[&["synth", "corpus"][..], &sizes].concat());
    for i in 0..RECORDINGS {
        let from = place.path(&format!("corpus/dev/wav/s00002/s00002-{i:04}.wav"));
        std::fs::copy(from, place.path(&format!("{i}.wav"))).unwrap();
    }
    place
}

fn name(number: usize) -> String {
    format!("voice{number}")
}

/// The number of voices that are enrolled. They must be the first ones, each with all recordings
/// and whole embeddings.
fn enrolled(place: &Place) -> usize {
    // A process that is killed while it makes the file may leave an empty one.
    if std::fs::metadata(place.path(STORE)).map_or(0, |file| file.len()) == 0 {
        return 0;
    }
    let store = match Store::open(place.path(STORE)) {
        Err(e) if e.to_string().contains("is empty") => return 0,
        opened => opened.unwrap(),
    };
    let voices = store.voices().unwrap();
    let mut found: Vec<&str> = voices.iter().map(|voice| voice.name.as_str()).collect();
    let mut wanted: Vec<String> = (0..voices.len()).map(name).collect();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    assert!(voices.iter().all(|voice| voice.recordings.len() == RECORDINGS), "{voices:?}");
    // Every embedding is compared with its checksum. There may be more voices by now.
    let index = store.index(None).unwrap();
    assert!(index.len() >= voices.len(), "{} of {}", index.len(), voices.len());
    voices.len()
}

/// Waits until SQLite begins to write, or the process has ended.
fn wait_for_write(place: &Place, running: &mut Running) {
    let (journal, begun) = (place.path(JOURNAL), Instant::now());
    while !journal.exists() {
        if begun.elapsed() > Duration::from_millis(2) && running.is_over() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no end");
    }
}

/// Tells a reader that it is over, whatever ends the test.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn killed_enrolments_leave_whole_voices() {
    let kills = variable("REVOX_KILLS", 16);
    let place = place();
    let enroll = |number: usize| {
        let files = (0..RECORDINGS).map(|i| format!("{i}.wav"));
        let mut all = ["enroll", STORE].map(str::to_owned).to_vec();
        all.push(name(number));
        all.extend(files);
        all.extend(["--model", "m.safetensors"].map(str::to_owned));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        place.start(&all)
    };
    // How long an enrolment takes, in a store that is removed again.
    let begun = Instant::now();
    let ran = enroll(0).end().unwrap();
    assert_eq!(ran.code(), Some(0), "{ran}");
    let longest = begun.elapsed();
    std::fs::remove_file(place.path(STORE)).unwrap();

    let mut stream = Stream::new(2, "store", &[]);
    let (ended, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut before = 0;
            while !ended.load(Ordering::Relaxed) {
                let now = enrolled(&place);
                assert!(now >= before, "{now} voices after {before}");
                before = now;
                reads.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let ends = Ends(&ended);
        let (mut landed, mut next, mut kept, mut lost) = (0, 0, 0, 0);
        while landed < kills && !reader.is_finished() {
            let mut running = enroll(next);
            if landed % 4 == 0 {
                std::thread::sleep(longest.mul_f64(stream.uniform()));
            } else {
                wait_for_write(&place, &mut running);
                let pause = WRITE.mul_f64(stream.uniform());
                let begun = Instant::now();
                while begun.elapsed() < pause {
                    std::hint::spin_loop();
                }
            }
            running.kill();
            let ran = running.end().unwrap();
            let is_killed = ran.status.signal() == Some(9);
            assert!(is_killed || ran.code() == Some(0), "{ran}");
            landed += usize::from(is_killed);
            let now = enrolled(&place);
            assert!(now == next + 1 || is_killed && now == next, "{now} of {next}: {ran}");
            match now == next {
                true => lost += 1,
                false => kept += 1,
            }
            next = now;
        }
        drop(ends);
        reader.join().unwrap();
        assert_eq!(landed, kills, "{kept} enrolments were kept, {lost} were not");
        // The next one works as ever, and leaves nothing beside the store.
        let ran = enroll(next).end().unwrap();
        assert_eq!(ran.code(), Some(0), "{ran}");
        assert_eq!(enrolled(&place), next + 1);
    });
    assert!(reads.load(Ordering::Relaxed) > 0);
    assert!(!place.has(JOURNAL));
    assert_eq!(place.temporaries(), [""; 0]);
}
