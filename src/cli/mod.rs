//! The command line: one file per verb. The library does the work. Only this module knows options
//! and verbs.

mod bench;
mod calibrate;
mod chosen;
mod cohort;
mod compare;
mod completions;
mod decision;
mod departing;
mod doctor;
mod embed;
mod enroll;
mod eval;
mod export;
mod fbank;
mod forget;
mod global;
mod identify;
mod import;
mod info;
mod man;
mod memory;
mod merge;
mod outcome;
mod outputs;
mod pack;
mod part_file;
mod plda;
mod prepare;
mod quantize;
mod remedy;
mod score;
mod signals;
mod speakers;
mod synth;
mod train;
mod trials;
mod values;
mod verify;
mod voices;
mod zoo;

use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory, Parser, Subcommand};

use self::global::Global;
use self::outcome::{outcome, usage};
use self::remedy::Terms;
use crate::backend::collective::Launched;
use crate::error::{Error, Result};
use crate::fs;
use crate::tensor_file;
use crate::terminal::{self, errln, outln};

/// Speaker verification: features, training, embeddings, scores.
#[derive(Debug, Parser)]
#[command(
    name = "revox",
    version,
    max_term_width = 100,
    disable_help_flag = true,
    after_help = "Example:\n  revox train recipes/quickstart.toml"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Synth(synth::Args),
    Prepare(prepare::Args),
    Trials(trials::Args),
    Pack(pack::Args),
    Fbank(fbank::Args),
    Train(train::Args),
    Embed(embed::Args),
    Merge(merge::Args),
    Plda(plda::Args),
    Score(score::Args),
    Eval(eval::Args),
    Calibrate(calibrate::Args),
    Compare(compare::Args),
    Enroll(enroll::Args),
    Identify(identify::Args),
    Verify(verify::Args),
    Speakers(speakers::Args),
    Forget(forget::Args),
    Import(import::Args),
    Export(export::Args),
    Info(info::Args),
    Quantize(quantize::Args),
    Memory(memory::Args),
    Bench(bench::Args),
    Doctor(doctor::Args),
    Zoo(zoo::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Verb {
    /// Whether the work goes on after the reader of the output has gone: it takes long, and its
    /// results are files.
    fn outlives_its_reader(&self) -> bool {
        matches!(
            self,
            Self::Train(_) | Self::Quantize(_) | Self::Synth(_) | Self::Prepare(_) | Self::Pack(_)
        )
    }

    /// The options that hints name.
    fn terms(&self) -> Terms {
        if matches!(self, Self::Quantize(_)) { Terms::QUANTIZE } else { Terms::USUAL }
    }
}

/// A path as text for JSON. Bytes that are no UTF-8 are replaced.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Reports on a file that was written: on standard output, unless the file itself went there.
fn tell(output: &Path, text: &str) {
    match fs::is_stdout(output) {
        true => errln!("{text}"),
        false => outln!("{text}"),
    }
}

/// Refuses a recording that is silent, where an option wants to hear voices.
fn check_heard(path: &Path, is_silent: bool, option: &str) -> Result<()> {
    match is_silent {
        true => Err(Error::file(
            path,
            format!(
                "silent: its samples do not change, so they tell nothing of voices; take it out \
                 of {option}"
            ),
        )),
        false => Ok(()),
    }
}

/// The verbs and options, for completions, manuals and tests.
pub fn command() -> Command {
    Cli::command()
}

/// Runs the program: 0 done, 1 the work failed, 2 usage, 128 + n stopped by signal n.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            sigpipe::reset();
            return usage(&e);
        }
    };
    // The program ends when its reader has seen enough (`revox ... | head`), as others do. One of
    // several processes must not end so when another one has gone.
    let is_rank = Launched::from_environment().is_some_and(|launched| launched.has_others());
    if !cli.verb.outlives_its_reader() && !is_rank {
        sigpipe::reset();
    }
    terminal::show_notes(!cli.global.quiet);
    signals::outlive_file_limits();
    if cli.global.allow_pipes {
        crate::audio::pipe::allow();
    }
    if cli.global.no_checksum {
        tensor_file::skip_checksums();
    }
    // SAFETY: nothing has started a thread.
    #[allow(unsafe_code, reason = "Burn has its default device from the environment alone")]
    unsafe {
        cli.global.backend.make_default();
    }
    let result = match &cli.verb {
        Verb::Synth(args) => synth::run(args, &cli.global),
        Verb::Prepare(args) => prepare::run(args, &cli.global),
        Verb::Trials(args) => trials::run(args, &cli.global),
        Verb::Pack(args) => pack::run(args, &cli.global),
        Verb::Fbank(args) => fbank::run(args, &cli.global),
        Verb::Train(args) => train::run(args, &cli.global),
        Verb::Embed(args) => embed::run(args, &cli.global),
        Verb::Merge(args) => merge::run(args, &cli.global),
        Verb::Plda(args) => plda::run(args, &cli.global),
        Verb::Score(args) => score::run(args, &cli.global),
        Verb::Eval(args) => eval::run(args, &cli.global),
        Verb::Calibrate(args) => calibrate::run(args, &cli.global),
        Verb::Compare(args) => compare::run(args, &cli.global),
        Verb::Enroll(args) => enroll::run(args, &cli.global),
        Verb::Identify(args) => identify::run(args, &cli.global),
        Verb::Verify(args) => verify::run(args, &cli.global),
        Verb::Speakers(args) => speakers::run(args, &cli.global),
        Verb::Forget(args) => forget::run(args, &cli.global),
        Verb::Import(args) => import::run(args, &cli.global),
        Verb::Export(args) => export::run(args, &cli.global),
        Verb::Info(args) => info::run(args, &cli.global),
        Verb::Quantize(args) => quantize::run(args, &cli.global),
        Verb::Bench(args) => bench::run(args, &cli.global),
        Verb::Memory(args) => memory::run(args, &cli.global),
        Verb::Doctor(args) => doctor::run(args, &cli.global),
        Verb::Zoo(args) => zoo::run(args, &cli.global),
        Verb::Completions(args) => completions::run(args),
        Verb::Man(args) => man::run(args),
    };
    let code = outcome(result, cli.global.json, &cli.verb.terms());
    departing::depart();
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_help_ends_with_an_example_and_has_the_global_options_last() {
        let mut command = command();
        command.clone().debug_assert();
        command.build();
        for verb in command.get_subcommands_mut().filter(|v| v.get_name() != "help") {
            let help = verb.render_help().to_string();
            let (own, global) =
                help.split_once("Global options:").unwrap_or_else(|| panic!("{help}"));
            assert!(!own.contains("--backend") && global.contains("--backend"), "{help}");
            // A wrapped command could not be pasted.
            let (_, examples) = global.split_once("Example").unwrap_or_else(|| panic!("{help}"));
            assert!(examples.lines().all(|line| line.len() <= 80), "{help}");
            assert!(examples.lines().skip(1).all(|line| line.starts_with("  ")), "{help}");
        }
    }

    #[test]
    fn long_work_outlives_its_reader() {
        let verb =
            |args: &[&str]| Cli::try_parse_from([&["revox"][..], args].concat()).unwrap().verb;
        assert!(verb(&["train", "r.toml"]).outlives_its_reader());
        assert!(verb(&["prepare", "folder", "in", "out"]).outlives_its_reader());
        assert!(!verb(&["zoo"]).outlives_its_reader());
    }
}
