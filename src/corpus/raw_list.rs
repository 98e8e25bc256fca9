//! WeSpeaker's `raw.list`: a JSON object a line, `{"key": ID, "wav": PATH, "spk": SPEAKER}`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::{Error, Result};

/// A line of the list.
#[derive(Debug, Deserialize)]
pub(super) struct RawEntry<'t> {
    /// The utterance's id.
    #[serde(borrow)]
    pub key: Cow<'t, str>,
    /// Its file.
    #[serde(borrow)]
    pub wav: Cow<'t, str>,
    /// Its speaker.
    #[serde(borrow)]
    pub spk: Cow<'t, str>,
    /// The stretches of speech in it.
    #[serde(default)]
    vad: Option<IgnoredAny>,
}

/// The entries of the list's text, with their lines. Fields that say nothing about the audio are
/// ignored.
///
/// # Errors
/// A line that is no such object; stretches of speech (`vad`), which this version cannot cut out;
/// a name that lists cannot hold; an utterance in two lines; an empty list.
pub(super) fn raw_list<'t>(path: &Path, text: &'t str) -> Result<Vec<(RawEntry<'t>, usize)>> {
    let mut entries: Vec<(RawEntry, usize)> = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let bad = |message: String| Error::line(path, i + 1, message);
        let entry: RawEntry = serde_json::from_str(line).map_err(|e| {
            bad(format!(
                "a line of a raw.list is {{\"key\": ID, \"wav\": PATH, \"spk\": SPEAKER}}; {}",
                reason(&e)
            ))
        })?;
        if entry.vad.is_some() {
            let message = "has \"vad\", stretches of speech that this version does not cut out; \
                           write them to files of their own";
            return Err(bad(message.into()));
        }
        for (field, value) in [("key", &entry.key), ("wav", &entry.wav), ("spk", &entry.spk)] {
            let has_blank = field != "wav" && value.contains(char::is_whitespace);
            if value.is_empty() || has_blank || value.contains(['\n', '\r', '\0']) {
                return Err(bad(format!("{value:?} cannot be a \"{field}\"")));
            }
        }
        if crate::audio::pipe::is_command(&entry.wav) && !crate::audio::pipe::is_allowed() {
            let message = "a command in place of a file, which runs a program; allow commands \
                           (--allow-pipes)";
            return Err(bad(message.into()));
        }
        entries.push((entry, i + 1));
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (entry, line) in &entries {
        if let Some(first) = seen.insert(&entry.key, *line) {
            let key = &entry.key;
            let message = format!("utterance `{key}` again; it is already in line {first}");
            return Err(Error::line(path, *line, message));
        }
    }
    match entries.is_empty() {
        true => Err(Error::file(path, "holds no utterances")),
        false => Ok(entries),
    }
}

/// What is wrong with a line, without the parser's own count of lines.
fn reason(error: &serde_json::Error) -> String {
    if error.is_syntax() || error.is_eof() {
        return format!("this is no JSON (column {})", error.column());
    }
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => format!("{} (column {})", &text[..end], error.column()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        raw_list(Path::new("raw.list"), text).unwrap_err().to_string()
    }

    #[test]
    fn lines_are_objects() {
        let text = "{\"key\": \"a/1\", \"wav\": \"x y.wav\", \"spk\": \"a\"}\n\n\
                    {\"spk\": \"b\\u00e9\", \"key\": \"b\", \"wav\": \"b.wav\", \"dur\": 3.2}\n";
        let entries = raw_list(Path::new("raw.list"), text).unwrap();
        let found: Vec<_> = entries.iter().map(|(e, n)| (&*e.key, &*e.wav, &*e.spk, *n)).collect();
        assert_eq!(found, [("a/1", "x y.wav", "a", 1), ("b", "b.wav", "b\u{e9}", 3)]);
    }

    #[test]
    fn bad_lines_are_named() {
        let good = "{\"key\": \"a\", \"wav\": \"a.wav\", \"spk\": \"s\"}\n";
        assert!(
            error(&format!("{good}a a.wav\n")).starts_with("raw.list:2: a line of a raw.list is {")
        );
        assert!(error("{\"key\": \"a\", \"wav\": \"a.wav\"}\n").contains("missing field `spk`"));
        assert!(error(&format!("{good}{good}")).contains("raw.list:2: utterance `a` again"));
        assert!(error("{\"key\": \"\", \"wav\": \"a\", \"spk\": \"s\"}").contains("\"key\""));
        let vad = "{\"key\": \"a\", \"wav\": \"a\", \"spk\": \"s\", \"vad\": [[0, 1]]}";
        assert!(error(vad).contains("vad"));
        assert!(error("\n").contains("no utterances"));
    }
}
