//! The program in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A finished run of the program.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The program in a folder of its own.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn make() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_revox"));
        command.args(args).current_dir(self.dir.path()).stdin(std::process::Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        finish(self.command(args).output().unwrap())
    }

    /// Runs and expects success.
    pub fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "revox {}: {}", args.join(" "), ran.err);
        ran.out
    }

    /// Runs with --json and parses stdout.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut all = args.to_vec();
        all.push("--json");
        let out = self.ok(&all);
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e} in {out}"))
    }

    /// Runs and expects exit 1 with all of `wanted` on stderr, nothing on stdout, and no panic.
    pub fn fails(&self, args: &[&str], wanted: &[&str]) {
        self.ends(1, args, wanted);
    }

    /// The same with another exit code: 2 is that of options that do not go together.
    pub fn ends(&self, code: i32, args: &[&str], wanted: &[&str]) {
        let ran = self.run(args);
        let what = format!("revox {}: code {}, {}", args.join(" "), ran.code, ran.err);
        assert_eq!(ran.code, code, "{what}");
        assert!(ran.out.is_empty(), "{what}: stdout {}", ran.out);
        assert!(!ran.err.contains("panicked"), "{what}");
        for w in wanted {
            assert!(ran.err.contains(w), "`{w}` is not in: {what}");
        }
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// 16-bit mono WAV at 16 kHz: a buzz of a few harmonics.
    pub fn wav(&self, name: &str, seconds: f64, pitch: f64) {
        let n = (seconds * 16000.0) as usize;
        let samples: Vec<f32> = (0..n)
            .map(|i| {
                let t = i as f64 / 16000.0 * std::f64::consts::TAU * pitch;
                (0.1 * (t.sin() + (2.0 * t).sin() * 0.5 + (5.0 * t).sin() * 0.3)) as f32
            })
            .collect();
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        revox::audio::write_wav16(path, &samples, 16000).unwrap();
    }

    /// An untrained small model.
    pub fn model(&self, name: &str) {
        let arch = revox::zoo::Architecture {
            width: 2,
            mels: 40,
            embedding_dim: 16,
            ..revox::zoo::Architecture::named("resnet10").unwrap()
        };
        let network = arch.init(&Default::default(), 1).unwrap();
        let fbank = revox::audio::FbankConfig { mels: 40, ..Default::default() };
        let frontend = revox::model_file::Frontend { fbank, cmn: true };
        let mut header = revox::model_file::Header::new(arch, frontend);
        header.scoring.threshold_eer = Some(0.5);
        revox::model_file::Model { header, network }
            .save(self.path(name), Default::default())
            .unwrap();
    }

    /// Names in a folder.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(folder))
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

pub fn finish(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Whether there is `/dev/full`, a disk without room. Linux has it.
pub fn has_full_disk() -> bool {
    let is_there = Path::new("/dev/full").exists();
    assert!(is_there || !cfg!(target_os = "linux"), "/dev/full is not there");
    if !is_there {
        eprintln!("skipped: no /dev/full here");
    }
    is_there
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}
