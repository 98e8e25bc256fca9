//! What a run says at its end.

use std::path::Path;

use serde_json::{Value, json};

use super::sharded::Part;
use super::{Args, LeftOut};
use crate::cli::values::counted;
use crate::cli::{Global, shown, tell};

/// What came of a run.
pub(super) struct Report<'a> {
    /// Utterances that were embedded.
    pub utterances: usize,
    /// Embeddings, or means by speaker, that were written.
    pub written: usize,
    /// Values of each.
    pub dim: usize,
    /// Which part of the list it was.
    pub part: Option<Part>,
    pub left_out: &'a LeftOut,
    /// What else was written, for people.
    pub stored: String,
    /// Of the model inside the program.
    pub default_model: Value,
}

impl Report<'_> {
    /// Tells it. `output` is the first file that was written.
    pub fn show(self, args: &Args, output: &Path, global: &Global) {
        let text = match global.json {
            true => self.json(args).to_string(),
            false => self.text(args),
        };
        tell(output, &text);
    }

    fn json(self, args: &Args) -> Value {
        let reasons = self.left_out.entries().iter();
        let reasons: Vec<_> =
            reasons.map(|(id, reason)| json!({"id": id, "error": reason})).collect();
        json!({
            "utterances": self.utterances,
            "speakers": args.mean_by.as_ref().map(|_| self.written),
            "shard": args.sharded.shard,
            "dim": self.dim,
            "skipped": reasons.len(),
            "left_out": reasons,
            "output": shown(&args.output),
            "default_model": self.default_model,
        })
    }

    fn text(&self, args: &Args) -> String {
        let Self { utterances, written, dim, part, left_out, stored, .. } = self;
        let of = match (&args.mean_by, part) {
            (Some(_), _) => format!(" (of {utterances} utterances)"),
            (None, Some(part)) => format!(" ({part})"),
            (None, None) => String::new(),
        };
        let kind = if args.mean_by.is_some() { "mean" } else { "embedding" };
        let left_out = match left_out.entries().len() {
            0 => String::new(),
            n => format!("; {} left out", counted(n, "file")),
        };
        let (embeddings, output) = (counted(*written, kind), args.output.display());
        format!("{embeddings} of {dim} values in {output}{of}{left_out}{stored}")
    }
}
