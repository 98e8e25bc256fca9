//! PyTorch checkpoints: a zip archive of a pickle and of the bytes of each tensor.

/// A file inside an archive.
pub type Entry = (String, Vec<u8>);

/// Opcodes that build objects from what is on the stack, or that promise more than the file has.
pub const OPCODES: &[&[u8]] = &[
    b"(",
    b")",
    b"]",
    b"}",
    b"t",
    b"R",
    b"Q",
    b"u",
    b"e",
    b"\x85",
    b"\x87",
    b"0",
    b"2",
    b".",
    b"J\xff\xff\xff\x7f",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"r\xff\xff\xff\xff",
];

/// A checkpoint of f32 tensors: name, shape, values.
pub fn checkpoint(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let mut entries = vec![
        ("archive/data.pkl".to_owned(), pickle(tensors)),
        entry("archive/byteorder", b"little"),
    ];
    for (i, (.., values)) in tensors.iter().enumerate() {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        entries.push((format!("archive/data/{i}"), bytes));
    }
    entries.push(entry("archive/version", b"3\n"));
    archive(&entries, true)
}

fn entry(name: &str, bytes: &[u8]) -> Entry {
    (name.to_owned(), bytes.to_vec())
}

/// `OrderedDict` of tensors, each over a storage of its own, in pickle's protocol 2.
fn pickle(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    fn text(out: &mut Vec<u8>, text: &str) {
        out.push(b'X');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    }
    fn integer(out: &mut Vec<u8>, value: usize) {
        out.push(b'J');
        out.extend((value as u32).to_le_bytes());
    }
    fn tuple(out: &mut Vec<u8>, values: impl Iterator<Item = usize>) {
        out.push(b'(');
        values.for_each(|value| integer(out, value));
        out.push(b't');
    }
    const DICTIONARY: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut out = b"\x80\x02".to_vec();
    out.extend(DICTIONARY);
    out.push(b'(');
    for (i, (name, shape, values)) in tensors.iter().enumerate() {
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &i.to_string());
        text(&mut out, "cpu");
        integer(&mut out, values.len());
        out.extend(b"tQ");
        integer(&mut out, 0);
        tuple(&mut out, shape.iter().copied());
        tuple(&mut out, (0..shape.len()).map(|d| shape[d + 1..].iter().product()));
        out.push(b'\x89');
        out.extend(DICTIONARY);
        out.extend(b"tR");
    }
    out.extend(b"u.");
    out
}

/// An archive of stored entries. Without checksums they are 0, which PyTorch writes too, and which
/// means that there is none.
pub fn archive(entries: &[Entry], checksums: bool) -> Vec<u8> {
    let (mut out, mut directory): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let sum = if checksums { crate::checksums::crc32(bytes) } else { 0 };
        let (size, at) = (bytes.len() as u32, out.len() as u32);
        // Version 2.0, no flags, stored, 1 January 1980.
        let mut common = b"\x14\0\0\0\0\0\0\0\x21\0".to_vec();
        [sum, size, size].iter().for_each(|x| common.extend(x.to_le_bytes()));
        common.extend((name.len() as u16).to_le_bytes());
        common.extend(0u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(bytes);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        // No comment, disk 0, attributes 0.
        directory.extend([0u8; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (count, size, at) = (entries.len() as u16, directory.len() as u32, out.len() as u32);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    [count, count].iter().for_each(|x| out.extend(x.to_le_bytes()));
    [size, at].iter().for_each(|x| out.extend(x.to_le_bytes()));
    out.extend(0u16.to_le_bytes());
    out
}

/// The entries of an archive, if all of them are stored.
pub fn entries(file: &[u8]) -> Option<Vec<Entry>> {
    let number = |at: usize, width: usize| -> Option<usize> {
        let bytes = file.get(at..at + width)?;
        Some(bytes.iter().rev().fold(0, |value, &b| (value << 8) | usize::from(b)))
    };
    let end = file.windows(4).rposition(|w| w == b"PK\x05\x06")?;
    let (count, mut at) = (number(end + 10, 2)?, number(end + 16, 4)?);
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        if number(at + 10, 2)? != 0 {
            return None;
        }
        let (size, name, local) = (number(at + 20, 4)?, number(at + 28, 2)?, number(at + 42, 4)?);
        let begin = local + 30 + number(local + 26, 2)? + number(local + 28, 2)?;
        let label = String::from_utf8(file.get(at + 46..at + 46 + name)?.to_vec()).ok()?;
        found.push((label, file.get(begin..begin + size)?.to_vec()));
        at += 46 + name + number(at + 30, 2)? + number(at + 32, 2)?;
    }
    Some(found)
}
