//! Ranks that are threads of one process, for tests: the plain twin of the engines.

use std::collections::{BTreeMap, HashMap};
use std::ops::AddAssign;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::{Communicator, Summing};
use crate::bytes::{from_f32, to_f32};
use crate::error::{Error, Result};

/// A rank that waits longer than this gives up. Tests are slow where much else runs.
const LIMIT: Duration = Duration::from_secs(120);

/// What all ranks give at one point.
#[derive(Debug, Default)]
struct Point {
    given: HashMap<usize, Vec<u8>>,
    /// Ranks that have taken it.
    taken: usize,
}

#[derive(Debug, Default)]
struct State {
    points: HashMap<usize, Point>,
    /// Ranks that will not come any more, and their words.
    gone: BTreeMap<usize, String>,
}

impl State {
    /// The ranks that have not come to a point.
    fn absent(&self, point: usize, size: usize) -> impl Iterator<Item = usize> {
        let given = &self.points[&point].given;
        (0..size).filter(|rank| !given.contains_key(rank))
    }

    /// A rank that will not come to a point, and its words.
    fn lost(&self, point: usize, size: usize) -> Option<(usize, &str)> {
        self.absent(point, size).find_map(|rank| Some((rank, self.gone.get(&rank)?.as_str())))
    }
}

#[derive(Debug, Default)]
struct Meeting {
    state: Mutex<State>,
    changed: Condvar,
}

/// One rank's end.
#[derive(Debug)]
struct Thread {
    rank: usize,
    size: usize,
    /// Points that this rank has begun.
    begun: AtomicUsize,
    meeting: Arc<Meeting>,
}

/// A point that this rank has begun.
struct Begun {
    point: usize,
    size: usize,
    meeting: Arc<Meeting>,
}

/// The ends of so many ranks, by rank.
pub fn all(size: usize) -> Vec<Arc<dyn Communicator>> {
    let meeting = Arc::<Meeting>::default();
    let end = |rank| -> Arc<dyn Communicator> {
        Arc::new(Thread { rank, size, begun: AtomicUsize::new(0), meeting: meeting.clone() })
    };
    (0..size).map(end).collect()
}

/// Runs the same on several ranks, each in a thread of its own. It returns what they do, by rank.
pub fn each_rank<T: Send>(size: usize, work: impl Fn(&dyn Communicator) -> T + Sync) -> Vec<T> {
    each_end(size, |end| work(&*end))
}

/// [`each_rank`] for work that keeps its end.
pub fn each_end<T: Send>(size: usize, work: impl Fn(Arc<dyn Communicator>) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let begin = |end: Arc<dyn Communicator>| scope.spawn(move || work(end));
        let begun: Vec<_> = all(size).into_iter().map(begin).collect();
        begun.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

impl Thread {
    fn begin(&self, bytes: Vec<u8>) -> Begun {
        let point = self.begun.fetch_add(1, Ordering::Relaxed);
        let mut state = self.meeting.state.lock().unwrap();
        state.points.entry(point).or_default().given.insert(self.rank, bytes);
        self.meeting.changed.notify_all();
        Begun { point, size: self.size, meeting: self.meeting.clone() }
    }

    /// This rank comes to no other point.
    fn go(&self, words: &str) {
        let mut state = self.meeting.state.lock().unwrap();
        state.gone.entry(self.rank).or_insert_with(|| words.to_owned());
        self.meeting.changed.notify_all();
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.go("");
    }
}

impl Begun {
    /// What all ranks have given, by rank.
    fn all(self) -> Result<Vec<Vec<u8>>> {
        let Self { point, size, meeting } = self;
        let state = meeting.state.lock().unwrap();
        let is_open = |state: &mut State| {
            state.absent(point, size).next().is_some() && state.lost(point, size).is_none()
        };
        let waited = meeting.changed.wait_timeout_while(state, LIMIT, is_open);
        let mut state = waited.unwrap().0;
        match state.lost(point, size) {
            Some((rank, "")) => return Err(late(&[rank])),
            Some((rank, words)) => {
                return Err(Error::Training(format!("rank {rank} failed: {words}")));
            }
            None => {}
        }
        let absent: Vec<usize> = state.absent(point, size).collect();
        if !absent.is_empty() {
            return Err(late(&absent));
        }
        let here = state.points.get_mut(&point).unwrap();
        here.taken += 1;
        match here.taken == size {
            true => {
                let mut given = state.points.remove(&point).unwrap().given;
                Ok((0..size).map(|rank| given.remove(&rank).unwrap()).collect())
            }
            false => Ok((0..size).map(|rank| here.given[&rank].clone()).collect()),
        }
    }
}

fn late(absent: &[usize]) -> Error {
    Error::Training(format!("ranks {absent:?} did not come"))
}

/// The sum in rank order.
fn sum<T: AddAssign + Copy>(ranks: Vec<Vec<T>>) -> Vec<T> {
    let mut ranks = ranks.into_iter();
    let mut sum = ranks.next().unwrap();
    for values in ranks {
        assert_eq!(values.len(), sum.len(), "as many on each rank");
        sum.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
    }
    sum
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn begin_sum(&self, values: Vec<f32>) -> Box<dyn Summing> {
        Box::new(self.begin(from_f32(&values)))
    }

    fn sum_f64(&self, values: &[f64]) -> Result<Vec<f64>> {
        let all = self.gather(values.iter().flat_map(|x| x.to_le_bytes()).collect())?;
        let numbers = |bytes: &Vec<u8>| {
            bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
        };
        Ok(sum(all.iter().map(numbers).collect()))
    }

    fn broadcast(&self, bytes: Vec<u8>, root: usize) -> Result<Vec<u8>> {
        Ok(self.gather(bytes)?.swap_remove(root))
    }

    fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        self.begin(bytes).all()
    }

    fn barrier(&self) -> Result<()> {
        self.gather(Vec::new()).map(|_| ())
    }

    fn local_rank(&self) -> usize {
        self.rank
    }

    fn finish(&self) -> Result<()> {
        self.barrier()
    }

    fn fail(&self, words: &str) {
        self.go(words);
    }
}

impl Summing for Begun {
    fn wait(self: Box<Self>) -> Result<Vec<f32>> {
        Ok(sum(self.all()?.iter().map(|bytes| to_f32(bytes)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|x| x.to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Sums that are under way at one time are those of scalar Rust, to the bit and on all
        /// ranks.
        #[test]
        fn sums_are_taken_in_rank_order(
            ranks in (1_usize..5, 0_usize..40).prop_flat_map(|(ranks, count)| {
                let values = prop::collection::vec(-1e8_f32..1e8, count);
                prop::collection::vec(values, ranks)
            })
        ) {
            let mut naive = ranks[0].clone();
            for values in &ranks[1..] {
                naive.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
            }
            let results = each_rank(ranks.len(), |comm| {
                let mine = &ranks[comm.rank()];
                let first = comm.begin_sum(mine.clone());
                let second = comm.begin_sum(mine[..mine.len() / 2].to_vec());
                let wide: Vec<f64> = mine.iter().copied().map(f64::from).collect();
                let wide = comm.sum_f64(&wide).unwrap();
                (second.wait().unwrap(), first.wait().unwrap(), wide)
            });
            for (half, whole, wide) in results {
                prop_assert_eq!(bits(&whole), bits(&naive));
                prop_assert_eq!(bits(&half), bits(&naive[..naive.len() / 2]));
                for (i, sum) in wide.iter().enumerate() {
                    let naive = ranks.iter().map(|r| f64::from(r[i])).fold(0.0, |a, x| a + x);
                    prop_assert_eq!(*sum, naive);
                }
            }
        }
    }

    #[test]
    fn bytes_go_round() {
        let results = each_rank(3, |comm| {
            let rank = comm.rank();
            comm.barrier().unwrap();
            let all = comm.gather(vec![rank as u8; rank]).unwrap();
            let mine = if rank == 1 { b"weights".to_vec() } else { Vec::new() };
            (all, comm.broadcast(mine, 1).unwrap(), comm.size())
        });
        let all = vec![vec![], vec![1], vec![2, 2]];
        assert!(results.iter().all(|said| *said == (all.clone(), b"weights".to_vec(), 3)));
    }

    /// A rank that has gone is not waited for. What it gave before counts.
    #[test]
    fn a_rank_that_goes_is_told() {
        let results = each_rank(3, |comm| {
            comm.barrier().unwrap();
            match comm.rank() {
                1 => comm.fail("no room"),
                2 => return Vec::new(),
                _ => {}
            }
            let sum = comm.begin_sum(vec![1.0]);
            vec![comm.barrier().unwrap_err().to_string(), sum.wait().unwrap_err().to_string()]
        });
        for words in &results[0] {
            assert!(["rank 1 failed: no room", "ranks [2] did not come"].contains(&&words[..]));
        }
        assert_eq!((results[0].len(), results[2].len()), (2, 0));
    }
}
