//! A card that is not there, and this program again as a process that uses it.

#![allow(unsafe_code, reason = "NVRTC is looked for by loading it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What the stand-in is to be.
#[derive(Debug, Clone, Copy)]
pub struct Card {
    /// Compute capability.
    pub arch: u32,
    /// Bytes.
    pub memory: u64,
    /// The launches after which the card is lost.
    pub lost: u64,
}

impl Default for Card {
    fn default() -> Self {
        Self { arch: 80, memory: 80 << 30, lost: u64::MAX }
    }
}

/// What a process has done on a card.
pub struct Done {
    /// Its output.
    pub said: String,
    /// Entry points of the kernels that were loaded.
    pub kernels: Vec<String>,
    /// Launches that the card refused.
    pub faults: Vec<String>,
}

impl Card {
    /// Runs an ignored test of this program on the card; nothing where NVRTC is missing.
    ///
    /// # Panics
    /// If the test fails, and in CI if NVRTC is missing.
    pub fn run(&self, test: &str, env: &[(&str, &str)]) -> Option<Done> {
        if let Some(lacks) = lacks() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has NVRTC: {lacks}");
            eprintln!("skipped: {lacks}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("report");
        let mut path = stand_ins().as_os_str().to_owned();
        if let Some(more) = std::env::var_os("LD_LIBRARY_PATH") {
            path.push(":");
            path.push(more);
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture"])
            .env("LD_LIBRARY_PATH", path)
            .env("BURN_DEVICE", "cuda")
            .env("STAND_IN_ARCH", self.arch.to_string())
            .env("STAND_IN_MEMORY", self.memory.to_string())
            .env("STAND_IN_LOST", self.lost.to_string())
            .env("STAND_IN_REPORT", &report)
            .envs(env.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{test} on {self:?}: {}\n{said}\n{told}",
            output.status
        );
        let text = std::fs::read_to_string(&report).unwrap_or_default();
        let lines = |word: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(word));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let kernels = lines("kernel ");
        let names = kernels.iter().filter_map(|line| line.rsplit(' ').next());
        Some(Done { said, kernels: names.map(str::to_owned).collect(), faults: lines("fault ") })
    }
}

/// What of NVRTC is missing.
fn lacks() -> Option<String> {
    // SAFETY: only loads a library by NVIDIA's names for it.
    let library = unsafe { cudarc::nvrtc::sys::is_culib_present() };
    let toolkit = cubecl_cuda::install::cuda_path();
    let headers = toolkit.is_some_and(|path| path.join("include/cuda_bf16.h").is_file());
    let how = "set CUDA_PATH and LD_LIBRARY_PATH, as `revox doctor` says";
    match (library, headers) {
        (true, true) => None,
        (false, _) => Some(format!("libnvrtc is not on the library path; {how}")),
        (true, false) => Some(format!("there are no CUDA headers; {how}")),
    }
}

/// The folder with the stand-ins, compiled once a process.
fn stand_ins() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stand-in");
        std::fs::create_dir_all(&folder).unwrap();
        compile("driver", &folder.join("libcuda.so"));
        if cfg!(feature = "nccl") {
            compile("nccl", &folder.join("libnccl.so.2"));
        }
        folder
    })
}

fn compile(name: &str, library: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cuda/{name}/lib.rs"));
    let part = library.with_file_name(format!("{}-{name}.so", std::process::id()));
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler)
        .args(["--edition", "2024", "-O", "-D", "warnings", "-o"])
        .args([&part, &source])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}", source.display());
    std::fs::rename(part, library).unwrap();
}
