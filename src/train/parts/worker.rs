//! A thread that lives as long as its owner. CubeCL gives each thread that uses a GPU a queue and
//! memory of its own there, and never takes them back: a thread for each step would fill the GPU.

use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::error::{Error, Result};
use crate::panics::quietly;

/// The answer to a job, or what its panic said.
type Told<Answer> = Result<Answer, String>;

/// A thread that does one job after another.
pub(super) struct Worker<Job, Answer> {
    /// None once the worker is being dropped.
    jobs: Option<Sender<(Job, Sender<Told<Answer>>)>>,
    thread: Option<JoinHandle<()>>,
}

/// A job that has been given to a worker.
pub(super) struct Begun<Answer>(Receiver<Told<Answer>>);

impl<Job: Send + 'static, Answer: Send + 'static> Worker<Job, Answer> {
    /// A thread of this name that does `work` for each job.
    ///
    /// # Errors
    /// The operating system has no thread for it.
    pub fn new(name: String, work: impl Fn(Job) -> Answer + Send + 'static) -> Result<Self> {
        let (jobs, waiting) = unbounded::<(Job, Sender<Told<Answer>>)>();
        let run = move || {
            for (job, answer) in waiting {
                // Nobody waits for an answer when the rest of the step has failed.
                let _ = answer.send(quietly(|| work(job)));
            }
        };
        let thread = Builder::new()
            .name(name)
            .spawn(run)
            .map_err(|e| Error::Backend(format!("no thread for a further device: {e}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Begins a job, once those before it are done.
    pub fn begin(&self, job: Job) -> Begun<Answer> {
        let (answer, told) = bounded(1);
        let jobs = self.jobs.as_ref().expect("there until the worker is dropped");
        // A thread that has ended drops the job: its answer says so.
        let _ = jobs.send((job, answer));
        Begun(told)
    }
}

impl<Answer> Begun<Answer> {
    /// Waits for the job's answer. A panic of the job is an error in its own words.
    pub fn answer(self) -> Told<Answer> {
        self.0.recv().unwrap_or_else(|_| Err("its thread has ended".to_owned()))
    }
}

impl<Job, Answer> Drop for Worker<Job, Answer> {
    fn drop(&mut self) {
        // Without a sender the thread has nothing to wait for.
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // Panics of jobs are answers: the thread itself has none.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn every_job_runs_on_the_same_thread() {
        let workers: Vec<Worker<usize, _>> = (0..2)
            .map(|i| Worker::new(i.to_string(), |job| (job, thread::current().id())).unwrap())
            .collect();
        let mut threads = HashSet::from([thread::current().id()]);
        for step in 0..200 {
            let begun: Vec<_> = workers.iter().map(|worker| worker.begin(step)).collect();
            for job in begun {
                let (done, thread) = job.answer().unwrap();
                assert_eq!(done, step);
                threads.insert(thread);
            }
        }
        assert_eq!(threads.len(), 3);
    }

    #[test]
    fn jobs_wait_for_each_other() {
        let worker = Worker::new("w".to_owned(), |job: i32| job * job).unwrap();
        let begun: Vec<_> = (0..10).map(|i| worker.begin(i)).collect();
        let squares: Vec<_> = begun.into_iter().map(|job| job.answer().unwrap()).collect();
        assert_eq!(squares, (0..10).map(|i| i * i).collect::<Vec<_>>());
    }

    #[test]
    fn no_thread_outlives_its_worker() {
        let alive = Arc::new(());
        let held = alive.clone();
        let work = move |()| Arc::strong_count(&held);
        let worker = Worker::new("w".to_owned(), work).unwrap();
        assert_eq!(worker.begin(()).answer(), Ok(2));
        drop(worker);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn a_panic_is_the_answer_to_its_job_alone() {
        let worker =
            Worker::new("w".to_owned(), |job: Option<i32>| job.expect("a number")).unwrap();
        let jobs = [Some(1), None, Some(3)].map(|job| worker.begin(job));
        let [one, none, three] = jobs.map(Begun::answer);
        assert_eq!((one, three), (Ok(1), Ok(3)));
        assert!(none.as_ref().is_err_and(|words| words.starts_with("a number")), "{none:?}");
    }
}
