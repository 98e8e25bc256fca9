//! Embeddings in NumPy's archives: `embeddings` `[n, dim]` and the text `ids`.
//!
//! ```python
//! file = numpy.load("e.npz")
//! by_id = dict(zip(file["ids"], file["embeddings"]))
//! ```

use std::cell::RefCell;
use std::io::{self, Cursor, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::Embeddings;
use super::npy::{self, Array};
use super::rows::Rows;
use super::tensors::{IDS, MATRIX};
use crate::bytes::from_f32;
use crate::error::{Error, Result};
use crate::fs::{self, Mapped};

/// So many values become bytes at a time.
const CHUNK: usize = 2048;

/// Writes the values of an array.
type Fill<'a> = dyn Fn(&mut dyn Write) -> io::Result<()> + 'a;

/// An array to be written.
pub(crate) struct Member<'a> {
    name: &'a str,
    /// Its header.
    header: Vec<u8>,
    fill: Box<Fill<'a>>,
}

impl<'a> Member<'a> {
    /// An array of f32 in pieces, one behind the other.
    pub fn of_values(name: &'a str, shape: &[usize], pieces: Vec<&'a [f32]>) -> Self {
        let fill = move |out: &mut dyn Write| {
            let mut chunks = pieces.iter().flat_map(|piece| piece.chunks(CHUNK));
            chunks.try_for_each(|values| out.write_all(&from_f32(values)))
        };
        Self { name, header: npy::header("<f4", shape), fill: Box::new(fill) }
    }
}

/// Writes an archive, without holding it in memory. The names must differ.
///
/// # Errors
/// Those of [`fs::write_atomic`].
pub(crate) fn write(path: &Path, members: &[Member]) -> Result<()> {
    fs::write_atomic(path, |out| {
        // The writer of archives prints what goes wrong when it is dropped. So it sees no error.
        let failure = RefCell::new(None);
        let mut archive = ZipWriter::new_stream(Forgiving { out, failure: &failure });
        let filled = members.iter().try_for_each(|member| add(&mut archive, member));
        let finished = archive.finish().map(drop).map_err(io::Error::from);
        match failure.into_inner() {
            Some(e) => Err(e),
            None => filled.and(finished),
        }
    })
}

/// Writes an array.
fn add<W: Write + io::Seek>(archive: &mut ZipWriter<W>, member: &Member) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .large_file(true);
    archive.start_file(entry(member.name), options)?;
    archive.write_all(&member.header)?;
    (member.fill)(archive)
}

/// Writes the file, without holding it in memory.
pub(super) fn save(all: &Embeddings, path: &Path) -> Result<()> {
    // NumPy takes away zeros at the end.
    if let Some(id) = all.ids().find(|id| id.ends_with('\0')) {
        let message = format!("the id {id:?} ends in a zero, which NumPy's text cannot keep");
        return Err(Error::file(path, message));
    }
    let longest = all.ids().map(|id| id.chars().count()).max().unwrap_or(0).max(1);
    let ids = |out: &mut dyn Write| {
        let mut text = vec![0; 4 * longest];
        all.ids().try_for_each(|id| {
            text.fill(0);
            let characters = text.as_chunks_mut::<4>().0.iter_mut().zip(id.chars());
            characters.for_each(|(bytes, c)| *bytes = u32::from(c).to_le_bytes());
            out.write_all(&text)
        })
    };
    let header = npy::header(&format!("<U{longest}"), &[all.len()]);
    let matrix = Member::of_values(MATRIX, &[all.len(), all.dim()], all.rows.pieces());
    write(path, &[matrix, Member { name: IDS, header, fill: Box::new(ids) }])
}

/// The name of an array in the archive.
fn entry(array: &str) -> String {
    format!("{array}.npy")
}

/// A writer that keeps the first error and takes everything from then on.
struct Forgiving<'a> {
    out: &'a mut dyn Write,
    failure: &'a RefCell<Option<io::Error>>,
}

impl Forgiving<'_> {
    fn forgive<T>(&self, result: io::Result<T>, instead: T) -> io::Result<T> {
        Ok(result.unwrap_or_else(|e| {
            *self.failure.borrow_mut() = Some(e);
            instead
        }))
    }
}

impl Write for Forgiving<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failure.borrow().is_some() {
            return Ok(bytes.len());
        }
        let result = self.out.write_all(bytes).map(|()| bytes.len());
        self.forgive(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file. It does not look whether values are finite.
pub(super) fn load(path: &Path, bytes: Mapped) -> Result<Embeddings> {
    let read = |name| find(&bytes, name);
    let found = read(MATRIX).and_then(|matrix| Ok((matrix, read(IDS)?)));
    let (all, matrix) = found
        .and_then(|(matrix, ids)| {
            let all = of_arrays(&bytes, &matrix, &ids).map_err(|e| e.to_string())?;
            Ok((all, matrix))
        })
        .map_err(|e| Error::file(path, e))?;
    let rows = match matrix.format.as_str() {
        "<f4" => Rows::of_file(bytes, matrix.values),
        _ => {
            let (words, _) = bytes[matrix.values].as_chunks::<8>();
            Rows::Owned(words.iter().map(|x| f64::from_le_bytes(*x) as f32).collect())
        }
    };
    Ok(Embeddings { rows, ..all })
}

/// The array of a name, with the place of its values in the file. The archive's checksum of it
/// must be right.
fn find(file: &[u8], name: &str) -> Result<Array, String> {
    let mut archive =
        ZipArchive::new(Cursor::new(file)).map_err(|e| format!("not a readable .npz file: {e}"))?;
    let index = archive.index_for_name(&entry(name));
    let index = index.ok_or_else(|| format!("holds no array `{name}`"))?;
    let bad = |e: &dyn std::fmt::Display| format!("array `{name}`: {e}");
    let mut entry = archive.by_index(index).map_err(|e| bad(&e))?;
    if entry.compression() != CompressionMethod::Stored {
        return Err(bad(&"is compressed; numpy.savez writes it as it is"));
    }
    io::copy(&mut entry, &mut io::sink()).map_err(|e| bad(&e))?;
    let begin = entry.data_start().and_then(|begin| usize::try_from(begin).ok());
    let size = usize::try_from(entry.size()).ok();
    let place = begin.zip(size).and_then(|(begin, size)| Some(begin..begin.checked_add(size)?));
    let place = place.filter(|place| place.end <= file.len());
    let place = place.ok_or_else(|| bad(&"goes beyond the end of the file"))?;
    let array = npy::read(&file[place.clone()]).map_err(|e| bad(&e))?;
    let values = place.start + array.values.start..place.end;
    Ok(Array { values, ..array })
}

/// The ids and the dimension, still without values.
fn of_arrays(file: &[u8], matrix: &Array, ids: &Array) -> Result<Embeddings> {
    let wrong = |name: &str, e: String| Error::invalid(format!("array `{name}` {e}"));
    let width = match matrix.format.as_str() {
        "<f4" => 4,
        "<f8" => 8,
        other => return Err(wrong(MATRIX, format!("is `{other}`; `<f4` or `<f8` is wanted"))),
    };
    matrix.check(width).map_err(|e| wrong(MATRIX, e))?;
    let (&[count, dim], &[found]) = (matrix.shape.as_slice(), ids.shape.as_slice()) else {
        let message = format!(
            "arrays of shapes {:?} and {:?}; [n, dim] and [n] are wanted",
            matrix.shape, ids.shape
        );
        return Err(Error::invalid(message));
    };
    let longest: Option<usize> = ids.format.strip_prefix("<U").and_then(|n| n.parse().ok());
    let Some(longest) = longest.filter(|n| *n > 0) else {
        let message = format!("is `{}`; text (`<U...`) is wanted, as dtype=str gives", ids.format);
        return Err(wrong(IDS, message));
    };
    let width = longest.saturating_mul(4);
    ids.check(width).map_err(|e| wrong(IDS, e))?;
    if found != count {
        return Err(Error::invalid(format!("{found} ids for {count} embeddings")));
    }
    let mut all = Embeddings::new(dim);
    let mut id = String::new();
    for (i, text) in file[ids.values.clone()].chunks_exact(width).enumerate() {
        let (words, _) = text.as_chunks::<4>();
        let end = words.iter().rposition(|word| *word != [0; 4]).map_or(0, |last| last + 1);
        id.clear();
        for word in &words[..end] {
            let character = char::from_u32(u32::from_le_bytes(*word));
            let character =
                character.ok_or_else(|| wrong(IDS, format!("holds no text at place {i}")))?;
            id.push(character);
        }
        all.push_id(&id)?;
    }
    Ok(all)
}
