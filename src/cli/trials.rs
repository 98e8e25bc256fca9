//! `revox trials`.

use std::path::PathBuf;

use serde_json::json;

use super::values::{counted, within};
use super::{Global, shown, tell};
use crate::corpus::split::{
    DevSpeakers, Genders, MadeTrials, Pairs, SetSize, make_trials, read_genders, split,
};
use crate::error::Result;
use crate::terminal::{errln, outln};

const HELP: &str = "\
OUT/train and OUT/dev get wav.scp, utt2spk and spk2utt of different speakers, and
OUT/dev gets trials.txt, lines `1 utterance utterance` for one speaker and
`0 utterance utterance` for two. With --no-split all speakers of LISTS are tested, and
OUT is the file of the trials; LISTS may then be a shard.list, or a folder with nothing
but utt2spk. The same seed gives the same result, whatever the order of the lists.

Examples:
  revox trials lists/dev lists/dev/trials.txt --no-split
  revox trials lists data --dev-speakers 5% --same-gender spk2gender";

/// Divide lists into a training and a dev set by speakers, and make trials.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Folder with wav.scp and utt2spk, or a raw.list.
    lists: PathBuf,
    /// Folder for the sets train and dev.
    out: PathBuf,
    /// Speakers that are kept from training: a number, or a part such as 5%.
    #[arg(long, default_value = "10%", value_name = "N|P%", value_parser = dev_speakers)]
    dev_speakers: DevSpeakers,
    /// Target trials, and as many nontarget trials: a number, or all there are.
    #[arg(long, default_value = "10000", value_name = "N|all", value_parser = pairs)]
    pairs: Pairs,
    /// Nontarget trials only of speakers of one gender, by this list (`speaker f`, `speaker m`).
    #[arg(long, value_name = "SPK2GENDER")]
    same_gender: Option<PathBuf>,
    /// Only make trials, of all speakers.
    #[arg(long, conflicts_with = "dev_speakers")]
    no_split: bool,
}

fn dev_speakers(text: &str) -> Result<DevSpeakers, String> {
    match text.strip_suffix('%') {
        Some(percent) => within(percent.trim(), 0.01..=99.0, "0.01% to 99% are possible")
            .map(DevSpeakers::Percent),
        None => match text.parse() {
            Ok(count @ 2..) => Ok(DevSpeakers::Count(count)),
            _ => Err("a number from 2 on is wanted, or a part such as 5%".into()),
        },
    }
}

fn pairs(text: &str) -> Result<Pairs, String> {
    match text.parse() {
        _ if text == "all" => Ok(Pairs::All),
        Ok(count @ 1..=50_000_000) => Ok(Pairs::Drawn(count)),
        _ => Err("a number from 1 to 50000000 is wanted, or `all`".into()),
    }
}

/// Remarks on genders.
fn remark(trials: &MadeTrials) {
    if !trials.genderless.is_empty() {
        let (who, names) = (counted(trials.genderless.len(), "speaker"), trials.first_genderless());
        errln!("warning: {who} of unknown gender ({names}), compared only with each other");
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let genders = args.same_gender.as_deref().map(read_genders).transpose()?;
    let seed = global.seed.unwrap_or(1);
    if args.no_split {
        return only_trials(args, genders.as_ref(), seed, global.json);
    }
    let (lists, out) = (&args.lists, &args.out);
    let made = split(lists, out, args.dev_speakers, args.pairs, genders.as_ref(), seed)?;
    remark(&made.trials);
    if global.json {
        let set = |set: SetSize| {
            let SetSize { speakers, utterances } = set;
            json!({"speakers": speakers, "utterances": utterances})
        };
        let all = json!({
            "out": shown(out),
            "train": set(made.train),
            "dev": set(made.dev),
            "targets": made.trials.targets,
            "nontargets": made.trials.nontargets,
        });
        outln!("{all}");
        return Ok(());
    }
    for (name, set) in [("train", made.train), ("dev", made.dev)] {
        outln!(
            "{} of {} in {}",
            counted(set.utterances, "utterance"),
            counted(set.speakers, "speaker"),
            out.join(name).display()
        );
    }
    let file = out.join("dev/trials.txt");
    outln!("{} in {}", told(&made.trials), file.display());
    Ok(())
}

fn only_trials(args: &Args, genders: Option<&Genders>, seed: u64, as_json: bool) -> Result<()> {
    let made = make_trials(&args.lists, &args.out, args.pairs, genders, seed)?;
    remark(&made);
    let text = match as_json {
        true => json!({
            "out": shown(&args.out),
            "targets": made.targets,
            "nontargets": made.nontargets,
        })
        .to_string(),
        false => format!("{} in {}", told(&made), args.out.display()),
    };
    tell(&args.out, &text);
    Ok(())
}

/// The numbers of trials in words.
fn told(trials: &MadeTrials) -> String {
    let targets = counted(trials.targets, "target trial");
    format!("{targets} and {}", counted(trials.nontargets, "nontarget trial"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_parts_are_read() {
        assert_eq!(dev_speakers("7"), Ok(DevSpeakers::Count(7)));
        assert_eq!(dev_speakers("2.5 %"), Ok(DevSpeakers::Percent(2.5)));
        for bad in ["1", "0%", "100%", "", "%", "-3", "nan%", "x"] {
            assert!(dev_speakers(bad).is_err(), "{bad}");
        }
        assert_eq!((pairs("all"), pairs("12")), (Ok(Pairs::All), Ok(Pairs::Drawn(12))));
        for bad in ["0", "", "ALL", "50000001", "1.5"] {
            assert!(pairs(bad).is_err(), "{bad}");
        }
    }
}
