//! The utterances of a tar file: entries with a common key, one behind the other.

use std::path::Path;

use super::is_word;
use super::members::{Member, Members};
use crate::corpus::endings::is_audio;
use crate::error::Result;

/// Most bytes of a speaker's name.
const MOST_NAME: usize = 1024;

/// An utterance of a tar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub id: Box<str>,
    /// Its speaker, if the tar file says so.
    pub speaker: Option<Box<str>>,
    pub offset: u64,
    pub bytes: u64,
}

/// Entries with a common key.
#[derive(Default)]
struct Group {
    key: String,
    speaker: Option<Box<str>>,
    audio: Option<Member>,
}

/// Reads the utterances of a tar file, in its order. Entries other than `KEY.spk` and audio are
/// ignored.
///
/// # Errors
/// Those of [`Members`]; an entry without an ending; a speaker without audio beside it; two entries
/// of one kind with one key; a name that lists cannot hold; a tar file without audio.
pub(super) fn pairs(path: &Path) -> Result<Vec<Pair>> {
    let mut members = Members::open(path)?;
    let (mut found, mut group) = (Vec::new(), Group::default());
    while let Some(member) = members.next_member()? {
        let split = member.name.rsplit_once('.');
        let Some((key, ending)) = split.filter(|(key, end)| !key.is_empty() && !end.contains('/'))
        else {
            return Err(members.error(format!(
                "its entry `{}` has no ending; wanted `KEY.spk` and `KEY.wav`",
                member.name
            )));
        };
        if !is_word(key) {
            return Err(members.error(format!(
                "the name of its entry {:?} cannot be an id: it has blanks or control characters",
                member.name
            )));
        }
        if key != group.key {
            let before =
                std::mem::replace(&mut group, Group { key: key.into(), ..Group::default() });
            found.extend(before.finish(&members)?);
        }
        let twice = match ending {
            "spk" => {
                let name = speaker(&mut members, &member)?;
                group.speaker.replace(name).map(|_| "speaker")
            }
            _ if is_audio(ending) => group.audio.replace(member.clone()).map(|_| "recording"),
            _ => None,
        };
        if let Some(what) = twice {
            let name = &member.name;
            return Err(members.error(format!("its entry `{name}` is a second {what} of its key")));
        }
    }
    found.extend(group.finish(&members)?);
    match found.is_empty() {
        true => Err(members.error("holds no audio; wanted entries `KEY.spk` and `KEY.wav`")),
        false => Ok(found),
    }
}

/// The speaker's name in an entry.
fn speaker(members: &mut Members, member: &Member) -> Result<Box<str>> {
    let content = members.content(member, MOST_NAME)?;
    let text = content.and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::trim);
    match text.filter(|text| is_word(text)).map(Box::<str>::from) {
        Some(name) => Ok(name),
        None => {
            let name = &member.name;
            Err(members.error(format!("its entry `{name}` is not a speaker's name: one word")))
        }
    }
}

impl Group {
    fn finish(self, members: &Members) -> Result<Option<Pair>> {
        match self {
            Self { key, speaker, audio: Some(Member { offset, bytes, .. }) } => {
                Ok(Some(Pair { id: key.into(), speaker, offset, bytes }))
            }
            Self { key, speaker: Some(_), audio: None } => Err(members.error(format!(
                "its entry `{key}.spk` has no audio next to it, such as `{key}.wav`; entries of \
                 one key must follow each other"
            ))),
            Self { speaker: None, audio: None, .. } => Ok(None),
        }
    }
}
