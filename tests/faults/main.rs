//! Failures of disks, of power, of memory cards and of people: the program is killed, refused and
//! lied to wherever it changes the disk, and what a user does next has to work.
//!
//! | variable | meaning |
//! |---|---|
//! | `REVOX_KILLS` | signals that trainings are sent, 12 unless given |
//! | `REVOX_RACES` | races for one folder, 5 unless given |
//!
//! Fault points (`REVOX_FAULT`) are in builds with debug assertions only.

#[path = "../shared/sign.rs"]
mod sign;

mod disk;
mod flips;
mod injection;
#[cfg(unix)]
mod kills;
mod locks;
mod place;
