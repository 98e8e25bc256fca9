//! Failures of disks, power and memory: the program is killed or gets errors wherever it changes
//! the disk, and the user's next command has to work.
//!
//! | variable | meaning |
//! |---|---|
//! | `REVOX_KILLS` | signals: 12 to trainings unless given, 20 from tar files, 16 to enrolments |
//! | `REVOX_RACES` | races for one folder, 5 unless given |
//!
//! Fault points (`REVOX_FAULT`) are in builds with debug assertions only.

#[path = "../shared/checkpoint.rs"]
mod checkpoint;
#[path = "../shared/recipe.rs"]
mod recipe;
#[path = "../shared/sign.rs"]
mod sign;

#[cfg(unix)]
mod cascade;
#[cfg(unix)]
mod device_features;
mod disk;
#[cfg(unix)]
mod embedding;
mod flips;
mod injection;
#[cfg(unix)]
mod kills;
mod locks;
#[cfg(unix)]
mod long;
mod phases;
mod place;
#[cfg(unix)]
mod shards;
#[cfg(unix)]
mod store;
