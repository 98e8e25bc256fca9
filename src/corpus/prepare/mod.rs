//! Makes the lists of a corpus that has none.

mod folder;

pub use folder::{FolderReport, prepare_folder};
