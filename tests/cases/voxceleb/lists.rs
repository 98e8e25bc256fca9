//! Lists from standard input, archives in place of our own files, trials that name nothing, and
//! commands in lists.

use std::fs::File;

use revox::corpus::{locate, read_wav_scp};

use super::{bytes, place, refused, trained, utterances, weights, write_lists};
use crate::place::{Place, Ran, finish};

/// Runs with a file as standard input.
fn with_input(place: &Place, args: &[&str], input: &str) -> Ran {
    let mut command = place.command(args);
    command.stdin(File::open(place.path(input)).unwrap());
    finish(command.output().unwrap())
}

#[test]
fn lists_come_from_standard_input() {
    let place = place();
    let embed = |list: &str, output: &str| {
        let args = ["embed", "m.safetensors", "--wav-scp", list, "-o", output];
        let ran = with_input(&place, &args, "syn/dev/wav.scp");
        assert_eq!(ran.code, 0, "{}", ran.err);
    };
    // Files of such a list are looked for in the working folder.
    let scp = place.path("syn/dev/wav.scp");
    let whole: String = read_wav_scp(&scp)
        .unwrap()
        .iter()
        .map(|(id, file, _)| format!("{id} {}\n", locate(&scp, file).display()))
        .collect();
    place.write("syn/dev/wav.scp", &whole);
    embed("-", "a.safetensors");
    embed("syn/dev/wav.scp", "b.safetensors");
    assert!(bytes(place.path("a.safetensors")) == bytes(place.path("b.safetensors")));
    let score = |trials: &str, output: &str| {
        let args = ["score", "a.safetensors", trials, "-o", output];
        let ran = with_input(&place, &args, "syn/dev/trials.txt");
        assert_eq!(ran.code, 0, "{}", ran.err);
    };
    score("-", "a.txt");
    score("syn/dev/trials.txt", "b.txt");
    assert!(bytes(place.path("a.txt")) == bytes(place.path("b.txt")));
    let eer = |scores: &str| {
        let ran = with_input(&place, &["eval", scores, "--json"], "a.txt");
        assert_eq!(ran.code, 0, "{}", ran.err);
        serde_json::from_str::<serde_json::Value>(&ran.out).unwrap()["eer"].clone()
    };
    assert!(eer("-") == eer("a.txt") && eer("-").is_number());
}

#[test]
fn archives_are_scored_as_our_own_files() {
    let place = place();
    let embed = ["embed", "m.safetensors", "--wav-scp", "syn/dev/wav.scp", "-o"];
    for output in ["e.safetensors", "ark,scp:xvector.ark,xvector.scp"] {
        place.ok(&[&embed[..], &[output]].concat());
    }
    for (input, output) in [("e.safetensors", "ours"), ("xvector.scp", "theirs")] {
        let cohort = ["--cohort", input, "--top-n", "5"];
        let score = ["score", input, "syn/dev/trials.txt", "-o", output];
        place.ok(&[&score[..], &cohort].concat());
    }
    assert!(bytes(place.path("ours")) == bytes(place.path("theirs")));
    // A list whose archive was cut.
    let whole = bytes(place.path("xvector.ark"));
    std::fs::write(place.path("xvector.ark"), &whole[..whole.len() - 10]).unwrap();
    place.fails(
        &["score", "xvector.scp", "syn/dev/trials.txt", "-o", "none"],
        &["xvector.scp:12: ", "xvector.ark", "bytes are left"],
    );
}

#[test]
fn a_trial_that_names_nothing_is_named() {
    let place = place();
    let embed = ["embed", "m.safetensors", "--wav-scp", "syn/dev/wav.scp", "-o", "e.safetensors"];
    place.ok(&embed);
    let trials = std::fs::read_to_string(place.path("syn/dev/trials.txt")).unwrap();
    let lines = trials.lines().count();
    place.write("t", &format!("{trials}0 nobody.wav nobody.wav\n"));
    let at = format!("t:{}: ", lines + 1);
    let wanted = ["unknown utterance `nobody.wav`", &at];
    place.fails(&["score", "e.safetensors", "t", "-o", "s"], &wanted);
    let train = ["train", "r.toml", "--quiet", "--out", "none", "--set", "data.trials=t"];
    place.fails(&train, &wanted);
    assert!(!place.path("s").exists() && !place.path("none/model.safetensors").exists());
}

#[test]
#[cfg(unix)]
fn commands_in_lists_run_only_if_they_are_allowed() {
    let place = place();
    place.wav("a.wav", 1.0, 100.0);
    place.write("files/wav.scp", "a ../a.wav\n");
    place.write("pipes/wav.scp", "a touch ran; cat a.wav |\n");
    place.write("pipes/utt2spk", "a ann\n");
    let embed = |list: &'static str| -> [&'static str; 6] {
        ["embed", "m.safetensors", "--wav-scp", list, "-o", "e.safetensors"]
    };
    place.fails(&embed("pipes/wav.scp"), &["pipes/wav.scp:1: ", "a command", "--allow-pipes"]);
    refused(&place, "pipes", &["pipes/wav.scp:1: ", "a command", "--allow-pipes"]);
    place.fails(&["prepare", "kaldi", "pipes", "out"], &["pipes/wav.scp:1: ", "is a command"]);
    assert!(!place.path("ran").exists(), "a command ran that was not allowed");
    place.ok(&embed("files/wav.scp"));
    let wanted = bytes(place.path("e.safetensors"));
    place.ok(&[&embed("pipes/wav.scp")[..], &["--allow-pipes"]].concat());
    assert!(bytes(place.path("e.safetensors")) == wanted && place.path("ran").exists());
    place.ok(&["prepare", "kaldi", "pipes", "out", "--allow-pipes"]);
    let list = std::fs::read_to_string(place.path("out/wav.scp")).unwrap();
    assert_eq!(list, "a touch ran; cat a.wav |\n");
    // Training from commands is training from what they write.
    let mut all = utterances(&place);
    all.iter_mut().for_each(|entry| entry.1 = format!("cat {} |", entry.1));
    write_lists(&place, "commands", &all);
    trained(&place, "ours", &[]);
    let train = ["train", "r.toml", "--quiet", "--out", "run", "--set", "data.train=commands"];
    place.fails(&train, &["commands/wav.scp:1: ", "--allow-pipes"]);
    place.ok(&[&train[..], &["--allow-pipes"]].concat());
    assert!(weights(&place, "run") == weights(&place, "ours"));
    // A command that fails.
    place.write("pipes/wav.scp", "a echo lost >&2; exit 3 |\n");
    let failing = [&embed("pipes/wav.scp")[..], &["--allow-pipes"]].concat();
    place.fails(&failing, &["pipes/wav.scp:1: ", "exit 3 |` failed", "lost"]);
    place.write("pipes/wav.scp", "a true |\n");
    place.fails(&failing, &["pipes/wav.scp:1: ", "the file is empty"]);
}
