//! What SQLite's errors mean for a store.

use std::path::Path;

use rusqlite::{Error as Sql, ErrorCode};

use super::file::PATIENCE;
use crate::error::{Error, Remedy};

/// A store that is damaged, and how.
pub(super) fn damaged(path: &Path, what: &str) -> Error {
    Error::file(path, format!("is a damaged store: {what}")).with(Remedy::RestoreStore)
}

/// An error of SQLite as one of the store at `path`.
pub(super) fn failure(path: &Path, error: Sql) -> Error {
    let is_odd = matches!(
        error,
        Sql::FromSqlConversionFailure(..)
            | Sql::IntegralValueOutOfRange(..)
            | Sql::InvalidColumnType(..)
            | Sql::QueryReturnedNoRows
            | Sql::Utf8Error(..)
    );
    let message = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let seconds = PATIENCE.as_secs();
            let message = format!("another process has locked the store, for {seconds} s already");
            return Error::file(path, message).with(Remedy::TryAgain);
        }
        Some(ErrorCode::NotADatabase) => {
            "is no store of voices, or its beginning is damaged".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt) => return damaged(path, &error.to_string()),
        _ if is_odd => return damaged(path, &error.to_string()),
        _ => format!("SQLite: {error}"),
    };
    Error::file(path, message)
}
