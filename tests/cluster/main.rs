//! Ranks as processes. Tests of the library start this program again under `mpirun` (`launch.rs`),
//! with one of the ignored tests of `inside.rs` on every rank. Others start `revox` itself
//! (`job.rs`).

#[cfg(all(feature = "mpi", target_os = "linux"))]
#[path = "../shared/checkpoint.rs"]
mod checkpoint;
#[cfg(all(feature = "mpi", target_os = "linux"))]
mod embedding;
#[cfg(all(feature = "mpi", target_os = "linux"))]
mod faults;
#[cfg(feature = "mpi")]
mod inside;
#[cfg(all(feature = "mpi", target_os = "linux"))]
mod job;
#[cfg(feature = "mpi")]
mod launch;
#[cfg(feature = "mpi")]
mod outside;
#[cfg(all(feature = "mpi", target_os = "linux"))]
#[path = "../cli/place.rs"]
#[allow(dead_code, reason = "these tests use a part")]
mod place;
#[cfg(all(feature = "mpi", target_os = "linux"))]
mod training;

#[cfg(not(feature = "mpi"))]
#[test]
fn several_processes() {
    eprintln!("skipped: this build has no MPI (--features mpi)");
}
