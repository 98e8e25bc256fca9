//! Bad input: a clear message naming file and line, or tensor and shape; exit 1; nothing
//! half-written.

use crate::Place;

/// A place with a model, a good recording and lists around it.
fn place() -> Place {
    let place = Place::make();
    place.model("m.safetensors");
    place.wav("a.wav", 1.0, 100.0);
    place.wav("b.wav", 1.0, 180.0);
    place
}

#[test]
fn audio_files() {
    let place = place();
    place.write("empty.wav", "");
    place.write("text.wav", "this is a text renamed to .wav");
    let good = std::fs::read(place.path("a.wav")).unwrap();
    std::fs::write(place.path("cut.wav"), &good[..good.len() / 2]).unwrap();
    let mut sizes = good.clone();
    sizes[40..44].copy_from_slice(&0xffff_fff0u32.to_le_bytes());
    std::fs::write(place.path("sizes.wav"), sizes).unwrap();
    place.wav("short.wav", 0.02, 100.0);
    revox::audio::write_wav16(place.path("zero.wav"), &[0.0; 16000], 16000).unwrap();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut nan = hound::WavWriter::create(place.path("nan.wav"), spec).unwrap();
    (0..4000).for_each(|i| nan.write_sample(if i == 77 { f32::NAN } else { 0.1 }).unwrap());
    nan.finalize().unwrap();
    let stereo = hound::WavSpec {
        channels: 2,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
        ..spec
    };
    let mut two = hound::WavWriter::create(place.path("two.wav"), stereo).unwrap();
    (0..8000i16).for_each(|i| two.write_sample(i).unwrap());
    two.finalize().unwrap();
    for (file, wanted) in [
        ("absent.wav", "absent.wav"),
        ("empty.wav", "empty"),
        ("text.wav", "no audio file of a known format"),
        ("cut.wav", "promises"),
        ("sizes.wav", "promises"),
        ("short.wav", "shorter than one frame"),
        ("nan.wav", "sample 77 is NaN"),
        ("two.wav", "--channel"),
    ] {
        place.fails(&["compare", "m.safetensors", "a.wav", file], &[file, wanted]);
        place.fails(
            &["embed", "m.safetensors", "a.wav", file, "-o", "e.safetensors"],
            &[file, wanted],
        );
        place.fails(&["fbank", "a.wav", file, "-o", "f.safetensors"], &[file, wanted]);
    }
    place.fails(&["compare", "m.safetensors", "a.wav", "zero.wav"], &["zero.wav", "silent"]);
    assert!(!place.path("e.safetensors").exists() && !place.path("f.safetensors").exists());
    assert!(
        place.json(&["compare", "m.safetensors", "two.wav", "two.wav", "--channel", "1"])["score"]
            .is_number()
    );
}

#[test]
#[cfg(unix)]
fn unreadable_files_and_full_disks() {
    let place = place();
    // Permissions do not stop root, but reading a folder as a file fails for everybody.
    std::fs::create_dir(place.path("folder.wav")).unwrap();
    place.fails(&["compare", "m.safetensors", "a.wav", "folder.wav"], &["folder.wav", "folder"]);
    place.fails(
        &["embed", "m.safetensors", "a.wav", "-o", "no/such/folder/e.safetensors"],
        &["no/such/folder/e.safetensors"],
    );
    if crate::place::has_full_disk() {
        place.fails(
            &["embed", "m.safetensors", "a.wav", "-o", "/dev/full"],
            &["/dev/full: cannot write"],
        );
        place.fails(&["fbank", "a.wav", "-o", "/dev/full"], &["/dev/full: cannot write"]);
    }
}

#[test]
fn lists() {
    let place = place();
    let embed = ["embed", "m.safetensors", "--wav-scp", "wav.scp", "-o", "e.safetensors"];
    place.write("wav.scp", "a a.wav\nb\n");
    place.fails(&embed, &["wav.scp:2: one field"]);
    place.write("wav.scp", "a a.wav\na b.wav\n");
    place.fails(&embed, &["wav.scp:2: utterance `a` again", "line 1"]);
    place.write("wav.scp", "a a.wav\nb c.wav\n");
    place.fails(&embed, &["wav.scp:2:", "c.wav"]);
    place.fails(
        &["embed", "m.safetensors", "--wav-scp", "none.scp", "-o", "e.safetensors"],
        &["none.scp: cannot read"],
    );
    place.write("wav.scp", "a a.wav\nb b.wav\n");
    place.ok(&embed);
    let score = ["score", "e.safetensors", "trials", "-o", "scores"];
    place.write("trials", "1 a b\n0 a c\n");
    place.fails(&score, &["trials:2: unknown utterance `c`"]);
    place.write("trials", "1 a b\n0 a\n");
    place.fails(&score, &["trials:2:"]);
    assert!(!place.path("scores").exists());
    place.write("trials", "1 a b\n");
    place.ok(&score);
    place.fails(&["eval", "scores"], &["scores", "1 targets and 0 nontargets"]);
    place.write("scores", "a b 0.5\n");
    place.fails(&["eval", "scores"], &["no label", "--trials"]);
    place.write("scores", "a b high target\n");
    place.fails(&["eval", "scores"], &["scores:1: score `high`"]);
    let ran =
        place.run(&["score", "e.safetensors", "trials", "-o", "s", "--cohort", "e.safetensors"]);
    assert!(ran.code == 0 && ran.err.contains("has 2 embeddings, so --top-n is 2"), "{}", ran.err);
}

#[test]
fn model_files() {
    let place = place();
    let bytes = std::fs::read(place.path("m.safetensors")).unwrap();
    let info = ["info", "x.safetensors"];
    for cut in [0, 5, 200, bytes.len() - 1] {
        std::fs::write(place.path("x.safetensors"), &bytes[..cut]).unwrap();
        place.fails(&info, &["x.safetensors"]);
    }
    let mut hostile = bytes.clone();
    hostile[..8].copy_from_slice(&(1u64 << 62).to_le_bytes());
    std::fs::write(place.path("x.safetensors"), hostile).unwrap();
    place.fails(&info, &["x.safetensors"]);
    // A safetensors file that is no model, and a model of another network.
    place.ok(&["fbank", "a.wav", "-o", "x.safetensors"]);
    place.fails(&info, &["without revox metadata", "revox import"]);
    let name = b"resnet10";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap();
    let mut other = bytes.clone();
    other[at..at + 8].copy_from_slice(b"resnet18");
    std::fs::write(place.path("x.safetensors"), other).unwrap();
    place.fails(&info, &["x.safetensors: is damaged", "SHA-256"]);
    let unchecked = ["info", "x.safetensors", "--no-checksum"];
    place.fails(&unchecked, &["no tensor `layer1.1.conv1.weight`", "resnet18"]);
    place.fails(&["compare", "a.wav", "a.wav", "a.wav"], &["a.wav: not a readable "]);
}
