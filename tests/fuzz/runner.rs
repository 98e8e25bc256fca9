//! Runs a target on one mutated input after another until its time is up.
//!
//! | variable | meaning |
//! |---|---|
//! | `REVOX_FUZZ_SECONDS` | seconds for each target, 2 unless given |
//! | `REVOX_FUZZ_FROM` | number of the first input, 0 unless given |
//! | `REVOX_FUZZ_SEED` | tries the input of this number and no other |
//! | `REVOX_FUZZ_INPUT` | tries this file and nothing else |
//! | `REVOX_FUZZ_DIR` | folder for the inputs; memory where the system offers that |
//!
//! The same number is the same input wherever the same seed files are. An abort leaves the input
//! and its number in the folder that was printed when the target began.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use revox::rng::Stream;

use crate::allocator;

/// What became of an input.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was read as something good.
    Read,
    /// An error said what is wrong with it.
    Refused,
}

/// A verdict, or which promise was broken.
pub type Outcome = Result<Verdict, String>;

/// What is fuzzed. Its name is that of the test.
pub struct Target<'a> {
    pub name: &'a str,
    /// Name of the input's file.
    pub file: &'a str,
    /// Files that must be read. If they are refused, the target tests nothing.
    pub good: &'a [Vec<u8>],
    /// Makes an input.
    pub make: &'a dyn Fn(&mut Stream) -> Vec<u8>,
    /// Reads an input, given as a path and as bytes.
    pub read: &'a dyn Fn(&Path, &[u8]) -> Outcome,
}

/// Bytes that a reader may hold for any input, and for each byte of it.
const MEMORY: (usize, usize) = (64 << 20, 64);
/// An input that takes so many seconds counts as a hang.
const SLOW: f64 = 5.0;
/// Milliseconds after which an input is given up.
const STUCK: u64 = 60_000;

/// Memory and panics are counted by process, so targets take turns.
static TURN: Mutex<()> = Mutex::new(());
/// Whether the runner reports a panic instead of the usual hook.
static QUIET: AtomicBool = AtomicBool::new(false);
/// Text of the last panic.
static PANIC: Mutex<String> = Mutex::new(String::new());
/// When the input in progress began, in milliseconds of [`now`]; 0 for none.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Fuzzes a target.
pub fn run(target: &Target) {
    run_with(target, &[]);
}

/// Fuzzes a target whose files are compressed: so many bytes may be held for each byte of an input.
pub fn run_expanding(target: &Target, each: usize) {
    run_all(target, &[], each);
}

/// Fuzzes a target. `made` are named inputs that failed once and are too large for its folder of
/// findings.
pub fn run_with(target: &Target, made: &[(&str, Vec<u8>)]) {
    run_all(target, made, MEMORY.1);
}

fn run_all(target: &Target, made: &[(&str, Vec<u8>)], each: usize) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    prepare();
    let folder = folder(target.name);
    let try_one = |label: &str, bytes: &[u8]| attempt(target, each, &folder, label, bytes);
    if let Some(path) = std::env::var_os("REVOX_FUZZ_INPUT") {
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        println!("{}: {:?}", target.name, try_one("REVOX_FUZZ_INPUT", &bytes));
        let _ = std::fs::remove_dir_all(folder);
        return;
    }
    let input = |number: u64| (target.make)(&mut Stream::new(number, target.name, &[]));
    if let Some(number) = variable::<u64>("REVOX_FUZZ_SEED") {
        println!("{}: {:?}", target.name, try_one(&number.to_string(), &input(number)));
        let _ = std::fs::remove_dir_all(folder);
        return;
    }
    for (i, bytes) in target.good.iter().enumerate() {
        let verdict = try_one(&format!("good file {i}"), bytes);
        assert!(verdict == Verdict::Read, "{}: good file {i} is refused", target.name);
    }
    // Any verdict will do, in time and without a panic.
    for path in findings(target.name) {
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        try_one(&path.display().to_string(), &bytes);
    }
    for (name, bytes) in made {
        try_one(name, bytes);
    }
    assert!(
        !Path::new("revox-ran-this").exists(),
        "{}: a command in an input was run",
        target.name
    );
    let time = Duration::from_secs_f64(variable("REVOX_FUZZ_SECONDS").unwrap_or(2.0));
    let (start, mut read, mut refused) = (Instant::now(), 0u64, 0u64);
    for number in variable::<u64>("REVOX_FUZZ_FROM").unwrap_or(0).. {
        match try_one(&number.to_string(), &input(number)) {
            Verdict::Read => read += 1,
            Verdict::Refused => refused += 1,
        }
        if start.elapsed() > time {
            break;
        }
    }
    println!("{}: {read} inputs read, {refused} refused", target.name);
    let _ = std::fs::remove_dir_all(folder);
}

/// Where the folders of findings are.
fn all_findings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/findings")
}

/// Names in a folder, in order; none if there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let names =
        std::fs::read_dir(folder).into_iter().flatten().map(|e| e.expect("an entry").path());
    let mut names: Vec<PathBuf> = names.collect();
    names.sort();
    names
}

/// Files that a target once failed on.
fn findings(target: &str) -> Vec<PathBuf> {
    entries(&all_findings().join(target))
}

/// No target would try a folder that has another name than a target.
#[test]
fn every_finding_has_its_target() {
    let program = std::env::current_exe().expect("this program");
    let listed = std::process::Command::new(program)
        .args(["--list", "--format", "terse"])
        .output()
        .expect("a list");
    let listed = String::from_utf8(listed.stdout).expect("names of tests");
    let folders: Vec<PathBuf> =
        entries(&all_findings()).into_iter().filter(|path| path.is_dir()).collect();
    assert!(folders.len() > 5, "{folders:?}");
    for folder in folders {
        let name = folder.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let is_target = listed.lines().any(|line| line.ends_with(&format!("::{name}: test")));
        assert!(
            is_target && !entries(&folder).is_empty(),
            "{name} is no target, or has no findings"
        );
    }
}

/// Tries an input. The test ends where a promise is broken.
fn attempt(target: &Target, each: usize, folder: &Path, label: &str, bytes: &[u8]) -> Verdict {
    let path = folder.join(target.file);
    std::fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    std::fs::write(folder.join("seed"), format!("{label}\n")).expect("the folder takes files");
    let outcome = measured(target, each, &path, bytes);
    outcome.unwrap_or_else(|what| {
        panic!(
            "{name}, input {label}: {what}\n{bytes} bytes in {path}\n\
             again: REVOX_FUZZ_INPUT={path} cargo test --test fuzz {name} -- --nocapture",
            name = target.name,
            bytes = bytes.len(),
            path = path.display(),
        )
    })
}

fn measured(target: &Target, each: usize, path: &Path, bytes: &[u8]) -> Outcome {
    let (held, start) = (allocator::begin(), Instant::now());
    BEGUN.store(now(), Relaxed);
    QUIET.store(true, Relaxed);
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.read)(path, bytes)));
    QUIET.store(false, Relaxed);
    BEGUN.store(0, Relaxed);
    let (seconds, used, asked) =
        (start.elapsed().as_secs_f64(), allocator::peak_above(held), allocator::refused());
    let verdict = outcome
        .unwrap_or_else(|_| Err(PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone()))?;
    let most = MEMORY.0 + each * bytes.len();
    if asked > 0 {
        return Err(format!("asked for {asked} bytes"));
    }
    if used > most {
        return Err(format!("held {used} bytes; {most} are enough for its size"));
    }
    if seconds > SLOW {
        return Err(format!("took {seconds:.1} s"));
    }
    Ok(verdict)
}

/// The value of a variable of the environment, if it is given.
fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number is wanted")))
}

/// A folder for the inputs of a target.
fn folder(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let root = match std::env::var_os("REVOX_FUZZ_DIR") {
        Some(given) => PathBuf::from(given),
        None if memory.is_dir() => memory.to_owned(),
        None => std::env::temp_dir(),
    };
    let folder = root.join(format!("revox-fuzz-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    // The test harness keeps what `println!` prints, and an abort would lose it.
    tell(&format!("fuzz {name}: inputs are in {}\n", folder.display()));
    folder
}

fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Milliseconds of a clock that is never 0.
fn now() -> u64 {
    static BASE: OnceLock<Instant> = OnceLock::new();
    1 + BASE.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// Keeps panics of readers off the terminal, and watches for inputs without an end.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match QUIET.load(Relaxed) {
            true => *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string(),
            false => usual(info),
        }));
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let begun = BEGUN.load(Relaxed);
                if begun != 0 && now().saturating_sub(begun) > STUCK {
                    tell("fuzz: an input has no end; it lies in the folder that was named last\n");
                    std::process::exit(101);
                }
            }
        });
    });
}
