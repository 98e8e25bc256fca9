//! Rates by condition: `--by`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::conditions::{By, Table};
use super::rates::{Asked, Rates, table};
use super::speakers::{FileWords, Speakers, places};
use crate::error::{Error, Result};
use crate::scoring::{Curve, Scored};

/// With fewer errors of one kind than this, a rate is far from certain: it may be off by 30 %
/// (Doddington's rule of 30; Doddington and others, Speech Communication 31, 2000).
const ERRORS: f64 = 30.0;

/// Conditions of the words of score files.
pub(super) struct Column {
    name: String,
    levels: Vec<String>,
    of_word: Vec<u32>,
}

/// What the conditions of trials are looked up in.
pub(super) struct Lists<'a> {
    /// The score files and their words.
    pub files: &'a [FileWords<'a>],
    /// Speakers of the words, by `--utt2spk`.
    pub speakers: Option<&'a Speakers>,
    /// Files of the utterances.
    pub wav_scp: Option<&'a Path>,
}

/// The columns of all files of conditions.
pub(super) fn columns(wanted: &[By], bins: &[f64], lists: &Lists) -> Result<Vec<Column>> {
    if !bins.iter().all(|b| b.is_finite()) || !bins.is_sorted_by(|a, b| a < b) {
        return Err(Error::invalid("--bins: numbers that rise are wanted, as in 2,4,8"));
    }
    let (mut all, mut is_binned) = (Vec::new(), bins.is_empty());
    for by in wanted {
        let conditions = Table::read(by, bins)?;
        let rows = rows(&conditions, lists)?;
        for column in conditions.columns {
            is_binned |= column.is_binned;
            let of_word = rows.iter().map(|&row| column.of_key[row]).collect();
            all.push(Column { name: column.name, levels: column.levels, of_word });
        }
    }
    let mut names: Vec<&str> = all.iter().map(|column: &Column| column.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
        let message =
            format!("--by: two conditions are named `{0}`; {0}2=FILE renames one", twice[0]);
        return Err(Error::invalid(message));
    }
    if !is_binned {
        return Err(Error::invalid("--bins: no column of --by has only numbers"));
    }
    Ok(all)
}

/// The row of each word. The keys are speakers if one of them is a speaker of `--utt2spk`.
fn rows(conditions: &Table, lists: &Lists) -> Result<Vec<usize>> {
    let mut sorted: Vec<(&str, usize)> =
        conditions.keys.iter().map(String::as_str).zip(0..).collect();
    sorted.sort_unstable();
    let path = &conditions.path;
    let known: HashMap<&str, usize> = sorted.iter().copied().collect();
    let is_key = |name: &String| known.contains_key(name.as_str());
    if let Some(speakers) = lists.speakers.filter(|s| s.names.iter().any(is_key)) {
        let words =
            lists.files.iter().flat_map(|(scores, words)| words.iter().map(move |w| (scores, w)));
        let row = |((scores, (word, line)), number): ((&&Path, &(&str, usize)), &u32)| {
            let name = &speakers.names[*number as usize];
            known.get(name.as_str()).copied().ok_or_else(|| {
                let list = path.display();
                let message =
                    format!("no condition for `{word}`: {list} lacks its speaker `{name}`");
                Error::line(scores, *line, message)
            })
        };
        return words.zip(&speakers.numbers).map(row).collect();
    }
    let ids: Vec<&str> = sorted.iter().map(|key| key.0).collect();
    let places = places(lists.files, path, &ids, lists.wav_scp)?;
    Ok(places.into_iter().map(|place| sorted[place].1).collect())
}

/// The rates of the trials in one condition.
struct Row {
    value: String,
    targets: usize,
    nontargets: usize,
    /// None without targets or without nontargets.
    rates: Option<Rates>,
}

/// Rates by the conditions of a column.
pub(super) struct Conditions {
    name: String,
    rows: Vec<Row>,
}

impl Column {
    /// The rates of trials, whose sides are words, in each condition: that of both sides, or both
    /// conditions where the sides differ.
    pub(super) fn rates(&self, trials: &[Scored], asked: &Asked) -> Conditions {
        let count = self.levels.len();
        let mut groups: Vec<Vec<Scored>> = vec![Vec::new(); count * count];
        for t in trials {
            let [a, b] = [t.pair.enroll(), t.pair.test()].map(|w| self.of_word[w as usize]);
            groups[a.min(b) as usize * count + a.max(b) as usize].push(*t);
        }
        let mut rows = Vec::new();
        for (place, group) in groups.iter_mut().enumerate().filter(|(_, g)| !g.is_empty()) {
            let (a, b) = (&self.levels[place / count], &self.levels[place % count]);
            let value = if a == b { a.clone() } else { format!("{a}-{b}") };
            let targets = group.iter().filter(|t| t.pair.is_target()).count();
            let nontargets = group.len() - targets;
            // The scores are numbers, so a curve lacks only a kind of trials.
            let rates = Curve::of(group).ok().map(|curve| Rates::of(&curve, asked));
            rows.push(Row { value, targets, nontargets, rates });
        }
        Conditions { name: self.name.clone(), rows }
    }
}

impl Row {
    /// Why its rates are missing, or tell little.
    fn remark(&self) -> Option<&'static str> {
        match &self.rates {
            None if self.targets == 0 => Some("no targets"),
            None => Some("no nontargets"),
            Some(rates) => {
                let errors = rates.eer * self.targets.min(self.nontargets) as f64;
                (errors < ERRORS).then_some("too few trials: under 30 errors")
            }
        }
    }

    fn json(&self, asked: &Asked) -> Value {
        let mut all: Map<String, Value> = match &self.rates {
            Some(rates) => rates.json(asked),
            None => Rates::KEYS.map(|key| (key.to_owned(), Value::Null)).into_iter().collect(),
        };
        all.insert("value".into(), json!(self.value));
        all.insert("targets".into(), json!(self.targets));
        all.insert("nontargets".into(), json!(self.nontargets));
        all.insert("remark".into(), json!(self.remark()));
        Value::Object(all)
    }
}

/// The rates of all columns for programs.
pub(super) fn json(all: &[Conditions], asked: &Asked) -> Value {
    let rows = |c: &Conditions| Value::Array(c.rows.iter().map(|row| row.json(asked)).collect());
    Value::Object(all.iter().map(|c| (c.name.clone(), rows(c))).collect())
}

/// The rates of all columns for people, in lines.
pub(super) fn text(all: &[Conditions], asked: &Asked) -> Vec<String> {
    let mut lines = Vec::new();
    for Conditions { name, rows } in all {
        let heads = [name.clone(), "targets".into(), "nontargets".into()];
        let mut cells = vec![[heads.to_vec(), Rates::heads(asked)].concat()];
        for row in rows {
            let counts = [row.value.clone(), row.targets.to_string(), row.nontargets.to_string()];
            let rates = match &row.rates {
                Some(rates) => rates.cells(),
                None => Rates::heads(asked).iter().map(|_| "-".to_owned()).collect(),
            };
            cells.push([counts.to_vec(), rates].concat());
        }
        let mut table = table(&cells);
        for (line, row) in table.iter_mut().skip(1).zip(rows) {
            if let Some(remark) = row.remark() {
                *line += &format!("  {remark}");
            }
        }
        lines.push(String::new());
        lines.append(&mut table);
    }
    lines
}
