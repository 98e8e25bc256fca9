//! `revox man`.

use std::path::PathBuf;

use clap::Command;
use clap_mangen::Man;

use super::command;
use super::values::misuse;
use crate::error::{Error, Result};
use crate::fs;
use crate::terminal::outln;

/// Manual pages: one on standard output, or all of them in a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox man train | man -l -
  revox man --dir ~/.local/share/man/man1")]
pub struct Args {
    /// The verb (`prepare folder` is one); without it the page of the program.
    verb: Vec<String>,
    /// Write every page into this folder.
    #[arg(long, conflicts_with = "verb")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut program = command();
    program.build();
    let pages = pages("revox", &program);
    if let Some(folder) = &args.dir {
        fs::create_dir_all(folder)?;
        for (name, command) in &pages {
            fs::write_bytes(folder.join(format!("{name}.1")), &page(name, command)?)?;
        }
        outln!("{} pages in {}", pages.len(), folder.display());
        return Ok(());
    }
    let wanted = std::iter::once("revox")
        .chain(args.verb.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("-");
    let Some((name, command)) = pages.iter().find(|(name, _)| *name == wanted) else {
        return Err(misuse(format!("no verb `{}`", args.verb.join(" "))));
    };
    fs::write_bytes(fs::STDOUT, &page(name, command)?)
}

/// The pages of a command and of those below it, by name: `revox`, `revox-train`, ....
fn pages(name: &str, command: &Command) -> Vec<(String, Command)> {
    let below = command.get_subcommands().filter(|c| c.get_name() != "help");
    let mut all = vec![(name.to_owned(), command.clone())];
    all.extend(below.flat_map(|c| pages(&format!("{name}-{}", c.get_name()), c)));
    all
}

/// A page in roff.
fn page(name: &str, command: &Command) -> Result<Vec<u8>> {
    let mut roff = Vec::new();
    Man::new(command.clone())
        .render(&mut roff)
        .map_err(|e| Error::Undefined(format!("cannot write the page {name}: {e}")))?;
    Ok(roff)
}
