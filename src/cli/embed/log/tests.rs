use serde_json::{Value, json};

use super::*;
use crate::fs::Journal;

fn outcomes(path: &Path, work: impl Fn() -> Result<Value>) -> Result<Vec<Outcome>> {
    let mut all = Vec::new();
    Log::open(path.to_owned(), 2, Box::new(work), &mut |outcome| {
        all.push(outcome);
        Ok(())
    })?;
    Ok(all)
}

#[test]
fn what_was_kept_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = PartFile::path_of(&dir.path().join("e.safetensors")).unwrap();
    assert!(path.ends_with("e.safetensors.part"));
    let work = || -> Result<Value> { Ok(json!({"model": "m", "window": 300.0, "channel": null})) };
    assert!(outcomes(&path, work).unwrap().is_empty());
    assert!(!path.exists());
    let mut log = Log::open(path.clone(), 2, Box::new(work), &mut |_| Ok(())).unwrap();
    log.row(&[1.5, -2.0], 2.5);
    log.left_out("b.wav: ü");
    assert!(log.kept().is_none());
    log.keep().unwrap();
    log.row(&[0.0, f32::MIN_POSITIVE], 0.0);
    log.keep().unwrap();
    log.row(&[9.0, 9.0], 1.0);
    drop(log);
    let wanted = [
        Outcome::Row(vec![1.5, -2.0], 2.5),
        Outcome::LeftOut("b.wav: ü".into()),
        Outcome::Row(vec![0.0, f32::MIN_POSITIVE], 0.0),
    ];
    assert_eq!(outcomes(&path, work).unwrap(), wanted);
    let other = || -> Result<Value> { Ok(json!({"model": "n", "window": 300.0, "channel": 1})) };
    let error = outcomes(&path, other).unwrap_err().to_string();
    let said = |name: &str| error.contains(name);
    assert!(said("channel") && said("model") && !said("window"), "{error}");
    assert_eq!(outcomes(&path, work).unwrap(), wanted);
    Log::open(path.clone(), 2, Box::new(work), &mut |_| Ok(())).unwrap().end().unwrap();
    assert!(!path.exists());
}

#[test]
fn embeddings_are_those_of_the_file_and_of_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.part");
    let work = || -> Result<Value> { Ok(json!({"model": "m"})) };
    let row = |i: usize| vec![i as f32, -0.5, 1.0 / (i + 1) as f32];
    // Kept after so many utterances each time. Every third one is left out.
    for kept in [&[][..], &[1], &[4, 1, 3], &[8]] {
        let mut ids = Words::default();
        let mut note = |log: &mut Log, i: usize| match i % 3 {
            2 => log.left_out(&"x".repeat(i)),
            _ => {
                assert!(ids.intern(&format!("u{i}"), i + 1).is_some());
                log.row(&row(i), 1.5);
            }
        };
        let open = |take: &mut dyn FnMut(Outcome) -> Result<()>| {
            Log::open(path.clone(), 3, Box::new(work), take).unwrap()
        };
        let (mut log, mut i) = (open(&mut |_| Ok(())), 0);
        for count in kept {
            (0..*count).for_each(|_| {
                note(&mut log, i);
                i += 1;
            });
            log.keep().unwrap();
        }
        // A process that goes on has the rest in memory.
        drop(log);
        let mut earlier = 0;
        let mut log = open(&mut |_| {
            earlier += 1;
            Ok(())
        });
        assert_eq!(earlier, i);
        (i..9).for_each(|i| note(&mut log, i));
        let found = log.embeddings(ids).unwrap();
        assert_eq!(log.kept().is_some(), !kept.is_empty());
        let wanted: Vec<usize> = (0..9).filter(|i| i % 3 != 2).collect();
        assert_eq!(found.len(), wanted.len());
        for (place, &i) in wanted.iter().enumerate() {
            assert_eq!(found.position(&format!("u{i}")), Some(place));
            assert_eq!(found.row(place), row(i));
        }
        log.end().unwrap();
        assert!(!path.exists());
    }
}

#[test]
fn blocks_of_another_form_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.part");
    let work = || -> Result<Value> { Ok(json!({"model": "m"})) };
    // One embedding of two values, and its outcome.
    let whole = [&[1, 0, 0, 0, 9, 0, 0, 0][..], &[7; 8], &[0; 9], &[0; 7]].concat();
    let changed = |place: usize, value: u8| {
        let mut block = whole.clone();
        block[place] = value;
        block
    };
    let bad = [
        whole[..7].to_vec(),
        // More embeddings than outcomes, and fewer.
        changed(0, 2),
        changed(0, 0),
        // More bytes of outcomes than there are, and fewer.
        changed(4, 17),
        changed(4, 8),
        // An outcome of another kind, and a reason that is longer than its block.
        changed(16, 2),
        [&[0, 0, 0, 0, 6, 0, 0, 0][..], &[1, 9, 0, 0, 0, 65], &[0; 2]].concat(),
        // Other bytes than zeros at the end, and too many.
        changed(31, 1),
        [&whole[..], &[0; 8]].concat(),
    ];
    for block in &bad {
        let mut journal = Journal::create(&path, &json!({"model": "m"}).to_string()).unwrap();
        journal.append(block).unwrap();
        drop(journal);
        let error = outcomes(&path, work).unwrap_err().to_string();
        assert!(error.contains("e.part: is damaged"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
    let mut journal = Journal::create(&path, &json!({"model": "m"}).to_string()).unwrap();
    journal.append(&whole).unwrap();
    drop(journal);
    let row = Outcome::Row(to_f32(&[7; 8]), 0.0);
    assert_eq!(outcomes(&path, work).unwrap(), [row]);
}
