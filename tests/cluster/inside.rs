//! What one rank does. These tests are ignored: `mpirun` runs them.

use std::process::{Command, exit};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use revox::Error;
use revox::backend::collective::{Communicator, Options, agree, connect, end};

/// Connects with a limit in seconds.
fn connected(limit: u64) -> Arc<dyn Communicator> {
    let comm = connect(&Options { timeout: Duration::from_secs(limit) }).unwrap();
    assert!(comm.size() > 1, "mpirun runs this test");
    comm
}

/// Takes leave, and says so in one line: outputs of ranks mix.
fn passed(comm: &dyn Communicator) {
    comm.finish().unwrap();
    println!("rank {} has passed", comm.rank());
}

/// Values of a rank that no order but the right one sums to the same bits.
fn values(rank: usize, count: usize) -> Vec<f32> {
    let value = |i: usize| {
        let bits = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (rank as u64) << 17) >> 40;
        (bits as f32 - 8e6) * [1.0, 1e-3, 1e4][(i + rank) % 3]
    };
    (0..count).map(value).collect()
}

fn naive(ranks: usize, count: usize) -> Vec<f32> {
    let mut sum = values(0, count);
    for rank in 1..ranks {
        sum.iter_mut().zip(values(rank, count)).for_each(|(sum, x)| *sum += x);
    }
    sum
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
#[ignore = "a rank of mpirun"]
fn sums() {
    let comm = connected(60);
    let (rank, size) = (comm.rank(), comm.size());
    let counts = [0, 1, 7, 1_000_003, 2 << 20];
    // All of them at one time.
    let begun: Vec<_> = counts.map(|count| comm.begin_sum(values(rank, count))).into();
    for (count, sum) in counts.into_iter().zip(begun) {
        let (sum, naive) = (sum.wait().unwrap(), naive(size, count));
        assert!(bits(&sum) == bits(&naive), "{count} values");
    }
    // The order matters for these values: otherwise the test would not see a wrong one.
    if size > 2 {
        let mut backwards = values(size - 1, 1000);
        for rank in (0..size - 1).rev() {
            backwards.iter_mut().zip(values(rank, 1000)).for_each(|(sum, x)| *sum += x);
        }
        assert!(bits(&backwards) != bits(&naive(size, 1000)));
    }
    let wide = comm.sum_f64(&[0.1 * (rank + 1) as f64, -1.0]).unwrap();
    let first = (1..=size).map(|n| 0.1 * n as f64).reduce(|sum, x| sum + x).unwrap();
    assert_eq!(wide, [first, -(size as f64)]);
    passed(&*comm);
}

#[test]
#[ignore = "a rank of mpirun"]
fn bytes() {
    let comm = connected(60);
    let (rank, size) = (comm.rank(), comm.size());
    let of = |rank: usize| vec![rank as u8 + 1; rank * 70_001];
    let all = comm.gather(of(rank)).unwrap();
    assert!(all == (0..size).map(of).collect::<Vec<_>>());
    for root in 0..size {
        let model = of(root + 1);
        let given = if rank == root { model.clone() } else { Vec::new() };
        assert!(comm.broadcast(given, root).unwrap() == model);
    }
    assert_eq!(comm.broadcast(Vec::new(), 0).unwrap(), b"");
    let error = comm.broadcast(Vec::new(), size).unwrap_err().to_string();
    assert_eq!(error, format!("there is no rank {size} of {size}"));
    comm.barrier().unwrap();
    passed(&*comm);
}

#[test]
#[ignore = "a rank of mpirun"]
fn places() {
    let comm = connected(60);
    let rank = comm.rank();
    assert_eq!((comm.size(), comm.local_rank()), (2, rank));
    assert!(comm.name(rank).starts_with(&format!("rank {rank} (host ")), "{}", comm.name(rank));
    assert_eq!(comm.name(2), "rank 2");
    passed(&*comm);
    let error = comm.barrier().unwrap_err().to_string();
    assert_eq!(error, "the connection between ranks has ended");
}

#[test]
#[ignore = "a rank of mpirun"]
fn agreement() {
    let comm = connected(60);
    let rank = comm.rank();
    assert_eq!(agree(&*comm, Ok(rank)).unwrap(), rank);
    let result = match rank {
        1 => Err(Error::line("a.lst", 3, "no such file")),
        _ => Ok(()),
    };
    let error = agree(&*comm, result).unwrap_err().to_string();
    match rank {
        1 => assert_eq!(error, "a.lst:3: no such file"),
        _ => assert!(
            error.starts_with("rank 1 (host ")
                && error.ends_with(") failed: a.lst:3: no such file"),
            "{error}"
        ),
    }
    // The connection is as good as before.
    comm.barrier().unwrap();
    passed(&*comm);
}

/// Says how a rank's work ends, as the command line does.
fn ended(comm: &dyn Communicator, result: revox::Result<()>) -> ! {
    ended_after(comm, result, Duration::ZERO)
}

/// It takes its time to say so.
fn ended_after(comm: &dyn Communicator, result: revox::Result<()>, pause: Duration) -> ! {
    match end(comm, result) {
        Ok(()) => exit(0),
        Err(error) => {
            sleep(pause);
            println!("{}: {error}", comm.rank());
            comm.depart();
            exit(1);
        }
    }
}

#[test]
#[ignore = "a rank of mpirun"]
fn death() {
    let comm = connected(60);
    if comm.rank() == 1 {
        exit(3);
    }
    ended(&*comm, comm.barrier());
}

#[test]
#[ignore = "a rank of mpirun"]
fn failure() {
    let comm = connected(60);
    let result = match comm.rank() {
        1 => Err(Error::file("a.wav", "cannot be read")),
        _ => comm.begin_sum(vec![1.0; 5000]).wait().map(drop),
    };
    // The launcher must not end the slow one before it has spoken.
    let pause = Duration::from_secs(if comm.rank() == 2 { 1 } else { 0 });
    ended_after(&*comm, result, pause);
}

/// All ranks end for the same reason. One still has something to write.
#[test]
#[ignore = "a rank of mpirun"]
fn interruption() {
    let comm = connected(60);
    let mut result = agree(&*comm, Err(Error::Interrupted("Ctrl-C".into())));
    if comm.rank() == 2 {
        sleep(Duration::from_secs(2));
        result = result.map_err(|error| error.and("the checkpoint is written"));
    }
    ended(&*comm, result);
}

/// The process stops, as one does whose machine hangs.
fn stop() {
    // The shell's own `kill`: the program is not everywhere.
    let command = format!("kill -STOP {}", std::process::id());
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    sleep(Duration::from_secs(1));
}

#[test]
#[ignore = "a rank of mpirun"]
fn hang() {
    let comm = connected(2);
    comm.barrier().unwrap();
    if comm.rank() == 1 {
        stop();
    }
    let result = comm.begin_sum(vec![1.0; 1_000_000]).wait().map(drop);
    ended(&*comm, result);
}

#[test]
#[ignore = "a rank of mpirun"]
fn late() {
    let comm = connected(3);
    comm.barrier().unwrap();
    match comm.rank() {
        1 => stop(),
        2 => sleep(Duration::from_secs(2)),
        _ => {}
    }
    ended(&*comm, comm.barrier());
}

#[test]
#[ignore = "a rank of mpirun"]
fn dead() {
    let comm = connected(2);
    if comm.rank() == 1 {
        stop();
    }
    let begun = [7, 8].map(|count| comm.begin_sum(vec![1.0; count]));
    let errors: Vec<_> = begun.into_iter().map(|sum| sum.wait().unwrap_err().to_string()).collect();
    assert!(errors[0].contains("rank 1 (host ") && errors[0].contains("a sum of 7 values"));
    assert_eq!(errors[0], errors[1]);
    assert_eq!(comm.barrier().unwrap_err().to_string(), errors[0]);
    assert_eq!(comm.finish().unwrap_err().to_string(), errors[0]);
    println!("0: all calls say so");
    exit(1);
}
