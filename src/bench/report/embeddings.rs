//! Embeddings as a table.

use std::collections::BTreeMap;

use super::Entry;
use crate::bytes::human;

/// The figures of a row by the ends of their names, in the columns' order. The time's is empty.
const ENDS: [&str; 8] = ["", "ratio", "rate", "off", "weights", "arena", "held", "peak"];

/// The row of a figure `embed/network[/runtime]/weights[/end]`, which is its network, weights and
/// maker, and the end.
fn place(entry: &Entry) -> Option<([&str; 3], &str)> {
    let parts: Vec<&str> = entry.name.split('/').collect();
    let ["embed", network, rest @ ..] = &parts[..] else { return None };
    let (weights, end) = match rest {
        ["runtime", weights] | [weights] => (*weights, ""),
        ["runtime", weights, end] | [weights, end] => (*weights, *end),
        _ => return None,
    };
    let known = ["f32", "int8", "packed"].contains(&weights) && ENDS.contains(&end);
    known.then_some(([*network, weights, entry.backend.as_str()], end))
}

/// Whether the table has a figure.
pub(super) fn has(entry: &Entry) -> bool {
    place(entry).is_some()
}

/// Embeddings by Burn's backends and, with the names of its instructions, by the runtime.
pub(super) fn table(entries: &[Entry]) -> String {
    let mut rows: BTreeMap<[&str; 3], BTreeMap<&str, f64>> = BTreeMap::new();
    for entry in entries {
        if let Some((row, end)) = place(entry) {
            rows.entry(row).or_default().insert(end, entry.value);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "| network | weights | by | ms | of Burn's | GMAC/s | off Burn's | bytes of weights \
         | arena | held | most in a pass |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for ([network, weights, by], figures) in rows {
        let cells = ENDS.map(|end| match (figures.get(end), end) {
            (None, _) => String::new(),
            (Some(seconds), "") => format!("{:.1}", 1e3 * seconds),
            (Some(ratio), "ratio") => format!("{ratio:.2}"),
            (Some(rate), "rate") => format!("{rate:.1}"),
            (Some(off), "off") => format!("{off:.1e}"),
            (Some(&bytes), _) => human(bytes as u64),
        });
        out.push_str(&format!("| {network} | {weights} | {by} | {} |\n", cells.join(" | ")));
    }
    out
}
