use clap::Parser;

use super::*;
use crate::backend::collective::threads::each_rank;
use crate::cli::remedy::told;
use crate::cli::{Cli, Verb};

#[test]
fn what_is_for_one_process_is_refused() {
    let checked = |words: &[&str]| {
        let line = [&["revox", "embed"][..], words].concat();
        let Verb::Embed(args) = Cli::try_parse_from(line).unwrap().verb else { unreachable!() };
        check(&args, 4).map_err(|e| told(&e))
    };
    for output in ["e", "e.safetensors", "e.emb"] {
        assert_eq!(checked(&["a.wav", "-o", output]), Ok(()));
    }
    let options: [&[&str]; 4] = [
        &["--shard", "1/4", "a.wav"],
        &["--features", "f.safetensors"],
        &["m.safetensors", "a.wav", "--mean"],
        &["a.wav", "--mean-by", "utt2spk"],
    ];
    for words in options {
        let error = checked(&[words, &["-o", "e"]].concat()).unwrap_err();
        let option = words.iter().find(|word| word.starts_with("--")).unwrap();
        let wanted = format!("{option} is for one process: these 4 divide a list among them");
        assert_eq!(error, format!("{wanted}; --help tells what is possible"));
    }
    for output in ["-", "e.ark", "e.scp", "ark,t:e", "e.npz", "e.csv"] {
        let error = checked(&["a.wav", "-o", output]).unwrap_err();
        let wanted = "several processes write one safetensors file, and nothing else";
        assert_eq!(error, format!("{output}: {wanted}; --help tells what is possible"));
    }
}

#[test]
fn ranks_of_other_work_are_named() {
    let said = |theirs: Value, output: &str| {
        let results = each_rank(3, |ranks| {
            let ours = json!({"model": "m", "window": 300.0, "channel": null});
            let (work, output) = match ranks.rank() {
                2 => (&theirs, output),
                _ => (&ours, "e"),
            };
            same_work(ranks, Path::new(output), work).map_err(|e| e.to_string())
        });
        assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
        results[0].clone()
    };
    let same = || json!({"model": "m", "window": 300.0, "channel": null});
    assert_eq!(said(same(), "e"), Ok(()));
    let words = |what: &str| Err(format!("rank 2 differs from rank 0: {what}"));
    assert_eq!(said(same(), "f"), words("output"));
    let other = json!({"model": "n", "window": 10.0, "channel": null});
    assert_eq!(said(other, "e"), words("model, window"));
    assert_eq!(said(json!({"model": "m"}), "e"), words("window"));
}

#[test]
fn what_ranks_have_left_out_comes_in_the_order_of_the_list() {
    let all = each_rank(2, |ranks| {
        let absent = |place: usize| (place, format!("u{place}"), format!("{place}.wav: none"));
        let ours: Vec<Absent> = [[0, 4], [1, 3]][ranks.rank()].map(absent).into();
        all_left_out(ranks, &ours).unwrap().entries().to_vec()
    });
    let ids: Vec<&str> = all[0].iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["u0", "u1", "u3", "u4"]);
    assert_eq!(all[0], all[1]);
}
