//! Reads lists that name two utterances a line. All cores parse lines; the results keep the order
//! of the lines.

use std::ops::ControlFlow;

use rayon::prelude::*;

use super::text::{Text, newlines};
use super::words::Words;
use crate::error::{Error, Result};

/// Parts of a block that the cores parse side by side.
const PIECES: usize = 64;

/// Lines whose words are looked up together.
const TOGETHER: usize = 32;

/// The number of a word that was new when its piece was parsed.
const NEW: u32 = u32::MAX;

/// The words of a line.
pub(crate) struct Fields<'t> {
    words: [&'t str; 5],
    /// Number of words in the line.
    pub count: usize,
}

impl<'t> Fields<'t> {
    /// The words of `line`.
    pub(super) fn of(line: &'t str) -> Self {
        let (mut words, mut count) = ([""; 5], 0);
        for (i, word) in line.split_ascii_whitespace().enumerate() {
            if let Some(place) = words.get_mut(i) {
                *place = word;
            }
            count = i + 1;
        }
        Self { words, count }
    }

    /// The first five words.
    pub fn first(&self) -> &[&'t str] {
        &self.words[..self.count.min(self.words.len())]
    }
}

/// The content of a line.
pub(crate) struct Entry<'t, V> {
    /// Name of the enrollment utterance.
    pub enroll: &'t str,
    /// Name of the test utterance.
    pub test: &'t str,
    /// What the line says of them.
    pub value: V,
}

/// How the lines of a list are read.
pub(crate) trait Grammar: Sync {
    /// What a line says of its two utterances.
    type Value: Copy + Send;

    /// Reads a line that is not blank.
    ///
    /// # Errors
    /// What is wrong with the line.
    fn entry<'t>(&self, fields: &Fields<'t>) -> Result<Entry<'t, Self::Value>, String>;
}

/// The content of a line, with numbers for words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<V> {
    /// Number of the line in its piece, from 1.
    line: u32,
    /// Numbers of the words: enrollment, test.
    pub words: [u32; 2],
    /// What the line says of them.
    pub value: V,
}

/// The content of a few thousand lines.
pub(crate) struct Batch<'b, V> {
    /// Number of the lines before these.
    before: usize,
    /// The content of each line that is not blank, in order.
    pub found: &'b [Found<V>],
    /// Bytes of these lines.
    pub bytes: usize,
}

impl<V> Batch<'_, V> {
    /// The line in the file, from 1.
    pub fn line(&self, found: &Found<V>) -> usize {
        self.before + found.line as usize
    }
}

/// A parsed part of a block.
struct Piece<'t, V> {
    lines: usize,
    bytes: usize,
    found: Vec<Found<V>>,
    /// New words: index into `found`, side, and word.
    new: Vec<(usize, usize, &'t str)>,
    /// The first bad line, from 1, and what is wrong with it. The lines behind it are not parsed.
    wrong: Option<(usize, String)>,
}

impl<'t, V: Copy> Piece<'t, V> {
    /// Parses whole lines or, without `parse`, only checks that they are UTF-8. The error is the
    /// first line that is not.
    fn of<G: Grammar<Value = V>>(
        bytes: &'t [u8],
        grammar: &G,
        known: &Words,
        parse: bool,
    ) -> Result<Self, usize> {
        let text =
            std::str::from_utf8(bytes).map_err(|e| 1 + newlines(&bytes[..e.valid_up_to()]))?;
        let lines = newlines(bytes) + usize::from(!bytes.ends_with(b"\n"));
        let mut piece =
            Self { lines, bytes: bytes.len(), found: Vec::new(), new: Vec::new(), wrong: None };
        if !parse {
            return Ok(piece);
        }
        let mut entries = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let fields = Fields::of(text);
            if fields.count == 0 {
                continue;
            }
            match grammar.entry(&fields) {
                Ok(entry) => entries.push((line, entry)),
                Err(message) => {
                    piece.wrong = Some((line as usize, message));
                    break;
                }
            }
        }
        for some in entries.chunks(TOGETHER) {
            let names: Vec<&str> = some.iter().flat_map(|(_, e)| [e.enroll, e.test]).collect();
            let numbers = known.find_all(&names);
            for (i, &(line, Entry { value, .. })) in some.iter().enumerate() {
                let words = [0, 1].map(|side| numbers[2 * i + side].unwrap_or(NEW));
                for (side, &number) in words.iter().enumerate() {
                    if number == NEW {
                        piece.new.push((piece.found.len(), side, names[2 * i + side]));
                    }
                }
                piece.found.push(Found { line, words, value });
            }
        }
        Ok(piece)
    }
}

/// Cuts a block into pieces of whole lines. A piece has `size` bytes, or up to a line more.
fn cut(block: &[u8], size: usize) -> Vec<&[u8]> {
    let (mut pieces, mut rest) = (Vec::new(), block);
    while let Some(end) = rest.iter().skip(size).position(|&b| b == b'\n') {
        let (piece, after) = rest.split_at(size + end + 1);
        pieces.push(piece);
        rest = after;
    }
    pieces.extend(Some(rest).filter(|r| !r.is_empty()));
    pieces
}

/// Reads a list, numbers new words, and gives the content to `take`, in order, until that breaks.
/// Returns the error of the first line that `grammar` refuses. The lines before it were taken.
///
/// # Errors
/// A file that cannot be read, or is not UTF-8. These errors come first, wherever they occur.
pub(crate) fn scan<G: Grammar>(
    text: &Text,
    grammar: &G,
    words: &mut Words,
    take: &mut dyn FnMut(&Batch<G::Value>) -> ControlFlow<()>,
) -> Result<Option<Error>> {
    let bad = |line: usize, message: &str| Error::line(text.path(), line, message);
    let (mut before, mut wrong): (usize, Option<Error>) = (0, None);
    text.blocks(&mut |block| {
        let (known, parse) = (&*words, wrong.is_none());
        let pieces = cut(block, text.block / PIECES).into_par_iter();
        let pieces: Vec<Result<Piece<G::Value>, usize>> =
            pieces.map(|bytes| Piece::of(bytes, grammar, known, parse)).collect();
        for piece in pieces {
            let mut piece = piece.map_err(|line| bad(before + line, "not UTF-8 text"))?;
            if wrong.is_none() {
                for (i, side, word) in std::mem::take(&mut piece.new) {
                    let found = &mut piece.found[i];
                    let number = words.intern(word, before + found.line as usize);
                    let many = || {
                        Error::file(text.path(), "names more than two thousand million utterances")
                    };
                    found.words[side] = number.ok_or_else(many)?;
                }
                let batch = Batch { before, found: &piece.found, bytes: piece.bytes };
                if take(&batch).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                wrong = piece.wrong.map(|(line, message)| bad(before + line, &message));
            }
            before += piece.lines;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(wrong)
}

/// Reads a whole list. Returns the result of `make` for each line, and the error that [`scan`]
/// returns. The numbers of the lines are appended to `lines`, if given. `done` is called with the
/// number of bytes that were read since the last call.
///
/// # Errors
/// Those of [`scan`].
pub(crate) fn read_all<G: Grammar, T>(
    text: &Text,
    grammar: &G,
    words: &mut Words,
    make: impl Fn(&Found<G::Value>) -> T,
    mut lines: Option<&mut Vec<usize>>,
    done: &mut dyn FnMut(usize),
) -> Result<(Vec<T>, Option<Error>)> {
    let mut all = Vec::new();
    // A vector that grows by copying would take more than twice the memory. If there is too little
    // memory for an entry for each line, reading may still work, since lines may be blank.
    let _ = all.try_reserve_exact(text.count_lines()?);
    let wrong = scan(text, grammar, words, &mut |batch| {
        all.extend(batch.found.iter().map(&make));
        if let Some(lines) = &mut lines {
            lines.extend(batch.found.iter().map(|found| batch.line(found)));
        }
        done(batch.bytes);
        ControlFlow::Continue(())
    })?;
    Ok((all, wrong))
}

/// The first line that is `wanted`, with its content.
///
/// # Errors
/// Those of [`scan`].
pub(crate) fn find_line<G: Grammar>(
    text: &Text,
    grammar: &G,
    words: &mut Words,
    wanted: &mut dyn FnMut(usize, &Found<G::Value>) -> bool,
) -> Result<Option<(usize, Found<G::Value>)>> {
    let mut first = None;
    scan(text, grammar, words, &mut |batch| {
        first = batch
            .found
            .iter()
            .find(|found| wanted(batch.line(found), found))
            .map(|f| (batch.line(f), *f));
        if first.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(first)
}

#[cfg(test)]
mod tests;
