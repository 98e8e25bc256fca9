//! The place of the labels in the lines of a trial list.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use super::label::parse_label;
use super::scan::{Entry, Fields, Grammar};
use super::text::Text;
use crate::error::Result;

/// The place of the label in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    First,
    Last,
}

fn is_number(label: &str) -> bool {
    matches!(label, "0" | "1")
}

/// The form that a line alone tells; none if both ends could be the label, or neither.
fn form_of(first: &str, last: &str) -> Option<Form> {
    match (parse_label(first), parse_label(last)) {
        (Some(_), None) => Some(Form::First),
        (None, Some(_)) => Some(Form::Last),
        (Some(_), Some(_)) => match (is_number(first), is_number(last)) {
            (true, false) => Some(Form::Last),
            (false, true) => Some(Form::First),
            _ => None,
        },
        (None, None) => None,
    }
}

/// The form of all lines that tell one; none if they differ.
fn form_of_all(text: &Text) -> Result<Option<Form>> {
    let mut all: Option<Form> = None;
    text.blocks(&mut |block| {
        for line in String::from_utf8_lossy(block).lines() {
            let &[first, _, last] = Fields::of(line).first() else { continue };
            match (all, form_of(first, last)) {
                (None, form) => all = form,
                (Some(a), Some(b)) if a != b => {
                    all = None;
                    return Ok(ControlFlow::Break(()));
                }
                _ => {}
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all)
}

/// How the lines of a trial list are read.
pub(super) struct TrialLine<'a> {
    text: &'a Text,
    usual: OnceLock<Result<Option<Form>, String>>,
}

impl<'a> TrialLine<'a> {
    /// For the lines of `text`.
    pub(super) fn of(text: &'a Text) -> Self {
        Self { text, usual: OnceLock::new() }
    }

    /// The form of the other lines, for a line that could have either. Few lists have such lines;
    /// these lists are read a second time.
    fn usual(&self) -> Result<Option<Form>, String> {
        self.usual.get_or_init(|| form_of_all(self.text).map_err(|e| e.to_string())).clone()
    }
}

impl Grammar for TrialLine<'_> {
    type Value = Option<bool>;

    fn entry<'t>(&self, fields: &Fields<'t>) -> Result<Entry<'t, Option<bool>>, String> {
        let (value, enroll, test) = match *fields.first() {
            [a, b] if parse_label(a).is_none() && (parse_label(b).is_none() || is_number(b)) => {
                (None, a, b)
            }
            [a, b, c] => {
                let (first, last) = (parse_label(a), parse_label(c));
                if (first, last) == (None, None) {
                    return Err(format!(
                        "neither `{a}` nor `{c}` is a label (1 or target, 0 or nontarget)"
                    ));
                }
                match form_of(a, c).map_or_else(|| self.usual(), |form| Ok(Some(form)))? {
                    Some(Form::Last) => (last, a, b),
                    None if first != last => {
                        return Err(format!(
                            "`{a}` and `{c}` could both be the label, \
                             and they contradict each other"
                        ));
                    }
                    _ => (first, b, c),
                }
            }
            _ => return Err(format!("{} field(s); wanted `label enroll test`", fields.count)),
        };
        Ok(Entry { enroll, test, value })
    }
}
