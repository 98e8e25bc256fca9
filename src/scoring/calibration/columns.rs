//! Sets of columns by name.

use super::{Column, Fold, Quantity};
use crate::error::{Error, Result};

/// Names of the sets of columns: those of WeSpeaker's quality measure functions, with and without
/// durations (`wespeaker/bin/score_calibration.py`).
pub const COLUMN_SETS: [&str; 2] = ["wespeaker-qmf", "wespeaker-qmf-nodur"];

/// The columns of a set, or those that a list names (`min-seconds,ratio-norm`). The score comes
/// first, named or not.
///
/// # Errors
/// A name that is neither, or no measure of quality; a column that is named twice.
pub fn parse_columns(text: &str) -> Result<Vec<Column>> {
    let of = |quantities: &[Quantity]| -> Vec<Column> {
        let sides = quantities.iter().flat_map(|&q| Fold::ALL.map(|fold| Column::Sides(fold, q)));
        std::iter::once(Column::Score).chain(sides).collect()
    };
    let [with, without] = COLUMN_SETS;
    if text == with {
        return Ok(of(&Quantity::ALL));
    }
    if text == without {
        return Ok(of(&[Quantity::Norm, Quantity::Cohort]));
    }
    let mut columns = vec![Column::Score];
    for (place, name) in text.split(',').map(str::trim).enumerate() {
        let column: Column = name.parse().map_err(|e: Error| {
            e.and(&format!("there are {with}, {without} and FOLD-QUANTITY: {}", known()))
        })?;
        if column == Column::Atanh {
            return Err(Error::invalid(format!("`{column}` measures no quality of recordings")));
        }
        match columns.contains(&column) {
            true if column == Column::Score && place == 0 => (),
            true => return Err(Error::invalid(format!("column `{column}` comes twice"))),
            false => columns.push(column),
        }
    }
    Ok(columns)
}

/// What columns are named by.
fn known() -> String {
    let quantities = Quantity::ALL.map(Quantity::name).join(", ");
    format!("{} of {quantities}", Fold::ALL.map(Fold::name).join(", "))
}
