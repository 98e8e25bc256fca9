//! Writes several lists, all of them or none.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::{self, Content, TemporaryFolder};

/// Writes the text of a list.
type Fill<'a> = dyn Fn(&mut dyn Write) -> io::Result<()> + 'a;

/// A file to write.
pub(in crate::corpus) struct Output<'a> {
    /// Its name below the output folder, with `/` between folders.
    pub name: String,
    /// Writes its content.
    pub fill: Box<Fill<'a>>,
}

impl<'a> Output<'a> {
    /// A file whose content `fill` writes.
    pub fn new(
        name: impl Into<String>,
        fill: impl Fn(&mut dyn Write) -> io::Result<()> + 'a,
    ) -> Self {
        Self { name: name.into(), fill: Box::new(fill) }
    }

    /// A file with this text.
    pub fn text(name: impl Into<String>, text: String) -> Self {
        Self::new(name, move |out| out.write_all(text.as_bytes()))
    }
}

/// The list that appears last: where it is, its folder is whole.
const LAST: &str = "wav.scp";

/// Refuses an output folder that is a file, or that has one of these files already. A folder with
/// some of them but without its `wav.scp` was left by a run that was stopped.
///
/// # Errors
/// The first of them.
pub(in crate::corpus) fn refuse_existing(
    out: &Path,
    names: impl IntoIterator<Item = impl AsRef<Path>>,
) -> Result<()> {
    if out.exists() && !out.is_dir() {
        return Err(Error::file(out, "is a file, not a folder for lists"));
    }
    let names: Vec<PathBuf> = names.into_iter().map(|name| out.join(name)).collect();
    let there: Vec<&PathBuf> = names.iter().filter(|path| path.exists()).collect();
    let is_cut = |list: &Path| {
        let last = list.with_file_name(LAST);
        names.contains(&last) && !last.exists()
    };
    if let Some(list) = there.iter().find(|list| is_cut(list)) {
        let message = format!(
            "is there, but {LAST} is not: an earlier run was stopped while writing; remove {}, or \
             name another folder for the lists",
            out.display()
        );
        return Err(Error::file(list, message));
    }
    match there.first() {
        Some(list) => Err(Error::file(list, "is already there; name another folder for the lists")),
        None => Ok(()),
    }
}

/// Writes files into a folder, and makes the folder and those below it where there are none. They
/// appear in their order, but every `wav.scp` after all others.
///
/// # Errors
/// A folder or file that cannot be written. None of the files remains then.
pub(in crate::corpus) fn write(out: &Path, outputs: &[Output]) -> Result<()> {
    let mut made = Vec::new();
    make(out, &mut made)?;
    fs::sweep(out);
    let result = fill(out, outputs, &mut made);
    if result.is_err() {
        // This removes only empty folders.
        made.iter().rev().for_each(|folder| drop(std::fs::remove_dir(folder)));
    }
    result
}

/// Makes a folder, and notes it if it is new.
fn make(folder: &Path, made: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.exists() {
        made.push(folder.to_owned());
    }
    fs::create_dir_all(folder)
}

fn fill(out: &Path, outputs: &[Output], made: &mut Vec<PathBuf>) -> Result<()> {
    let temp = TemporaryFolder::inside(out, Content::Lists, out)?;
    for (i, output) in outputs.iter().enumerate() {
        let written = fs::write_atomic(temp.path().join(i.to_string()), |to| (output.fill)(to));
        written.map_err(|e| match e {
            Error::Io { action, source, .. } => Error::io(out.join(&output.name), action, source),
            other => other,
        })?;
    }
    let order = order(outputs);
    for (done, &i) in order.iter().enumerate() {
        let path = out.join(&outputs[i].name);
        let moved = make(fs::parent(&path), made)
            .and_then(|()| fs::rename(temp.path().join(i.to_string()), &path));
        if let Err(e) = moved {
            for &i in &order[..done] {
                let _ = fs::remove_file(out.join(&outputs[i].name));
            }
            return Err(e);
        }
    }
    Ok(())
}

/// The numbers of files in the order in which they appear.
fn order(outputs: &[Output]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..outputs.len()).collect();
    order.sort_by_key(|&i| Path::new(&outputs[i].name).ends_with(LAST));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> [Output<'static>; 2] {
        [Output::text("a", "1".to_owned()), Output::text("x/b", "2".to_owned())]
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("lists");
        // A folder in the way of the second file.
        std::fs::create_dir_all(out.join("x/b/c")).unwrap();
        assert!(write(&out, &two()).unwrap_err().to_string().contains("b: cannot write"));
        let names: Vec<_> =
            std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["x"]);
        let full = Output::new("new/c", |_| Err(io::Error::other("no room")));
        let new = dir.path().join("new");
        let [first, second] = two();
        let error = write(&new, &[first, second, full]).unwrap_err().to_string();
        assert!(error.contains("new/c: cannot write: no room"), "{error}");
        assert!(!new.exists());
        // A file in the way of a folder: what was there before stays.
        std::fs::create_dir(&new).unwrap();
        std::fs::write(new.join("x"), "old").unwrap();
        assert!(write(&new, &two()).is_err());
        assert_eq!(std::fs::read_dir(&new).unwrap().count(), 1);
    }

    #[test]
    fn all_files_appear_and_none_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("y/z");
        let names = || two().map(|output| output.name);
        refuse_existing(&out, names()).unwrap();
        write(&out, &two()).unwrap();
        assert_eq!(std::fs::read_to_string(out.join("x/b")).unwrap(), "2");
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
        let error = refuse_existing(&out, names()).unwrap_err().to_string();
        assert!(error.contains("z/a: is already there"), "{error}");
        let error = refuse_existing(&out.join("a"), names()).unwrap_err().to_string();
        assert!(error.contains("is a file"), "{error}");
    }

    /// A kill may come between any two files.
    #[test]
    fn a_stopped_run_is_told_from_a_finished_one() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["a/spk2utt", "a/wav.scp", "trials", "b/spk2utt", "b/trials", "b/wav.scp"];
        let outputs = names.map(|name| Output::text(name, String::new()));
        for count in 0..=names.len() {
            let out = dir.path().join(count.to_string());
            for &i in &order(&outputs)[..count] {
                let path = out.join(names[i]);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "").unwrap();
            }
            let found = refuse_existing(&out, names).map_err(|e| e.to_string());
            let wanted = match count {
                0 => {
                    assert_eq!(found, Ok(()));
                    continue;
                }
                6 => "a/spk2utt: is already there",
                5 => "b/spk2utt: is there, but wav.scp is not",
                _ => "a/spk2utt: is there, but wav.scp is not",
            };
            let error = found.unwrap_err();
            assert!(error.contains(wanted), "{count}: {error}");
        }
    }
}
