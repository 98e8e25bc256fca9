//! Kaldi's archives: vectors and matrices by key (`ark`), and lists of where they are (`scp`).
//!
//! | name | as an input | as an output |
//! |---|---|---|
//! | `F.ark`, `ark:F` | an archive, binary or text | a binary archive |
//! | `ark,t:F` | the same | a text archive |
//! | `F.scp`, `scp:F` | a list | |
//! | `ark,scp:F,L`, `ark,t,scp:F,L` | | an archive and its list |
//!
//! `F` is `-` for standard input or output. A list has a line `key file:offset` for each array, or
//! `key file:offset[first:last]` for some rows of it. An archive holds vectors (`FV`, `DV`) and
//! matrices (`FM`, `DM`, and the compressed `CM`, `CM2`, `CM3`). All become f32; f32 is written.
//!
//! Keys are words: UTF-8 without blanks.

mod ark;
mod array;
mod binary;
mod bytes;
mod compressed;
mod inputs;
mod name;
mod output;
mod reader;
mod rows;
mod scp;
mod text;
mod write;

pub use array::{Array, Shape, View};
pub use inputs::input_files;
pub use name::is_archive;
pub use output::{Entries, Output, check_key};
pub use reader::{Entry, Reader};

#[cfg(test)]
mod tests;
