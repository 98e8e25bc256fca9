use super::*;

fn resolve(names: &Names, words: &[&str]) -> Result<Vec<usize>, String> {
    let words = words.iter().enumerate().map(|(i, word)| (*word, i + 1));
    names.resolve(Path::new("t"), words).map(|r| r.places).map_err(|e| e.to_string())
}

fn fails(names: &Names, words: &[&str], wanted: &str) {
    let error = resolve(names, words).unwrap_err();
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn ids_and_listed_files_are_names() {
    let mut names = Names::new("wav.scp", ["a", "b"]);
    names.add_file(0, "wav/a.wav");
    names.add_file(1, "/data/wav/x/b.flac");
    // Two names of one utterance may stand in one list.
    let words = [
        "a",
        "wav/a.wav",
        "b",
        "/data/wav/x/b.flac",
        "x/b.flac",
        "./x/b.flac",
        "wav/x/b.flac",
        "a",
    ];
    assert_eq!(resolve(&names, &words).unwrap(), [0, 0, 1, 1, 1, 1, 1, 0]);
    assert_eq!(resolve(&names, &["wav/a", "x/b.wav"]).unwrap(), [0, 1]);
    fails(&names, &["y/a.wav"], "t:1: unknown utterance `y/a.wav`; `a` of wav.scp may be another");
    fails(&names, &["a", "y/c.wav"], "t:2: unknown utterance `y/c.wav`; wav.scp has none");
    // Half a folder's name is no end of a path.
    fails(&names, &["av/a.wav"], "unknown utterance");
}

#[test]
fn endings_may_differ_but_not_be_ambiguous() {
    let names =
        Names::new("e", ["id1/x/1", "id1/x/2.wav", "id1/x/3.wav", "id1/x/3.flac", "take.1"]);
    assert_eq!(
        resolve(&names, &["id1/x/1.wav", "id1/x/2.FLAC", "id1/x/3.wav", "take.1"]).unwrap(),
        [0, 1, 2, 4]
    );
    fails(&names, &["id1/x/3.mp3"], "`id1/x/3.wav` or `id1/x/3.flac`");
    fails(
        &names,
        &["id1/x/1.wav", "id1/x/1.flac"],
        "t:2: `id1/x/1.flac` and `id1/x/1.wav` (line 1)",
    );
    fails(&names, &["id1/x/1", "id1/x/1.wav"], "both lead to utterance `id1/x/1` of e");
    fails(&names, &["id2/x/1.wav"], "unknown utterance `id2/x/1.wav`");
    fails(&names, &["take"], "unknown utterance `take`");
}

#[test]
fn the_end_of_a_path_must_belong_to_one_file() {
    let mut names = Names::new("wav.scp", ["p", "q", "r", "s"]);
    for (place, file) in
        ["/v/dev/id1/x/1.wav", "/v/test/id1/x/1.wav", "/v/test/id1/x/2.wav", "/v/test/id1/x/2.flac"]
            .into_iter()
            .enumerate()
    {
        names.add_file(place, file);
    }
    assert_eq!(resolve(&names, &["test/id1/x/1.wav", "dev/id1/x/1.wav"]).unwrap(), [1, 0]);
    assert_eq!(resolve(&names, &["x/2.wav", "x/2.flac"]).unwrap(), [2, 3]);
    fails(&names, &["id1/x/1.wav"], "`id1/x/1.wav` may be utterance");
    fails(&names, &["x/2.m4a"], "`x/2.m4a` may be utterance");
    fails(&names, &["1.wav"], "`1.wav` may be utterance");
    assert_eq!(resolve(&names, &["2.flac"]).unwrap(), [3]);
}

#[test]
fn an_id_that_is_the_name_of_anothers_file_is_no_answer() {
    let mut names = Names::new("e", ["00001", "00002", "q"]);
    for (place, file) in ["/d/00002.wav", "/d/00003.wav", "/d/q.wav"].into_iter().enumerate() {
        names.add_file(place, file);
    }
    assert_eq!(resolve(&names, &["00002", "q.wav", "d/00002.wav"]).unwrap(), [1, 2, 0]);
    fails(&names, &["00002.wav"], "`00002.wav` may be utterance");
}

#[test]
fn last_names_count_only_where_the_whole_list_has_paths() {
    let names = Names::new("e", ["1", "2"]);
    let list = [("flac/a/1.flac", 1), ("flac/b/2.flac", 1)];
    let resolved = names.resolve(Path::new("t"), list).unwrap();
    assert_eq!(resolved.places, [0, 1]);
    assert!(resolved.note.unwrap().contains("`flac/a/1.flac` is taken for `1`"));
    assert_eq!(names.resolve(Path::new("t"), [("1", 1), ("2.wav", 1)]).unwrap().note, None);
    // A list that knows ids means another recording by a path.
    fails(&names, &["2", "x/1.wav"], "t:2: unknown utterance `x/1.wav`; `1` of e may be another");
    fails(
        &names,
        &["x/1.wav", "y/1.wav"],
        "t:2: `y/1.wav` and `x/1.wav` (line 1) both lead to utterance `1`",
    );
    fails(&names, &["x/1.wav", "x/3.wav"], "t:2: unknown utterance `x/3.wav`");
    fails(&names, &["x/1.wav", "x/2.wav", "3"], "t:3: unknown utterance `3`; e has none");
    fails(&Names::new("e", ["1", "x/2"]), &["y/1.wav"], "unknown utterance");
    let mut listed = Names::new("e", ["1"]);
    listed.add_file(0, "x/1.wav");
    fails(&listed, &["y/1.wav"], "unknown utterance");
}
