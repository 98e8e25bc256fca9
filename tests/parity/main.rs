//! Agreement with the reference implementations, on their own values.

#[path = "../shared/mod.rs"]
mod shared;

mod archives;
mod checkpoints;
mod codes;
mod fbank;
mod kmeans;
mod losses;
mod metrics;
mod models;
mod networks;
mod optim8;
mod optimizers;
mod quantized;
mod schedules;
mod selftest;
mod training_step;
mod wespeaker;
mod zoo;
