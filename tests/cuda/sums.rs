//! Sums over NCCL, on stand-ins for it (`nccl/`) and for the driver: what the library is given, and
//! what becomes of a connection that fails.

use std::sync::Arc;
use std::time::Duration;

use revox::Result;
use revox::backend::collective::{Communicator, Options, Summing, over_nccl};

use crate::card::Card;

/// Rank 0 of two. The other one agrees to everything, and says nothing.
#[derive(Debug)]
struct OneOfTwo;

/// A sum that is there.
struct Summed(Vec<f32>);

impl Summing for Summed {
    fn wait(self: Box<Self>) -> Result<Vec<f32>> {
        Ok(self.0)
    }
}

impl Communicator for OneOfTwo {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        2
    }

    fn begin_sum(&self, values: Vec<f32>) -> Box<dyn Summing> {
        Box::new(Summed(values))
    }

    fn sum_f64(&self, values: &[f64]) -> Result<Vec<f64>> {
        Ok(values.to_vec())
    }

    fn broadcast(&self, bytes: Vec<u8>, _root: usize) -> Result<Vec<u8>> {
        Ok(bytes)
    }

    fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        Ok(vec![bytes, Vec::new()])
    }

    fn barrier(&self) -> Result<()> {
        Ok(())
    }
}

/// Sums that are under way together. The last one is longer than the buffer on the device.
fn sums(comm: &dyn Communicator) -> Result<()> {
    let all = [1000, 0, 1, (4 << 20) + 3]
        .map(|count| (0..count).map(|i| (i % 1000) as f32 - 300.5).collect::<Vec<_>>());
    let begun = all.clone().map(|values| comm.begin_sum(values));
    for (sum, values) in begun.into_iter().zip(all) {
        let sum = sum.wait()?;
        let doubled: Vec<f32> = values.iter().map(|x| 2.0 * x).collect();
        assert!(sum == doubled, "{} values", values.len());
    }
    comm.finish()
}

#[test]
#[ignore = "runs on a stand-in, by another test"]
fn of_two_ranks() {
    if std::env::var_os("STAND_IN_ARCH").is_none() {
        return;
    }
    let options = Options { timeout: Duration::from_secs(2) };
    match over_nccl(Arc::new(OneOfTwo), 0, &options).and_then(|comm| sums(&*comm)) {
        Ok(()) => println!("\ntold all is well"),
        Err(error) => println!("\ntold {error}"),
    }
}

#[test]
fn nccl_sums_or_says_why_not() {
    for (fault, wanted) in [
        ("", "all is well"),
        ("apart", "NCCL's connection is not there after 1 s"),
        ("hang", "NCCL's sum of 1000 values is not there after 2 s"),
        ("broken", "NCCL: remote process exited or there was a network error: rank 1 is gone"),
    ] {
        let Some(done) = Card::default().run("sums::of_two_ranks", &[("STAND_IN_NCCL", fault)])
        else {
            return;
        };
        let told = done.said.lines().find_map(|line| line.strip_prefix("told "));
        assert_eq!(told, Some(wanted), "{fault}:\n{}", done.said);
    }
}
