//! In what two sections differ, as a person wants to read it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// The keys in which two sections differ: `width = 16, there 32`.
pub(super) fn differences<T: Serialize>(ours: &T, theirs: &T) -> String {
    let table = |value: &T| toml::Table::try_from(value).expect("settings are plain data");
    let (ours, theirs) = (flat(&table(ours)), flat(&table(theirs)));
    let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let shown = |value: Option<&toml::Value>| value.map_or("not given".to_owned(), toml::Value::to_string);
    let differ = keys.into_iter().filter(|key| ours.get(*key) != theirs.get(*key));
    differ
        .map(|key| format!("{key} = {}, there {}", shown(ours.get(key)), shown(theirs.get(key))))
        .collect::<Vec<_>>()
        .join("; ")
}

/// A table with dotted keys in place of sections.
fn flat(table: &toml::Table) -> BTreeMap<String, toml::Value> {
    let mut all = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(section) => {
                all.extend(flat(section).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            value => drop(all.insert(key.clone(), value.clone())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::Architecture;

    #[test]
    fn only_what_differs_is_named() {
        let ours = Architecture { width: 16, ..Architecture::named("resnet18").unwrap() };
        let theirs = Architecture { width: 32, mels: 40, ..ours.clone() };
        assert_eq!(differences(&ours, &theirs), "mels = 80, there 40; width = 16, there 32");
        assert_eq!(differences(&ours, &ours), "");
        let reversible = Architecture::named("rev1-resnet18").unwrap();
        assert!(differences(&ours, &reversible).contains("name = \"resnet18\", there \"rev1-resnet18\""));
    }
}
