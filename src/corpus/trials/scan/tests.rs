use super::*;

/// Two words, with or without a number.
struct Numbered;

impl Grammar for Numbered {
    type Value = usize;

    fn entry<'t>(&self, fields: &Fields<'t>) -> Result<Entry<'t, usize>, String> {
        match *fields.first() {
            [enroll, test] => Ok(Entry { enroll, test, value: 0 }),
            [enroll, test, n] => {
                Ok(Entry { enroll, test, value: n.parse().map_err(|_| format!("no `{n}`"))? })
            }
            _ => Err(format!("{} words", fields.count)),
        }
    }
}

fn list(bytes: &[u8], block: usize) -> (Text, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t"), bytes).unwrap();
    let mut text = Text::open(dir.path().join("t")).unwrap();
    text.block = block;
    (text, dir)
}

/// Sizes of blocks that make pieces of a line, of a few, and of all.
const SIZES: [usize; 4] = [16, 200, 640, 1 << 20];

#[test]
fn words_are_numbered_as_they_come_however_the_list_is_cut() {
    let bytes: String =
        (0..500).map(|i| format!("{}w{} w{} {i}\n", "\n".repeat(i % 3), i / 7, i % 50)).collect();
    for size in SIZES {
        let (text, _dir) = list(bytes.as_bytes(), size);
        let (mut words, mut lines, mut read) = (Words::default(), Vec::new(), 0);
        let make = |f: &Found<usize>| (f.words, f.value);
        let (all, wrong) =
            read_all(&text, &Numbered, &mut words, make, Some(&mut lines), &mut |bytes| {
                read += bytes
            })
            .unwrap();
        assert!(wrong.is_none() && read == bytes.len(), "{size}");
        let mut order: Vec<String> = Vec::new();
        for (i, (numbers, value)) in all.iter().enumerate() {
            assert_eq!(*value, i);
            for (number, word) in
                numbers.iter().zip([format!("w{}", i / 7), format!("w{}", i % 50)])
            {
                if !order.contains(&word) {
                    order.push(word.clone());
                }
                assert_eq!(words.get(*number), word, "{size}");
            }
        }
        assert!(words.iter().map(|w| w.0).eq(order.iter()), "{size}");
        let found: Vec<usize> =
            (1..).zip(bytes.lines()).filter(|(_, l)| !l.is_empty()).map(|(i, _)| i).collect();
        assert_eq!(lines, found);
        // Each word has the line where it first stands.
        assert!(
            words.iter().all(|(w, line)| bytes.lines().nth(line - 1).unwrap().contains(w)),
            "{size}"
        );
        let (line, first) =
            find_line(&text, &Numbered, &mut words, &mut |_, f| f.value == 321).unwrap().unwrap();
        assert_eq!((line, first.value), (lines[321], 321));
        assert!(
            find_line(&text, &Numbered, &mut words, &mut |_, f| f.value == 500).unwrap().is_none()
        );
    }
}

#[test]
fn the_first_bad_line_ends_the_list_and_what_is_no_text_comes_before_all() {
    let good = "a b 1\n".repeat(40);
    for size in SIZES {
        let read = |bytes: &[u8]| {
            let (text, _dir) = list(bytes, size);
            let all =
                read_all(&text, &Numbered, &mut Words::default(), |f| f.value, None, &mut |_| ());
            all.map(|(all, wrong)| (all.len(), wrong.map(|e| e.to_string())))
        };
        let bytes = format!("{good}\n a b x\nc d y\n{good}");
        let (count, wrong) = read(bytes.as_bytes()).unwrap();
        assert!(
            count == 40 && wrong.as_ref().unwrap().ends_with("t:42: no `x`"),
            "{size}: {wrong:?}"
        );
        let bytes = [bytes.as_bytes(), b"a b\na \xffb\n\xff"].concat();
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.ends_with("t:85: not UTF-8 text"), "{size}: {error}");
        assert_eq!(
            read(b"\r\n\na b c d e f g").unwrap().1.unwrap().rsplit_once(':').unwrap().1,
            " 7 words"
        );
    }
}

#[test]
fn pieces_are_whole_lines() {
    let block = b"a\nbb\n\nccc\nd";
    for size in 0..12 {
        let pieces = cut(block, size);
        assert_eq!(pieces.concat(), block, "{size}");
        let (_, most) = pieces.split_last().unwrap();
        assert!(most.iter().all(|p| p.ends_with(b"\n") && p.len() > size), "{size}: {pieces:?}");
    }
    assert!(cut(b"", 3).is_empty());
}
