//! Names of outputs that promise a format.

use std::path::Path;

use super::is_stdout;
use crate::error::{Error, Result};

/// Endings of formats that programs know. A file with other content under such a name would be
/// taken for what it is not. Other endings, and none, promise nothing.
const PROMISES: [&str; 35] = [
    "ark",
    "bin",
    "ckpt",
    "csv",
    "flac",
    "gguf",
    "gz",
    "h5",
    "hdf5",
    "html",
    "jpg",
    "json",
    "jsonl",
    "m4a",
    "mat",
    "mp3",
    "npy",
    "npz",
    "ogg",
    "onnx",
    "parquet",
    "pdf",
    "pickle",
    "pkl",
    "png",
    "pt",
    "pth",
    "safetensors",
    "scp",
    "svg",
    "tar",
    "tsv",
    "txt",
    "wav",
    "zip",
];

/// Refuses an output whose ending promises another format than those of `written`, which are
/// endings without a dot.
///
/// # Errors
/// Such a name, with the endings that are written.
pub(crate) fn check_ending(output: &Path, written: &[&str]) -> Result<()> {
    let ending = output.extension().and_then(|ending| ending.to_str());
    let Some(ending) = ending.map(str::to_ascii_lowercase) else { return Ok(()) };
    let promises = PROMISES.contains(&ending.as_str()) && !written.contains(&ending.as_str());
    if !promises || is_stdout(output) {
        return Ok(());
    }
    let written: Vec<String> = written.iter().map(|ending| format!(".{ending}")).collect();
    let message = format!("no file of this ending is written; give one of: {}", written.join(", "));
    Err(Error::file(output, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_promises() {
        let written = ["safetensors", "npz"];
        let check = |name: &str| check_ending(Path::new(name), &written);
        for name in ["a.safetensors", "a.npz", "a.NPZ", "a", "-", "a.emb", "v1.2", "csv/a"] {
            check(name).unwrap();
        }
        for ending in PROMISES.iter().filter(|ending| !written.contains(*ending)) {
            for name in [format!("a.{ending}"), format!("b/a.{}", ending.to_uppercase())] {
                let error = check(&name).unwrap_err().to_string();
                assert!(error.starts_with(&name), "{error}");
                assert!(error.ends_with("give one of: .safetensors, .npz"), "{error}");
            }
        }
    }
}
