use std::path::Path;

use super::*;
use crate::audio::augment::{
    Categories, Category, add_at_ratio, add_noise, power, repeated, reverberate,
};
use crate::audio::{load, write_wav16};

const IDS: [&str; 8] = [
    "noise-free-sound-0000",
    "noise/sound-bible/1",
    "music/fma/music-fma-0000",
    "speech-us-gov-0000",
    "speech-us-gov-0001",
    "speech/librivox/0002",
    "room-tone",
    "door",
];

/// A list of noises named [`IDS`] and one of responses, in a folder of their own.
fn sounds() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut draw = Stream::new(1, "sounds", &[]);
    let mut write = |list: &str, ids: &[&str], shape: &dyn Fn(usize, f64) -> f64| {
        let mut scp = String::new();
        for (i, id) in ids.iter().enumerate() {
            let samples: Vec<f32> =
                (0..700 + 900 * i).map(|t| shape(t, draw.normal()) as f32).collect();
            let name = format!("{list}{i}.wav");
            write_wav16(dir.path().join(&name), &samples, 16_000).unwrap();
            scp += &format!("{id} {name}\n");
        }
        std::fs::write(dir.path().join(list), scp).unwrap();
    };
    write("noises", &IDS, &|_, x| 0.1 * x);
    write("rooms", &["a", "b"], &|t, x| 0.3 * x * 0.99f64.powi(t as i32));
    dir
}

fn config(dir: &Path) -> AugmentConfig {
    AugmentConfig {
        noise: Some(dir.join("noises")),
        reverb: Some(dir.join("rooms")),
        ..Default::default()
    }
}

fn loaded(dir: &Path, list: &str, count: usize) -> Vec<Vec<f32>> {
    let path = |i: usize| dir.join(format!("{list}{i}.wav"));
    (0..count).map(|i| load(path(i), 16_000, None).unwrap().samples).collect()
}

fn utterance(seed: u64) -> Vec<f32> {
    let mut draw = Stream::new(seed, "utterance", &[]);
    (0..3000).map(|_| 0.2 * draw.normal() as f32).collect()
}

/// The plain twin of recipes without categories: everything is in memory.
fn plain(
    samples: &mut [f32],
    config: &AugmentConfig,
    noises: &[Vec<f32>],
    responses: &[Vec<f32>],
    draw: &mut Stream,
) {
    if (noises.is_empty() && responses.is_empty()) || !draw.chance(config.probability) {
        return;
    }
    if !responses.is_empty() && (noises.is_empty() || draw.chance(0.5)) {
        reverberate(samples, &responses[draw.below(responses.len())]);
    } else {
        let noise = &noises[draw.below(noises.len())];
        let snr = draw.between(config.noise_snr[0], config.noise_snr[1]);
        add_noise(samples, noise, snr, draw);
    }
}

#[test]
fn draws_are_those_of_the_plain_twin() {
    let dir = sounds();
    let (noises, responses) = (loaded(dir.path(), "noises", 8), loaded(dir.path(), "rooms", 2));
    let (noises, responses) = (noises.as_slice(), responses.as_slice());
    let none: &[Vec<f32>] = &[];
    let both = config(dir.path());
    for (config, noises, responses) in [
        (both.clone(), noises, responses),
        (AugmentConfig { reverb: None, cache_mib: 0, ..both.clone() }, noises, none),
        (AugmentConfig { noise: None, cache_mib: 0, ..both }, none, responses),
        (AugmentConfig::default(), none, none),
    ] {
        let variation = made(&config).unwrap();
        for seed in 0..100 {
            let (mut found, mut wanted) = (utterance(seed), utterance(seed));
            let mut draw = Stream::new(seed, "test", &[]);
            let mut plain_draw = Stream::new(seed, "test", &[]);
            variation.apply(&mut found, &mut draw).unwrap();
            plain(&mut wanted, &config, noises, responses, &mut plain_draw);
            assert!(found == wanted, "{seed}");
            assert_eq!(draw.bits(), plain_draw.bits());
        }
    }
}

fn silent() -> Arc<dyn Fn(&str) + Send + Sync> {
    Arc::new(|_: &str| ())
}

/// A variation that tolerates no sound that cannot be read.
fn made(config: &AugmentConfig) -> Result<Variation> {
    Variation::new(config, 16_000, 0.0, &silent())
}

fn category(snr: [f64; 2], mix: [usize; 2]) -> Option<Category> {
    Some(Category { snr, mix })
}

#[test]
fn categories_have_ratios_and_numbers_of_their_own() {
    let dir = sounds();
    let noises = loaded(dir.path(), "noises", 8);
    let config = AugmentConfig {
        probability: 1.0,
        reverb: None,
        noise_snr: [30.0, 40.0],
        categories: Categories {
            noise: category([0.0, 1.0], [1, 1]),
            music: None,
            speech: category([10.0, 20.0], [2, 4]),
        },
        ..config(dir.path())
    };
    // Music has no category here.
    let groups: [(&[usize], [f64; 2], [usize; 2]); 3] = [
        (&[0, 1], [0.0, 1.0], [1, 1]),
        (&[3, 4, 5], [10.0, 20.0], [2, 4]),
        (&[2, 6, 7], [30.0, 40.0], [1, 1]),
    ];
    let variation = made(&config).unwrap();
    let mut seen = [0; 3];
    for seed in 0..150 {
        let mut found = utterance(seed);
        variation.apply(&mut found, &mut Stream::new(seed, "test", &[])).unwrap();
        let mut draw = Stream::new(seed, "test", &[]);
        assert!(draw.chance(1.0));
        let group = draw.below(3);
        seen[group] += 1;
        let (sounds, [low, high], [fewest, most]) = groups[group];
        let count = if most > fewest { fewest + draw.below(most - fewest + 1) } else { fewest };
        let mut wanted = utterance(seed);
        let signal = power(&wanted);
        for _ in 0..count {
            let noise = &noises[sounds[draw.below(sounds.len())]];
            let snr = draw.between(low, high);
            let noise = repeated(noise, draw.below(noise.len()), wanted.len());
            add_at_ratio(&mut wanted, &noise, signal, snr);
        }
        assert!(found == wanted, "{seed}");
    }
    assert!(seen.iter().all(|&times| times > 30), "{seen:?}");
}

#[test]
fn a_category_without_sounds_is_an_error() {
    let dir = sounds();
    std::fs::write(dir.path().join("noises"), "music-1 noises0.wav\nmusical noises1.wav\n")
        .unwrap();
    let with = |categories| made(&AugmentConfig { categories, ..config(dir.path()) }).map(|_| ());
    with(Categories { music: category([0.0, 1.0], [1, 1]), ..Default::default() }).unwrap();
    let missing = Categories { speech: category([0.0, 1.0], [1, 1]), ..Default::default() };
    let error = with(missing).unwrap_err().to_string();
    assert!(error.contains("noises: no id begins with `speech-`"), "{error}");
}

#[test]
fn only_changed_utterances_are_normalized() {
    let dir = sounds();
    let config = AugmentConfig { normalize: true, probability: 0.5, ..config(dir.path()) };
    let variation = made(&config).unwrap();
    let plain = made(&AugmentConfig { normalize: false, ..config }).unwrap();
    let mut same = 0;
    for seed in 0..40 {
        let (mut found, mut wanted) = (utterance(seed), utterance(seed));
        variation.apply(&mut found, &mut Stream::new(seed, "test", &[])).unwrap();
        plain.apply(&mut wanted, &mut Stream::new(seed, "test", &[])).unwrap();
        if wanted == utterance(seed) {
            same += 1;
        } else {
            let largest = wanted.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            wanted.iter_mut().for_each(|x| *x /= largest + 1e-4);
            assert!(wanted.iter().all(|x| x.abs() < 1.0));
        }
        assert!(found == wanted, "{seed}");
    }
    assert!((8..32).contains(&same), "{same}");
}

#[test]
fn bad_sounds_are_errors_at_their_line() {
    let dir = sounds();
    std::fs::write(dir.path().join("rooms1.wav"), "no audio").unwrap();
    let config = AugmentConfig { noise: None, probability: 1.0, ..config(dir.path()) };
    let variation = made(&config).unwrap();
    let errors: Vec<String> = (0..30)
        .filter_map(|seed| {
            variation.apply(&mut utterance(1), &mut Stream::new(seed, "test", &[])).err()
        })
        .map(|e| e.to_string())
        .collect();
    assert!((5..25).contains(&errors.len()));
    assert!(errors.iter().all(|e| e.contains("rooms:2: ") && e.contains("rooms1.wav")));
    assert!(made(&AugmentConfig { noise: Some("absent".into()), ..config }).is_err());
}

/// Another sound comes in the place of one that cannot be read, whatever is kept in memory.
#[test]
fn a_bad_sound_is_left_out_if_few_are() {
    let dir = sounds();
    std::fs::write(dir.path().join("rooms1.wav"), "no audio").unwrap();
    std::fs::write(dir.path().join("noises3.wav"), "no audio").unwrap();
    let heard: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let tolerant = |cache_mib| {
        let heard = heard.clone();
        let warn: Arc<dyn Fn(&str) + Send + Sync> =
            Arc::new(move |text: &str| heard.lock().unwrap().push(text.to_owned()));
        let config = AugmentConfig { probability: 1.0, cache_mib, ..config(dir.path()) };
        Variation::new(&config, 16_000, 0.001, &warn).unwrap()
    };
    let (kept, fresh) = (tolerant(64), tolerant(0));
    for seed in 0..200 {
        let (mut one, mut other) = (utterance(seed), utterance(seed));
        kept.apply(&mut one, &mut Stream::new(seed, "test", &[])).unwrap();
        fresh.apply(&mut other, &mut Stream::new(seed, "test", &[])).unwrap();
        assert!(one == other && one != utterance(seed), "{seed}");
    }
    for variation in [&kept, &fresh] {
        let faults = variation.left_out();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("noises:4: ") && faults[1].contains("rooms:2: "));
    }
    assert_eq!(heard.lock().unwrap().len(), 4, "each is warned of once");
}

#[test]
fn a_folder_stands_for_its_list() {
    let dir = sounds();
    let folder = dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let config = AugmentConfig { noise: Some(folder.clone()), reverb: None, ..config(dir.path()) };
    let error = made(&config).err().unwrap().to_string();
    assert!(error.contains("folder: a folder without wav.scp"), "{error}");
    std::fs::copy(dir.path().join("noises"), folder.join("wav.scp")).unwrap();
    made(&config).unwrap();
}
