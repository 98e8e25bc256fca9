//! Recordings packed into tar files, shards, in WeSpeaker's form.
//!
//! A list has a tar file a line. Each utterance has two entries of a tar file, one behind the
//! other: `KEY.spk` with the speaker's name, and `KEY.wav`, or with another ending, with the bytes
//! of the recording. The key is the utterance's id.
//!
//! | to | use |
//! |---|---|
//! | read the list and the headers of its tar files | [`Shards::scan`] |
//! | read a recording | [`Shards::read`] |
//! | go through an epoch so that shards are read one after the other | [`order()`] |
//! | make shards (`train`) | `pack` |

#[cfg(feature = "train")]
mod content;
mod files;
mod header;
mod index;
mod members;
mod order;
#[cfg(feature = "train")]
mod pack;
mod pairs;
mod scan;
#[cfg(all(test, feature = "train"))]
mod tests;
#[cfg(feature = "train")]
mod write;

pub use files::Shards;
pub(super) use index::path_of as index_of;
pub use order::order;
#[cfg(feature = "train")]
pub use pack::{PackReport, Packing, pack};
pub use scan::ShardEntry;

/// What progress bars call [`Shards::scan`].
#[cfg(feature = "train")]
pub const SCANNING: &str = "reading tar files";

/// Whether a text can be an id or a speaker's name in lists.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
