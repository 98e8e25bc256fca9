//! Flipped bits. Whatever they hit, each verb does what it would have done, or refuses and writes
//! nothing.

use super::*;

/// What a store tells, embeddings too.
#[derive(Debug, PartialEq)]
struct Told {
    model: StoreModel,
    path: Option<String>,
    voices: Vec<Voice>,
    /// Names and mean embeddings, in the order of enrolment.
    rows: Vec<(String, Vec<f32>)>,
}

fn rows(index: &VoiceIndex) -> Vec<(String, Vec<f32>)> {
    let row = |place: usize| (index.name(place).to_owned(), index.embedding(place).to_vec());
    (0..index.len()).map(row).collect()
}

fn told(path: &Path) -> Result<Told> {
    let store = Store::open(path)?;
    Ok(Told {
        model: store.model().clone(),
        path: store.model_path()?,
        voices: store.voices()?,
        rows: rows(&store.index(None)?),
    })
}

/// A store of many voices, and all that it tells.
fn many(path: &Path) -> Told {
    let mut store = Store::open_or_create(path, &model("abc", DIM)).unwrap();
    let mut stream = Stream::new(9, "test", &[]);
    let voices: Vec<(String, Vec<Recording>)> = (0..25)
        .map(|i| {
            let files = (0..=i % 3).map(|k| format!("recordings/{i}-{k}.wav"));
            (format!("voice {i}"), files.map(|file| recording(&mut stream, &file)).collect())
        })
        .collect();
    store.enroll(voices.iter().map(|(name, all)| (name.as_str(), &all[..]))).unwrap();
    store.set_model_path("/models/m.safetensors").unwrap();
    drop(store);
    told(path).unwrap()
}

/// A copy with a flipped bit. Half of the bits are in bytes that are not zero: most of a file is.
fn flipped(stream: &mut Stream, whole: &[u8]) -> (usize, Vec<u8>) {
    let mut file = whole.to_vec();
    let used: Vec<usize> = (0..file.len()).filter(|&at| file[at] != 0).collect();
    let at =
        if stream.chance(0.5) { used[stream.below(used.len())] } else { stream.below(file.len()) };
    file[at] ^= 1 << stream.below(8);
    (at, file)
}

#[test]
fn a_flipped_bit_changes_no_answer_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let known = many(&path);
    let whole = std::fs::read(&path).unwrap();
    let mut stream = Stream::new(10, "test", &[]);
    let new = recording(&mut stream, "new.wav");
    let (mut refused, mut forgotten) = (0, 0);
    for _ in 0..80 {
        let (at, file) = flipped(&mut stream, &whole);
        let write = || std::fs::write(&path, &file).unwrap();
        let is_as_it_was = || {
            let files = std::fs::read_dir(dir.path()).unwrap().count();
            files == 1 && std::fs::read(&path).unwrap() == file
        };
        write();
        match told(&path) {
            Ok(found) => assert_eq!(found, known, "byte {at}"),
            Err(_) => refused += 1,
        }
        let one = known.rows[7].clone();
        if let Ok(index) = Store::open(&path).and_then(|store| store.index_of_voice(&one.0, None)) {
            assert_eq!(rows(&index), [one], "byte {at}");
        }
        assert!(is_as_it_was(), "byte {at}: reading wrote");
        // Enrolment.
        let enroll = |store: &mut Store| store.enroll([("new", std::slice::from_ref(&new))]);
        match Store::open(&path).and_then(|mut store| enroll(&mut store)) {
            Ok(()) => {
                let found = told(&path).unwrap();
                let others = found.voices.into_iter().filter(|voice| voice.name != "new");
                assert_eq!(others.collect::<Vec<_>>(), known.voices, "byte {at}");
                let last = ("new".to_owned(), new.embedding.clone());
                assert_eq!(found.rows.last(), Some(&last), "byte {at}");
            }
            Err(_) => assert!(is_as_it_was(), "byte {at}: a refused enrolment wrote"),
        }
        // Removal, which goes further.
        write();
        let gone = &known.voices[5];
        match Store::open(&path).and_then(|mut store| store.forget(&[gone.name.as_str()])) {
            Ok(removed) => {
                forgotten += 1;
                assert_eq!(removed.len(), 1);
                assert!(!removed[0].intact || removed[0] == *gone, "byte {at}");
                let mut names: Vec<&String> = known.voices.iter().map(|v| &v.name).collect();
                names.remove(5);
                let store = Store::open(&path).unwrap();
                assert_eq!(store.names().unwrap().iter().collect::<Vec<_>>(), names);
                if let Ok(voices) = store.voices() {
                    let others = known.voices.iter().filter(|voice| voice.name != gone.name);
                    assert!(voices.iter().eq(others), "byte {at}");
                }
            }
            Err(_) => assert!(is_as_it_was(), "byte {at}: a refused removal wrote"),
        }
    }
    // Most bits that are not in unused parts are noticed, and most damage is to values.
    assert!((25..70).contains(&refused), "{refused} refused");
    assert!(forgotten > 80 - refused, "{forgotten} forgotten, {refused} refused");
}

#[test]
fn voices_of_a_damaged_store_can_be_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let known = many(&path);
    let (mut file, row) = (std::fs::read(&path).unwrap(), &known.rows[3]);
    // Its only recording.
    let pattern = bytes::from_f32(&row.1);
    let at = file.windows(pattern.len()).position(|window| window == pattern).unwrap();
    file[at + 40] ^= 16;
    std::fs::write(&path, &file).unwrap();
    let mut store = Store::open(&path).unwrap();
    let mut stream = Stream::new(11, "test", &[]);
    let new = [recording(&mut stream, "new.wav")];
    for refused in [
        store.voices().unwrap_err(),
        store.index(None).err().unwrap(),
        store.index_of_voice(&known.rows[4].0, None).err().unwrap(),
        store.enroll([("new", &new[..])]).unwrap_err(),
        store.add(&known.rows[4].0, &new).unwrap_err(),
        store.set_model_path("/other").unwrap_err(),
    ] {
        let text = refused.to_string();
        assert!(text.contains("damaged store: recording `recordings/3-0.wav` of"), "{text}");
        assert_eq!(refused.remedy(), Some(&Remedy::RestoreStore));
    }
    assert!(std::fs::read(&path).unwrap() == file);
    // Another voice, and then the damaged one: what is left is whole.
    assert!(store.forget(&[known.rows[4].0.as_str()]).unwrap()[0].intact);
    assert!(store.voices().is_err());
    assert!(!store.forget(&[row.0.as_str()]).unwrap()[0].intact);
    assert_eq!(store.voices().unwrap().len(), 23);
    assert!(!holds(&all_bytes(dir.path()), &pattern[..32]));
    store.enroll([("new", &new[..])]).unwrap();
}
