//! The thread that MPI belongs to.

use std::cell::{Cell, OnceCell, RefCell};
use std::hint::spin_loop;
use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use ::mpi::Threading;
use ::mpi::environment::{self, Universe};
use ::mpi::request::{Request, Scope, StaticScope};
use ::mpi::topology::SimpleCommunicator;
use ::mpi::traits::{Communicator, Destination, Source};

use super::rolls::Roll;
use crate::backend::collective::Launched;

/// The engine's work, or its words about why it cannot be done.
pub type Answer<T> = Result<T, String>;

/// Something for the engine to do.
pub type Task = Box<dyn FnOnce(&Engine) + Send>;

/// What gets the words instead of an answer.
type Refusal = Box<dyn FnOnce(String)>;

/// Requests that end so soon are waited for by asking all the time: latency.
const SPIN: Duration = Duration::from_micros(50);
/// Up to here other threads may have the processor in between.
const YIELD: Duration = Duration::from_millis(1);
/// A rest between two questions after that.
const REST: Duration = Duration::from_micros(50);
/// How often MPI is called while there is nothing to do.
const IDLE: Duration = Duration::from_millis(5);
/// How long others are listened to when one does not come, or does not depart.
const GRACE: Duration = Duration::from_secs(3);

/// The tag of what ranks say when they give up.
const TAG: i32 = 21;
/// The tag of a rank that has told its user why it ends.
const DEPARTURE: i32 = 22;
/// Bytes of what ranks say: few enough for MPI to take them over at once.
const WORDS: usize = 1000;

/// MPI, in its thread.
pub struct Engine {
    pub(super) world: SimpleCommunicator,
    limit: Duration,
    /// Names of the ranks, once they are known.
    names: OnceCell<Vec<String>>,
    tasks: Receiver<Task>,
    /// Who waits for the current work.
    waiting: RefCell<Option<Refusal>>,
    roll: RefCell<Roll>,
    /// Why this rank has given up.
    dead: OnceCell<String>,
    ended: Cell<bool>,
}

/// The version of the MPI library, by its own words: their first part.
pub fn library() -> String {
    let words = environment::library_version().unwrap_or_default();
    words.split([',', '\n']).next().unwrap_or_default().trim().to_owned()
}

impl Engine {
    /// Initialises MPI for this thread.
    pub fn start(
        tasks: Receiver<Task>,
        limit: Duration,
        launched: &Launched,
    ) -> Answer<(Self, Universe)> {
        let (universe, threads) = environment::initialize_with_threading(Threading::Funneled)
            .ok_or("MPI was initialised before")?;
        if threads < Threading::Funneled {
            return Err(format!("{} does not serve programs of several threads", library()));
        }
        let world = universe.world();
        let (rank, size) = (number(world.rank()), number(world.size()));
        if launched.size.is_some_and(|wanted| wanted != size) {
            return Err(format!(
                "started as {launched}, but {} sees {size} in all: it is not the MPI of this \
                 launcher (`srun --mpi=list` shows those of Slurm)",
                library()
            ));
        }
        let roll = RefCell::new(Roll::new(rank, size));
        let engine = Self {
            world,
            limit,
            names: OnceCell::new(),
            tasks,
            waiting: RefCell::default(),
            roll,
            dead: OnceCell::new(),
            ended: Cell::new(false),
        };
        Ok((engine, universe))
    }

    /// This rank, the number of ranks, and the name of the machine.
    pub fn place(&self) -> (usize, usize, String) {
        let host = environment::processor_name().unwrap_or_else(|_| "?".into());
        (number(self.world.rank()), self.size(), host)
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        number(self.world.size())
    }

    /// Does what is asked for, in order, until the end.
    pub fn serve(self, universe: Universe) {
        while !self.ended.get() {
            match self.tasks.recv_timeout(IDLE) {
                Ok(task) => task(&self),
                // MPI moves data only while it is called. What this rank has given may not have
                // left yet, and others wait for it.
                Err(RecvTimeoutError::Timeout) => self.listen(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        match self.ended.get() {
            true => drop(universe),
            // Finalizing would wait for the others.
            false => mem::forget(universe),
        }
    }

    /// All is done and the others have taken leave: MPI is finalized next.
    pub fn end(&self) {
        self.ended.set(true);
    }

    /// The names of the ranks, for errors.
    pub fn know(&self, names: Vec<String>) {
        let _ = self.names.set(names);
    }

    /// Does one work for somebody, unless this rank has given up.
    pub fn work<T: 'static>(
        &self,
        say: SyncSender<Answer<T>>,
        work: impl FnOnce(&Self) -> Answer<T>,
    ) {
        let answer = match self.dead.get() {
            Some(words) => Err(words.clone()),
            None => {
                let refuse = say.clone();
                let refusal: Refusal = Box::new(move |words| drop(refuse.send(Err(words))));
                self.waiting.replace(Some(refusal));
                work(self)
            }
        };
        self.waiting.take();
        // Whoever has asked may have stopped waiting.
        let _ = say.send(answer);
    }

    /// Waits until a request is done.
    pub fn complete<'a, D: ?Sized, S: Scope<'a>>(
        &self,
        mut request: Request<'a, D, S>,
        what: &str,
    ) {
        let start = Instant::now();
        loop {
            match request.test() {
                Ok(_) => return,
                Err(open) => request = open,
            }
            let waited = start.elapsed();
            if waited < SPIN {
                spin_loop();
                continue;
            }
            if waited < YIELD {
                thread::yield_now();
                continue;
            }
            thread::sleep(REST);
            self.listen();
            if waited > self.limit || self.roll.borrow().is_begun() {
                self.call_roll(String::new(), GRACE);
                let name = |rank| self.name(rank);
                let reason = self.roll.borrow().reason(what, self.limit, name);
                self.give_up(reason);
            }
        }
    }

    /// Tells the others that this rank fails.
    pub fn fail(&self, words: String) -> ! {
        self.call_roll(shortened(&words), self.limit);
        self.give_up(words);
    }

    /// Says that this rank's user knows why it ends. Waits, but not for long, until all others that
    /// have given up say the same.
    pub fn depart(&self) {
        self.tell_others(&[], DEPARTURE);
        self.listen_until(Roll::have_departed, GRACE);
    }

    fn name(&self, rank: usize) -> String {
        let names = self.names.get();
        names.map_or_else(|| format!("rank {rank}"), |names| names[rank].clone())
    }

    /// Notes what another rank has said, if one has.
    fn listen(&self) {
        while let Some(status) = self.world.any_process().immediate_probe_with_tag(TAG) {
            let rank = status.source_rank();
            let (words, _) = self.world.process_at_rank(rank).receive_vec_with_tag::<u8>(TAG);
            let words = String::from_utf8_lossy(&words).into_owned();
            self.roll.borrow_mut().note(number(rank), words);
        }
        while let Some(status) = self.world.any_process().immediate_probe_with_tag(DEPARTURE) {
            let rank = status.source_rank();
            self.world.process_at_rank(rank).receive_vec_with_tag::<u8>(DEPARTURE);
            self.roll.borrow_mut().note_departure(number(rank));
        }
    }

    /// Says something to all others, and listens until all have said something, but not for long.
    fn call_roll(&self, words: String, patience: Duration) {
        // It is sent whenever the others listen: it stays.
        self.tell_others(words.into_bytes().leak(), TAG);
        self.listen_until(Roll::is_complete, patience);
    }

    fn tell_others(&self, words: &'static [u8], tag: i32) {
        let others = self.roll.borrow().others();
        for rank in others {
            let rank = self.world.process_at_rank(rank as i32);
            mem::forget(rank.immediate_send_with_tag(StaticScope, words, tag));
        }
    }

    fn listen_until(&self, is_enough: impl Fn(&Roll) -> bool, patience: Duration) {
        let start = Instant::now();
        while !is_enough(&self.roll.borrow()) && start.elapsed() < patience {
            thread::sleep(YIELD);
            self.listen();
        }
    }

    /// Answers everything with these words from now on. It never returns, since MPI may still write
    /// to the buffers of requests that are not done: the process must end.
    fn give_up(&self, words: String) -> ! {
        let _ = self.dead.set(words.clone());
        if let Some(refuse) = self.waiting.take() {
            refuse(words);
        }
        for task in &self.tasks {
            task(self);
        }
        loop {
            thread::park();
        }
    }
}

/// MPI counts in i32, and neither ranks nor their number are negative.
fn number(count: i32) -> usize {
    usize::try_from(count).unwrap_or_default()
}

/// The words up to the limit of their bytes.
fn shortened(words: &str) -> String {
    words[..words.floor_char_boundary(WORDS)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut_between_letters() {
        assert_eq!(shortened("short"), "short");
        let long = format!("x{}", "ü".repeat(WORDS));
        let cut = shortened(&long);
        assert!(long.starts_with(&cut) && (WORDS - 2..=WORDS).contains(&cut.len()), "{cut}");
    }

    #[test]
    fn the_library_is_named() {
        let library = library();
        assert!(library.contains("MPI") && library.contains('.'), "{library}");
    }
}
