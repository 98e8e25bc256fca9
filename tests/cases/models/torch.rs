//! Writes files as `torch.save` does: an archive of a pickle (protocol 2) and its storages.

use std::io::{Cursor, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What a pickle holds.
pub enum Object {
    Dict(Vec<(String, Object)>),
    Int(i64),
    Tensor(Tensor),
}

/// A tensor as a view of a storage.
#[derive(Clone)]
pub struct Tensor {
    /// `FloatStorage` and the like.
    pub class: &'static str,
    /// The storage's key, and how many values the pickle says it has.
    pub storage: (String, i64),
    pub offset: i64,
    pub shape: Vec<usize>,
    pub strides: Vec<i64>,
}

impl Tensor {
    /// A view of all of a storage, row by row.
    pub fn contiguous(key: impl ToString, shape: &[usize]) -> Self {
        let mut strides = vec![1i64; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i] * shape[i] as i64;
        }
        let count = shape.iter().product::<usize>() as i64;
        Self {
            class: "FloatStorage",
            storage: (key.to_string(), count),
            offset: 0,
            shape: shape.to_vec(),
            strides,
        }
    }

    /// One value, over and over.
    pub fn repeated(key: impl ToString, shape: &[usize]) -> Self {
        let strides = vec![0; shape.len()];
        Self { storage: (key.to_string(), 1), strides, ..Self::contiguous(key.to_string(), shape) }
    }
}

/// A state_dict.
pub fn dict(tensors: Vec<(String, Tensor)>) -> Object {
    Object::Dict(tensors.into_iter().map(|(name, tensor)| (name, Object::Tensor(tensor))).collect())
}

/// The pickle of an object.
pub fn pickle(object: &Object) -> Vec<u8> {
    let mut out = b"\x80\x02".to_vec();
    write(object, &mut out);
    out.push(b'.');
    out
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn int(value: i64, out: &mut Vec<u8>) {
    out.extend([0x8a, 8]);
    out.extend(value.to_le_bytes());
}

fn tuple(values: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
    out.push(b'(');
    values.for_each(|value| int(value, out));
    out.push(b't');
}

fn write(object: &Object, out: &mut Vec<u8>) {
    match object {
        Object::Int(value) => int(*value, out),
        Object::Dict(entries) => {
            out.extend(b"}(");
            for (key, value) in entries {
                text(key, out);
                write(value, out);
            }
            out.push(b'u');
        }
        Object::Tensor(tensor) => {
            out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text("storage", out);
            out.extend(format!("ctorch\n{}\n", tensor.class).as_bytes());
            text(&tensor.storage.0, out);
            text("cpu", out);
            int(tensor.storage.1, out);
            out.extend(b"tQ");
            int(tensor.offset, out);
            tuple(tensor.shape.iter().map(|&d| d as i64), out);
            tuple(tensor.strides.iter().copied(), out);
            // requires_grad, and no hooks.
            out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        }
    }
}

/// Writes an archive of a pickle and storages, as `torch.save` would, or deflated.
pub fn save(path: &Path, pickle: &[u8], storages: &[(String, Vec<u8>)], method: CompressionMethod) {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    let mut entry = |name: &str, content: &[u8]| {
        writer.start_file(name, options).unwrap();
        writer.write_all(content).unwrap();
    };
    entry("archive/data.pkl", pickle);
    entry("archive/byteorder", b"little");
    for (key, content) in storages {
        entry(&format!("archive/data/{key}"), content);
    }
    entry("archive/version", b"3\n");
    std::fs::write(path, writer.finish().unwrap().into_inner()).unwrap();
}
