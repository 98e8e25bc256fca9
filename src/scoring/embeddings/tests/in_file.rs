//! Values that stay in ranges of a file.

use super::*;

/// Two ranges of a file, the second in front of the first.
#[test]
fn values_may_stay_in_ranges_of_a_file() {
    let wanted = some(3, 7, 5);
    let (first, second) = (wanted.rows.get(0..15), wanted.rows.get(15..35));
    let bytes = [bytes::from_f32(second), vec![9; 8], bytes::from_f32(first)].concat();
    let places = [88..148, 0..80];
    let of = |count: usize, dim: usize, places: &[Range<usize>]| {
        let mut ids = Words::default();
        wanted.ids().take(count).for_each(|id| assert!(ids.intern(id, 1).is_some()));
        Embeddings::in_file(ids, dim, bytes.clone().into(), places)
    };
    let found = of(7, 5, &places).unwrap();
    assert_same(&found, &wanted);
    assert_eq!(found.mean(), wanted.mean());
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.safetensors", "a.npz", "a.ark"] {
        let [ours, theirs] = [&found, &wanted].map(|all| {
            let path = dir.path().join(name);
            all.save_as(&path).unwrap();
            std::fs::read(path).unwrap()
        });
        assert!(ours == theirs, "{name}");
    }
    let error = of(6, 5, &places).unwrap_err().to_string();
    assert!(error.contains("35 values for 6 embeddings of 5 values"), "{error}");
    for (dim, place) in [(5, 0..78), (5, 140..160), (6, 0..80)] {
        let error = of(7, dim, &[place]).unwrap_err().to_string();
        assert!(error.contains("no whole embeddings"), "{error}");
    }
}
