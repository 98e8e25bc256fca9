use std::collections::HashMap;

use super::*;
use crate::rng::Stream;

fn read(text: &str) -> Result<Vec<Trial>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trials");
    std::fs::write(&path, text).unwrap();
    read_trials(path)
}

/// Label, enrollment and test of each line: `+ a b`.
fn shown(text: &str) -> String {
    let sign = |t: &Trial| t.target.map_or("?", |label| if label { "+" } else { "-" });
    let trials = read(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    trials
        .iter()
        .map(|t| format!("{} {} {}", sign(t), t.enroll, t.test))
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn both_forms_are_read() {
    let a = read("1 x/a.wav y/b.wav\n0 x/a.wav z/c.wav\n").unwrap();
    let b = read("x/a.wav y/b.wav target\nx/a.wav z/c.wav nontarget\n").unwrap();
    assert_eq!(a, b);
    assert_eq!(shown("1 x/a.wav y/b.wav\r\n\r\nx\tz\timp \r\n"), "+ x/a.wav y/b.wav, - x z");
    assert_eq!(shown("TGT a b\na c Different\nsame a d\n"), "+ a b, - a c, + a d");
    assert_eq!(shown("a b\n2 1\n"), "? a b, ? 2 1");
}

#[test]
fn ids_that_look_like_labels_are_ids() {
    // A word is the label rather than a number, whichever label it is.
    assert_eq!(
        shown("1 0 target\n0 1 nontarget\n1 5 nontarget\nimp 7 0\n"),
        "+ 1 0, - 0 1, - 1 5, - 7 0"
    );
    // The other lines decide.
    assert_eq!(shown("1 5 0\n0 5 7\n"), "+ 5 0, - 5 7");
    assert_eq!(shown("1 5 0\n7 5 1\n"), "- 1 5, + 7 5");
    assert_eq!(shown("same a diff\nsame a b\n"), "+ a diff, + a b");
    // Nothing decides, and both forms give the same label.
    assert_eq!(shown("1 0 1\n0 5 0\n"), "+ 0 1, - 5 0");
    for (text, wanted) in [
        ("1 5 0\n", ":1: `1` and `0` could both be the label"),
        ("a b 1\n0 a c\n1 5 0\n", ":3: `1` and `0` could both"),
        (
            "a b target\ntarget b nontarget\nnontarget b a\n",
            ":2: `target` and `nontarget` could both",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn bad_lines_are_named() {
    for (text, wanted) in [
        ("1 a b\n1 a\n", ":2: 2 field(s)"),
        ("a b\na target\n", ":2: 2 field(s)"),
        ("a b c\n", ":1: neither"),
        ("1 a b c\n", ":1: 4 field(s)"),
        ("", "no trials"),
        ("1 a b\n0 a c\n\n0 a b\n", ":4: trial a b is nontarget here and target in line 1"),
        ("a b\n0 a b\na b target\n", ":3: trial a b is target here and nontarget in line 2"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    // A repeated trial is no contradiction, and neither is one with its sides exchanged.
    assert_eq!(shown("1 a b\n1 a b\n0 b a\n"), "+ a b, + a b, - b a");
}

#[test]
fn sides_become_places() {
    let trials = read("1 p/a.wav b\n0 a c\n").unwrap();
    let names = Names::new("e", ["a", "b"]);
    let fails = |trials: &[Trial]| resolve(Path::new("t"), trials, &names).unwrap_err().to_string();
    assert!(fails(&trials[1..]).starts_with("t:2: unknown utterance `c`"));
    assert!(
        fails(&trials[..1])
            .starts_with("t:1: unknown utterance `p/a.wav`; `a` of e may be another")
    );
    let trials = read("1 a.wav b\n").unwrap();
    assert_eq!(resolve(Path::new("t"), &trials, &names).unwrap(), (vec![(0, 1)], None));
    let trials = read("1 p/a.wav p/b.wav\n0 p/b.wav p/a.wav\n").unwrap();
    let (places, note) = resolve(Path::new("t"), &trials, &names).unwrap();
    assert_eq!(places, [(0, 1), (1, 0)]);
    assert!(note.unwrap().contains("by last name"));
}

/// A plain reader by the rules above, with the whole text in memory.
fn by_the_rules(text: &str) -> Result<Vec<Trial>, String> {
    let number = |label: &str| matches!(label, "0" | "1");
    // Whether the label comes last.
    let form = |first: &str, last: &str| match (parse_label(first), parse_label(last)) {
        (Some(_), Some(_)) if number(first) == number(last) => None,
        (Some(_), Some(_)) => Some(number(first)),
        (first, last) => first.xor(last).map(|_| last.is_some()),
    };
    let fields = |line| str::split_ascii_whitespace(line).collect::<Vec<&str>>();
    let forms: Vec<bool> = text
        .lines()
        .map(fields)
        .filter(|f| f.len() == 3)
        .filter_map(|f| form(f[0], f[2]))
        .collect();
    let usual = forms.first().copied().filter(|f| forms.iter().all(|g| g == f));
    let mut labels = HashMap::new();
    let mut trials = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line_is = |message: String| format!(":{}: {message}", i + 1);
        let fields = fields(line);
        let (target, enroll, test) = match fields[..] {
            [] => continue,
            [a, b] if parse_label(a).is_none() && (parse_label(b).is_none() || number(b)) => {
                (None, a, b)
            }
            [a, b, c] => match (parse_label(a), parse_label(c), form(a, c).or(usual)) {
                (None, None, _) => {
                    return Err(line_is(format!("neither `{a}` nor `{c}` is a label")));
                }
                (_, label, Some(true)) => (label, a, b),
                (label, _, Some(false)) => (label, b, c),
                (label, other, None) if label == other => (label, b, c),
                _ => return Err(line_is(format!("`{a}` and `{c}` could both be the label"))),
            },
            _ => return Err(line_is(format!("{} field(s)", fields.len()))),
        };
        if let Some(label) = target
            && let Some((other, first)) =
                labels.insert((enroll.to_owned(), test.to_owned()), (label, i + 1))
            && other != label
        {
            let (now, then) = (label_name(label), label_name(other));
            return Err(line_is(format!(
                "trial {enroll} {test} is {now} here and {then} in line {first}"
            )));
        }
        trials.push(Trial {
            enroll: enroll.to_owned(),
            test: test.to_owned(),
            target,
            line: i + 1,
        });
    }
    if trials.is_empty() { Err(": holds no trials".into()) } else { Ok(trials) }
}

/// A list with blank lines, some odd lines, and a few contradictions.
fn some_list(stream: &mut Stream) -> String {
    let ids = ["a", "b", "c/1.wav", "d", "e", "\u{fc}", "0", "1", "imp"];
    // Every third list has ids like labels.
    let count = if stream.chance(0.3) { ids.len() } else { 2 + stream.below(5) };
    let (form, end) = (stream.below(4), if stream.chance(0.3) { "\r\n" } else { "\n" });
    let names = if stream.chance(0.5) { ["0", "1"] } else { ["Nontarget", "tgt"] };
    let (odd, wrong) = (stream.chance(0.3), stream.chance(0.3));
    let mut text = String::new();
    let lines = if stream.chance(0.95) { stream.below(200) } else { 0 };
    for _ in 0..lines {
        let (a, b) = (stream.below(count), stream.below(count));
        let label = names[(a + b + usize::from(wrong && stream.chance(0.01))) % 2];
        text += &match (form, stream.below(100)) {
            (_, 0..3) => ["", " ", "\t \u{c}"][stream.below(3)].to_owned(),
            (_, 3) if odd => ["a b c", "1 a", "a b c 1", "a", "1 x 0"][stream.below(5)].to_owned(),
            (_, 4) if odd => format!("{} {} {label}", ids[a], ids[b]),
            (0 | 1, _) => format!("{label} {}\t{} ", ids[a], ids[b]),
            (2, _) => format!(" {}  {} {label}", ids[a], ids[b]),
            _ => format!("{} {}", ids[a], ids[b]),
        };
        text += end;
    }
    if stream.chance(0.3) { text.trim_end().to_owned() } else { text }
}

/// A list that is read in blocks of `block` bytes.
fn cut(path: &Path, block: usize) -> Text {
    let mut text = Text::open(path).unwrap();
    text.block = block;
    text
}

#[test]
fn lists_are_read_by_the_rules_however_they_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trials");
    let mut stream = Stream::new(1, "test", &[]);
    // Read, or refused for one of these reasons.
    let reasons = ["neither", "could both", "field(s)", " here and ", "no trials"];
    let mut outcomes = [0; 6];
    for round in 0..300 {
        let list = some_list(&mut stream);
        let mark = if round % 5 == 0 { "\u{feff}" } else { "" };
        std::fs::write(&path, format!("{mark}{list}")).unwrap();
        let wanted = by_the_rules(&list);
        for block in [64, 500, 1 << 20] {
            let found = trials_of(cut(&path, block));
            match (&wanted, found) {
                (Ok(wanted), Ok(found)) => assert_eq!(*wanted, found, "{list:?}"),
                (Err(wanted), Err(found)) => {
                    let found = found.to_string();
                    assert!(
                        found.contains(&format!("trials{wanted}")),
                        "{found} instead of {wanted}: {list:?}"
                    );
                }
                (_, found) => panic!("{found:?} instead of {wanted:?}: {list:?}"),
            }
        }
        let reason = wanted.err().map(|e| reasons.iter().position(|r| e.contains(r)).unwrap());
        outcomes[reason.map_or(0, |r| r + 1)] += 1;
    }
    assert!(outcomes[0] > 50 && outcomes.iter().all(|n| *n > 0), "{outcomes:?}");
}

#[test]
fn the_first_fault_is_named_whatever_its_kind() {
    for (text, wanted) in [
        ("1 a b\n1 a b\n0 a b\n1 a\n", ":3: trial a b is nontarget here and target in line 2"),
        ("1 a b\n1 a\n0 a b\n", ":2: 2 field(s)"),
        ("1 a b\n0 c d\n1 c d\n0 a b\n", ":3: trial c d is target here and nontarget in line 2"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    // Bytes that are no text come first, whatever is wrong before them.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t"), b"1 a b\n1 a\n0 a b\n1 \xe9 b\n").unwrap();
    let error = read_trials(dir.path().join("t")).unwrap_err().to_string();
    assert!(error.ends_with("t:4: not UTF-8 text"), "{error}");
}

#[test]
fn a_long_list_says_how_far_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t"), "1 a b\n0 a c\n".repeat(100)).unwrap();
    let text = cut(&dir.path().join("t"), 128);
    let (size, mut steps, mut words) = (text.size(), Vec::new(), Words::default());
    let mut list = TrialList::read(text, &mut words, &mut |bytes| steps.push(bytes)).unwrap();
    assert!(steps.len() > 20 && steps.iter().sum::<usize>() == size, "{steps:?}");
    assert_eq!((list.trials().len(), words.len(), list.text().line_of(57).unwrap()), (200, 3, 58));
    let first = list.find(&mut words, &mut |line, trial| line > 9 && trial.is_target()).unwrap();
    assert_eq!(first, Some((11, Pair::new(0, 1, Some(true)))));
    list.sort();
    assert_eq!(list.trials()[99..101], [Pair::new(0, 1, Some(true)), Pair::new(0, 2, Some(false))]);
}
