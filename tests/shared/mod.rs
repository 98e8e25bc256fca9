//! Where the reference values and recordings lie. Without them the tests that need them say so and
//! pass, except in CI.

use std::path::PathBuf;

use safetensors::SafeTensors;

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

/// Tensors of a safetensors file.
pub struct Tensors(Vec<u8>);

#[allow(dead_code, reason = "each test program uses a part")]
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

    pub fn i64(&self, name: &str) -> Vec<i64> {
        let file = self.file();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(view.dtype(), safetensors::Dtype::I64, "{name}");
        view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect()
    }

    pub fn u8(&self, name: &str) -> Vec<u8> {
        self.file().tensor(name).unwrap().data().to_vec()
    }
}

/// A JSON file.
#[allow(dead_code, reason = "each test program uses a part")]
pub fn json(path: PathBuf) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}
