//! Features of many recordings, by a list.

use std::io::Write;
use std::process::Stdio;

use revox::archive::Reader;

use crate::place::{Place, finish};

/// A place with recordings whose names are equal but for the folder, as VoxCeleb's are, and their
/// list in an order of its own. Of several threads, each gets some.
fn place() -> (Place, Vec<String>) {
    let place = Place::make();
    let (mut scp, mut ids) = (String::new(), Vec::new());
    for i in 0..40 {
        let id = format!("id{}/video/00001", (7 * i) % 40);
        let seconds = 0.2 + f64::from(i % 5) / 10.0;
        place.wav(&format!("{id}.wav"), seconds, 80.0 + f64::from(i));
        scp += &format!("{id} {id}.wav\n");
        ids.push(id);
    }
    place.write("wav.scp", &scp);
    (place, ids)
}

/// Ids and values of an archive.
fn entries(place: &Place, name: &str) -> Vec<(String, Vec<f32>)> {
    let read = Reader::open(place.path(name)).unwrap().map(|entry| entry.unwrap());
    read.map(|entry| (entry.key, entry.array.values)).collect()
}

#[test]
fn a_list_gives_the_features_of_each_file_in_its_order() {
    let (place, ids) = place();
    let options = ["--mels", "40", "--dither", "1", "--cmn"];
    let fbank = |args: &[&str]| place.json(&[&["fbank"][..], args, &options].concat());
    let report = fbank(&["--wav-scp", "wav.scp", "-o", "ark,scp:f.ark,f.scp"]);
    assert_eq!((&report["files"], &report["skipped"]), (&40.into(), &0.into()));
    let found = entries(&place, "f.ark");
    assert_eq!(
        found.iter().map(|entry| &entry.0).collect::<Vec<_>>(),
        ids.iter().collect::<Vec<_>>()
    );
    assert!(entries(&place, "f.scp") == found);
    let frames: usize = found.iter().map(|(_, values)| values.len() / 40).sum();
    assert_eq!(report["frames"], frames);
    // Each utterance alone, from a list of one line.
    for (id, values) in found.iter().step_by(9) {
        place.write("one", &format!("{id} {id}.wav\n"));
        fbank(&["--wav-scp", "one", "-o", "one.ark"]);
        assert!(entries(&place, "one.ark") == [(id.clone(), values.clone())], "{id}");
    }
    // Another number of threads, and a list on standard input.
    let args = ["fbank", "--wav-scp", "-", "-o", "ark:piped", "--mels", "40", "--dither", "1"];
    let mut command = place.command(&args);
    command.arg("--cmn").env("RAYON_NUM_THREADS", "3").stdin(Stdio::piped());
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let list = std::fs::read(place.path("wav.scp")).unwrap();
    running.stdin.take().unwrap().write_all(&list).unwrap();
    let ran = finish(running.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let bytes = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(bytes("piped") == bytes("f.ark"));
    // The features are those of the other kind of file.
    fbank(&["--wav-scp", "wav.scp", "-o", "f.safetensors"]);
    let file = bytes("f.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    for (id, values) in &found {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert!(tensors.tensor(id).unwrap().data() == bytes, "{id}");
    }
    // Without a list, the ids are one.
    let files = ["id0/video/00001.wav", "id1/video/00001.wav", "-o", "x.ark"];
    place.fails(&[&["fbank"][..], &files].concat(), &["has the id `00001`", "wav.scp"]);
}

#[test]
fn what_cannot_be_read_is_told_at_its_line_or_left_out() {
    let (place, ids) = place();
    place.write("id21/video/00001.wav", "no audio");
    std::fs::remove_file(place.path("id1/video/00001.wav")).unwrap();
    let fbank = ["fbank", "--wav-scp", "wav.scp", "-o", "f.ark"];
    // Line 4 has 7 * 3, line 24 has 7 * 23.
    place.fails(&fbank, &["wav.scp:4: ", "id21", "--skip-errors"]);
    assert!(!place.path("f.ark").exists());
    let skipping = ["--skip-errors", "--skipped", "out.txt"];
    let report = place.json(&[&fbank[..], &skipping].concat());
    assert_eq!((&report["files"], &report["skipped"]), (&38.into(), &2.into()));
    let text = std::fs::read_to_string(place.path("out.txt")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("id21/video/00001 ") && lines[0].contains("wav.scp:4: "),
        "{text}"
    );
    assert!(
        lines[1].starts_with("id1/video/00001 ") && lines[1].contains("wav.scp:24: "),
        "{text}"
    );
    assert_eq!((lines.len(), &report["left_out"][1]["id"]), (2, &"id1/video/00001".into()));
    let found: Vec<String> = entries(&place, "f.ark").into_iter().map(|entry| entry.0).collect();
    let left: Vec<&String> = ids.iter().filter(|id| !text.contains(&format!("{id} "))).collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), left);
    // Nothing is left, and an older file stays.
    place.write("bad", "a id21/video/00001.wav\nb none.wav\n");
    let before = std::fs::read(place.path("f.ark")).unwrap();
    let none = ["fbank", "--wav-scp", "bad", "-o", "f.ark", "--skip-errors"];
    place.fails(&none, &["none of 2 files could be read"]);
    assert!(std::fs::read(place.path("f.ark")).unwrap() == before);
    place.write("twice", "a id2/video/00001.wav\na id3/video/00001.wav\n");
    place.fails(&["fbank", "--wav-scp", "twice", "-o", "x.ark"], &["twice:2: utterance `a` again"]);
    let both = ["fbank", "id2/video/00001.wav", "--wav-scp", "wav.scp", "-o", "x.ark"];
    assert_eq!(place.run(&both).code, 2);
}

#[test]
fn names_of_other_formats_are_refused_and_numpy_gets_its_own() {
    let (place, ids) = place();
    let fbank = ["fbank", "--wav-scp", "wav.scp", "--mels", "40", "-o"];
    for name in ["x.csv", "x.JSON", "x.txt", "x.npy", "x.pt", "x.h5", "x.onnx"] {
        let wanted = [name, "no file of this ending is written", ".safetensors, .npz"];
        place.fails(&[&fbank[..], &[name]].concat(), &wanted);
        place.fails(&["embed", "id0/video/00001.wav", "-o", name], &wanted);
        assert!(!place.path(name).exists());
    }
    place.ok(&[&fbank[..], &["x.npz"]].concat());
    place.ok(&[&fbank[..], &["x.ark"]].concat());
    let mut archive = zip::ZipArchive::new(std::fs::File::open(place.path("x.npz")).unwrap());
    let archive = archive.as_mut().unwrap();
    assert_eq!(archive.len(), ids.len());
    for (id, values) in entries(&place, "x.ark") {
        let mut bytes = Vec::new();
        let mut entry = archive.by_name(&format!("{id}.npy")).unwrap();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        let shape =
            format!("'descr': '<f4', 'fortran_order': False, 'shape': ({}, 40)", values.len() / 40);
        let header = String::from_utf8_lossy(&bytes[10..128]).into_owned();
        assert!(header.contains(&shape), "{header}");
        let wanted: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert!(bytes[128..] == wanted, "{id}");
    }
}
