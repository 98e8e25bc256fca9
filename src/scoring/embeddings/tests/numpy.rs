//! NumPy beside our own reading and writing.

use std::path::Path;

use super::*;

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
