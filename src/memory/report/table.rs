//! The breakdown as a table.

use super::{PARTS, Row, human, parts};
use crate::memory::{Breakdown, Dry, Measured};

/// Columns of a terminal.
const WIDTH: usize = 80;

/// A name, and a cell for each step.
type Line = (String, Vec<String>);

/// One column for each step. Where there is no room for all in 80 columns, the rest follows in
/// further tables below.
pub fn table(rows: &[Row]) -> String {
    let lines = lines(rows);
    let names = widest(lines.iter().map(|l| &l.0));
    let widths: Vec<usize> =
        (0..rows.len()).map(|i| 2 + widest(lines.iter().map(|l| &l.1[i]))).collect();
    let mut text = String::new();
    let mut from = 0;
    while from < rows.len() {
        if from > 0 {
            text += "\n";
        }
        let mut used = names + widths[from];
        let more = widths[from + 1..].iter().take_while(|w| {
            used += **w;
            used <= WIDTH
        });
        let upto = from + 1 + more.count();
        // A part that no step of this table has is left out.
        let has = |line: &&Line| line.1[from..upto].iter().any(|cell| cell != "-");
        for (name, cells) in lines.iter().filter(has) {
            text += &format!("{name:<names$}");
            for (cell, &width) in cells.iter().zip(&widths).take(upto).skip(from) {
                text += &format!("{cell:>width$}");
            }
            text += "\n";
        }
        from = upto;
    }
    text
}

/// Characters of the longest cell.
fn widest<'a>(cells: impl Iterator<Item = &'a String>) -> usize {
    cells.map(|c| c.chars().count()).max().unwrap_or(0)
}

/// The table's lines, with all columns.
fn lines(rows: &[Row]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut line = |name: &str, cells: Vec<String>| lines.push((name.to_owned(), cells));
    let every = |of: &dyn Fn(&Breakdown) -> usize| {
        rows.iter().map(|r| human(of(&r.account))).collect::<Vec<_>>()
    };
    line("", rows.iter().map(|r| r.setting.label()).collect());
    line("weights", every(&|b| b.weights));
    line("optimizer state", every(&|b| b.optimizer));
    line("gradients", every(&|b| b.gradients));
    line("held between the passes", every(&|b| b.activations));
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|r| &r.account.stages).map(|(name, _)| name.as_str()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let bytes = |r: &Row| {
            let stage = r.account.stages.iter().find(|stage| stage.0 == name);
            stage.map_or("-".into(), |stage| human(stage.1))
        };
        line(&format!("  {name}"), rows.iter().map(bytes).collect());
    }
    line("  head", every(&|b| b.head));
    line("at the peak", rows.iter().map(|r| format!("in {}", r.account.place)).collect());
    for (i, name) in PARTS.into_iter().enumerate() {
        line(&format!("  {name}"), every(&|b| parts(b)[i]));
    }
    line("peak", every(&|b| b.peak));
    if rows.len() > 1 {
        // Each is compared with its own ordinary network with 32-bit states.
        let base = |r: &Row| {
            let base = r.setting.baseline().ok()?;
            rows.iter().find(|other| other.setting == base)
        };
        let ratio = |r: &Row| {
            let times = |base: &Row| base.account.peak as f64 / r.account.peak as f64;
            base(r).map_or("-".into(), |base| format!("{:.1}", times(base)))
        };
        line("  times less", rows.iter().map(ratio).collect());
    }
    // Lines of which no step has anything are left out.
    let pages = |r: &Row| r.account.pages.map_or("-".into(), human);
    line("in pages", rows.iter().map(pages).collect());
    let counted = |of: &dyn Fn(&Measured) -> Option<usize>| {
        let cell = |r: &Row| r.measured.as_ref().and_then(of).map_or("-".into(), human);
        rows.iter().map(cell).collect::<Vec<_>>()
    };
    line("counted: resident", counted(&|m| Some(m.resident)));
    line("counted: held", counted(&|m| Some(m.held)));
    line("counted: peak", counted(&|m| Some(m.peak)));
    line("counted: reserved", counted(&|m| m.reserved));
    line("by the driver", counted(&|m| m.driver));
    let against = |r: &Row| {
        r.measured.as_ref().map_or("-".into(), |m| {
            format!("{:+.1} %", 100.0 * (r.account.peak as f64 / m.peak as f64 - 1.0))
        })
    };
    line("  account against it", rows.iter().map(against).collect());
    let run = |of: &dyn Fn(&Dry) -> String| {
        rows.iter().map(|r| r.dry.as_ref().map_or("-".into(), of)).collect::<Vec<_>>()
    };
    let bytes = |bytes: u64| human(bytes as usize);
    line("dry run: peak", run(&|d| bytes(d.peak_in_use)));
    line("dry run: reserved", run(&|d| bytes(d.reserved)));
    line("  in the first step", run(&|d| bytes(d.first_reserved)));
    line("  largest tensor", run(&|d| bytes(d.largest)));
    line("  launches", run(&|d| d.launches.to_string()));
    line("  for the driver", run(&|d| bytes(d.card.context())));
    line("  the card has", run(&|d| bytes(d.card.bytes)));
    let verdict = |d: &Dry| if d.fits { "fits" } else { "does not fit" };
    line("  verdict", run(&|d| verdict(d).to_owned()));
    lines
}

#[cfg(test)]
mod tests {
    use super::super::row;
    use super::*;
    use crate::backend::BackendKind;
    use crate::backend::reversible::Execution;
    use crate::memory::Card;

    /// The tables below each other, each as its lines. Every line must fit.
    fn blocks(text: &str) -> Vec<Vec<&str>> {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{} columns: {line}\n{text}", line.chars().count());
        }
        text.split("\n\n").map(|block| block.lines().collect()).collect()
    }

    #[test]
    fn three_usual_columns_stand_beside_each_other() {
        let of = |name| row(name, "sgd", [100 << 20, 100 << 20, 90 << 20, 100 << 30, 1 << 30]);
        let rows = ["resnet293", "rev1-resnet293", "rev2-resnet293"].map(of);
        let text = table(&rows);
        let blocks = blocks(&text);
        assert_eq!(blocks.len(), 1, "{text}");
        let words: Vec<&str> = blocks[0][0].split_whitespace().collect();
        assert_eq!(words, ["resnet293", "rev1-resnet293", "rev2-resnet293"]);
        let weights: Vec<&str> = blocks[0][1].split_whitespace().collect();
        assert_eq!(weights, ["weights", "100.0", "MiB", "100.0", "MiB", "100.0", "MiB"]);
    }

    #[test]
    fn any_number_of_the_longest_names_fits() {
        let mut longest = row("rev2-gemini-df-resnet237", "adamw8bit", [999 << 20; 5]);
        longest.setting.execution = Some(Execution::Taped);
        longest.measured = Some(Measured {
            resident: 1 << 33,
            held: 1 << 37,
            peak: 1 << 38,
            reserved: Some(1 << 39),
            driver: None,
        });
        let short = row("resnet10", "adamw", [1 << 20, 1 << 20, 1 << 20, 1 << 43, 1 << 20]);
        for n in 1..=6 {
            for rows in [
                vec![longest.clone(); n],
                [vec![short.clone()], vec![longest.clone(); n - 1]].concat(),
            ] {
                let text = table(&rows);
                let blocks = blocks(&text);
                assert!(blocks.iter().all(|b| b[1].starts_with("weights ")), "{text}");
                let nothing =
                    |line: &str| line.len() > 24 && line[24..].chars().all(|c| " -".contains(c));
                assert!(!text.lines().any(nothing), "{text}");
                let taped = rows.iter().filter(|r| r.measured.is_some()).count();
                assert_eq!(
                    text.matches("rev2-gemini-df-resnet237 (taped) 8-bit").count(),
                    taped,
                    "{text}"
                );
                let peaks =
                    text.lines().filter(|l| l.starts_with("peak")).flat_map(|l| l.matches("iB"));
                assert_eq!(peaks.count(), n, "{text}");
            }
        }
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn a_dry_run_is_told_and_nothing_that_was_not_asked_for() {
        let mut gpu = row("rev1-resnet34", "sgd8bit", [1 << 20; 5]);
        let without = table(&[gpu.clone()]);
        for part in ["counted", "dry run", "in pages", "driver", "account against it"] {
            assert!(!without.contains(part), "{part}: {without}");
        }
        gpu.account.pages = Some(3 << 30);
        gpu.dry = Some(Dry {
            card: Card { bytes: 11 << 30, backend: BackendKind::Cuda },
            peak_in_use: 2 << 30,
            reserved: 5 << 29,
            first_reserved: 7 << 29,
            pitch: 0,
            largest: 250 << 20,
            launches: 812,
            fits: true,
        });
        let text = table(&[gpu]);
        for part in [
            "in pages",
            "3.00 GiB",
            "2.50 GiB",
            "3.50 GiB",
            "250.0 MiB",
            "812",
            "11.00 GiB",
            "fits",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("counted") && !text.contains("does not fit"), "{text}");
        blocks(&text);
    }
}
