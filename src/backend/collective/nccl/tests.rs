//! The connection without NCCL: what adds is a stand-in in scalar Rust.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::backend::collective::{Alone, threads};
use crate::bytes::{from_f32, to_f32};

/// Adds up over ranks from the last to the first, as NCCL may. Fails at the sum of this number.
struct Backwards {
    ranks: Arc<dyn Communicator>,
    begun: usize,
    fails: usize,
    ended: Arc<AtomicUsize>,
}

impl Adder for Backwards {
    fn sum(&mut self, values: &mut [f32]) -> Result<(), String> {
        self.begun += 1;
        if self.begun == self.fails {
            return Err("no link".into());
        }
        let bytes = from_f32(values);
        let all = self.ranks.gather(bytes).map_err(|e| e.to_string())?;
        let mut all = all.iter().rev().map(|bytes| to_f32(bytes));
        let last = all.next().unwrap();
        values.copy_from_slice(&last);
        for other in all {
            values.iter_mut().zip(other).for_each(|(sum, x)| *sum += x);
        }
        Ok(())
    }

    fn end(self) -> Result<(), String> {
        self.ended.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn abort(self) {}
}

/// Runs the same on several ranks whose sums are those of the stand-in. The rank in `fails` fails
/// at the sum of this number. Returns what they do, and how many have taken leave.
fn each_rank<T: Send>(
    size: usize,
    fails: (usize, usize),
    work: impl Fn(Nccl) -> T + Sync,
) -> (Vec<T>, usize) {
    let ended = Arc::<AtomicUsize>::default();
    let (outer, inner) = (threads::all(size), threads::all(size));
    let work = &work;
    let results = std::thread::scope(|scope| {
        let begin = |(outer, ranks): (Arc<dyn Communicator>, Arc<dyn Communicator>)| {
            let fails = if outer.rank() == fails.0 { fails.1 } else { 0 };
            let adder = Backwards { ranks, begun: 0, fails, ended: ended.clone() };
            scope.spawn(move || work(Nccl::over(outer, move || Ok(adder)).unwrap()))
        };
        let begun: Vec<_> = outer.into_iter().zip(inner).map(begin).collect();
        begun.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    (results, ended.load(Ordering::Relaxed))
}

/// Sums are those of the other engine; all else, and the order in which it is asked for, is the
/// outer communicator's.
#[test]
fn sums_are_taken_over_and_nothing_else() {
    // In rank order this is 1, from the last one 0.
    let parts = [1e9_f32, -1e9, 1.0];
    let (results, ended) = each_rank(3, (0, 0), |comm| {
        let rank = comm.rank();
        let first = comm.begin_sum(vec![parts[rank], rank as f32]);
        let wide = comm.sum_f64(&[f64::from(parts[rank])]).unwrap();
        let second = comm.begin_sum(vec![2.0; 5]);
        let all = comm.gather(vec![rank as u8]).unwrap();
        let said = comm.broadcast(vec![7 + rank as u8], 1).unwrap();
        comm.barrier().unwrap();
        let sums = (second.wait().unwrap(), first.wait().unwrap());
        comm.finish().unwrap();
        let late = comm.begin_sum(vec![1.0]).wait().unwrap_err().to_string();
        assert_eq!(late, "the connection over NCCL has ended");
        (sums, wide, all, said, comm.local_rank(), comm.size(), comm.name(2))
    });
    for (rank, result) in results.iter().enumerate() {
        let ((second, first), wide, all, said, place, size, name) = result;
        assert_eq!((second, first), (&vec![6.0; 5], &vec![0.0, 3.0]));
        assert_eq!((wide, all), (&vec![1.0], &vec![vec![0], vec![1], vec![2]]));
        assert_eq!((said, *place, *size, name.as_str()), (&vec![8], rank, 3, "rank 2"));
    }
    assert_eq!(ended, 3);
}

/// A sum that fails is told with its words, and so is all that is begun before and after.
#[test]
fn after_a_fault_every_sum_is_an_error() {
    let (results, ended) = each_rank(2, (1, 2), |comm| {
        if comm.rank() == 0 {
            let sums = [1, 2].map(|_| comm.begin_sum(vec![1.0]));
            return sums.map(|sum| sum.wait().map_err(|e| e.to_string())).to_vec();
        }
        let sums = [1, 2, 3].map(|_| comm.begin_sum(vec![1.0]));
        let mut told = sums.map(|sum| sum.wait().map_err(|e| e.to_string())).to_vec();
        told.push(comm.begin_sum(vec![1.0]).wait().map_err(|e| e.to_string()));
        told
    });
    let fault = Err("no link".to_owned());
    assert_eq!(results[1], [Ok(vec![2.0]), fault.clone(), fault.clone(), fault]);
    assert_eq!(results[0][0], Ok(vec![2.0]));
    // Its own part of the connection has gone with the rank.
    assert_eq!(results[0][1], Err("ranks [1] did not come".into()));
    assert_eq!(ended, 0);
}

/// The meeting before a sum names the rank, not the engine that sums.
#[test]
fn a_rank_that_fails_before_a_sum_is_named() {
    let (results, _) = each_rank(3, (0, 0), |comm| match comm.rank() {
        2 => {
            comm.fail("the disk is full");
            Vec::new()
        }
        _ => comm.begin_sum(vec![1.0; 4]).wait().unwrap_err().to_string().into_bytes(),
    });
    for words in &results[..2] {
        assert_eq!(String::from_utf8_lossy(words), "rank 2 failed: the disk is full");
    }
}

/// What one rank lacks all are told, by its name.
#[test]
fn a_rank_without_the_engine_is_named_on_all() {
    let ends = threads::all(2);
    let errors: Vec<String> = std::thread::scope(|scope| {
        let begin = |outer: Arc<dyn Communicator>| {
            scope.spawn(move || {
                let rank = outer.rank();
                let join = move || match rank {
                    1 => Err("no NCCL".to_owned()),
                    _ => Ok(Backwards {
                        ranks: Arc::new(Alone),
                        begun: 0,
                        fails: 0,
                        ended: Arc::default(),
                    }),
                };
                Nccl::over(outer, join).unwrap_err().to_string()
            })
        };
        let begun: Vec<_> = ends.into_iter().map(begin).collect();
        begun.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(errors, ["rank 1 failed: no NCCL", "no NCCL"]);
}

#[test]
fn two_ranks_on_one_gpu_are_named() {
    let told = threads::each_rank(4, |comm| {
        let gpu = [[1], [2], [1], [3]][comm.rank()];
        check_own(comm, &gpu).unwrap_err().to_string()
    });
    let words = "rank 0 and rank 2 have the same GPU, and NCCL wants one for each";
    assert_eq!(told, [words; 4]);
    threads::each_rank(3, |comm| check_own(comm, &[comm.rank() as u8]).unwrap());
}

/// Starting says what is missing. On a machine that has all, it works.
#[test]
fn nccl_starts_or_says_what_is_missing() {
    let options = Options { timeout: Duration::from_secs(30) };
    match Nccl::start(Arc::new(Alone), 0, &options) {
        Ok(comm) => {
            let values: Vec<f32> = (0..100).map(|x| x as f32).collect();
            assert_eq!(comm.begin_sum(values.clone()).wait().unwrap(), values);
            comm.finish().unwrap();
        }
        Err(error) => {
            let error = error.to_string();
            let library = version().err().map(|why| why.to_string());
            match library {
                Some(why) => assert_eq!(error, why),
                None => assert!(error.contains("cuda"), "{error}"),
            }
        }
    }
}
