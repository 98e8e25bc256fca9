//! Writes and reads safetensors files, with a checksum.
//!
//! The metadata entry `sha256` of a file that revox writes holds 64 lower-case hex digits: the
//! SHA-256 of the whole file with these digits replaced by `0`. In Python:
//!
//! ```python
//! digits = re.search(rb'"sha256":"([0-9a-f]{64})"', file)
//! zeroed = file[:digits.start(1)] + b"0" * 64 + file[digits.end(1):]
//! assert hashlib.sha256(zeroed).hexdigest().encode() == digits[1]
//! ```
//!
//! Metadata entries are sorted by key. Tensors are sorted by the size of their number format,
//! largest first, then by name. So equal contents give equal bytes, and every tensor is aligned.

mod checksum;
mod decode;
mod encode;
mod foreign;
mod part;

pub use decode::{Contents, from_bytes, of_mapped, read, read_foreign, skip_checksums};
pub use encode::{head_bytes, to_bytes, write};
pub use part::{Data, Part};

/// Bytes of the header's length, which stands before the header.
const LENGTH: usize = size_of::<u64>();

/// `count` copies of a file, each with one bit flipped, and the index of the bit: they are spread
/// evenly from the first to the last.
#[cfg(test)]
pub(crate) fn flipped(file: &[u8], count: usize) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..count).map(move |i| {
        let bit = i * (8 * file.len() - 1) / (count - 1);
        let mut damaged = file.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        (bit, damaged)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use safetensors::tensor::{Dtype, SafeTensors};

    use super::*;
    use crate::bytes;

    const METADATA: [(&str, &str); 2] =
        [("revox", r#"{"a":[1,"sha256"],"sha256":"0"}"#), ("other", "x\ny\u{e9}")];
    const STRANGE: &str = "codes \u{fc} \"sha256\":\"";

    /// Tensors of several number formats, in another order than the file's.
    fn parts() -> Vec<Part<'static>> {
        let part = |name: &'static str, dtype, shape: &[usize], bytes: Data<'static>| Part {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
            bytes,
        };
        vec![
            part(STRANGE, Dtype::U8, &[3], vec![1u8, 2, 255].into()),
            part("b", Dtype::F32, &[2, 1], vec![1.5f32, -0.0].into()),
            part("none", Dtype::F32, &[4, 0], Vec::<f32>::new().into()),
            part("a", Dtype::F32, &[1], vec![f32::MIN_POSITIVE].into()),
            part("count", Dtype::I64, &[], 7i64.to_le_bytes().to_vec().into()),
        ]
    }

    fn file() -> Vec<u8> {
        to_bytes(Path::new("t.safetensors"), &METADATA, &parts()).unwrap()
    }

    #[test]
    fn a_file_gives_back_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.safetensors");
        write(&path, &METADATA, &parts()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), file());
        let contents = read(&path, "file").unwrap();
        let metadata: Vec<(&str, &str)> =
            contents.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(metadata, [METADATA[1], METADATA[0]]);
        assert!(contents.has_checksum());
        let tensors = contents.tensors();
        assert_eq!(tensors.len(), 5);
        let b = tensors.tensor("b").unwrap();
        assert_eq!(
            (b.dtype(), b.shape(), b.data()),
            (Dtype::F32, &[2, 1][..], &[0, 0, 0xc0, 0x3f, 0, 0, 0, 0x80][..])
        );
        assert!(
            read(&dir.path().join("absent"), "file").unwrap_err().to_string().contains("absent")
        );
    }

    #[test]
    fn equal_contents_are_equal_bytes() {
        let (mut metadata, mut reversed) = (METADATA, parts());
        metadata.reverse();
        reversed.reverse();
        assert_eq!(to_bytes(Path::new("t"), &metadata, &reversed).unwrap(), file());
    }

    #[test]
    fn the_safetensors_crate_reads_what_is_written() {
        let file = file();
        let (length, header) = SafeTensors::read_metadata(&file).unwrap();
        assert!(length.is_multiple_of(8));
        assert_eq!(header.offset_keys(), ["count", "a", "b", "none", STRANGE]);
        let metadata = header.metadata().as_ref().unwrap();
        assert!(METADATA.iter().all(|(key, value)| metadata[*key] == *value));
        assert!(metadata.len() == 3 && metadata["sha256"].len() == 64);
        let tensors = SafeTensors::deserialize(&file).unwrap();
        for part in parts() {
            let tensor = tensors.tensor(&part.name).unwrap();
            assert_eq!(
                (tensor.dtype(), tensor.shape()),
                (part.dtype, part.shape.as_slice()),
                "{}",
                part.name
            );
            let begin = header.info(&part.name).unwrap().data_offsets.0;
            assert!(begin.is_multiple_of(part.dtype.bitsize() / 8), "{}", part.name);
            let wanted = match &part.bytes {
                Data::Bytes(data) => data.to_vec(),
                Data::F32(values) => bytes::from_f32(values),
                Data::Pieces(pieces) => bytes::from_f32(&pieces.concat()),
            };
            assert_eq!(tensor.data(), wanted, "{}", part.name);
        }
        // The crate's own writer writes the same bytes after a header of the same length.
        let entries: HashMap<String, String> = metadata.clone();
        let theirs = safetensors::serialize(tensors.iter(), Some(entries)).unwrap();
        assert_eq!(theirs.len(), file.len());
        assert_eq!(theirs[8 + length..], file[8 + length..]);
    }

    #[test]
    fn a_head_is_measured_without_values() {
        let (file, parts) = (file(), parts());
        let listed = |part: &Part| (part.name.to_string(), part.dtype, part.shape.clone());
        let mut tensors: Vec<_> = parts.iter().map(listed).collect();
        let values: usize = parts.iter().map(|part| part.bytes.len()).sum();
        assert_eq!(head_bytes(&METADATA, &tensors).unwrap() + values, file.len());
        tensors[0].1 = Dtype::F4;
        let error = head_bytes(&METADATA, &tensors).unwrap_err().to_string();
        assert!(error.contains("is no number of bytes"), "{error}");
    }

    #[test]
    fn many_values_are_written_in_pieces() {
        let values: Vec<f32> = (0..10_001).map(|i| i as f32 * 0.37 - 5.0).collect();
        let part =
            |bytes| Part { name: "v".into(), dtype: Dtype::F32, shape: vec![values.len()], bytes };
        let ours = to_bytes(Path::new("t"), &[], &[part(values.as_slice().into())]).unwrap();
        assert!(ours.ends_with(&bytes::from_f32(&values)));
        assert_eq!(
            ours,
            to_bytes(Path::new("t"), &[], &[part(bytes::from_f32(&values).into())]).unwrap()
        );
        let pieces: Vec<&[f32]> = values.chunks(2999).chain([&[][..]]).collect();
        assert_eq!(ours, to_bytes(Path::new("t"), &[], &[part(pieces.into())]).unwrap());
    }

    #[test]
    fn the_checksum_is_that_of_the_file_with_zeros_in_its_place() {
        use sha2::{Digest, Sha256};
        let mut file = file();
        let key = b"\"sha256\":\"";
        let found: Vec<usize> = (0..file.len()).filter(|&i| file[i..].starts_with(key)).collect();
        // Quotes within names and values are escaped, so these do not match.
        assert_eq!(found.len(), 1);
        let at = found[0] + key.len();
        let digits = String::from_utf8(file[at..at + 64].to_vec()).unwrap();
        file[at..at + 64].fill(b'0');
        let wanted: String = Sha256::digest(&file).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digits, wanted);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let fails = |metadata: &[(&str, &str)],
                     change: &dyn Fn(&mut Vec<Part<'static>>),
                     wanted: &str| {
            let mut parts = parts();
            change(&mut parts);
            let error =
                to_bytes(Path::new("t.safetensors"), metadata, &parts).unwrap_err().to_string();
            assert!(
                error.contains("t.safetensors: cannot encode tensors: ") && error.contains(wanted),
                "{error}"
            );
        };
        fails(&[("a", "1"), ("a", "1")], &|_| (), "metadata entry `a`");
        fails(&[("sha256", "1")], &|_| (), "metadata entry `sha256`");
        // The other tensor `a` has another number format.
        fails(&[], &|parts| parts[0].name = "a".into(), "tensor `a` is there twice");
        fails(&[], &|parts| parts[1].name = "__metadata__".into(), "`__metadata__`");
        fails(&[], &|parts| parts[1].shape = vec![3], "tensor `b` has 8 bytes");
        fails(&[], &|parts| parts[1].shape = vec![1 << 62, 4], "tensor `b` has 8 bytes");
        fails(&[], &|parts| parts[0].dtype = Dtype::F4, "has 3 bytes");
    }
}
