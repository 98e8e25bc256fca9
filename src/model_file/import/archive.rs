//! Checks the size of a zip archive before PyTorch's reader opens it.

use std::io::{BufReader, Read};
use std::path::Path;

use zip::{ZipArchive, ZipReadOptions};

use super::{pickle, unreadable};
use crate::error::{Error, Result};
use crate::fs;

/// An archive may expand to so many times its own size. `torch.save` does not compress, and an
/// archive that was compressed later is little smaller, since weights are nearly random.
const EXPANSION: u64 = 4;
/// Bytes that an archive may expand to in any case.
const FREE: u64 = 16 << 20;

/// The bytes of values in an archive of `length` bytes: of all entries but its pickle.
///
/// # Errors
/// Archives that expand to far more than their size, that hold no pickle or several, or whose
/// pickle has more instructions than any checkpoint's.
pub(super) fn check(path: &Path, length: u64) -> Result<u64> {
    let bad = |e: String| unreadable(path, &e);
    let file = BufReader::new(fs::open(path)?);
    let mut archive = ZipArchive::new(file).map_err(|e| bad(e.to_string()))?;
    if archive.has_duplicate_names() {
        return Err(bad("two entries of one name".into()));
    }
    let (mut bytes, mut pickles) = (0u64, Vec::new());
    for i in 0..archive.len() {
        let entry = archive.by_index_data(i).map_err(|e| bad(e.to_string()))?;
        bytes = bytes.saturating_add(entry.size());
        let name = entry.name_raw();
        if name == b"data.pkl" || name.ends_with(b"/data.pkl") {
            pickles.push(i);
        }
    }
    if bytes > length.saturating_mul(EXPANSION).saturating_add(FREE) {
        return Err(Error::file(
            path,
            format!("an archive of {length} bytes that expands to {bytes}: no checkpoint does"),
        ));
    }
    let [index] = pickles[..] else {
        return Err(bad(format!(
            "{} entries `data.pkl`, where a checkpoint has one",
            pickles.len()
        )));
    };
    // The reader compares checksums itself. Some archives have none.
    let options = ZipReadOptions::new().ignore_crc32(true);
    let entry = archive.by_index_with_options(index, options).map_err(|e| bad(e.to_string()))?;
    let size = entry.size();
    pickle::check(BufReader::new(entry.take(size)), 1).map_err(bad)?;
    Ok(bytes - size)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    fn archive(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            writer
                .start_file(*name, SimpleFileOptions::default().compression_method(method))
                .unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn checked(content: &[u8]) -> Result<u64, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pt");
        std::fs::write(&path, content).unwrap();
        check(&path, content.len() as u64).map_err(|e| e.to_string())
    }

    #[test]
    fn archives_are_measured_by_what_they_expand_to() {
        let (pickle, zeros) = (b"\x80\x02}q\0.", vec![0; 40 << 20]);
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let small = archive(&[("m/data.pkl", pickle), ("m/data/0", &[7; 1000])], method);
            assert_eq!(checked(&small), Ok(1000));
        }
        let large =
            archive(&[("m/data.pkl", pickle), ("m/data/0", &zeros)], CompressionMethod::Stored);
        assert_eq!(checked(&large), Ok(zeros.len() as u64));
        let bomb =
            archive(&[("m/data.pkl", pickle), ("m/data/0", &zeros)], CompressionMethod::Deflated);
        assert!(bomb.len() < 100_000);
        let error = checked(&bomb).unwrap_err();
        assert!(error.contains("x.pt") && error.contains("expands to 419"), "{error}");
    }

    #[test]
    fn a_pickle_that_asks_for_too_much_is_refused() {
        // Four million instructions deflate to a few kilobytes, and would take half a gigabyte in
        // memory.
        let many = vec![b'N'; 4 << 20];
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let error = checked(&archive(&[("data.pkl", &many)], method)).unwrap_err();
            assert!(error.contains("instructions"), "{error}");
        }
        let none = checked(&archive(&[("m/pickle", b".")], CompressionMethod::Stored)).unwrap_err();
        assert!(none.contains("0 entries `data.pkl`"), "{none}");
        let two = archive(&[("a/data.pkl", b"."), ("b/data.pkl", b".")], CompressionMethod::Stored);
        assert!(checked(&two).unwrap_err().contains("2 entries"));
        assert!(
            checked(b"PK\x03\x04 and no more")
                .unwrap_err()
                .contains("not a readable PyTorch checkpoint")
        );
    }
}
