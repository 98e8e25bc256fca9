//! Folders of tar files that were copied, and lists that lead elsewhere.

use super::*;

/// A copy of a folder stands for itself, and what it lacks is where the list says.
#[test]
fn a_copied_folder_has_its_own_tar_files() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(dir.path(), 9);
    let [out, copy] = ["out", "copy"].map(|name| dir.path().join(name));
    packed(&corpus, &out, &Packing { per_shard: 3, ..Packing::default() });
    std::fs::create_dir(&copy).unwrap();
    for file in std::fs::read_dir(&out).unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let folders = |list: &Path| -> Vec<PathBuf> {
        let (shards, entries) = Shards::scan(list, &|_, _| ()).unwrap();
        assert_eq!(entries.len(), 9);
        shards.all().iter().map(|shard| shard.path.parent().unwrap().to_owned()).collect()
    };
    let wanted = |folders: [&PathBuf; 3]| folders.map(PathBuf::clone).to_vec();
    assert_eq!(folders(&out.join("shard.list")), wanted([&out; 3]));
    assert_eq!(folders(&copy.join("shard.list")), wanted([&copy; 3]));
    std::fs::remove_file(copy.join("shards_000000001.tar")).unwrap();
    assert_eq!(folders(&copy.join("shard.list")), wanted([&copy, &out, &copy]));
    // Several folders may have tar files of one name: a list of them means what it says.
    let other = dir.path().join("other");
    packed(&Corpus::load(&out).unwrap(), &other, &Packing::default());
    let (first, second) = (out.join("shards_000000000.tar"), copy.join("shards_000000002.tar"));
    let text = format!("{}\n{}\n", first.display(), second.display());
    std::fs::write(other.join("few.list"), text).unwrap();
    let (shards, entries) = Shards::scan(&other.join("few.list"), &|_, _| ()).unwrap();
    assert_eq!((shards.path(0), shards.path(1)), (&*first, &*second));
    // Of nine utterances in utt2spk.
    assert_eq!(entries.len(), 6);
}
