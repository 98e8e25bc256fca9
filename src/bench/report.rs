//! Figures of a file as tables of Markdown, as docs/evidence shows them.

mod embeddings;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::bytes::human;
use crate::error::{Error, Result};
use crate::fs;
use crate::nn::Precision;

/// One figure of a file. Further fields are ignored.
#[derive(Debug, Clone, Deserialize)]
struct Entry {
    name: String,
    value: f64,
    unit: String,
    backend: String,
}

/// The tables of a file of figures. The file holds a list as `bench --json` prints it, or an object
/// with such lists under any names and texts about the machine.
///
/// # Errors
/// A file that is neither, or without a figure.
pub fn report(path: &Path) -> Result<String> {
    let bad = |what: String| Error::file(path, what);
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(path)?)
        .map_err(|e| Error::line(path, e.line(), e.to_string()))?;
    let mut texts = Vec::new();
    let mut entries = Vec::new();
    let mut add = |part: &str, list: &serde_json::Value| -> Result<()> {
        let list: Vec<Entry> = serde_json::from_value(list.clone())
            .map_err(|e| bad(format!("{part} holds no figures: {e}")))?;
        entries.extend(list);
        Ok(())
    };
    match &json {
        serde_json::Value::Array(_) => add("the list", &json)?,
        serde_json::Value::Object(parts) => {
            for (name, part) in parts {
                match part {
                    serde_json::Value::Array(_) => add(name, part)?,
                    serde_json::Value::String(text) => texts.push(format!("{name}: {text}")),
                    _ => {}
                }
            }
        }
        _ => return Err(bad("a list of figures, or an object that holds some, is wanted".into())),
    }
    if entries.is_empty() {
        return Err(bad("holds no figures".into()));
    }
    if let Some(e) = entries.iter().find(|e| !e.value.is_finite()) {
        return Err(bad(format!("{} = {}", e.name, e.value)));
    }
    let mut out = texts.join("\n\n");
    let embeddings = embeddings::table(&entries);
    for part in [training(&entries), optimizers(&entries), embeddings, others(&entries)] {
        if !part.is_empty() && !out.is_empty() {
            out.push_str("\n\n");
        }
        out.push_str(part.trim_end());
    }
    out.push('\n');
    Ok(out)
}

/// The key of each row of a table, and the row's figures by name.
type Rows<'a> = BTreeMap<[&'a str; 5], BTreeMap<&'a str, f64>>;

/// Figures `train/network/optimizer/size[/precision][/what]`, by network, optimizer, size,
/// precision and backend.
fn training_rows(entries: &[Entry]) -> Rows<'_> {
    let mut rows = Rows::new();
    for e in entries {
        let parts: Vec<&str> = e.name.split('/').collect();
        if let ["train", network, optimizer, size, rest @ ..] = &parts[..] {
            let named = Precision::ALL.into_iter().find(|p| rest.first() == Some(&p.name()));
            let (precision, what) = match named {
                Some(precision) => (precision, &rest[1..]),
                None => (Precision::default(), rest),
            };
            let key = [*network, *optimizer, *size, precision.name(), e.backend.as_str()];
            rows.entry(key).or_default().insert(what.first().copied().unwrap_or(""), e.value);
        }
    }
    rows
}

/// Training steps, with the rate as a part of PyTorch's on the same batch in the same precision,
/// where there is one. PyTorch has ordinary networks and whole optimizer states only: reversible
/// types are compared with the ordinary network, 8-bit states with 32-bit ones.
fn training(entries: &[Entry]) -> String {
    let rows = training_rows(entries);
    if rows.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "| network | optimizer | batch x frames | convolutions | by | ms a step | utterances/s \
         | of PyTorch's | in use | reserved | by the driver |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (&[network, optimizer, size, precision, backend], figures) in &rows {
        let ordinary = ["rev1-", "rev2-"].iter().find_map(|kind| network.strip_prefix(kind));
        let ordinary = ordinary.unwrap_or(network);
        let ordinary = ordinary.trim_end_matches(" (taped)").trim_end_matches(" (checkpointed)");
        let whole = optimizer.strip_suffix("8bit").unwrap_or(optimizer);
        let peer = rows.get(&[ordinary, whole, size, precision, "torch"]);
        let rate = figures.get("rate").copied().unwrap_or(f64::NAN);
        let ratio = peer
            .filter(|_| backend != "torch")
            .and_then(|p| p.get("rate"))
            .map(|p| format!("{:.2}", rate / p));
        let used = figures.get("in-use").or_else(|| figures.get("peak"));
        let driver = figures.get("driver-peak").or_else(|| figures.get("driver"));
        let bytes = |b: Option<&f64>| b.map_or(String::new(), |&b| human(b as u64));
        out.push_str(&format!(
            "| {network} | {optimizer} | {size} | {precision} | {backend} | {:.1} | {rate:.1} \
             | {} | {} | {} | {} |\n",
            1e3 * figures.get("").copied().unwrap_or(f64::NAN),
            ratio.unwrap_or_default(),
            bytes(used),
            bytes(figures.get("reserved")),
            bytes(driver),
        ));
    }
    out
}

/// Optimizer steps, with the bytes that they move as a part of what a pass in place moves. Another
/// library's steps are put beside the pass of the library that shares its device.
fn optimizers(entries: &[Entry]) -> String {
    let mut table: BTreeMap<(&str, &str, &str), BTreeMap<&str, f64>> = BTreeMap::new();
    let mut passes = BTreeMap::new();
    for e in entries {
        match e.name.split('/').collect::<Vec<_>>()[..] {
            ["optim", "pass", count] => drop(passes.insert((count, e.backend.as_str()), e.value)),
            // A copy from one tensor to another is moved bytes, not a step.
            ["optim", "copy", count] => {
                table.entry((count, "copy", &e.backend)).or_default().insert("traffic", e.value);
            }
            ["optim", name, count] => {
                table.entry((count, name, &e.backend)).or_default().insert("", e.value);
            }
            ["optim", name, what, count] => {
                table.entry((count, name, &e.backend)).or_default().insert(what, e.value);
            }
            _ => {}
        }
    }
    if table.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "| optimizer | parameters | by | ns a parameter | bytes of state | GB/s \
         | of a pass in place |\n|---|---|---|---|---|---|---|\n",
    );
    for ((count, name, backend), figures) in &table {
        let value = |what: &str, digits: usize| {
            figures.get(what).map_or(String::new(), |v| format!("{v:.digits$}"))
        };
        let library = if *backend == "bitsandbytes" { "torch" } else { *backend };
        let part = match (figures.get("traffic"), passes.get(&(*count, library))) {
            (Some(traffic), Some(pass)) => format!("{:.0} %", 100.0 * traffic / pass),
            _ => String::new(),
        };
        out.push_str(&format!(
            "| {name} | {count} | {backend} | {} | {} | {} | {part} |\n",
            value("", 3),
            value("state", 3),
            value("traffic", 1)
        ));
    }
    out
}

fn others(entries: &[Entry]) -> String {
    let own = |e: &&Entry| {
        let elsewhere = e.name.starts_with("train/") || e.name.starts_with("optim/");
        !elsewhere && !embeddings::has(e)
    };
    let rows: Vec<String> = entries
        .iter()
        .filter(own)
        .map(|e| format!("| {} | {} | {:.4} {} |\n", e.name, e.backend, e.value, e.unit))
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!("| what | by | figure |\n|---|---|---|\n{}", rows.concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figures.json");
        std::fs::write(&path, json).unwrap();
        report(&path)
    }

    #[test]
    fn figures_become_tables() {
        let figure = |name: &str, value: f64, backend: &str| {
            serde_json::json!({
                "name": name, "value": value, "unit": "s", "backend": backend, "threads": 1,
            })
        };
        let json = serde_json::json!({
            "device": "a GPU",
            "ours": [
                figure("train/resnet34/sgd/128x200", 0.25, "cuda"),
                figure("train/resnet34/sgd/128x200/rate", 512.0, "cuda"),
                figure("train/resnet34/sgd/128x200/in-use", 3.0 * f64::from(1 << 29), "cuda"),
                figure("train/resnet34/sgd/128x200/driver", f64::from(1 << 29), "cuda"),
                figure("train/resnet34/sgd/128x200/driver-peak", f64::from(1 << 30), "cuda"),
                figure("train/rev1-resnet34/sgd8bit/128x200/f16", 0.5, "cuda"),
                figure("train/rev1-resnet34/sgd8bit/128x200/f16/rate", 256.0, "cuda"),
                figure("optim/pass/100", 1000.0, "cuda"),
                figure("optim/sgd8bit/100", 0.5, "cuda"),
                figure("optim/sgd8bit/traffic/100", 800.0, "cuda"),
                figure("embed/resnet34/f32", 0.1, "cuda"),
                figure("embed/resnet34/f32/rate", 45.3, "cuda"),
                figure("embed/resnet34/runtime/f32", 0.05, "avx2"),
                figure("embed/resnet34/runtime/f32/ratio", 0.5, "avx2"),
                figure("embed/resnet34/runtime/f32/off", 3.0e-7, "avx2"),
                figure("embed/resnet34/runtime/f32/arena", f64::from(1 << 20), "avx2"),
                figure("embed/resnet34/runtime/int8", 0.02, "avx2"),
                figure("embed/resnet34/runtime/int8/ratio", 0.2, "avx2"),
                figure("embed/resnet34/runtime/int8/of-floats", 0.4, "avx2"),
                figure("embed/resnet34/runtime/ratio", 1.05, "avx2"),
                figure("embed/resnet34/packed/file", 3.0e6, "cuda"),
            ],
            "theirs": [
                figure("train/resnet34/sgd/128x200/rate", 1024.0, "torch"),
                figure("train/resnet34/sgd/128x200/f16/rate", 1280.0, "torch"),
                figure("optim/pass/100", 2000.0, "torch"),
                figure("optim/copy/100", 1900.0, "torch"),
                figure("optim/sgd8bit/100", 0.4, "bitsandbytes"),
                figure("optim/sgd8bit/traffic/100", 1000.0, "bitsandbytes"),
            ],
        });
        let text = of(&json.to_string()).unwrap();
        assert!(text.starts_with("device: a GPU\n"), "{text}");
        assert!(!text.contains("| embed/resnet34/f32"), "{text}");
        for row in [
            "| resnet34 | sgd | 128x200 | f32 | cuda | 250.0 | 512.0 | 0.50 | 1.50 GiB |  \
             | 1.00 GiB |",
            "| resnet34 | sgd | 128x200 | f32 | torch | NaN | 1024.0 |  |  |  |  |",
            "| rev1-resnet34 | sgd8bit | 128x200 | f16 | cuda | 500.0 | 256.0 | 0.20 |  |  |  |",
            "| sgd8bit | 100 | cuda | 0.500 |  | 800.0 | 80 % |",
            "| sgd8bit | 100 | bitsandbytes | 0.400 |  | 1000.0 | 50 % |",
            "| copy | 100 | torch |  |  | 1900.0 | 95 % |",
            "| resnet34 | f32 | cuda | 100.0 |  | 45.3 |  |  |  |  |  |",
            "| resnet34 | f32 | avx2 | 50.0 | 0.50 |  | 3.0e-7 |  | 1.0 MiB |  |  |",
            "| resnet34 | int8 | avx2 | 20.0 | 0.20 |  |  |  |  |  |  |",
            "| embed/resnet34/runtime/int8/of-floats | avx2 | 0.4000 s |",
            "| embed/resnet34/runtime/ratio | avx2 | 1.0500 s |",
            "| embed/resnet34/packed/file | cuda | 3000000.0000 s |",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        for (json, wanted) in [
            ("{", "figures.json:1"),
            ("[]", "no figures"),
            ("3", "wanted"),
            ("[{\"a\": 1}]", "no figures"),
        ] {
            let error = of(json).unwrap_err().to_string();
            assert!(error.contains(wanted), "{json}: {error}");
        }
    }
}
