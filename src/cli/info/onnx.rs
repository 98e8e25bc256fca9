//! What `revox info` tells of ONNX files.

use std::path::Path;

use serde_json::{Value, json};

use super::length;
use crate::bytes::{counted, human};
use crate::cli::Global;
use crate::error::Result;
use crate::model_file::{OnnxFile, OnnxPort, OnnxTensor};
use crate::terminal::outln;

/// Characters of a metadata value in a line.
const SHOWN: usize = 60;

/// Tells of a file if it is an ONNX file; `layers` wants every initialiser. Returns whether it is.
///
/// # Errors
/// A file that is damaged, or keeps weights in another file.
pub(super) fn show(path: &Path, layers: bool, global: &Global) -> Result<bool> {
    if !OnnxFile::is_one(path) {
        return Ok(false);
    }
    let (file, bytes) = (OnnxFile::read(path)?, length(path)?);
    match global.json {
        true => outln!("{}", as_json(&file, bytes, layers)),
        false => print(&file, bytes, layers),
    }
    Ok(true)
}

fn print(file: &OnnxFile, bytes: u64, layers: bool) {
    outln!("what          an ONNX file; `revox import` makes a model of it");
    outln!("written by    {}", file.producer.escape_debug());
    outln!("opset         {}", file.opset);
    outln!("file          {bytes} bytes");
    for (name, ports) in [("input", &file.inputs), ("output", &file.outputs)] {
        for (port, sizes) in ports {
            outln!("{name:14}{} [{}]", port.escape_debug(), sizes_of(sizes));
        }
    }
    let operations = file.operations.iter();
    let operations: Vec<String> =
        operations.map(|(op, count)| format!("{count} {}", op.escape_debug())).collect();
    outln!("operations    {}", operations.join(", "));
    for (dtype, count, bytes) in by_format(file) {
        let tensors = counted(count, "tensor");
        outln!("initialisers  {tensors} of {dtype}, {} ({bytes} bytes)", human(bytes));
    }
    for (key, value) in &file.metadata {
        let short: String = value.chars().take(SHOWN).collect();
        let more = if short.len() < value.len() { "..." } else { "" };
        outln!("metadata      {}: {}{more}", key.escape_debug(), short.escape_debug());
    }
    if layers {
        for OnnxTensor { name, dtype, shape, bytes } in &file.tensors {
            let name = name.escape_debug().to_string();
            outln!("{name:40} {shape:?} {dtype}, {bytes} bytes");
        }
    }
}

/// Sizes of axes, with `?` for those that are left open.
fn sizes_of(sizes: &[usize]) -> String {
    let size = |&size: &usize| if size == 0 { "?".to_owned() } else { size.to_string() };
    sizes.iter().map(size).collect::<Vec<_>>().join(", ")
}

/// Number formats, with the number of initialisers and their bytes.
fn by_format(file: &OnnxFile) -> Vec<(&str, usize, u64)> {
    let mut formats: Vec<&str> = file.tensors.iter().map(|tensor| &*tensor.dtype).collect();
    formats.sort_unstable();
    formats.dedup();
    let rows = formats.into_iter().map(|dtype| {
        let own = file.tensors.iter().filter(|tensor| tensor.dtype == dtype);
        (dtype, own.clone().count(), own.map(|tensor| tensor.bytes as u64).sum())
    });
    rows.collect()
}

fn tensor(tensor: &OnnxTensor) -> Value {
    let OnnxTensor { name, dtype, shape, bytes } = tensor;
    json!({"name": name, "dtype": dtype, "shape": shape, "bytes": bytes})
}

fn as_json(file: &OnnxFile, bytes: u64, layers: bool) -> Value {
    let ports = |ports: &[OnnxPort]| -> Vec<Value> {
        let port = |(name, sizes): &OnnxPort| {
            let size = |&size: &usize| if size == 0 { Value::Null } else { json!(size) };
            json!({"name": name, "size": sizes.iter().map(size).collect::<Vec<_>>()})
        };
        ports.iter().map(port).collect()
    };
    let initialisers: Vec<Value> = by_format(file)
        .into_iter()
        .map(|(dtype, count, bytes)| json!({"dtype": dtype, "count": count, "bytes": bytes}))
        .collect();
    // Our own header is JSON.
    let value = |text: &String| serde_json::from_str(text).ok().filter(Value::is_object);
    let metadata: serde_json::Map<String, Value> = file
        .metadata
        .iter()
        .map(|(key, text)| (key.clone(), value(text).unwrap_or_else(|| json!(text))))
        .collect();
    json!({
        "kind": "onnx",
        "bytes": bytes,
        "producer": file.producer,
        "opset": file.opset,
        "inputs": ports(&file.inputs),
        "outputs": ports(&file.outputs),
        "operations": file.operations,
        "initialisers": initialisers,
        "metadata": metadata,
        "layers": layers.then(|| file.tensors.iter().map(tensor).collect::<Vec<Value>>()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_summed_and_open_axes_are_none() {
        let tensor = |name: &str, dtype: &str, bytes| OnnxTensor {
            name: name.to_owned(),
            dtype: dtype.to_owned(),
            shape: vec![bytes],
            bytes,
        };
        let file = OnnxFile {
            inputs: vec![("feats".to_owned(), vec![0, 0, 80])],
            tensors: vec![tensor("a", "F32", 8), tensor("b", "U8", 3), tensor("c", "F32", 4)],
            metadata: [("a".to_owned(), "{\"b\": 1}".to_owned())].into(),
            ..OnnxFile::default()
        };
        assert_eq!(by_format(&file), [("F32", 2, 12), ("U8", 1, 3)]);
        assert_eq!(sizes_of(&file.inputs[0].1), "?, ?, 80");
        let told = as_json(&file, 5, true);
        assert_eq!(told["inputs"][0]["size"], json!([null, null, 80]));
        assert_eq!((&told["metadata"]["a"]["b"], &told["bytes"]), (&json!(1), &json!(5)));
        assert_eq!(told["layers"][1]["name"], "b");
        assert_eq!(as_json(&file, 5, false)["layers"], Value::Null);
    }
}
