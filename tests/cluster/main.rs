//! Ranks as processes. Each test starts this program again under `mpirun` (`launch.rs`), with one
//! of the ignored tests of `inside.rs` on every rank.

#[cfg(feature = "mpi")]
mod inside;
#[cfg(feature = "mpi")]
mod launch;
#[cfg(feature = "mpi")]
mod outside;

#[cfg(not(feature = "mpi"))]
#[test]
fn several_processes() {
    eprintln!("skipped: this build has no MPI (--features mpi)");
}
