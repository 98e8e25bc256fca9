//! The program as ranks of `mpirun`, and signals to one of them.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::launch::mpirun;
use crate::place::{Place, Ran};

/// How long anything here may take before it counts as a hang.
const PATIENCE: Duration = Duration::from_secs(180);

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_revox");

/// Ranks under way.
pub struct Job {
    mpirun: Child,
    /// Standard output and standard error. The launcher shares the file positions, so they are read
    /// at the end only.
    said: [File; 2],
}

/// Runs the program as so many ranks, to its end.
pub fn run(place: &Place, ranks: usize, args: &[&str]) -> Ran {
    Job::start(place, &[], &[(ranks, args)]).end()
}

/// The same, which must end well. Returns what went to standard output.
pub fn ok(place: &Place, ranks: usize, args: &[&str]) -> String {
    let ran = run(place, ranks, args);
    assert_eq!(ran.code, 0, "{ranks} ranks of revox {}: {}", args.join(" "), ran.err);
    ran.out
}

impl Job {
    /// Starts shares of ranks, each with arguments of its own. `options` are those of `mpirun`.
    pub fn start(place: &Place, options: &[&str], shares: &[(usize, &[&str])]) -> Self {
        let [(ranks, args), others @ ..] = shares else { panic!("no ranks") };
        let mut command = mpirun(*ranks);
        command.args(options).arg(PROGRAM).args(*args);
        for (ranks, args) in others {
            command.args([":", "-n", &ranks.to_string(), PROGRAM]).args(*args);
        }
        let said = [(); 2].map(|()| tempfile::tempfile().unwrap());
        let [out, err] = said.each_ref().map(|file| file.try_clone().unwrap());
        command.current_dir(place.dir.path()).stdin(Stdio::null()).stdout(out).stderr(err);
        Self { mpirun: command.spawn().unwrap(), said }
    }

    /// Whether all ranks have ended.
    pub fn is_over(&mut self) -> bool {
        self.mpirun.try_wait().unwrap().is_some()
    }

    /// Sends a signal to a rank by its name. Returns the rank's process; nothing if there is none.
    pub fn signal(&self, rank: usize, name: &str) -> Option<u32> {
        let wanted = format!("OMPI_COMM_WORLD_RANK={rank}");
        let is_wanted = |id: &u32| {
            let all = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            all.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes())
        };
        children(self.mpirun.id()).into_iter().find(is_wanted).filter(|&id| kill(id, name))
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ran {
        let status = wait_for("the end", || self.mpirun.try_wait().unwrap());
        let [out, err] = self.said.each_mut().map(|file| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ran { code: status.code().unwrap_or(-1), out, err }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // A failing test must leave nothing running, and a rank that is stopped would stay.
        if matches!(self.mpirun.try_wait(), Ok(None)) {
            for id in children(self.mpirun.id()) {
                kill(id, "KILL");
            }
            let _ = self.mpirun.kill();
            let _ = self.mpirun.wait();
        }
    }
}

/// Looks again and again until there is something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not come in {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Whether a process has not ended. Its parent may not have asked yet how it did.
pub fn is_running(id: u32) -> bool {
    status(id).is_some_and(|(state, _)| state != "Z")
}

/// State and parent of a process, if it is there.
fn status(id: u32) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in front, in parentheses, may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn children(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|&id| status(id).is_some_and(|(_, of)| of == parent)).collect()
}

/// Sends a signal. Says whether the process was there.
fn kill(id: u32, name: &str) -> bool {
    // The shell's own `kill`: the program is not everywhere.
    let command = format!("kill -{name} {id}");
    Command::new("sh").args(["-c", &command]).stderr(Stdio::null()).status().unwrap().success()
}
