//! Ranks are processes that `mpirun` or `srun` has started. The system's MPI carries what they say.
//!
//! MPI belongs to a thread of its own, the engine. It does what the others ask for in order. So
//! sums go on while the others compute.

mod engine;
mod operations;
mod rolls;

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use self::engine::{Answer, Engine, Task};
use super::{Communicator, Launched, Options, Summing};
use crate::error::{Error, Result};

pub(super) use self::engine::library;

/// This rank's end of the connection.
///
/// [`Communicator::finish`] takes leave and finalizes MPI. Without it MPI is never finalized: when
/// the process ends, whatever its exit code, the launcher ends the other ranks. So ends a rank that
/// has failed ([`Communicator::fail`]), or whose connection has.
#[derive(Debug)]
pub struct Mpi {
    rank: usize,
    size: usize,
    local_rank: usize,
    /// Names of machines, by rank.
    hosts: Vec<String>,
    tasks: Sender<Task>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// An answer of the engine that is to come.
struct Coming<T>(Receiver<Answer<T>>);

impl Mpi {
    /// Initialises MPI, and exchanges the names of machines. `launched` is what the launcher says.
    ///
    /// # Errors
    /// MPI was initialised before, cannot serve a thread, or sees other ranks than the launcher; a
    /// rank that does not come within the limit.
    pub fn start(launched: &Launched, options: &Options) -> Result<Self> {
        let (tasks, coming) = mpsc::channel();
        let (say, said) = mpsc::sync_channel(1);
        let (limit, wanted) = (options.timeout, *launched);
        let serve = move || match Engine::start(coming, limit, &wanted) {
            Ok((engine, universe)) => {
                let _ = say.send(Ok(engine.place()));
                engine.serve(universe);
            }
            Err(words) => {
                let _ = say.send(Err(words));
            }
        };
        let thread = Builder::new().name("mpi".into()).spawn(serve);
        let thread = thread.map_err(|e| Error::Training(format!("no thread for MPI: {e}")))?;
        let (rank, size, host) = Coming(said).answer()?;
        let thread = Mutex::new(Some(thread));
        let mut mpi = Self { rank, size, local_rank: 0, hosts: Vec::new(), tasks, thread };
        let hosts = mpi.gather(host.into_bytes())?;
        mpi.hosts = hosts.iter().map(|host| String::from_utf8_lossy(host).into()).collect();
        let before = mpi.hosts[..rank].iter().filter(|host| **host == mpi.hosts[rank]).count();
        mpi.local_rank = launched.local_rank.unwrap_or(before);
        let names = (0..size).map(|rank| mpi.name(rank)).collect();
        let know = |engine: &Engine| {
            engine.know(names);
            Ok(())
        };
        mpi.begin(know).answer()?;
        Ok(mpi)
    }

    /// Names of machines, by rank.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Hands work to the engine.
    fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Answer<T> + Send + 'static,
    ) -> Coming<T> {
        let (say, said) = mpsc::sync_channel(1);
        // An engine that has ended drops the task, and its answer never comes.
        let _ = self.tasks.send(Box::new(move |engine| engine.work(say, work)));
        Coming(said)
    }
}

impl<T> Coming<T> {
    fn answer(self) -> Result<T> {
        let ended = || Err("the connection between ranks has ended".into());
        self.0.recv().unwrap_or_else(|_| ended()).map_err(Error::Training)
    }
}

impl Summing for Coming<Vec<f32>> {
    fn wait(self: Box<Self>) -> Result<Vec<f32>> {
        self.answer()
    }
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn begin_sum(&self, mut values: Vec<f32>) -> Box<dyn Summing> {
        Box::new(self.begin(|engine| {
            engine.sum(&mut values);
            Ok(values)
        }))
    }

    fn sum_f64(&self, values: &[f64]) -> Result<Vec<f64>> {
        let mut values = values.to_vec();
        let coming = self.begin(|engine| {
            engine.sum(&mut values);
            Ok(values)
        });
        coming.answer()
    }

    fn broadcast(&self, bytes: Vec<u8>, root: usize) -> Result<Vec<u8>> {
        if root >= self.size {
            return Err(Error::Invalid(format!("there is no rank {root} of {}", self.size)));
        }
        self.begin(move |engine| Ok(engine.broadcast(bytes, root))).answer()
    }

    fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        self.begin(move |engine| engine.gather(&bytes)).answer()
    }

    fn barrier(&self) -> Result<()> {
        let meet = |engine: &Engine| {
            engine.barrier();
            Ok(())
        };
        self.begin(meet).answer()
    }

    fn local_rank(&self) -> usize {
        self.local_rank
    }

    fn name(&self, rank: usize) -> String {
        match self.hosts.get(rank) {
            Some(host) => format!("rank {rank} (host {host})"),
            None => format!("rank {rank}"),
        }
    }

    fn finish(&self) -> Result<()> {
        let leave = |engine: &Engine| {
            engine.barrier();
            engine.end();
            Ok(())
        };
        self.begin(leave).answer()?;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread.map(JoinHandle::join) {
            Some(Err(_)) => Err(Error::Training("MPI could not be finalized".into())),
            _ => Ok(()),
        }
    }

    fn fail(&self, words: &str) {
        let words = words.to_owned();
        // The engine's answer is these words, or those of an earlier fault.
        let _ = self.begin::<()>(move |engine| engine.fail(words)).answer();
    }

    fn depart(&self) {
        let (say, said) = mpsc::sync_channel(1);
        let depart = move |engine: &Engine| {
            engine.depart();
            let _ = say.send(());
        };
        // An engine that has ended has nobody to wait for.
        if self.tasks.send(Box::new(depart)).is_ok() {
            let _ = said.recv();
        }
    }
}
