//! Where reference values and recordings lie. Those of `tests/fixtures` are always there. The
//! shared data holds larger ones. Tests that need it say so and pass where it is missing, except in
//! CI.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

/// A file or folder of `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path);
    assert!(path.exists(), "{} is not there", path.display());
    path
}

/// A file or folder of the shared data, or nothing when this checkout is without them.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root =
        std::env::var_os("REVOX_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let wanted = root.join(path);
    if wanted.exists() {
        // The program runs in folders of its own.
        return Some(std::path::absolute(wanted).unwrap());
    }
    let message =
        format!("{} is not there (REVOX_SHARED names the folder that holds it)", wanted.display());
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "in CI the shared data must be there: {message}"
    );
    eprintln!("skipped: {message}");
    None
}

/// `shared`, or leave the test.
#[macro_export]
macro_rules! shared_or_skip {
    ($path:expr) => {
        match $crate::shared::shared($path) {
            Some(path) => path,
            None => return,
        }
    };
}

/// The committed set of values and, where the shared data is there, the larger one, each with what
/// is known of it.
pub fn sets<T>(committed: (&str, T), large: (&str, T)) -> Vec<(PathBuf, T)> {
    let mut sets = vec![(fixture(committed.0), committed.1)];
    sets.extend(shared(large.0).map(|folder| (folder, large.1)));
    sets
}

/// Tensors of a safetensors file.
pub struct Tensors(Vec<u8>);

impl Tensors {
    pub fn open(path: PathBuf) -> Self {
        Self(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        self.file().names().into_iter().map(str::to_owned).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.file().tensor(name).is_ok()
    }

    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.file().tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).shape().to_vec()
    }

    pub fn f32(&self, name: &str) -> Vec<f32> {
        let file = self.file();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(view.dtype(), safetensors::Dtype::F32, "{name}");
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    pub fn f64(&self, name: &str) -> Vec<f64> {
        let file = self.file();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(view.dtype(), safetensors::Dtype::F64, "{name}");
        view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
    }

    pub fn i64(&self, name: &str) -> Vec<i64> {
        let file = self.file();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(view.dtype(), safetensors::Dtype::I64, "{name}");
        view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect()
    }

    pub fn u8(&self, name: &str) -> Vec<u8> {
        self.file().tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).data().to_vec()
    }
}

/// A JSON file.
pub fn json(path: PathBuf) -> serde_json::Value {
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
