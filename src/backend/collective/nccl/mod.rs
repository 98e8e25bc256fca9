//! Sums between NVIDIA GPUs by NCCL, over whatever connects them: NVLink, PCIe, InfiniBand,
//! Ethernet. All else that ranks say to each other goes over another communicator, MPI's.
//!
//! NCCL adds in an order of its own, which depends on its algorithm and so on the GPUs, what
//! connects them, its release and the number of values. Each value is added up in one place and
//! sent to all, so all ranks get the same bits. They are not those of rank order.
//!
//! NCCL belongs to a thread of its own, which does what it is asked for in order. Values come from
//! the host and go back to it, through a buffer on the GPU.
//!
//! Before each sum the ranks meet over the other communicator (a sum of one value). It has a limit
//! and names ranks that do not come, or hears why one fails, which NCCL cannot. What hangs after
//! that is given up when the limit is over, without a name.

mod library;
mod ring;

use std::mem;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{Builder, JoinHandle};

use self::library::Library;
use self::ring::{Gpu, Ring};
use super::{Communicator, Options, Summing, agree};
use crate::error::{Error, Result};

/// Version of the library, or why there is none.
pub(super) fn version() -> Result<String> {
    Library::get().map(Library::version).map_err(Error::Backend)
}

/// What adds values up over all ranks. It stays in one thread.
trait Adder {
    /// Puts the sum over ranks in the place of the values.
    fn sum(&mut self, values: &mut [f32]) -> Result<(), String>;

    /// Takes leave. All ranks do so together.
    fn end(self) -> Result<(), String>;

    /// Gives up what is under way. It may never come back.
    fn abort(self);
}

/// Something for the thread to do.
enum Task {
    Sum {
        values: Vec<f32>,
        /// Ends when all ranks have begun this sum.
        meeting: Box<dyn Summing>,
        say: SyncSender<Result<Vec<f32>>>,
    },
    End {
        say: SyncSender<Result<()>>,
    },
}

/// This rank's end of the connection. Where the work has failed NCCL's part is not closed, since
/// that would wait for the others: the process ends.
#[derive(Debug)]
pub struct Nccl {
    /// Carries all but sums of f32.
    outer: Arc<dyn Communicator>,
    tasks: Sender<Task>,
    /// Why the thread has given up.
    dead: Arc<OnceLock<String>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// An answer of the thread that is to come.
struct Coming<T> {
    said: Receiver<Result<T>>,
    dead: Arc<OnceLock<String>>,
}

impl Nccl {
    /// Connects the GPUs of these ranks: each has its own, GPU `device` of the backend cuda.
    ///
    /// # Errors
    /// On one rank, and so on all: NCCL is not on the machine, the GPU does not serve or has no
    /// memory left, or is another rank's, too; GPUs do not reach each other within half the limit.
    pub fn start(outer: Arc<dyn Communicator>, device: usize, options: &Options) -> Result<Self> {
        let gpu = agree(&*outer, Gpu::open(device))?;
        check_own(&*outer, gpu.uuid())?;
        let id = if outer.rank() == 0 { gpu.unique_id() } else { Ok(Vec::new()) };
        let id = outer.broadcast(agree(&*outer, id)?, 0)?;
        let (place, limit) = ([outer.rank(), outer.size()], options.timeout);
        Self::over(outer, move || Ring::join(gpu, &id, place, limit))
    }

    /// Takes sums over, which are added up by what `join` gives.
    fn over<A: Adder + 'static>(
        outer: Arc<dyn Communicator>,
        join: impl FnOnce() -> Result<A, String> + Send + 'static,
    ) -> Result<Self> {
        let (tasks, coming) = mpsc::channel();
        let (say, said) = mpsc::sync_channel(1);
        let dead = Arc::<OnceLock<String>>::default();
        let words = dead.clone();
        let work = move || match join() {
            Ok(adder) => {
                let _ = say.send(Ok(()));
                serve(adder, coming, &words);
            }
            Err(words) => {
                let _ = say.send(Err(Error::Backend(words)));
            }
        };
        let thread = Builder::new().name("nccl".into()).spawn(work);
        let thread = thread.map_err(|e| Error::Training(format!("no thread for NCCL: {e}")));
        let joined = thread.and_then(|thread| {
            Coming { said, dead: dead.clone() }.answer()?;
            Ok(thread)
        });
        let thread = Mutex::new(Some(agree(&*outer, joined)?));
        Ok(Self { outer, tasks, dead, thread })
    }

    /// Hands over what `task` makes of the place for the answer.
    fn begin<T>(&self, task: impl FnOnce(SyncSender<Result<T>>) -> Task) -> Coming<T> {
        let (say, said) = mpsc::sync_channel(1);
        // A thread that has ended takes no task, and its answer never comes.
        let _ = self.tasks.send(task(say));
        Coming { said, dead: self.dead.clone() }
    }
}

/// Refuses a GPU that two ranks have, as NCCL does, but by name.
fn check_own(comm: &dyn Communicator, uuid: &[u8]) -> Result<()> {
    let all = comm.gather(uuid.to_vec())?;
    for (rank, uuid) in all.iter().enumerate() {
        if let Some(other) = all[..rank].iter().position(|other| other == uuid) {
            return Err(Error::Invalid(format!(
                "{} and {} have the same GPU, and NCCL wants one for each",
                comm.name(other),
                comm.name(rank)
            )));
        }
    }
    Ok(())
}

/// Does what is asked for, in order, until the end or the first fault.
fn serve<A: Adder>(mut adder: A, tasks: Receiver<Task>, dead: &OnceLock<String>) {
    while let Ok(task) = tasks.recv() {
        match task {
            Task::Sum { values, meeting, say } => match sum(&mut adder, values, meeting) {
                Ok(values) => {
                    // Whoever has asked may have stopped waiting.
                    let _ = say.send(Ok(values));
                }
                Err(error) => {
                    let _ = dead.set(error.to_string());
                    let _ = say.send(Err(error));
                    // Whoever waits for the tasks behind it hears that they are gone.
                    drop(tasks);
                    return adder.abort();
                }
            },
            Task::End { say } => {
                let _ = say.send(adder.end().map_err(Error::Training));
                return;
            }
        }
    }
    // Nobody has taken leave.
    mem::forget(adder);
}

fn sum(
    adder: &mut impl Adder,
    mut values: Vec<f32>,
    meeting: Box<dyn Summing>,
) -> Result<Vec<f32>> {
    meeting.wait()?;
    adder.sum(&mut values).map_err(Error::Training)?;
    Ok(values)
}

impl<T> Coming<T> {
    fn answer(self) -> Result<T> {
        self.said.recv().unwrap_or_else(|_| {
            let why = self.dead.get().map(String::as_str);
            Err(Error::Training(why.unwrap_or("the connection over NCCL has ended").into()))
        })
    }
}

impl Summing for Coming<Vec<f32>> {
    fn wait(self: Box<Self>) -> Result<Vec<f32>> {
        self.answer()
    }
}

impl Communicator for Nccl {
    fn rank(&self) -> usize {
        self.outer.rank()
    }

    fn size(&self) -> usize {
        self.outer.size()
    }

    fn begin_sum(&self, values: Vec<f32>) -> Box<dyn Summing> {
        // Begun here, it has its place among the other things that are asked of the communicator.
        let meeting = self.outer.begin_sum(vec![1.0]);
        Box::new(self.begin(|say| Task::Sum { values, meeting, say }))
    }

    fn sum_f64(&self, values: &[f64]) -> Result<Vec<f64>> {
        self.outer.sum_f64(values)
    }

    fn broadcast(&self, bytes: Vec<u8>, root: usize) -> Result<Vec<u8>> {
        self.outer.broadcast(bytes, root)
    }

    fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        self.outer.gather(bytes)
    }

    fn barrier(&self) -> Result<()> {
        self.outer.barrier()
    }

    fn local_rank(&self) -> usize {
        self.outer.local_rank()
    }

    fn name(&self, rank: usize) -> String {
        self.outer.name(rank)
    }

    fn finish(&self) -> Result<()> {
        // NCCL's connection is closed on all ranks together.
        self.outer.barrier()?;
        self.begin(|say| Task::End { say }).answer()?;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            return Err(Error::Training("NCCL could not be closed".into()));
        }
        self.outer.finish()
    }

    fn fail(&self, words: &str) {
        self.outer.fail(words);
    }

    fn depart(&self) {
        self.outer.depart();
    }
}

#[cfg(test)]
mod tests;
