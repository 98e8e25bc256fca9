//! The files within a tar file, by its headers.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::files::{failed, read_exact_at};
use super::header::{BLOCK, Header, Kind, Records};
use crate::error::{Error, Result};
use crate::fs;

/// Bytes that are read at a time: the two headers of an utterance and the speaker between them.
const PAGE: usize = 4096;
/// Most bytes of a name or of records.
const MOST_TEXT: u64 = 1 << 20;

/// Marks of compressed files, with what unpacks them.
const COMPRESSED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gunzip"),
    (b"BZh", "bunzip2"),
    (b"\xfd7zXZ", "unxz"),
    (b"\x28\xb5\x2f\xfd", "unzstd"),
];

/// A file within a tar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub name: String,
    /// Where its content begins.
    pub offset: u64,
    pub bytes: u64,
}

/// Reads the headers of a tar file one after the other, and skips the contents.
pub(super) struct Members {
    path: PathBuf,
    file: File,
    length: u64,
    /// Bytes in memory, and their place.
    held: Vec<u8>,
    start: u64,
    /// The place of the next header.
    at: u64,
    /// The last member's name.
    last: Option<String>,
}

/// What stands in front of a header about its entry.
#[derive(Default)]
struct About {
    name: Option<Vec<u8>>,
    bytes: Option<u64>,
}

impl Members {
    /// Opens a tar file.
    ///
    /// # Errors
    /// A file that cannot be opened, is empty, compressed or no tar file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = fs::open(path)?;
        let length = file.metadata().map_err(|e| Error::io(path, "read", e))?.len();
        let mut members = Self {
            path: path.to_owned(),
            file,
            length,
            held: Vec::new(),
            start: 0,
            at: 0,
            last: None,
        };
        let first = members.bytes(0, BLOCK as usize)?;
        let tool = COMPRESSED.iter().find(|(mark, _)| first.starts_with(mark)).map(|found| found.1);
        let is_tar = first.len() as u64 >= BLOCK && Header::parse(&first[..BLOCK as usize]).is_ok();
        match tool {
            _ if is_tar => Ok(members),
            _ if length == 0 => Err(members.error("is empty, not a tar file")),
            Some(tool) => {
                Err(members
                    .error(format!("is compressed; unpack it ({tool}), and list the tar file")))
            }
            None => Err(members.error("is not a tar file (by its first bytes, whatever its name)")),
        }
    }

    /// The next file. Folders are left out. At the end of the tar file, gives none.
    ///
    /// # Errors
    /// A tar file that is cut short, damaged or joined to another one; a link or another entry that
    /// holds no file's bytes; a name that is not UTF-8.
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        let mut about = About::default();
        loop {
            let place = self.at;
            let block = self.bytes(place, BLOCK as usize)?;
            let Some(block) = block.get(..BLOCK as usize) else { return Err(self.no_end()) };
            let parsed = Header::parse(block);
            let Some(header) = parsed.map_err(|why| self.damaged(place, why))? else {
                self.finish(place + BLOCK)?;
                return Ok(None);
            };
            let is_about = matches!(header.kind, Kind::LongName | Kind::Records | Kind::Remark);
            let bytes = about.bytes.filter(|_| !is_about).unwrap_or(header.bytes);
            let name = about.name.as_ref().filter(|_| !is_about).unwrap_or(&header.name);
            let offset = place + BLOCK;
            let end = offset.checked_add(bytes).filter(|end| *end <= self.length);
            let Some(end) = end else {
                let missing = bytes - (self.length - offset.min(self.length)).min(bytes);
                return Err(self.error(format!(
                    "is cut short: its entry `{}` has {bytes} bytes, of which the last {missing} \
                     are missing; copy the file anew",
                    String::from_utf8_lossy(name)
                )));
            };
            // A file is shorter than 2^63 bytes.
            self.at = end.next_multiple_of(BLOCK);
            match header.kind {
                Kind::Remark => {}
                Kind::Folder => about = About::default(),
                Kind::LongName => about.name = Some(self.long_name(place, offset, bytes)?),
                Kind::Records => self.records(place, offset, bytes, &mut about)?,
                Kind::Other => {
                    let name = String::from_utf8_lossy(name);
                    return Err(self.error(format!(
                        "its entry `{name}` is a link or another entry without a file's bytes; \
                         pack files (tar -h follows links)"
                    )));
                }
                Kind::File => {
                    let name = String::from_utf8(name.clone()).map_err(|e| {
                        let name = e.as_bytes().escape_ascii();
                        self.error(format!("the name of its entry `{name}` is not UTF-8"))
                    })?;
                    self.last = Some(name.clone());
                    return Ok(Some(Member { name, offset, bytes }));
                }
            }
        }
    }

    /// The content of a member, if it has at most `most` bytes.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn content(&mut self, member: &Member, most: usize) -> Result<Option<&[u8]>> {
        if member.bytes > most as u64 {
            return Ok(None);
        }
        let wanted = member.bytes as usize;
        Ok(self.bytes(member.offset, wanted)?.get(..wanted))
    }

    /// An error of this tar file.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::file(&self.path, message)
    }

    /// A name that fills a content of its own.
    fn long_name(&mut self, place: u64, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        let name = self.text(place, offset, bytes)?;
        Ok(name.split(|&byte| byte == 0).next().unwrap_or_default().to_vec())
    }

    fn records(&mut self, place: u64, offset: u64, bytes: u64, about: &mut About) -> Result<()> {
        let records = Records::parse(self.text(place, offset, bytes)?);
        let records = records.map_err(|why| self.damaged(place, why))?;
        if records.sparse {
            let why = "it leaves out holes of a file (made by tar --sparse)";
            return Err(self.damaged(place, why));
        }
        about.name = records.name.or(about.name.take());
        about.bytes = records.bytes.or(about.bytes);
        Ok(())
    }

    fn text(&mut self, place: u64, offset: u64, bytes: u64) -> Result<&[u8]> {
        if bytes > MOST_TEXT {
            return Err(self.damaged(place, "it says that a name has over a million bytes"));
        }
        Ok(&self.bytes(offset, bytes as usize)?[..bytes as usize])
    }

    /// Refuses what follows the zeros at the end.
    fn finish(&mut self, mut place: u64) -> Result<()> {
        while place < self.length {
            let rest = self.bytes(place, PAGE)?;
            let found = rest.iter().position(|&byte| byte != 0);
            let read = rest.len() as u64;
            if let Some(i) = found {
                let at = place + i as u64;
                return Err(self.error(format!(
                    "holds more behind its end, at byte {at}: tar files that were joined; list \
                     them one by one"
                )));
            }
            place += read;
        }
        Ok(())
    }

    fn no_end(&self) -> Error {
        let behind = match &self.last {
            Some(name) => format!("behind its entry `{name}`"),
            None => "at its beginning".into(),
        };
        self.error(format!(
            "is cut short {behind}: the zeros that end a tar file are missing; copy or make the \
             file anew"
        ))
    }

    fn damaged(&self, place: u64, why: &str) -> Error {
        self.error(format!("the header at byte {place} cannot be used: {why}"))
    }

    /// The bytes from a place on: `wanted` of them or more, or all up to the end of the file.
    fn bytes(&mut self, place: u64, wanted: usize) -> Result<&[u8]> {
        let end = place.saturating_add(wanted as u64).min(self.length);
        if place >= end {
            return Ok(&[]);
        }
        if place < self.start || end > self.start + self.held.len() as u64 {
            let page = (self.length - place).min(wanted.max(PAGE) as u64) as usize;
            self.held.resize(page, 0);
            self.start = place;
            read_exact_at(&self.file, &mut self.held, place).map_err(|e| failed(&self.path, e))?;
        }
        Ok(&self.held[(place - self.start) as usize..])
    }
}
