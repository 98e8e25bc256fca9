//! How the program was started: alone, or by a launcher as one of several.

use std::{env, fmt};

/// This process as its launcher sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launched {
    /// This rank, from 0.
    pub rank: usize,
    /// The number of ranks, where the launcher tells.
    pub size: Option<usize>,
    /// This rank among those of its machine, where the launcher tells.
    pub local_rank: Option<usize>,
}

/// Variables of rank and size. Open MPI comes first: under Slurm its daemons are started by `srun`,
/// and what Slurm says is about them. A script of `sbatch` has `SLURM_PROCID` too, but is no step
/// of several tasks.
const LAUNCHERS: [[&str; 2]; 3] = [
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
    ["PMI_RANK", "PMI_SIZE"],
    ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"],
];

/// The rank by PMIx, which has no variable of the size.
const PMIX: &str = "PMIX_RANK";

/// Variables of the rank on its machine: of Open MPI, of MPICH and Intel's MPI, of Slurm.
const LOCAL: [&str; 3] = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"];

impl Launched {
    /// Reads what `mpirun`, `mpiexec` or `srun` has put into the environment. None: nobody started
    /// this process as one of several.
    pub fn from_environment() -> Option<Self> {
        Self::from(|name| env::var(name).ok())
    }

    fn from(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| variable(name)?.trim().parse::<usize>().ok();
        let known = |[rank, size]: &[&str; 2]| Some((number(rank)?, Some(number(size)?)));
        let (rank, size) =
            LAUNCHERS.iter().find_map(known).or_else(|| number(PMIX).map(|rank| (rank, None)))?;
        Some(Self { rank, size, local_rank: LOCAL.iter().find_map(|name| number(name)) })
    }

    /// Whether there are other ranks, or may be.
    pub fn has_others(&self) -> bool {
        self.size != Some(1)
    }
}

/// `rank 1 of 4`.
impl fmt::Display for Launched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rank, size, .. } = self;
        match size {
            Some(size) => write!(f, "rank {rank} of {size}"),
            None => write!(f, "rank {rank} of several"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(environment: &str) -> Option<Launched> {
        let pairs: Vec<(&str, &str)> =
            environment.split_whitespace().filter_map(|pair| pair.split_once('=')).collect();
        let value = |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|p| p.1.to_owned());
        Launched::from(value)
    }

    #[test]
    fn launchers_are_told_apart() {
        let launched = |rank, size, local_rank| Some(Launched { rank, size, local_rank });
        assert_eq!(
            of("OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1"),
            launched(3, Some(4), Some(1))
        );
        assert_eq!(of("PMI_RANK=0 PMI_SIZE=2 MPI_LOCALRANKID=0"), launched(0, Some(2), Some(0)));
        let srun = "SLURM_PROCID=5 SLURM_LOCALID=1 SLURM_NTASKS=8 SLURM_STEP_NUM_TASKS=8";
        assert_eq!(of(srun), launched(5, Some(8), Some(1)));
        // Under Slurm, Open MPI's daemons are a step of their own.
        let below = "OMPI_COMM_WORLD_RANK=6 OMPI_COMM_WORLD_SIZE=8 SLURM_PROCID=1 \
                     SLURM_STEP_NUM_TASKS=2";
        assert_eq!(of(below), launched(6, Some(8), None));
        assert_eq!(of("PMIX_RANK=2"), launched(2, None, None));
        assert_eq!(of(srun).unwrap().to_string(), "rank 5 of 8");
        assert_eq!(of("PMIX_RANK=2").unwrap().to_string(), "rank 2 of several");
    }

    #[test]
    fn a_process_of_its_own_has_no_launcher() {
        assert_eq!(of(""), None);
        // A script of `sbatch`, and values that are no numbers.
        assert_eq!(of("SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NTASKS=4"), None);
        assert_eq!(of("PMI_RANK=x PMI_SIZE=2"), None);
        assert!(!of("PMI_RANK=0 PMI_SIZE=1").unwrap().has_others());
        assert!(of("PMIX_RANK=0").unwrap().has_others());
    }
}
