//! `revox man`.

use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::Cli;
use crate::error::{Error, Result};
use crate::fs;
use crate::terminal::outln;

/// Manual pages: one on standard output, or all of them in a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox man train | man -l -
  revox man --dir ~/.local/share/man/man1")]
pub struct Args {
    /// The verb; without it the page of the program.
    verb: Option<String>,
    /// Write every page into this folder.
    #[arg(long, conflicts_with = "verb")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut program = Cli::command();
    program.build();
    let verbs = program.get_subcommands().filter(|v| v.get_name() != "help").cloned();
    let mut pages = vec![("revox".to_owned(), program.clone())];
    pages.extend(verbs.map(|verb| (format!("revox-{}", verb.get_name()), verb)));
    if let Some(folder) = &args.dir {
        fs::create_dir_all(folder)?;
        for (name, command) in &pages {
            fs::write_bytes(folder.join(format!("{name}.1")), &page(name, command)?)?;
        }
        outln!("{} pages in {}", pages.len(), folder.display());
        return Ok(());
    }
    let wanted = args.verb.as_ref().map_or("revox".to_owned(), |verb| format!("revox-{verb}"));
    let Some((name, command)) = pages.iter().find(|(name, _)| *name == wanted) else {
        return Err(Error::invalid(format!("no verb `{}`", args.verb.as_deref().unwrap_or_default())));
    };
    fs::write_bytes(fs::STDOUT, &page(name, command)?)
}

/// A page in roff.
fn page(name: &str, command: &Command) -> Result<Vec<u8>> {
    let mut roff = Vec::new();
    Man::new(command.clone())
        .render(&mut roff)
        .map_err(|e| Error::Undefined(format!("cannot write the page {name}: {e}")))?;
    Ok(roff)
}
