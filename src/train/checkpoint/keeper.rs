//! When and where checkpoints are written, and which ones are kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Snapshot;
use crate::error::{Error, Remedy, Result};
use crate::fs;
use crate::train::recipe::Every;

/// The newest checkpoint of a run.
pub(in crate::train) const NEWEST: &str = "checkpoint.safetensors";
/// The longest wait for the next attempt after a failure.
const RETRY: Duration = Duration::from_secs(60);

/// The name of an older checkpoint, made at a step.
fn older(step: usize) -> String {
    format!("checkpoint-{step}.safetensors")
}

/// The steps of a folder's older checkpoints, newest first.
fn older_steps(folder: &Path) -> Vec<usize> {
    let step =
        |entry: std::io::Result<std::fs::DirEntry>| step_of(entry.ok()?.file_name().to_str()?);
    let mut steps: Vec<usize> =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(step).collect();
    steps.sort_unstable_by(|a, b| b.cmp(a));
    steps
}

/// Whether a name is that of an older checkpoint.
pub(in crate::train) fn is_older(name: &str) -> bool {
    step_of(name).is_some()
}

/// The step in the name of an older checkpoint. A number spelled in another way is not ours.
fn step_of(name: &str) -> Option<usize> {
    let step = name.strip_prefix("checkpoint-")?.strip_suffix(".safetensors")?.parse().ok()?;
    (older(step) == name).then_some(step)
}

/// The checkpoint to go on with: the newest, or the one before where the newest is gone.
pub(in crate::train) fn newest(folder: &Path) -> Option<PathBuf> {
    let path = folder.join(NEWEST);
    match path.exists() {
        true => Some(path),
        false => before(folder),
    }
}

/// The newest of the older checkpoints.
pub(in crate::train) fn before(folder: &Path) -> Option<PathBuf> {
    older_steps(folder).first().map(|&step| folder.join(older(step)))
}

/// A checkpoint that a thread is writing.
struct Pending {
    step: usize,
    thread: JoinHandle<Result<()>>,
}

/// Writes the checkpoints of a run, in a thread of its own unless the training has to wait for one.
pub(in crate::train) struct Keeper {
    folder: PathBuf,
    keep: usize,
    every: Every,
    warn: Arc<dyn Fn(&str) + Send + Sync>,
    /// The step of the newest checkpoint on disk.
    on_disk: Option<usize>,
    pending: Option<Pending>,
    /// When the last checkpoint was begun, and at which step.
    last: (Instant, usize),
    /// Since when a checkpoint is due: one failed, or was requested while another was written.
    owed: Option<Instant>,
}

impl Keeper {
    /// The keeper of a folder. `on_disk` is the step of the newest checkpoint in it, if there is
    /// one.
    pub fn new(
        folder: &Path,
        keep: usize,
        every: Every,
        on_disk: Option<usize>,
        warn: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        let last = (Instant::now(), on_disk.unwrap_or_default());
        // A process that was killed may have left too many.
        prune(folder, keep, &*warn);
        Self {
            folder: folder.to_owned(),
            keep,
            every,
            warn,
            on_disk,
            pending: None,
            last,
            owed: None,
        }
    }

    /// Whether a checkpoint is due after so many steps, and none is being written. Who counts steps
    /// wants no more of them lost: the training then waits at the next step until the checkpoint
    /// is on disk.
    pub fn is_due(&mut self, step: usize) -> bool {
        if matches!(self.every, Every::Steps(_)) {
            self.wait();
        } else if !self.is_free() {
            return false;
        }
        let owed = self.owed.is_some_and(|since| Instant::now() >= since);
        let due = match self.every {
            Every::Time(time) => self.last.0.elapsed() >= time,
            Every::Steps(steps) => step >= self.last.1 + steps,
        };
        owed || due
    }

    /// Whether the run has no checkpoint to go on with.
    pub fn has_none(&self) -> bool {
        self.on_disk.is_none()
    }

    /// Whether no checkpoint is being written. If one has just been finished, this records its
    /// outcome.
    pub fn is_free(&mut self) -> bool {
        match self.pending.take_if(|p| p.thread.is_finished()) {
            Some(pending) => self.collect(pending),
            None => self.pending.is_none(),
        }
    }

    /// Records the outcome of a finished checkpoint. A failure is a warning, since the checkpoint
    /// before is whole, and the next attempt follows soon.
    fn collect(&mut self, pending: Pending) -> bool {
        let Pending { step, thread } = pending;
        let result = thread
            .join()
            .unwrap_or_else(|panic| Err(Error::Training(crate::panics::panic_text(&*panic))));
        match result {
            Ok(()) => self.on_disk = Some(step),
            Err(e) => {
                let kept = self.kept();
                (self.warn)(&format!(
                    "the checkpoint of step {step} could not be written: {e}; {kept}; it is tried \
                     again within a minute"
                ));
                self.owe(RETRY);
            }
        }
        true
    }

    fn owe(&mut self, within: Duration) {
        let wait = match self.every {
            Every::Time(time) => time.min(within),
            Every::Steps(_) => within,
        };
        self.owed = Some(Instant::now() + wait);
    }

    /// Asks for a checkpoint as soon as the one before is written.
    pub fn wants(&mut self) {
        self.owed = Some(Instant::now());
    }

    /// Writes a checkpoint while the training goes on.
    pub fn write(&mut self, snapshot: Snapshot, step: usize) {
        self.wait();
        (self.last, self.owed) = ((Instant::now(), step), None);
        let (folder, keep, on_disk, warn) =
            (self.folder.clone(), self.keep, self.on_disk, self.warn.clone());
        let thread =
            std::thread::spawn(move || write(&folder, keep, on_disk, &snapshot, step, &*warn));
        self.pending = Some(Pending { step, thread });
    }

    /// Writes a checkpoint and waits until it is on disk.
    ///
    /// # Errors
    /// A file that cannot be written, with [`Remedy::Resume`] if an older checkpoint is left.
    pub fn write_now(&mut self, snapshot: &Snapshot, step: usize) -> Result<()> {
        self.wait();
        write(&self.folder, self.keep, self.on_disk, snapshot, step, &*self.warn).map_err(|e| {
            match self.on_disk {
                Some(_) => e.and(&self.kept()).with(Remedy::Resume),
                None => e,
            }
        })?;
        (self.last, self.owed, self.on_disk) = ((Instant::now(), step), None, Some(step));
        Ok(())
    }

    /// Waits for the checkpoint that is being written.
    pub fn wait(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.collect(pending);
        }
    }

    /// Says which checkpoint is left to go on with.
    pub fn kept(&self) -> String {
        match self.on_disk {
            Some(step) => format!(
                "the checkpoint of step {step} is in {}",
                self.folder.join(NEWEST).display()
            ),
            None => "there is no checkpoint yet".to_owned(),
        }
    }
}

/// Makes the newest checkpoint an older one, and the snapshot the newest. A checkpoint is there at
/// every moment.
fn write(
    folder: &Path,
    keep: usize,
    on_disk: Option<usize>,
    snapshot: &Snapshot,
    step: usize,
    warn: &dyn Fn(&str),
) -> Result<()> {
    let path = folder.join(NEWEST);
    // A checkpoint of the same step is replaced, and the one before it stays.
    if let Some(before) = on_disk.filter(|before| *before != step && keep > 1 && path.exists()) {
        fs::link_or_copy(&path, folder.join(older(before)))?;
    }
    snapshot.write(&path)?;
    prune(folder, keep, warn);
    Ok(())
}

/// Removes the oldest checkpoints beyond the number that is kept.
fn prune(folder: &Path, keep: usize, warn: &dyn Fn(&str)) {
    for step in older_steps(folder).into_iter().skip(keep - 1) {
        if let Err(e) = fs::remove_file(folder.join(older(step))) {
            warn(&e.to_string());
        }
    }
}
