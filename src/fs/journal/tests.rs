use super::*;

/// A journal, what its work is, and its blocks.
type Opened = (Journal, String, Vec<Vec<u8>>);

fn blocks(path: &Path) -> Result<Option<Opened>> {
    let (mut work, mut blocks) = (String::new(), Vec::new());
    let check = |line: &str| {
        work = line.to_owned();
        Ok(())
    };
    let take = |block: &[u8]| {
        blocks.push(block.to_vec());
        Ok(())
    };
    Ok(Journal::open(path, check, take)?.map(|journal| (journal, work, blocks)))
}

#[test]
fn blocks_come_back_up_to_the_last_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.part");
    assert!(blocks(&path).unwrap().is_none());
    let contents = [b"first".to_vec(), Vec::new(), vec![7; 300]];
    let mut journal = Journal::create(&path, "{\"of\":\"a test\"}").unwrap();
    let mut ends = vec![std::fs::metadata(&path).unwrap().len() as usize];
    for content in &contents {
        journal.append(content).unwrap();
        ends.push(std::fs::metadata(&path).unwrap().len() as usize);
    }
    drop(journal);
    let bytes = std::fs::read(&path).unwrap();
    for end in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..end]).unwrap();
        let Some((mut journal, work, found)) = blocks(&path).unwrap() else {
            assert!(end < ends[0] && !path.exists(), "{end}");
            continue;
        };
        let whole = ends.iter().filter(|e| **e <= end).count() - 1;
        assert_eq!((work.as_str(), &*found), ("{\"of\":\"a test\"}", &contents[..whole]));
        journal.append(b"next").unwrap();
        drop(journal);
        let (mut journal, _, found) = blocks(&path).unwrap().unwrap();
        assert!(found.len() == whole + 1 && found[whole] == b"next", "{end}");
        // The same blocks in the bytes of the file, which stays open behind them.
        let (bytes, places) = journal.blocks().unwrap();
        assert!(places.iter().map(|place| &bytes[place.clone()]).eq(&found), "{end}");
        assert_eq!(places.first().map_or(0, |place| place.start % 8), 0);
        journal.append(b"last").unwrap();
        assert_eq!(journal.blocks().unwrap().1.len(), found.len() + 1);
        journal.remove().unwrap();
        assert!(!path.exists());
    }
}

#[test]
fn a_damaged_block_ends_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.part");
    let mut journal = Journal::create(&path, "work").unwrap();
    let first = std::fs::metadata(&path).unwrap().len() as usize;
    [b"one", b"two"].iter().for_each(|block| journal.append(*block).unwrap());
    drop(journal);
    let bytes = std::fs::read(&path).unwrap();
    for bit in 8 * first..8 * bytes.len() {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &damaged).unwrap();
        let (_, _, found) = blocks(&path).unwrap().unwrap();
        assert!([vec![], vec![b"one".to_vec()]].contains(&found), "bit {bit}: {found:?}");
    }
}

#[test]
fn what_is_not_ours_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.part");
    for text in ["my own notes\n", "revox-journal 2 x\n", "revox-journal 1 no end"] {
        std::fs::write(&path, [text.as_bytes(), &[b'x'; 1 << 17]].concat()).unwrap();
        let error = blocks(&path).unwrap_err().to_string();
        assert!(error.contains("a.part: is no journal"), "{error}");
        assert!(path.exists());
    }
    let error = Journal::create(&path, "work").unwrap_err().to_string();
    assert!(error.contains("another process does the same work"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let journal = Journal::create(&path, "work").unwrap();
    let error = blocks(&path).unwrap_err().to_string();
    assert!(error.contains("another process is doing this work"), "{error}");
    drop(journal);
    let refuse = |_: &str| Err(Error::invalid("other work"));
    assert!(Journal::open(&path, refuse, |_| Ok(())).is_err() && path.exists());
}
