use safetensors::tensor::SafeTensors;

use super::*;
use crate::tensor_file::flipped;

#[test]
fn a_file_gives_back_what_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.safetensors");
    let mut e = Embeddings::new(2);
    e.push("b/2.wav", &[1.0, -2.5]).unwrap();
    e.push("a", &[0.5, 3.0]).unwrap();
    assert!(e.push("a", &[0.0, 0.0]).is_err() && e.push("c", &[0.0]).is_err());
    e.save(&path).unwrap();
    let f = Embeddings::load(&path).unwrap();
    assert_eq!(f.len(), 2);
    assert_eq!(f.row(f.position("b/2.wav").unwrap()), [1.0, -2.5]);
    assert_eq!(f.mean(), [0.75, 0.25]);
    let means = f.speaker_means(&|_| Some("s".into())).unwrap();
    assert_eq!(means.row(0), [0.75, 0.25]);
    assert!(f.speaker_means(&|_| None).is_err());
}

#[test]
fn both_forms_of_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.safetensors");
    let rows = [("embeddings", [1.0f32, 2.0]), ("ids", [3.0, 4.0]), ("ü\u{1b}", [5.0, 6.0])];
    let data: Vec<Vec<u8>> = rows.iter().map(|r| bytes::from_f32(&r.1)).collect();
    for count in [2, 3] {
        // Utterances may have the names of our two tensors.
        let views = rows
            .iter()
            .zip(&data)
            .take(count)
            .map(|(r, d)| (r.0, TensorView::new(Dtype::F32, vec![2], d).unwrap()));
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let old = Embeddings::load(&path).unwrap();
        old.save(&path).unwrap();
        let new = Embeddings::load(&path).unwrap();
        assert_eq!(
            (old.ids(), old.data.as_slice(), old.dim()),
            (new.ids(), new.data.as_slice(), 2)
        );
        let id = rows[count - 1].0;
        assert_eq!(new.row(new.position(id).unwrap()), rows[count - 1].1);
    }
    // The safetensors crate reads what we write.
    let file_bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&file_bytes).unwrap();
    assert_eq!(file.tensor("embeddings").unwrap().shape(), [3, 2]);
    assert_eq!(file.tensor("ids").unwrap().data(), "embeddings\nids\nü\u{1b}\n".as_bytes());
    let mut broken = Embeddings::new(1);
    broken.push("a\nb", &[1.0]).unwrap();
    assert!(broken.save(&path).unwrap_err().to_string().contains("line break"));
}

#[test]
fn damaged_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.safetensors");
    let mut e = Embeddings::new(2);
    e.push("a", &[1.0, f32::NAN]).unwrap();
    e.save(&path).unwrap();
    assert!(Embeddings::load(&path).unwrap_err().to_string().contains("`a`"));
    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 4, 20, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert!(Embeddings::load(&path).unwrap_err().to_string().contains("e.safetensors"));
    }
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.safetensors");
    let mut e = Embeddings::new(16);
    for i in 0u8..50 {
        e.push(&format!("speaker/{i:02}.wav"), &[f32::from(i); 16]).unwrap();
    }
    e.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for (bit, damaged) in flipped(&bytes, 300) {
        std::fs::write(&path, &damaged).unwrap();
        let error = Embeddings::load(&path).unwrap_err().to_string();
        assert!(error.contains("e.safetensors: "), "bit {bit}: {error}");
    }
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(Embeddings::load(&path).unwrap().len(), 50);
}

#[test]
fn files_from_before_there_were_checksums_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.safetensors");
    let values = bytes::from_f32(&[1.0, 2.0, 3.0, 4.0]);
    let views = [
        (MATRIX, Dtype::F32, vec![2, 2], values.as_slice()),
        (IDS, Dtype::U8, vec![4], &b"a\nb\n"[..]),
    ]
    .map(|(name, dtype, shape, bytes)| (name, TensorView::new(dtype, shape, bytes).unwrap()));
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let old = Embeddings::load(&path).unwrap();
    assert_eq!(
        (old.ids(), old.data.as_slice()),
        (&["a".to_owned(), "b".to_owned()][..], &[1.0, 2.0, 3.0, 4.0][..])
    );
    old.save(&path).unwrap();
    assert!(tensor_file::read(&path, "file").unwrap().has_checksum());
}
