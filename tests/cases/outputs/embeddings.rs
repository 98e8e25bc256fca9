//! Files of embeddings, and recordings that cannot be read.

use revox::scoring::Embeddings;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::{bytes, place};

#[test]
fn a_file_holds_one_matrix_and_the_ids() {
    let place = place();
    place.wav("sub/z y.wav", 0.5, 130.0);
    place.write("wav.scp", "z/1 sub/z y.wav\nb b.wav\na a.wav\n");
    place.ok(&["embed", "m.safetensors", "--wav-scp", "wav.scp", "-o", "all.safetensors"]);
    let file = bytes(place.path("all.safetensors"));
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    assert_eq!(names, ["embeddings", "ids"]);
    let (matrix, ids) = (tensors.tensor("embeddings").unwrap(), tensors.tensor("ids").unwrap());
    assert_eq!((matrix.dtype(), matrix.shape()), (Dtype::F32, &[3, 16][..]));
    assert_eq!((ids.dtype(), ids.shape().len()), (Dtype::U8, 1));
    let text = std::str::from_utf8(ids.data()).unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>(), ["z/1", "b", "a"], "the order of the list");
    let values: Vec<f32> = matrix
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let read = Embeddings::load(place.path("all.safetensors")).unwrap();
    for (i, id) in ["z/1", "b", "a"].into_iter().enumerate() {
        assert_eq!(read.row(read.position(id).unwrap()), &values[16 * i..16 * (i + 1)], "{id}");
    }
    // The same recording in another file.
    let alone = Embeddings::load(place.path("e.safetensors")).unwrap();
    let row = |e: &Embeddings, id: &str| e.row(e.position(id).unwrap()).to_vec();
    for id in ["a", "b"] {
        let (x, y) = (row(&alone, id), row(&read, id));
        assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 1e-5), "{id}");
    }
}

#[test]
fn files_with_a_tensor_an_utterance_are_read() {
    let place = place();
    let new = Embeddings::load(place.path("e.safetensors")).unwrap();
    let rows: Vec<(String, Vec<u8>)> = new
        .ids()
        .enumerate()
        .map(|(i, id)| (id.to_owned(), new.row(i).iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = rows
        .iter()
        .map(|(id, row)| (id, TensorView::new(Dtype::F32, vec![new.dim()], row).unwrap()));
    std::fs::write(place.path("old.safetensors"), safetensors::serialize(views, None).unwrap())
        .unwrap();
    place.ok(&["score", "old.safetensors", "trials", "-o", "old"]);
    assert_eq!(bytes(place.path("old")), bytes(place.path("scores")));
    let both = ["score", "old.safetensors", "trials", "--mean", "e.safetensors", "-o", "x"];
    place.ok(&both);
}

/// With one tensor an utterance, the names alone would exceed the limit of a safetensors header.
#[test]
fn as_many_utterances_as_voxceleb2_has_are_written() {
    const COUNT: usize = 1_100_000;
    let place = crate::place::Place::make();
    let id = |i: usize| format!("id{:05}/{:011x}/{i:05}.wav", i / 180, i * 77_777);
    let mut all = Embeddings::new(2);
    (0..COUNT).for_each(|i| all.push(&id(i), &[i as f32, -1.0]).unwrap());
    all.save(place.path("many.safetensors")).unwrap();
    drop(all);
    let read = Embeddings::load(place.path("many.safetensors")).unwrap();
    assert_eq!(read.len(), COUNT);
    for i in [0, 1, COUNT / 2, COUNT - 1] {
        assert_eq!(read.row(read.position(&id(i)).unwrap()), [i as f32, -1.0]);
    }
}

#[test]
fn ids_that_a_file_cannot_keep_are_errors() {
    let place = place();
    let path = place.path("x.safetensors");
    for id in ["a\nb", "a\r", "\n"] {
        let mut one = Embeddings::new(1);
        let saved = one.push(id, &[1.0]).and_then(|()| one.save(&path));
        assert!(saved.is_err_and(|e| e.to_string().contains("line break")), "{id:?}");
    }
    assert!(!path.exists());
    if cfg!(unix) {
        std::fs::copy(place.path("a.wav"), place.path("two\nlines.wav")).unwrap();
        place.fails(
            &["embed", "m.safetensors", "two\nlines.wav", "-o", "x.safetensors"],
            &["lines.wav", "id"],
        );
        assert!(!path.exists());
    }
}

#[test]
fn one_bad_file_ends_the_work_unless_it_may_be_skipped() {
    let place = place();
    let good = bytes(place.path("a.wav"));
    std::fs::write(place.path("cut.wav"), &good[..good.len() / 2]).unwrap();
    place.write("bad.scp", "a a.wav\nc cut.wav\nb b.wav\nn none.wav\n");
    let embed = ["embed", "m.safetensors", "--wav-scp", "bad.scp", "-o", "x.safetensors"];
    place.fails(&embed, &["bad.scp:2", "cut.wav"]);
    assert!(!place.path("x.safetensors").exists());

    let ran = place.run(&[&embed[..], &["--skip-errors", "--json"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    for wanted in ["bad.scp:2", "cut.wav", "bad.scp:4", "none.wav"] {
        assert!(ran.err.contains(wanted), "`{wanted}` is not in {}", ran.err);
    }
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (report["utterances"].as_u64(), report["skipped"].as_u64()),
        (Some(2), Some(2)),
        "{report}"
    );
    let (some, all) = (
        Embeddings::load(place.path("x.safetensors")),
        Embeddings::load(place.path("e.safetensors")),
    );
    let (some, all) = (some.unwrap(), all.unwrap());
    assert!(some.ids().eq(["a", "b"]));
    for id in ["a", "b"] {
        let row = |e: &Embeddings| e.row(e.position(id).unwrap()).to_vec();
        assert!(row(&some).iter().zip(row(&all)).all(|(x, y)| (x - y).abs() < 1e-5), "{id}");
    }

    // Nothing was skipped where nothing was bad.
    let clean =
        ["embed", "m.safetensors", "a.wav", "b.wav", "-o", "y.safetensors", "--skip-errors"];
    assert_eq!(place.json(&clean)["skipped"], 0);
    // The same holds for files on the command line.
    let named = ["embed", "m.safetensors", "a.wav", "cut.wav", "-o", "y.safetensors"];
    place.fails(&named, &["cut.wav"]);
    assert_eq!(place.json(&[&named[..], &["--skip-errors"]].concat())["skipped"], 1);
}

#[test]
fn a_bad_list_is_an_error_whether_files_may_be_skipped_or_not() {
    let place = place();
    place.write("line.scp", "a a.wav\nb\n");
    place.write("none.scp", "c c.wav\nd d.wav\n");
    let strict: &[&str] = &[];
    for more in [strict, &["--skip-errors"]] {
        let embed = |list: &str, wanted: &[&str]| {
            let args = ["embed", "m.safetensors", "--wav-scp", list, "-o", "x.safetensors"];
            place.fails(&[&args[..], more].concat(), wanted);
        };
        embed("absent.scp", &["absent.scp"]);
        embed("line.scp", &["line.scp:2"]);
        // Without a single embedding there is no file.
        embed("none.scp", &["none.scp:1"]);
    }
    assert!(!place.path("x.safetensors").exists());
}
