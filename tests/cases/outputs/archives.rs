//! Kaldi's and NumPy's archives in place of our own files.

use revox::archive::{Reader, Shape};
use revox::scoring::Embeddings;
use safetensors::SafeTensors;

use super::{bytes, place};

#[test]
fn features_in_an_archive_are_those_of_our_own_file() {
    let place = place();
    let fbank = |output: &str| {
        place.json(&["fbank", "a.wav", "b.wav", "--mels", "40", "-o", output]);
    };
    fbank("ark,scp:f.ark,f.scp");
    fbank("ark,t:f.txt");
    let file = bytes(place.path("f.safetensors"));
    let wanted = SafeTensors::deserialize(&file).unwrap();
    // The list names the archive as it was named, from the folder of the work.
    let list = String::from_utf8(bytes(place.path("f.scp"))).unwrap();
    assert!(list.starts_with("a f.ark:2\nb f.ark:"), "{list}");
    for input in ["f.ark", "f.scp"].map(|name| place.path(name)) {
        let entries: Vec<_> = Reader::open(input).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(entries.len(), 2);
        for entry in entries {
            let tensor = wanted.tensor(&entry.key).unwrap();
            let (rows, columns) = (tensor.shape()[0], tensor.shape()[1]);
            assert_eq!(entry.array.shape, Shape::Matrix { rows, columns });
            let data: Vec<u8> = entry.array.values.iter().flat_map(|x| x.to_le_bytes()).collect();
            assert!(data == tensor.data(), "{}", entry.key);
        }
    }
    let name = format!("ark:{}", place.path("f.txt").display());
    assert_eq!(Reader::open(name).unwrap().count(), 2);
    place.fails(&["fbank", "a.wav", "-o", "alone.scp"], &["alone.scp", "ark,scp:"]);
    place.fails(&["fbank", "a.wav", "-o", "ark,scp:a.wav,x.scp"], &["a.wav", "an input"]);
    place.wav("two words.wav", 0.5, 100.0);
    place.fails(&["fbank", "two words.wav", "-o", "x.ark"], &["two words", "key of an archive"]);
}

#[test]
fn an_archive_goes_to_standard_output_alone() {
    let place = place();
    let ran = place.command(&["fbank", "a.wav", "-o", "ark:-"]).output().unwrap();
    assert!(ran.status.success());
    place.ok(&["fbank", "a.wav", "-o", "one.ark"]);
    assert!(ran.stdout == bytes(place.path("one.ark")), "other bytes on standard output");
}

#[test]
fn scores_are_the_same_of_every_kind_of_file() {
    let place = place();
    let all = Embeddings::load(place.path("e.safetensors")).unwrap();
    let root = place.dir.path().display();
    for (output, input) in [
        (format!("{root}/x.ark"), "x.ark"),
        (format!("ark,t:{root}/t.ark"), "ark:t.ark"),
        (format!("ark,scp:{root}/y.ark,{root}/y.scp"), "y.scp"),
        (format!("{root}/z.npz"), "z.npz"),
    ] {
        all.save_as(output).unwrap();
        place.ok(&["score", input, "trials", "-o", "other"]);
        assert!(bytes(place.path("other")) == bytes(place.path("scores")), "{input}");
    }
    // Standard input has no name; its content tells what it is.
    for name in ["e.safetensors", "x.ark", "z.npz"] {
        let mut command = place.command(&["score", "-", "trials", "-o", "other"]);
        command.stdin(std::fs::File::open(place.path(name)).unwrap());
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
        assert!(bytes(place.path("other")) == bytes(place.path("scores")), "{name}");
    }
    place.write("bad.scp", "a x.ark:2\nb x.ark:99999\n");
    place.fails(&["score", "bad.scp", "trials", "-o", "x"], &["bad.scp:2", "`b`", "x.ark"]);
}
