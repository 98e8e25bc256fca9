//! Rates by condition: `--by`.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::conditions::{By, Listed, Table};
use super::rates::{Asked, Rates, table};
use super::sides::{BySide, Named};
use super::speakers::Speakers;
use crate::error::{Error, Result};
use crate::scoring::{Curve, Scored};

/// With fewer errors of one kind than this, a rate is far from certain: it may be off by 30 %
/// (Doddington's rule of 30; Doddington and others, Speech Communication 31, 2000).
const ERRORS: f64 = 30.0;

/// Conditions of the words of score files.
pub(super) struct Column {
    name: String,
    levels: Vec<String>,
    /// The condition of each word, by its number in `levels`.
    of_word: BySide<u32>,
}

/// The condition of models whose utterances have different ones.
const MIXED: &str = "mixed";

/// The columns of all files of conditions. `speakers` are those of `--utt2spk`.
pub(super) fn columns(
    wanted: &[By],
    bins: &[f64],
    named: &Named,
    speakers: Option<&Speakers>,
) -> Result<Vec<Column>> {
    let (mut all, mut is_binned) = (Vec::new(), bins.is_empty());
    for by in wanted {
        let conditions = Table::read(by, bins)?;
        let sources = Sources::of(&conditions, named, speakers)?;
        for column in conditions.columns {
            is_binned |= column.is_binned;
            all.push(sources.column(column)?);
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

/// Where a word's conditions are.
#[derive(Clone, Copy)]
enum Source {
    /// In a row.
    Row(usize),
    /// In the rows of a model's utterances, by their place.
    Rows(usize),
}

/// Where the conditions of all words are.
struct Sources {
    of_word: BySide<Source>,
    /// The rows of models' utterances.
    rows: Vec<Vec<usize>>,
}

impl Sources {
    /// Finds all words. The keys are speakers if one of them is a speaker of `--utt2spk`; else they
    /// are utterances, and may be models too.
    fn of(conditions: &Table, named: &Named, speakers: Option<&Speakers>) -> Result<Self> {
        let mut sorted: Vec<(&str, usize)> =
            conditions.keys.iter().map(String::as_str).zip(0..).collect();
        sorted.sort_unstable();
        let path = &conditions.path;
        let known: HashMap<&str, usize> = sorted.iter().copied().collect();
        let row = |name: &str| known.get(name).copied().map(Source::Row);
        if let Some(speakers) = speakers.filter(|s| s.names.iter().any(|name| row(name).is_some()))
        {
            let of_word = speakers.numbers.map(&mut |word, number| {
                let name = &speakers.names[number as usize];
                row(name).ok_or_else(|| {
                    let (word_name, list) = (named.word(word), path.display());
                    let message = format!(
                        "no condition for `{word_name}`: {list} lacks its speaker `{name}`"
                    );
                    named.error(word, message)
                })
            })?;
            return Ok(Self { of_word, rows: Vec::new() });
        }
        let ids: Vec<&str> = sorted.iter().map(|key| key.0).collect();
        let rows = RefCell::new(Vec::new());
        let of_model = |_: usize, places: &[usize]| {
            let mut rows = rows.borrow_mut();
            rows.push(places.iter().map(|&place| sorted[place].1).collect::<Vec<usize>>());
            Ok(Source::Rows(rows.len() - 1))
        };
        let of_utterance = |place: usize| Source::Row(sorted[place].1);
        let of_word = named.look_up::<Source>(path, &ids, &row, &of_utterance, &of_model)?;
        Ok(Self { of_word, rows: rows.into_inner() })
    }

    /// A column's conditions of all words.
    fn column(&self, listed: Listed) -> Result<Column> {
        let Listed { name, mut levels, of_key, .. } = listed;
        let mixed = levels.len() as u32;
        let mut is_mixed = false;
        let of_word = self.of_word.map(&mut |_, source| {
            let rows = match source {
                Source::Row(row) => return Ok(of_key[row]),
                Source::Rows(place) => &self.rows[place],
            };
            let first = of_key[rows[0]];
            let is_one = rows.iter().all(|&row| of_key[row] == first);
            is_mixed |= !is_one;
            Ok(if is_one { first } else { mixed })
        })?;
        levels.extend(is_mixed.then(|| MIXED.to_owned()));
        Ok(Column { name, levels, of_word })
    }
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
            let [a, b] = self.of_word.of(t.pair);
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
