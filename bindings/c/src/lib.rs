//! revox for C: what `include/revox.h` declares.
//!
//! Models are numbers that the library looks up ([`models`]), so a model that was freed is an error
//! and never a pointer into nowhere. Results go to memory of the caller ([`memory`]). Errors are
//! codes and texts, panics too ([`status`]).
//!
//! Calls that take pointers are `unsafe`. What their callers promise is said once, for all of them,
//! in the head of `include/revox.h` (`cbindgen.toml`): a pointer is null, or points to as many
//! aligned values as the call says, which nobody changes meanwhile.

#[cfg(all(feature = "formats", panic = "abort"))]
compile_error!("decoders of damaged files panic: the feature `formats` needs panic = \"unwind\"");

mod decide;
#[cfg(test)]
mod header;
mod hear;
mod memory;
mod models;
mod open;
mod quality;
mod status;

#[cfg(test)]
mod tests;
