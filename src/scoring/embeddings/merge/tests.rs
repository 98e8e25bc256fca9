use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::rng::Stream;

/// Embeddings of `u0`, `u1`, ... without those at these places.
fn whole(utterances: usize, dim: usize, left_out: &[usize]) -> Embeddings {
    let mut stream = Stream::new(7, "merge", &[]);
    let mut all = Embeddings::new(dim);
    for place in 0..utterances {
        let row: Vec<f32> = (0..dim).map(|_| stream.normal() as f32).collect();
        if !left_out.contains(&place) {
            all.push(&format!("u{place}"), &row).unwrap();
        }
    }
    all
}

/// Files in a folder.
struct Folder(tempfile::TempDir);

impl Folder {
    fn make() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Writes one shard of these embeddings of so many utterances, and gives its path.
    fn shard(&self, all: &Embeddings, utterances: usize, shard: Shard, work: Value) -> PathBuf {
        let (mut own, mut left_out) = (Embeddings::new(all.dim()), Vec::new());
        for place in shard.indices(utterances) {
            let id = format!("u{place}");
            match all.position(&id) {
                Some(row) => own.push(&id, all.row(row)).unwrap(),
                None => left_out.push(place),
            }
        }
        let path = self.path(&format!("{}of{}", shard.index() + 1, shard.count()));
        own.save_shard(&path, &Origin { shard, utterances, left_out, work }).unwrap();
        path
    }

    /// All shards of the embeddings.
    fn shards(&self, all: &Embeddings, utterances: usize, count: usize) -> Vec<PathBuf> {
        let shard = |rank| self.shard(all, utterances, Shard::of(rank, count), json!({"model": 1}));
        (0..count).map(shard).collect()
    }

    fn fails(&self, paths: &[PathBuf], order: Option<&str>, wanted: &[&str]) {
        let order = order.map(|name| self.path(name));
        let error = merge(paths, order.as_deref(), &self.path("out")).unwrap_err().to_string();
        wanted.iter().for_each(|text| assert!(error.contains(text), "`{text}` not in: {error}"));
        assert!(!self.path("out").exists());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the shards and whatever was left out, in any order of the files.
    #[test]
    fn shards_become_the_file_of_the_whole(
        utterances in 5usize..40,
        count in 1usize..6,
        first_left_out in 0usize..40,
        turn in 0usize..6,
    ) {
        let left_out = [first_left_out, first_left_out + 3];
        // A shard without embeddings would be no file.
        prop_assume!(utterances >= 3 * count);
        let (folder, all) = (Folder::make(), whole(utterances, 3, &left_out));
        all.save(folder.path("whole")).unwrap();
        let mut paths = folder.shards(&all, utterances, count);
        paths.rotate_left(turn % count);
        let merged = merge(&paths, None, &folder.path("merged")).unwrap();
        prop_assert_eq!(folder.bytes("merged"), folder.bytes("whole"));
        prop_assert_eq!(merged.embeddings + merged.left_out, utterances);
        prop_assert!(merged.are_shards && merged.dim == 3);
        // The list may say so, too; it names what was left out.
        let list: String = (0..utterances).map(|i| format!("u{i} {i}.wav\n")).collect();
        std::fs::write(folder.path("list"), list).unwrap();
        merge(&paths, Some(&folder.path("list")), &folder.path("listed")).unwrap();
        prop_assert_eq!(folder.bytes("listed"), folder.bytes("whole"));
    }
}

/// Files that are long enough to be mapped.
#[test]
fn long_files_are_joined_to_the_bit() {
    let (folder, all) = (Folder::make(), whole(5000, 128, &[]));
    all.save(folder.path("whole")).unwrap();
    merge(&folder.shards(&all, 5000, 2), None, &folder.path("merged")).unwrap();
    assert!(folder.bytes("merged") == folder.bytes("whole"));
}

#[test]
fn other_files_come_one_behind_the_other() {
    let (folder, all) = (Folder::make(), whole(9, 2, &[]));
    all.save(folder.path("whole")).unwrap();
    let paths: Vec<PathBuf> = [0..4, 4..5, 5..9]
        .into_iter()
        .map(|places| {
            let path = folder.path(&format!("from{}", places.start));
            let mut own = Embeddings::new(2);
            places.for_each(|place| own.push(all.id(place), all.row(place)).unwrap());
            own.save(&path).unwrap();
            path
        })
        .collect();
    let merged = merge(&paths, None, &folder.path("merged")).unwrap();
    assert_eq!(merged, Merged { embeddings: 9, dim: 2, left_out: 0, are_shards: false });
    assert_eq!(folder.bytes("merged"), folder.bytes("whole"));
    let turned: String = (0..9).rev().map(|i| format!("u{i}\n")).collect();
    std::fs::write(folder.path("turned"), &turned).unwrap();
    merge(&paths, Some(&folder.path("turned")), &folder.path("merged")).unwrap();
    let found = Embeddings::load(folder.path("merged")).unwrap();
    assert!((0..9).all(|i| found.id(i) == all.id(8 - i) && found.row(i) == all.row(8 - i)));
    std::fs::write(folder.path("more"), format!("{turned}u9\n")).unwrap();
    folder.fails(&paths, Some("more"), &["more:10: no file has an embedding of `u9`"]);
    std::fs::write(folder.path("fewer"), turned.replace("u4\n", "")).unwrap();
    folder.fails(&paths, Some("fewer"), &["from4: has an embedding of `u4`, which", "fewer"]);
    let twice = [paths[0].clone(), paths[1].clone(), paths[0].clone()];
    folder.fails(&twice, None, &["from0: has an embedding of `u0`, as ", "from0 has"]);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (folder, all) = (Folder::make(), whole(12, 2, &[7]));
    let paths = folder.shards(&all, 12, 3);
    let with = |last: PathBuf| [paths[0].clone(), paths[1].clone(), last];
    folder.fails(&[], None, &["no files"]);
    folder.fails(&paths[..1], None, &["shards are missing: 2/3, 3/3"]);
    folder.fails(&with(paths[1].clone()), None, &["2of3: is shard 2/3, as ", "2of3 is"]);
    let few = folder.shards(&all, 12, 4).swap_remove(3);
    folder.fails(&with(few), None, &["4of4: is shard 4/4, and ", "1of3 is shard 1/3"]);
    // An utterance that nobody has left out.
    let list: String = (0..12).map(|i| format!("u{i}\n")).collect();
    std::fs::write(folder.path("list"), format!("{list}other\n")).unwrap();
    folder.fails(&paths, Some("list"), &["list:8: no file", "`u7`: 2 are not there, and 1 were"]);
    all.save(folder.path("plain")).unwrap();
    let plain = folder.path("plain");
    folder.fails(&with(plain.clone()), None, &["plain: is no shard, and ", "is shard 1/3"]);
    folder.fails(&[plain, paths[0].clone()], None, &["1of3: is shard 1/3, and ", "is no shard"]);
    let wide = whole(12, 3, &[]);
    let other = folder.shard(&wide, 12, Shard::of(2, 3), json!({"model": 1}));
    folder.fails(&with(other), None, &["3of3: has embeddings of 3 values, ", "1of3 of 2"]);
    let other = folder.shard(&all, 12, Shard::of(2, 3), json!({"model": 2}));
    folder.fails(&with(other), None, &["3of3: is of another model than ", "1of3"]);
    let other = folder.shard(&all, 14, Shard::of(2, 3), json!({"model": 1}));
    folder.fails(&with(other), None, &["3of3: is of another list than ", "1of3"]);
    for (name, wanted) in [("a.npz", "NumPy (.npz)"), ("a.ark", "archive of Kaldi's")] {
        all.save_as(folder.path(name)).unwrap();
        folder.fails(&with(folder.path(name)), None, &[name, wanted, "only safetensors"]);
    }
    let large = folder.shard(&all, 12, Shard::of(0, 1 << 40), json!({}));
    folder.fails(&[large], None, &["2/1099511627776, ", " and 1099511627765 more"]);
}

#[test]
fn one_format_is_written() {
    let (folder, all) = (Folder::make(), whole(4, 2, &[]));
    let paths = folder.shards(&all, 4, 2);
    for name in ["e.ark", "e.npz", "e.csv"] {
        let error = merge(&paths, None, &folder.path(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("safetensors"), "{error}");
        assert!(!folder.path(name).exists());
    }
}
