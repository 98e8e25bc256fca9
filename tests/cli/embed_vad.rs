//! Embeddings of speech alone.

use revox::audio::{load, write_wav16};
use revox::rng::Stream;
use revox::scoring::{Embeddings, Scorer};

use crate::{Place, shared_or_skip};

/// The cosine of the embeddings of two recordings.
fn cosine(place: &Place, pair: [&str; 2], more: &[&str]) -> f64 {
    let embed = ["embed", pair[0], pair[1], "-o", "pair.safetensors"];
    place.ok(&[&embed[..], more].concat());
    let all = Embeddings::load(place.path("pair.safetensors")).unwrap();
    Scorer::new(&all, None).unwrap().score(0, 1)
}

#[test]
fn a_long_pause_does_not_count() {
    let flac = shared_or_skip!("data/speechocean762/flac/0024/000240060.flac");
    let place = Place::make();
    let speech = load(&flac, 16_000, None).unwrap().samples;
    // A room in which nobody speaks, some steps of 16 bits loud.
    let mut noise = Stream::new(1, "room", &[]);
    let pause = (0..2 * speech.len()).map(|_| (3.0 * noise.normal() / 32_768.0) as f32);
    let padded: Vec<f32> = speech.iter().copied().chain(pause).collect();
    write_wav16(place.path("speech.wav"), &speech, 16_000).unwrap();
    write_wav16(place.path("padded.wav"), &padded, 16_000).unwrap();
    let pair = ["speech.wav", "padded.wav"];
    let (all, only) = (cosine(&place, pair, &[]), cosine(&place, pair, &["--vad"]));
    assert!(only > 0.9 && 1.0 - only < 0.5 * (1.0 - all), "{only} with --vad, {all} without");
    // In windows, of which some have no speech.
    let more = ["--vad", "--window", "1.5"];
    assert!(cosine(&place, pair, &more) > all, "{all} without --vad");
}

#[test]
fn what_was_left_out_is_told() {
    let place = Place::make();
    place.model("m.safetensors");
    // A quarter of it is a sound.
    let buzz = |length: usize| (0..length).map(|i| (i as f32 * 0.3).sin() * 0.5);
    let long: Vec<f32> = buzz(16_000).chain(vec![0.0; 48_000]).collect();
    write_wav16(place.path("long.wav"), &long, 16_000).unwrap();
    write_wav16(place.path("none.wav"), &[0.0; 16_000], 16_000).unwrap();
    let embed = |inputs: &[&'static str]| {
        let first = ["embed", "m.safetensors", "-o", "e.safetensors", "--vad"];
        place.run(&[&first[..], inputs].concat())
    };
    let ran = embed(&["long.wav"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("as no speech (74 %), in 1 recording"), "{}", ran.err);
    let ran = embed(&["long.wav", "none.wav"]);
    assert!(
        ran.code == 1 && ran.err.contains("none.wav: silent: there is no speech"),
        "{}",
        ran.err
    );
    let ran = embed(&["long.wav", "none.wav", "--skip-errors", "--skipped", "left", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let left = std::fs::read_to_string(place.path("left")).unwrap();
    assert!(left.starts_with("none none.wav: silent"), "{left}");
    // Features hold no energies.
    assert_eq!(embed(&["--features", "f.safetensors"]).code, 2);
}

/// Telephone audio is told, also where its file has the rate of the model.
#[test]
fn faults_of_recordings_are_warnings() {
    let place = Place::make();
    place.model("m.safetensors");
    let mut noise = Stream::new(2, "noise", &[]);
    let narrow: Vec<f32> = (0..16_000).map(|_| 0.1 * noise.normal() as f32).collect();
    let wide = revox::audio::resample(&narrow, 8000, 16_000).unwrap();
    write_wav16(place.path("phone.wav"), &wide, 16_000).unwrap();
    let loud: Vec<f32> = narrow.iter().map(|x| 20.0 * x).collect();
    write_wav16(place.path("loud.wav"), &loud[..12_000], 16_000).unwrap();
    let faults = [
        "phone.wav: telephone band: above ",
        "loud.wav: clipped: ",
        "loud.wav: only 0.75 s of speech",
    ];
    let embed = ["embed", "m.safetensors", "phone.wav", "loud.wav", "-o", "e.safetensors"];
    let embed = place.run(&embed);
    let compare = place.run(&["compare", "m.safetensors", "phone.wav", "loud.wav"]);
    for (ran, verb) in [(embed, "embed"), (compare, "compare")] {
        assert_eq!(ran.code, 0, "{verb}: {}", ran.err);
        for fault in faults {
            assert!(ran.err.contains(fault), "{verb}: `{fault}` is not in: {}", ran.err);
        }
        assert!(!ran.err.contains("phone.wav: clipped"), "{verb}: {}", ran.err);
    }
}
