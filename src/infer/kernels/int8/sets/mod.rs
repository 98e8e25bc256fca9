//! Vectors of words: one module for each instruction set, all with the same names.
//!
//! | name | what it does |
//! |---|---|
//! | `Ints`, `LANES` | the type of a word or an i32 in every lane, and how many lanes there are |
//! | `WIDE` | whether weights are read as two words: channels 0 and 2, then 1 and 3, as i16 |
//! | `BIAS` | what `dot` subtracts from every byte of the input |
//! | `ints` | one number in every lane |
//! | `to_bits`, `from_bits` | the words of f32 values, and back |
//! | `Input`, `input` | the words of input as `dot` wants them |
//! | `Weight`, `weight` | one weight in every lane, from the word or words at a pointer |
//! | `dot` | `sum` plus the four products of each lane's bytes and weights; wraps |
//! | `byte` | a byte of each word |
//! | `word` | four bytes as a word |
//! | `plus` | the sum of two vectors of small i32 |
//! | `floats` | f32 values of i32, rounded to nearest |
//! | `rounded` | values clamped to a range, NaN to its low end, rounded to i32, ties to even |
//!
//! Vectors of f32 are those of [`vector`](super::super::vector), which also reads and writes words.
//! `weight` wants valid words at its pointer, without alignment. Functions are inlined only into
//! functions that have the same `target_feature`.

#![allow(unsafe_code, reason = "vector instructions, and words at pointers")]

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx_vnni;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon_dot;
pub(super) mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) mod simd128;
