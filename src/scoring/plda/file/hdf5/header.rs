//! Object headers: what is known of a group or a dataset, as a list of messages.

use super::checksum::{SUM, checked};
use super::source::{Cursor, File};

pub(super) const DATASPACE: u64 = 1;
pub(super) const LINK_INFO: u64 = 2;
pub(super) const DATATYPE: u64 = 3;
pub(super) const LINK: u64 = 6;
pub(super) const LAYOUT: u64 = 8;
pub(super) const FILTERS: u64 = 11;
const CONTINUATION: u64 = 16;
pub(super) const SYMBOL_TABLE: u64 = 17;

/// Headers of the second version begin with it.
const SECOND: &str = "OHDR";

struct Message<'a> {
    kind: u64,
    is_shared: bool,
    body: Cursor<'a>,
}

/// The messages of an object.
pub(super) struct Header<'a>(Vec<Message<'a>>);

impl<'a> Header<'a> {
    pub fn read(file: &File<'a>, address: u64) -> Result<Self, String> {
        let is_second = file.peek(address, 4)?.0 == SECOND.as_bytes();
        let (first, form) = if is_second { second(file, address)? } else { old(file, address)? };
        let (mut messages, mut blocks) = (Vec::new(), vec![first]);
        while let Some(mut block) = blocks.pop() {
            // Less than a message's head is a gap.
            while block.0.len() as u64 >= form.kind + 3 + form.behind {
                let (kind, size) = (block.number(form.kind)?, block.number(2)?);
                let flags = block.number(1)?;
                block.skip(form.behind)?;
                let mut body = Cursor(block.take(size)?);
                if kind == CONTINUATION {
                    blocks.push(form.more(file, body.number(8)?, body.number(8)?)?);
                } else {
                    messages.push(Message { kind, is_shared: flags & 2 != 0, body });
                }
            }
        }
        Ok(Self(messages))
    }

    /// The content of the first message of a kind.
    pub fn get(&self, kind: u64) -> Result<Option<Cursor<'a>>, String> {
        match self.0.iter().find(|message| message.kind == kind) {
            Some(message) if message.is_shared => {
                Err("what it shares with other objects is not read".into())
            }
            found => Ok(found.map(|message| message.body)),
        }
    }

    /// The same, where there must be one.
    pub fn need(&self, kind: u64, what: &str) -> Result<Cursor<'a>, String> {
        self.get(kind)?.ok_or_else(|| format!("its {what} is missing"))
    }

    /// The contents of all messages of a kind.
    pub fn all(&self, kind: u64) -> impl Iterator<Item = Cursor<'a>> {
        self.0.iter().filter(move |message| message.kind == kind).map(|message| message.body)
    }
}

/// How messages are written.
struct Form {
    /// Bytes of a message's kind.
    kind: u64,
    /// Bytes between a message's flags and its content.
    behind: u64,
    is_second: bool,
}

impl Form {
    /// A further block of messages.
    fn more<'a>(&self, file: &File<'a>, address: u64, size: u64) -> Result<Cursor<'a>, String> {
        let block = file.block(address, size)?;
        if !self.is_second {
            return Ok(block);
        }
        let mut block = checked(block)?;
        block.signature("OCHK")?;
        Ok(block)
    }
}

/// The first messages of a header of the first version.
fn old<'a>(file: &File<'a>, address: u64) -> Result<(Cursor<'a>, Form), String> {
    let mut head = file.peek(address, 16)?;
    let version = head.number(1)?;
    if version != 1 {
        return Err(format!("an object header of version {version} is not read"));
    }
    // The counts of messages and of links to the object.
    head.skip(7)?;
    let size = head.number(4)?;
    let mut block = file.block(address, 16 + size)?;
    block.skip(16)?;
    Ok((block, Form { kind: 2, behind: 3, is_second: false }))
}

/// The first messages of a header of the second version.
fn second<'a>(file: &File<'a>, address: u64) -> Result<(Cursor<'a>, Form), String> {
    let mut head = file.peek(address, 6)?;
    head.skip(4)?;
    let (version, flags) = (head.number(1)?, head.number(1)?);
    if version != 2 {
        return Err(format!("an object header of version {version} is not read"));
    }
    // Times, and limits of attributes.
    let between = 16 * ((flags >> 5) & 1) + 4 * ((flags >> 4) & 1);
    let width = 1 << (flags & 3);
    let mut head = file.peek(address, 6 + between + width)?;
    head.skip(6 + between)?;
    let size = head.number(width)?.saturating_add(6 + between + width + SUM as u64);
    let mut block = checked(file.block(address, size)?)?;
    block.skip(6 + between + width)?;
    // The order in which messages were made.
    let behind = 2 * ((flags >> 2) & 1);
    Ok((block, Form { kind: 1, behind, is_second: true }))
}
