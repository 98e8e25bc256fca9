//! The program in a folder of its own, with a corpus so small that a training takes a moment.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::recipe::{data, lists, model, rising, train};

/// Twelve training utterances: three steps an epoch, each with a checkpoint.
fn recipe() -> String {
    let checkpoints = "keep = 2\ncheckpoint_every = \"1 steps\"\n";
    [data(&lists("corpus")), model(16, 4), rising(1), train(2, checkpoints)].concat()
}

/// How long a command may take before it counts as a hang.
const PATIENCE: Duration = Duration::from_secs(180);

/// Files of a folder by their path in it.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A run of the program that has ended.
pub struct Ran {
    pub status: ExitStatus,
    pub err: String,
}

impl Ran {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let lines: Vec<&str> = self.err.lines().collect();
        let last = &lines[lines.len().saturating_sub(12)..];
        write!(f, "{}: {}", self.status, last.join("\n    "))
    }
}

/// A run in progress.
pub struct Running {
    child: Child,
    /// Standard error. The program shares the file position, so it is read at the end only.
    err: File,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let err = tempfile::tempfile().unwrap();
        let theirs = err.try_clone().unwrap();
        let child = command.stdout(Stdio::null()).stderr(theirs).spawn().unwrap();
        Self { child, err }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends a signal by its name, unless the run is over.
    #[cfg(unix)]
    pub fn signal(&mut self, name: &str) {
        // Its process id cannot be reused before it is waited for.
        if !self.is_over() {
            let mut kill = Command::new("kill");
            kill.args([format!("-{name}"), self.id().to_string()]);
            assert!(kill.status().unwrap().success(), "kill -{name}");
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The run does not end in time.
    pub fn end(mut self) -> Result<Ran, String> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.err.rewind().unwrap();
                let mut bytes = Vec::new();
                self.err.read_to_end(&mut bytes).unwrap();
                return Ok(Ran { status, err: String::from_utf8_lossy(&bytes).into_owned() });
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("no end after {} s", PATIENCE.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failing test must leave nothing running. Errors mean that the run has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder in which the program runs.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// An empty place, in memory where the system offers that, because every write is synced.
    pub fn empty() -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self { dir: tempfile::Builder::new().prefix("revox-faults-").tempdir_in(root).unwrap() }
    }

    /// A place with the corpus and the recipe.
    pub fn with_corpus() -> Self {
        let place = Self::empty();
        let sizes =
            ["--speakers", "3", "--dev-speakers", "3", "--utterances", "4", "--seconds", "0.7"];
        place.ok(&[&["synth", "corpus"][..], &sizes].concat());
        place.write("r.toml", recipe().as_bytes());
        place
    }

    /// A place with a trained model `m.safetensors` too.
    pub fn with_model() -> Self {
        let place = Self::with_corpus();
        place.ok(&["train", "r.toml", "--out", "first"]);
        std::fs::rename(place.path("first/model.safetensors"), place.path("m.safetensors"))
            .unwrap();
        std::fs::remove_dir_all(place.path("first")).unwrap();
        place
    }

    /// Another place with the same files.
    pub fn copy(&self) -> Self {
        let copy = Self::empty();
        for entry in walkdir::WalkDir::new(self.dir.path()).min_depth(1) {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(self.dir.path()).unwrap();
            let to = copy.dir.path().join(name);
            if entry.file_type().is_dir() {
                std::fs::create_dir(&to).unwrap();
                continue;
            }
            // Nothing writes into the corpus, and links are faster than copies.
            let linked =
                name.starts_with("corpus") && std::fs::hard_link(entry.path(), &to).is_ok();
            if !linked {
                std::fs::copy(entry.path(), &to).unwrap();
            }
        }
        copy
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Every file here but those of the corpus.
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        let is_other = |e: &walkdir::DirEntry| e.path() != self.path("corpus");
        for entry in walkdir::WalkDir::new(self.dir.path()).into_iter().filter_entry(is_other) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let name = entry.path().strip_prefix(self.dir.path()).unwrap();
                let name = name
                    .components()
                    .map(|c| c.as_os_str().to_string_lossy())
                    .collect::<Vec<_>>()
                    .join("/");
                files.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
        files
    }

    /// Temporary files and folders of the program, locks included.
    pub fn temporaries(&self) -> Vec<String> {
        let all = walkdir::WalkDir::new(self.dir.path()).into_iter().map(Result::unwrap);
        let ours = all.filter(|e| e.file_name().to_string_lossy().starts_with(".revox-"));
        ours.map(|e| e.path().display().to_string()).collect()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_revox"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        // Several runs share the machine, and these networks are too small for two threads.
        command
            .env("RAYON_NUM_THREADS", "1")
            .env_remove("REVOX_FAULT")
            .env_remove("REVOX_FAULT_LOG");
        command
    }

    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(&mut self.command(args))
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.start(args).end().unwrap()
    }

    /// Runs with a variable of the environment.
    pub fn run_with(&self, args: &[&str], name: &str, value: &str) -> Result<Ran, String> {
        Running::start(self.command(args).env(name, value)).end()
    }

    /// Runs and expects success.
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code(), Some(0), "revox {}: {ran}", args.join(" "));
        ran
    }

    /// Waits until a file is there.
    pub fn wait_for(&self, running: &mut Running, name: &str) {
        let begun = Instant::now();
        while !self.has(name) {
            assert!(begun.elapsed() < PATIENCE && !running.is_over(), "no {name}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A number from the environment.
pub fn variable(name: &str, otherwise: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number is wanted")),
        Err(_) => otherwise,
    }
}

/// Whether the program has fault points. In CI it must have them.
pub fn has_fault_points() -> bool {
    if cfg!(debug_assertions) {
        return true;
    }
    let message = "builds without debug assertions have no fault points";
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "in CI the tests of faults must run: {message}"
    );
    eprintln!("skipped: {message}");
    false
}
