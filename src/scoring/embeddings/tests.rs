mod in_file;

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::tensors::{IDS, MATRIX};
use super::*;
use crate::bytes;
use crate::rng::Stream;
use crate::tensor_file::{self, flipped};

/// Random embeddings whose ids have letters of several alphabets.
fn some(seed: u64, count: usize, dim: usize) -> Embeddings {
    let mut stream = Stream::new(seed, "embeddings", &[]);
    let mut all = Embeddings::new(dim);
    for i in 0..count {
        let row: Vec<f32> = (0..dim).map(|_| stream.normal() as f32).collect();
        let name = "id0/ü語𝄞.wav".chars().skip(stream.below(8)).collect::<String>();
        all.push(&format!("{name}{i}"), &row).unwrap();
    }
    all
}

/// The same embeddings in the same order, to the bit.
fn assert_same(ours: &Embeddings, wanted: &Embeddings) {
    assert_eq!((ours.len(), ours.dim()), (wanted.len(), wanted.dim()));
    assert!(ours.ids().eq(wanted.ids()));
    for (i, id) in wanted.ids().enumerate() {
        assert_eq!(ours.position(id), Some(i));
        let bits = |all: &Embeddings| all.row(i).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(ours), bits(wanted), "{id}");
    }
}

#[test]
fn a_file_gives_back_what_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.safetensors");
    let mut e = Embeddings::new(2);
    e.push("b/2.wav", &[1.0, -2.5]).unwrap();
    e.push("a", &[0.5, 3.0]).unwrap();
    assert!(e.push("a", &[0.0, 0.0]).is_err() && e.push("c", &[0.0]).is_err());
    e.save(&path).unwrap();
    let mut f = Embeddings::load(&path).unwrap();
    assert_same(&f, &e);
    assert_eq!(f.row(f.position("b/2.wav").unwrap()), [1.0, -2.5]);
    assert_eq!(f.mean(), [0.75, 0.25]);
    let means = f.speaker_means(&|_| Some("s".into())).unwrap();
    assert_eq!(means.row(0), [0.75, 0.25]);
    assert!(f.speaker_means(&|_| None).is_err());
    // A set that was loaded may grow.
    for set in [&mut e, &mut f] {
        set.push("c", &[9.0, 8.0]).unwrap();
        assert!(set.push("a", &[0.0, 0.0]).is_err());
    }
    assert_same(&f, &e);
}

#[test]
fn every_kind_of_file_gives_back_what_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    for (seed, count, dim) in [(1, 1, 1), (2, 7, 3), (3, 300, 192), (4, 5000, 64)] {
        let wanted = some(seed, count, dim);
        for (output, input) in [
            ("@e.safetensors", "@e.safetensors"),
            ("@e", "@e"),
            ("@e.ark", "@e.ark"),
            ("ark,t:@t", "@t"),
            ("ark,scp:@x.ark,@x.scp", "@x.scp"),
            ("ark:@y", "ark:@y"),
            ("@e.npz", "@e.npz"),
        ] {
            let at = |name: &str| name.replace('@', &format!("{root}/"));
            wanted.save_as(at(output)).unwrap();
            assert_same(&Embeddings::load(at(input)).unwrap(), &wanted);
        }
    }
}

/// A file that is long enough to be mapped.
#[test]
fn a_long_file_stays_in_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.safetensors");
    let wanted = some(5, 3000, 128);
    wanted.save(&path).unwrap();
    let read = Embeddings::load(&path).unwrap();
    assert!(matches!(read.rows, Rows::File(..)));
    // A new file of the name, made of the old one, leaves the old one to those who have it.
    read.speaker_means(&|_| Some("s".into())).unwrap().save(&path).unwrap();
    assert_same(&read, &wanted);
    assert_eq!((read.mean(), Embeddings::load(&path).unwrap().len()), (wanted.mean(), 1));
    let mut rows = wanted.rows.pieces().concat();
    rows[128 * 2999 + 5] = f32::NAN;
    let broken = Embeddings { rows: Rows::Owned(rows), ..wanted };
    broken.save(&path).unwrap();
    let error = Embeddings::load(&path).unwrap_err().to_string();
    assert!(error.contains(broken.id(2999)) && error.contains("not numbers"), "{error}");
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
        assert_same(&old, &new);
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
    let mut e = Embeddings::new(16);
    for i in 0u8..50 {
        e.push(&format!("speaker/{i:02}.wav"), &[f32::from(i); 16]).unwrap();
    }
    let path = dir.path().join("e.safetensors");
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
    assert_eq!(old.ids().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(old.rows.pieces().concat(), [1.0, 2.0, 3.0, 4.0]);
    old.save(&path).unwrap();
    assert!(tensor_file::read(&path, "file").unwrap().has_checksum());
}

#[test]
fn archives_that_are_no_embeddings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ark");
    for (text, wanted) in [
        ("", "holds no embeddings"),
        ("a [ 1 2 ]\nb [ 1 2 3 ]\n", "`b`, entry at byte 10: embedding of `b` has 3 values"),
        ("a [ 1 2 ]\na [ 3 4 ]\n", "`a`, entry at byte 10: the key again"),
        ("a [ 1 2 ]\nb [ 1 nan ]\n", "`b`, entry at byte 10: value 2 is NaN"),
        ("a [\n 1 2\n 3 4 ]\n", "`a`, entry at byte 0: a matrix of 2 x 2"),
        ("a [ ]\n", "`a`, entry at byte 0: holds no values"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Embeddings::load(&path).unwrap_err().to_string();
        assert!(error.contains("x.ark: ") && error.contains(wanted), "{text}: {error}");
    }
}

/// Runs a Python program with NumPy and gives its output; none without NumPy.
fn numpy(program: &str, folder: &Path) -> Option<String> {
    let python = |program: &str| {
        std::process::Command::new("python3").args(["-c", program]).current_dir(folder).output()
    };
    if !python("import numpy").is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no python3 with numpy here");
        return None;
    }
    let output = python(program).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn numpy_reads_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let all = some(6, 20, 5);
    all.save_as(dir.path().join("e.npz")).unwrap();
    let program = "import numpy, sys\n\
                   f = numpy.load('e.npz')\n\
                   assert sorted(f) == ['embeddings', 'ids'] and f['embeddings'].dtype == '<f4'\n\
                   sys.stdout.reconfigure(encoding='utf-8')\n\
                   for i, x in zip(f['ids'], f['embeddings']): print(i, x.tobytes().hex())\n";
    let Some(found) = numpy(program, dir.path()) else { return };
    let line = |i: usize| {
        let hex: String =
            bytes::from_f32(all.row(i)).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} {hex}", all.id(i))
    };
    let wanted: Vec<String> = (0..all.len()).map(line).collect();
    assert_eq!(found.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn what_numpy_writes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let program = "import numpy\n\
                   x = numpy.arange(6).reshape(3, 2) / 4\n\
                   ids = numpy.array(['a', 'b/ü語𝄞', 'c d'])\n\
                   numpy.savez('f4.npz', embeddings=x.astype('f4'), ids=ids)\n\
                   numpy.savez('f8.npz', embeddings=x, ids=ids)\n\
                   numpy.savez('turned.npz', embeddings=numpy.asfortranarray(x), ids=ids)\n\
                   numpy.savez('int.npz', embeddings=x.astype('i4'), ids=ids)\n\
                   numpy.savez('few.npz', embeddings=x, ids=ids[:2])\n\
                   numpy.savez('numbers.npz', embeddings=x, ids=numpy.arange(3))\n\
                   numpy.savez('twice.npz', embeddings=x, ids=numpy.array(['a', 'b', 'a']))\n\
                   numpy.savez('other.npz', x=x)\n\
                   numpy.savez_compressed('small.npz', embeddings=x, ids=ids)\n\
                   numpy.save('bare.npy', x)\n";
    if numpy(program, dir.path()).is_none() {
        return;
    }
    for name in ["f4.npz", "f8.npz"] {
        let all = Embeddings::load(dir.path().join(name)).unwrap();
        assert_eq!(all.ids().collect::<Vec<_>>(), ["a", "b/ü語𝄞", "c d"]);
        assert_eq!(all.rows.pieces().concat(), [0.0, 0.25, 0.5, 0.75, 1.0, 1.25], "{name}");
    }
    for (name, wanted) in [
        ("turned.npz", "row-major"),
        ("int.npz", "`<i4`"),
        ("few.npz", "2 ids for 3 embeddings"),
        ("numbers.npz", "array `ids` is `<i8`"),
        ("twice.npz", "two embeddings of `a`"),
        ("other.npz", "holds no array `embeddings`"),
        ("small.npz", "is compressed"),
        ("bare.npy", "without ids"),
    ] {
        let error = Embeddings::load(dir.path().join(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(wanted), "{error}");
    }
    let good = std::fs::read(dir.path().join("f4.npz")).unwrap();
    for (bit, damaged) in flipped(&good, 400) {
        let path = dir.path().join("damaged");
        std::fs::write(&path, damaged).unwrap();
        // Times and such are not covered by the archive's checksums.
        let Ok(read) = Embeddings::load(&path) else { continue };
        assert_eq!(read.rows.pieces().concat(), [0.0, 0.25, 0.5, 0.75, 1.0, 1.25], "bit {bit}");
    }
}

#[test]
fn what_a_file_cannot_keep_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (id, name, wanted) in
        [("a b", "x.ark", "a word without blanks"), ("a\0", "x.npz", "ends in a zero")]
    {
        let mut all = Embeddings::new(1);
        all.push(id, &[1.0]).unwrap();
        let error = all.save_as(dir.path().join(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(wanted), "{error}");
    }
    assert!(some(1, 1, 1).save_as("x.scp").unwrap_err().to_string().contains("ark,scp:"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Only Linux has `/dev/full`.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["e.npz", "e.ark", "e.safetensors"] {
        let path = dir.path().join(name);
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let error = some(1, 100, 64).save_as(&path).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("cannot write"), "{error}");
    }
}
