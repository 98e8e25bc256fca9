//! The file of a store: how it is made, opened and told from other files.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::check::Depth;
use super::codes::MOST;
use super::failure::{damaged, failure};
use super::{Store, StoreModel, meta};
use crate::error::{Error, Result};

/// The mark of our files in SQLite's header: `rvxv`.
pub(super) const APPLICATION: i32 = 0x7276_7876;
/// Bytes of SQLite's header up to the end of this mark.
const MARKED: usize = 72;
/// The format's version, SQLite's `user_version`.
pub(super) const FORMAT: i32 = 2;
/// How long a process waits for others.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The key of the model's path in `meta`.
const MODEL_PATH: &str = "model_path";

/// What is said of a file without content.
const EMPTY: &str = "is empty: no store of voices";

/// Settings of every connection.
const SETTINGS: &str = "
    PRAGMA secure_delete = ON;
    PRAGMA synchronous = EXTRA;
    PRAGMA temp_store = MEMORY;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
";

const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE voices (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL
    );
    CREATE TABLE recordings (
        id INTEGER PRIMARY KEY, voice INTEGER NOT NULL REFERENCES voices, file TEXT NOT NULL,
        seconds REAL NOT NULL, embedding BLOB NOT NULL, digest BLOB NOT NULL,
        created INTEGER NOT NULL, UNIQUE (voice, file)
    );
";

impl Store {
    /// Opens a store.
    ///
    /// # Errors
    /// A file that is not there, or is no store: no SQLite file, or that of another program; a
    /// newer format; a damaged file; one that another process keeps locked.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if length(path)? == 0 {
            return Err(Error::file(path, EMPTY));
        }
        Self::of(path, connect(path, PATIENCE)?)
    }

    /// Opens the store of a model, or makes it if there is no such file, or an empty one.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); a store of another model; a file that cannot be made.
    pub fn open_or_create(path: impl AsRef<Path>, model: &StoreModel) -> Result<Self> {
        let path = path.as_ref();
        if model.dim == 0 || model.dim > MOST {
            let message = format!("embeddings of 1 to {MOST} values can be stored");
            return Err(Error::invalid(format!("{message}, not of {}", model.dim)));
        }
        make(path)?;
        length(path)?;
        let mut connection = connect(path, PATIENCE)?;
        initialise(path, &mut connection, model)?;
        let store = Self::of(path, connection)?;
        store.check_model(model)?;
        Ok(store)
    }

    /// Whether a store is at a path, whole or damaged: the marks of SQLite and of stores are at the
    /// beginning of the file. Nothing else of it is looked at.
    pub fn is_at(path: impl AsRef<Path>) -> bool {
        let mut head = [0; MARKED];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
        let mark = APPLICATION.to_be_bytes();
        read.is_ok() && head.starts_with(b"SQLite format 3\0") && head.ends_with(&mark)
    }

    /// The same store, less patient.
    #[cfg(test)]
    pub(super) fn impatient(self) -> Self {
        self.connection.busy_timeout(Duration::from_millis(50)).unwrap();
        self
    }

    /// Checks that a file is a store, and reads its model.
    pub(super) fn of(path: &Path, connection: Connection) -> Result<Self> {
        let fail = |error| failure(path, error);
        let number =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        if number("application_id").map_err(fail)? != APPLICATION {
            // What a process wrote that was killed while it made the file has been taken back.
            if length(path)? == 0 {
                return Err(Error::file(path, EMPTY));
            }
            return Err(Error::file(path, "is an SQLite file of another program, no store"));
        }
        let format = number("user_version").map_err(fail)?;
        if format != FORMAT {
            let message = format!("is a store of format {format}; this version reads {FORMAT}");
            let anew = if format < FORMAT { ": enrol its voices anew in another file" } else { "" };
            return Err(Error::file(path, message + anew));
        }
        check_length(path, &connection)?;
        // Another program may have chosen another journal, which would keep what is deleted.
        connection.execute_batch("PRAGMA journal_mode = DELETE").map_err(fail)?;
        let mut values = meta::read(path, &connection)?;
        let mut text = |key: &str| -> Result<String> {
            values.remove(key).ok_or_else(|| damaged(path, &format!("no `{key}` in `meta`")))
        };
        let digits = text("dim")?;
        let dim = digits.parse().ok().filter(|dim: &usize| (1..=MOST).contains(dim));
        let dim = dim.ok_or_else(|| damaged(path, &format!("`dim` is {digits}")))?;
        let (hash, arch, frontend) = (text("hash")?, text("arch")?, text("frontend")?);
        let model = StoreModel { hash, arch, frontend, dim };
        Ok(Self { path: path.to_owned(), connection, model })
    }

    /// Where the model's file was at the last enrolment, if it was a file.
    ///
    /// # Errors
    /// A damaged or locked store.
    pub fn model_path(&self) -> Result<Option<String>> {
        Ok(meta::read(&self.path, &self.connection)?.remove(MODEL_PATH))
    }

    /// Keeps where the model's file is.
    ///
    /// # Errors
    /// A damaged or locked store, or one that cannot be written.
    pub fn set_model_path(&mut self, path: &str) -> Result<()> {
        let file = self.path.clone();
        let transaction = self.begin_if_whole(Depth::Values)?;
        let set = meta::set(&transaction, MODEL_PATH, path).and_then(|()| transaction.commit());
        set.map_err(|error| failure(&file, error))
    }

    /// Whether other users of the machine may read the file. False where that is not known.
    pub fn is_open_to_others(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::metadata(&self.path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0)
        }
        #[cfg(not(unix))]
        {
            false
        }
    }
}

/// Connects to a file that exists.
pub(super) fn connect(path: &Path, patience: Duration) -> Result<Connection> {
    let fail = |error| failure(path, error);
    // SQLite takes names such as `:memory:` and `file:x` for something else.
    let absolute = std::path::absolute(path).map_err(|e| Error::io(path, "open", e))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(absolute, flags).map_err(fail)?;
    connection.busy_timeout(patience).map_err(fail)?;
    connection.execute_batch(SETTINGS).map_err(fail)?;
    Ok(connection)
}

/// Bytes of a file.
fn length(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, "open", e))?;
    match metadata.is_dir() {
        true => Err(Error::file(path, "is a folder, not a store of voices")),
        false => Ok(metadata.len()),
    }
}

/// Refuses a file that is shorter than its pages are. SQLite takes what is missing of the last one
/// for zeros.
fn check_length(path: &Path, connection: &Connection) -> Result<()> {
    let fail = |error| failure(path, error);
    // While this lasts, no process changes the file.
    let transaction = connection.unchecked_transaction().map_err(fail)?;
    let number =
        |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = number("page_count").map_err(fail)?;
    let bytes = pages.saturating_mul(number("page_size").map_err(fail)?);
    match i64::try_from(length(path)?) {
        Ok(length) if length < bytes => Err(damaged(path, &format!("{length} of {bytes} bytes"))),
        _ => Ok(()),
    }
}

/// Makes an empty file for its owner alone, unless it is there. SQLite's journal gets the same
/// mode.
fn make(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    match options.open(path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(Error::io(path, "create", e)),
        _ => Ok(()),
    }
}

/// Makes the tables in an empty file.
fn initialise(path: &Path, connection: &mut Connection, model: &StoreModel) -> Result<()> {
    let fail = |error| failure(path, error);
    // Reading takes back what a process wrote that was killed while it made the file.
    connection
        .pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))
        .map_err(fail)?;
    if length(path)? > 0 {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    // Another process may have been faster.
    if length(path)? > 0 {
        return Ok(());
    }
    transaction.execute_batch(TABLES).map_err(fail)?;
    transaction.pragma_update(None, "application_id", APPLICATION).map_err(fail)?;
    transaction.pragma_update(None, "user_version", FORMAT).map_err(fail)?;
    let dim = model.dim.to_string();
    let StoreModel { hash, arch, frontend, .. } = model;
    for (key, value) in [("hash", hash), ("arch", arch), ("frontend", frontend), ("dim", &dim)] {
        meta::set(&transaction, key, value).map_err(fail)?;
    }
    transaction.commit().map_err(fail)
}
