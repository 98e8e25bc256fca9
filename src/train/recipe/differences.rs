//! The differences of two sections, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Serialize;
use toml::de::{DeTable, DeValue};

use super::text::line_of;

/// A dotted key, with the values of two sections as TOML writes them.
pub(in crate::train) struct Difference {
    /// The key.
    pub key: String,
    /// Our value. None if our section leaves the key out.
    pub ours: Option<String>,
    /// Theirs.
    pub theirs: Option<String>,
}

impl Difference {
    /// `width = 16, there 32`, with another word for `there`.
    pub fn shown(&self, there: &str) -> String {
        let value =
            |value: &Option<String>| value.clone().unwrap_or_else(|| "not given".to_owned());
        format!("{} = {}, {there} {}", self.key, value(&self.ours), value(&self.theirs))
    }
}

/// The keys in which two sections differ, in order.
pub(in crate::train) fn differing<T: Serialize>(ours: &T, theirs: &T) -> Vec<Difference> {
    // As text: a seed may be larger than any integer of `toml::Value`.
    let text = |value: &T| toml::to_string(value).expect("settings are plain data");
    let (ours, theirs) = (text(ours), text(theirs));
    let (our_spans, their_spans) = (spans(&ours), spans(&theirs));
    let keys: BTreeSet<&String> = our_spans.keys().chain(their_spans.keys()).collect();
    keys.into_iter()
        .map(|key| Difference {
            key: key.clone(),
            ours: our_spans.get(key).map(|span| ours[span.clone()].to_owned()),
            theirs: their_spans.get(key).map(|span| theirs[span.clone()].to_owned()),
        })
        .filter(|d| d.ours != d.theirs)
        .collect()
}

/// The keys in which two sections differ: `width = 16, there 32`.
pub(super) fn differences<T: Serialize>(ours: &T, theirs: &T) -> String {
    differing(ours, theirs).iter().map(|d| d.shown("there")).collect::<Vec<_>>().join("; ")
}

/// TOML text as [`toml::to_string`] writes it, without the lines of some keys.
pub(super) fn without(text: &str, keys: &[&str]) -> String {
    let spans = spans(text);
    let lines: BTreeSet<usize> = keys
        .iter()
        .filter_map(|&key| spans.get(key))
        .map(|span| line_of(text, span.start))
        .collect();
    let kept = text.split_inclusive('\n').enumerate().filter(|(i, _)| !lines.contains(&(i + 1)));
    kept.map(|(_, line)| line).collect()
}

/// The place of each value in TOML text, by dotted key.
pub(super) fn spans(text: &str) -> BTreeMap<String, Range<usize>> {
    let root = DeTable::parse(text).expect("what was written can be read");
    let mut all = BTreeMap::new();
    add_spans("", root.get_ref(), &mut all);
    all
}

fn add_spans(section: &str, table: &DeTable<'_>, all: &mut BTreeMap<String, Range<usize>>) {
    for (name, value) in table {
        let dot = if section.is_empty() { "" } else { "." };
        let key = format!("{section}{dot}{name}");
        match value.get_ref() {
            DeValue::Table(table) => add_spans(&key, table, all),
            _ => drop(all.insert(key, value.span())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::AugmentConfig;
    use super::*;
    use crate::zoo::Architecture;

    #[test]
    fn only_what_differs_is_named() {
        let ours = Architecture { width: 16, ..Architecture::named("resnet18").unwrap() };
        let theirs = Architecture { width: 32, mels: 40, ..ours.clone() };
        assert_eq!(differences(&ours, &theirs), "mels = 80, there 40; width = 16, there 32");
        assert_eq!(differences(&ours, &ours), "");
        let reversible = Architecture::named("rev1-resnet18").unwrap();
        assert!(
            differences(&ours, &reversible)
                .contains("name = \"resnet18\", there \"rev1-resnet18\"")
        );
    }

    #[test]
    fn lists_sections_and_what_is_left_out_are_shown() {
        let ours = AugmentConfig { noise_snr: [5.0, 10.0], ..AugmentConfig::default() };
        let theirs = AugmentConfig {
            noise: Some("n".into()),
            spec: Some(Default::default()),
            ..Default::default()
        };
        let shown = differences(&ours, &theirs);
        assert!(
            shown.starts_with(
                "noise = not given, there \"n\"; noise_snr = [5.0, 10.0], there [0.0, 15.0];"
            ),
            "{shown}"
        );
        assert!(shown.contains("; spec.time_width = not given, there 20"), "{shown}");
    }

    #[test]
    fn lines_of_keys_are_left_out() {
        let text = "a = 1\n\n[s]\na = 2\nb = [3, 4]\n\n[s.t]\na = 5\n";
        assert_eq!(without(text, &["s.a", "s.t.a", "x"]), "a = 1\n\n[s]\nb = [3, 4]\n\n[s.t]\n");
        assert_eq!(without(text, &[]), text);
    }
}
