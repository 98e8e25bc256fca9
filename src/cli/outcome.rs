//! How a run ends: what is printed at last, and the exit code.

use std::process::ExitCode;

use serde_json::json;

use super::remedy::{Terms, told_in};
use super::{shown, signals};
use crate::backend::collective::Launched;
use crate::error::{Error, Remedy, Result};
use crate::terminal::{self, errln, outln};

/// Prints clap's output: help, the version, or an error in the arguments.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    if code != 0 && std::env::args_os().any(|a| a == "--json") {
        let text = error.render().to_string();
        let words: Vec<&str> =
            text.split("\n\n").next().unwrap_or_default().split_whitespace().collect();
        let what = words.join(" ");
        outln!(
            "{}",
            json!({"error": what.trim_start_matches("error: "), "file": null, "line": null})
        );
    }
    match error.print() {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::FAILURE,
    }
}

/// The exit code of an error.
fn code(error: &Error) -> u8 {
    if !matches!(error.bare(), Error::Interrupted(_)) {
        // Clap ends with 2 too, where it knows which options go together.
        return if error.remedy() == Some(&Remedy::OtherArguments) { 2 } else { 1 };
    }
    // Without a signal it was a key of the dashboard.
    u8::try_from(128 + signals::received().unwrap_or(signals::SIGINT)).unwrap_or(1)
}

/// Prints an error, with what would help: a line on standard error and, with `--json`, an object on
/// standard output. Returns the exit code.
pub(super) fn outcome(result: Result<()>, json: bool, terms: &Terms) -> ExitCode {
    let told = |e: &Error| told_in(e, terms);
    // Of several ranks, the first one writes the output.
    let other = Launched::from_environment().filter(|launched| launched.rank > 0);
    if let Err(e) = &result {
        if json && other.is_none() {
            let (file, line) = e.place();
            outln!("{}", json!({"error": told(e), "file": file.map(shown), "line": line}));
        }
        let who = other.map_or_else(String::new, |rank| format!(" ({rank})"));
        errln!("revox{who}: {}", told(e));
    }
    let printed = terminal::finish().inspect_err(|e| errln!("revox: {}", told(e)));
    result.and(printed).map_or_else(|e| ExitCode::from(code(&e)), |()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_run_has_a_code_of_its_own() {
        assert_eq!(code(&Error::Interrupted("stopped".into())), 130);
        assert_eq!(code(&Error::invalid("no")), 1);
        assert_eq!(code(&Error::invalid("no").with(Remedy::OtherArguments)), 2);
    }
}
