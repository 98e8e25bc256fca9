use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView};

use super::super::{Part, flipped, to_bytes};
use super::*;

fn file() -> Vec<u8> {
    let part = |name: &'static str, dtype, count, bytes| Part {
        name: name.into(),
        dtype,
        shape: vec![count],
        bytes,
    };
    let parts = [
        part("weight", Dtype::F32, 3, vec![0.5f32, -1.0, 3.0].into()),
        part("codes", Dtype::U8, 5, vec![0u8, 1, 2, 254, 255].into()),
    ];
    to_bytes(Path::new("t"), &[("revox", r#"{"a":"b","c":[1,2]}"#)], &parts).unwrap()
}

fn from(bytes: &[u8], check: bool) -> Result<Contents, String> {
    let contents = decode(Path::new("t.safetensors"), bytes.to_vec().into(), "file", check)
        .map_err(|e| e.to_string());
    assert!(
        contents.as_ref().err().is_none_or(|e| e.starts_with("t.safetensors: ")),
        "{contents:?}"
    );
    contents
}

#[test]
fn every_flipped_bit_is_noticed() {
    let file = file();
    assert!(from(&file, true).unwrap().has_checksum());
    for (bit, damaged) in flipped(&file, 8 * file.len()) {
        assert!(from(&damaged, true).is_err(), "bit {bit}: {}", String::from_utf8_lossy(&damaged));
    }
}

#[test]
fn cut_and_longer_files_are_refused() {
    let file = file();
    for cut in 0..file.len() {
        let error = from(&file[..cut], true).unwrap_err();
        assert!(error.contains("not a readable file: "), "{cut}: {error}");
    }
    assert!(from(&[&file[..], &[0][..]].concat(), true).is_err());
}

#[test]
fn files_of_other_kinds_are_named() {
    let error =
        |bytes: &[u8]| decode(Path::new("t"), bytes.to_vec().into(), "file", true).unwrap_err();
    let onnx = error(b"\x08\x08\x12\x05revox:\x10");
    assert_eq!(onnx.to_string(), "t: not a readable file: it is an ONNX file");
    assert_eq!(onnx.remedy(), Some(&Remedy::Import));
    let text = error(b"[data]\n");
    assert_eq!(text.to_string(), "t: not a readable file: it is a text (TOML)");
    assert_eq!(text.remedy(), None);
}

#[test]
fn damage_passes_where_nothing_is_checked() {
    let mut file = file();
    *file.last_mut().unwrap() ^= 1;
    let error = decode(Path::new("t"), file.clone().into(), "file", true).unwrap_err();
    assert_eq!(error.to_string(), "t: is damaged: its SHA-256 is not that of its content");
    assert_eq!(error.remedy(), Some(&Remedy::IgnoreChecksum));
    let contents = from(&file, false).unwrap();
    assert_eq!(contents.tensors().tensor("codes").unwrap().data(), [0, 1, 2, 254, 254]);
    assert_eq!(contents.metadata.keys().collect::<Vec<_>>(), ["revox"]);
}

#[test]
fn files_without_a_checksum_are_read() {
    let view = || TensorView::new(Dtype::U8, vec![2], &[1, 2]).unwrap();
    let entry = HashMap::from([("a".to_owned(), "b".to_owned())]);
    for metadata in [None, Some(entry)] {
        let count = metadata.iter().len();
        let file = safetensors::serialize([("x", view())], metadata).unwrap();
        let contents = from(&file, true).unwrap();
        assert!(!contents.has_checksum() && contents.metadata.len() == count);
        assert_eq!(contents.tensors().tensor("x").unwrap().data(), [1, 2]);
    }
}

#[test]
fn checksums_that_are_none_are_refused() {
    let digits = "0".repeat(64);
    for entries in [
        r#""sha256":"""#.to_owned(),
        r#""sha256":"00""#.to_owned(),
        format!(r#""sha256":"{digits}""#),
        format!(r#""sha256":"{digits}0""#),
        format!(r#""sha256":"{digits}","sha256":"{digits}""#),
        format!(r#""sha256": "{digits}""#),
        format!(r#""sha\u003256":"{digits}""#),
        format!(r#""sha255":"{digits}""#),
        format!(r#""sha256":"{}""#, "\u{e9}".repeat(32)),
    ] {
        let header = format!(r#"{{"__metadata__":{{{entries}}}}}"#);
        let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        let error = from(&file, true).unwrap_err();
        assert!(error.contains("is damaged"), "{header}: {error}");
        assert!(from(&file, false).is_ok(), "{header}");
    }
}

#[test]
fn tensors_are_where_the_file_has_them() {
    let file = file();
    let contents = from(&file, true).unwrap();
    for name in ["weight", "codes"] {
        let place = contents.place(name).unwrap();
        assert_eq!(&file[place], contents.tensors().tensor(name).unwrap().data());
    }
    assert_eq!(contents.place("none"), None);
    assert_eq!(contents.into_bytes()[..], file[..]);
}

/// Long files are mapped.
#[test]
fn damage_to_a_mapped_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.safetensors");
    let values: Vec<f32> = (0..700_000).map(|i| i as f32).collect();
    let part = Part {
        name: "x".into(),
        dtype: Dtype::F32,
        shape: vec![values.len()],
        bytes: values.into(),
    };
    let file = to_bytes(&path, &[], &[part]).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        of_mapped(&path, fs::map(&path).unwrap(), "file").map_err(|e| e.to_string())
    };
    assert!(read(&file).unwrap().has_checksum());
    for (bit, damaged) in flipped(&file, 40) {
        assert!(read(&damaged).unwrap_err().contains("t.safetensors: "), "bit {bit}");
    }
}

#[test]
fn the_hash_is_that_of_the_bytes() {
    let file = file();
    let wanted: String = Sha256::digest(&file).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(from(&file, true).unwrap().hash(), wanted);
}
