//! Lists longer than a block of work, and lists that can be read only once.

use std::collections::HashMap;
use std::io::Write;
use std::process::Stdio;

use revox::rng::Stream;
use revox::scoring::{Curve, Embeddings, Scorer, bootstrap, read_scores};

use crate::place::{Place, finish};

const UTTERANCES: usize = 60;
const SPEAKERS: usize = 10;

fn embeddings(stream: &mut Stream) -> Embeddings {
    let mut all = Embeddings::new(8);
    for i in 0..UTTERANCES {
        let voice = |j: usize| ((i % SPEAKERS * 8 + j) as f64 * 1.7).sin();
        let row: Vec<f32> = (0..8).map(|j| (voice(j) + 0.6 * stream.normal()) as f32).collect();
        all.push(&format!("u{i:02}"), &row).unwrap();
    }
    all
}

fn near(a: &serde_json::Value, b: f64) -> bool {
    (a.as_f64().unwrap() - b).abs() < 1e-12
}

#[test]
fn many_trials_are_scored_and_rated_as_few_are() {
    let place = Place::make();
    let mut stream = Stream::new(1, "test", &[]);
    let e = embeddings(&mut stream);
    e.save(place.path("e.safetensors")).unwrap();
    let pairs: Vec<(usize, usize)> =
        (0..30_000).map(|_| (stream.below(UTTERANCES), stream.below(UTTERANCES))).collect();
    let same = |a: usize, b: usize| a % SPEAKERS == b % SPEAKERS;
    let trial = |&(a, b): &(usize, usize)| format!("{} u{a:02} u{b:02}\n", u8::from(same(a, b)));
    place.write("trials", &pairs.iter().map(trial).collect::<String>());
    place.ok(&["score", "e.safetensors", "trials", "-o", "scores"]);
    let scorer = Scorer::new(&e, None).unwrap();
    let line = |&(a, b): &(usize, usize)| {
        let label = if same(a, b) { "target" } else { "nontarget" };
        format!("u{a:02} u{b:02} {:.9} {label}\n", scorer.score(a, b))
    };
    let wanted: String = pairs.iter().map(line).collect();
    assert!(std::fs::read_to_string(place.path("scores")).unwrap() == wanted);

    // Speakers are numbered as they come.
    let mut numbers: HashMap<usize, u32> = HashMap::new();
    let mut number = |utterance: usize| {
        let next = numbers.len() as u32;
        *numbers.entry(utterance % SPEAKERS).or_insert(next)
    };
    let scored: Vec<(f64, bool, u32, u32)> = read_scores(place.path("scores"))
        .unwrap()
        .iter()
        .zip(&pairs)
        .map(|(t, &(a, b))| (t.score, t.label.unwrap(), number(a), number(b)))
        .collect();
    let curve = Curve::new(scored.iter().map(|t| (t.0, t.1))).unwrap();
    let intervals = bootstrap(&scored, &[0.01, 0.05], 40, 5, &|| ()).unwrap();
    let utt2spk: String = (0..UTTERANCES).map(|i| format!("u{i:02} s{}\n", i % SPEAKERS)).collect();
    place.write("utt2spk", &utt2spk);
    let eval = ["eval", "scores", "--replicates", "40", "--seed", "5"];
    let listed = place.json(&[&eval[..], &["--utt2spk", "utt2spk", "--det", "det.csv"]].concat());
    // Target trials connect all utterances of a speaker.
    let connected = place.json(&[&eval[..], &["--det", "det.svg"]].concat());
    // Labels of the list alone.
    let plain: String =
        wanted.lines().map(|l| l.rsplit_once(' ').unwrap().0.to_owned() + "\r\n\n").collect();
    place.write("scores", &plain);
    let labelled = place.json(&[&eval[..], &["--trials", "trials"]].concat());
    for report in [&listed, &connected, &labelled] {
        assert_eq!(report["targets"].as_u64(), Some(curve.targets as u64));
        assert!(
            near(&report["eer"], curve.eer().rate)
                && near(&report["threshold_eer"], curve.eer().threshold)
        );
        assert!(near(&report["min_dcf"]["0.01"], curve.min_dcf(0.01).cost));
        let (eer, dcf) = (&report["eer_ci95"], &report["min_dcf_ci95"]["0.05"]);
        assert!(near(&eer[0], intervals.eer.low) && near(&eer[1], intervals.eer.high), "{report}");
        assert!(
            near(&dcf[0], intervals.min_dcf[1].low) && near(&dcf[1], intervals.min_dcf[1].high),
            "{report}"
        );
        assert_eq!(report["speakers"], SPEAKERS);
    }
    assert_eq!((&listed["unscored"], &labelled["unscored"]), (&serde_json::Value::Null, &0.into()));
    let csv = std::fs::read_to_string(place.path("det.csv")).unwrap();
    assert_eq!(csv.lines().count(), curve.points().count() + 1);
    assert!(
        std::fs::read_to_string(place.path("det.svg"))
            .unwrap()
            .contains("95 % interval, 10 speakers resampled")
    );
}

#[test]
fn faults_far_down_a_list_have_their_lines() {
    let place = Place::make();
    // Six hundred utterances, every fifth line blank.
    let line = |i: usize| format!("u{} w{} {}", i % 600, i / 600, i as f64 / 30_000.0);
    let many: Vec<String> =
        (0..24_000).map(|i| if i % 5 == 4 { String::new() } else { line(i) }).collect();
    let fails = |changes: &[(usize, &str)], wanted: &[&str]| {
        let mut lines: Vec<&str> = many.iter().map(String::as_str).collect();
        changes.iter().for_each(|&(i, line)| lines[i - 1] = line);
        place.write("scores", &(lines.join("\n") + "\n"));
        place.fails(&["eval", "scores"], wanted);
    };
    fails(&[], &["scores:1: no label for u0 w0; give --trials"]);
    let (twice, other) = (line(11_000), line(11_000).replace("0.3", "0.4"));
    fails(
        &[(20_000, &other), (22_000, &twice)],
        &["scores:20000: trial u200 w18 scores 0.4666", "0.3666", "line 11001"],
    );
    fails(&[(23_999, "a b x"), (20_000, &other)], &["scores:20000: trial u200 w18"]);
    fails(&[(19_999, "a b x"), (20_000, &other)], &["scores:19999: score `x` is not a number"]);
}

#[test]
#[cfg(unix)]
fn pipes_are_lists() {
    let place = Place::make();
    let piped = |args: &[&str], list: &str| {
        let mut command = place.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
        finish(child.wait_with_output().unwrap())
    };
    let eval = ["eval", "/dev/stdin", "--replicates", "0", "--json"];
    let ran = piped(&eval, "a b 0.5 1\na c 0.1 0\n");
    assert!(ran.code == 0 && ran.out.contains("\"eer\":0.0"), "{} {}", ran.out, ran.err);
    // Contradictions are found in a second pass.
    let ran = piped(&eval, "a b 0.5 1\n\na c 0.1 0\na b 0.6 1\n");
    assert!(
        ran.err.contains("/dev/stdin:4: trial a b scores 0.6 here and 0.5 in line 1"),
        "{}",
        ran.err
    );
    let mut e = Embeddings::new(2);
    ["a", "1", "0"].iter().for_each(|id| e.push(id, &[1.0, 2.0]).unwrap());
    e.save(place.path("e.safetensors")).unwrap();
    // So is the position of the label where both ends could be one.
    let ran = piped(&["score", "e.safetensors", "/dev/stdin", "-o", "-"], "1 a 0\n0 a a\n");
    assert_eq!(ran.out, "a 0 1.000000000 target\na a 1.000000000 nontarget\n", "{}", ran.err);
}
