//! What a corpus in tar files tells while it is read.

use std::sync::Mutex;

use super::*;

/// Each tar file without an index is told of. Speakers are those that it holds.
#[test]
fn each_tar_file_is_told_of() {
    let folder = Folder::of(&[tar(&TWO[..2]), tar(&TWO[2..])]);
    let told = Mutex::new(Vec::new());
    let done = |finished: usize, all: usize| told.lock().unwrap().push((finished, all));
    let list = folder.path("shard.list");
    assert_eq!(Corpus::load_all_with(&list, &done).unwrap().speakers, ["id1", "id2"]);
    assert_eq!(Corpus::count_speakers(&list, &done).unwrap(), 2);
    let mut told = told.into_inner().unwrap();
    told.sort_unstable();
    assert_eq!(told, [(1, 2), (1, 2), (2, 2), (2, 2)]);
}
