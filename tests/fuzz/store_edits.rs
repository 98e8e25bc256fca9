//! Changes of values in SQLite files that leave the files whole.

use revox::rng::Stream;
use rusqlite::Connection;

use crate::mutate::pick;

/// Tables and their columns.
const COLUMNS: &[(&str, &str)] = &[
    ("meta", "key"),
    ("meta", "value"),
    ("voices", "id"),
    ("voices", "name"),
    ("voices", "created"),
    ("recordings", "id"),
    ("recordings", "voice"),
    ("recordings", "file"),
    ("recordings", "seconds"),
    ("recordings", "embedding"),
    ("recordings", "digest"),
    ("recordings", "created"),
];

/// What no store of ours holds in some column.
const VALUES: &[&str] = &[
    "NULL",
    "''",
    "0",
    "5",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "9e999",
    "-9e999",
    "x'ff'",
    "CAST(x'ff00c3' AS TEXT)",
    "'a' || char(0) || 'b'",
    "char(27) || '[31m'",
    "zeroblob(3)",
    "zeroblob(96)",
    "zeroblob(200000)",
    "'anna'",
    "'dim'",
    "'rebuild'",
    "'24 '",
    "'16385'",
    "'99999999999999999999'",
    "(SELECT embedding FROM recordings LIMIT 1)",
    "(SELECT digest FROM recordings LIMIT 1)",
    "(SELECT substr(embedding, 2) FROM recordings LIMIT 1)",
    "(SELECT embedding || x'0000c07f' FROM recordings LIMIT 1)",
];

/// Other changes.
const STATEMENTS: &[&str] = &[
    "PRAGMA user_version = 3",
    "PRAGMA application_id = 7",
    "PRAGMA journal_mode = WAL",
    "PRAGMA page_size = 65536; VACUUM",
    "PRAGMA auto_vacuum = FULL; VACUUM",
    "DROP TABLE voices",
    "DROP TABLE meta",
    "ALTER TABLE recordings RENAME TO others",
    "ALTER TABLE recordings DROP COLUMN seconds",
    "ALTER TABLE voices ADD COLUMN more TEXT",
    "DELETE FROM voices",
    "DELETE FROM recordings",
    "INSERT INTO meta VALUES ('rebuild', '1')",
];

fn statement(stream: &mut Stream) -> String {
    let (table, column) = *pick(stream, COLUMNS);
    let row = 1 + stream.below(6);
    match stream.below(8) {
        0 => format!("DELETE FROM {table} WHERE rowid = {row}"),
        1 => (*pick(stream, STATEMENTS)).to_owned(),
        _ => {
            let value = pick(stream, VALUES);
            format!("UPDATE OR IGNORE {table} SET {column} = {value} WHERE rowid = {row}")
        }
    }
}

/// A store that another program has changed.
pub fn edited(stream: &mut Stream, seeds: &[Vec<u8>]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    std::fs::write(&path, pick(stream, seeds)).expect("the folder takes files");
    let connection = Connection::open(&path).expect("a file");
    connection.execute_batch("PRAGMA synchronous = OFF").expect("a setting");
    for _ in 0..1 + stream.below(3) {
        // What a column does not take changes nothing.
        let _ = connection.execute_batch(&statement(stream));
    }
    drop(connection);
    std::fs::read(&path).expect("a file")
}
