//! Tags around the audio of a file. They are skipped by their length, whatever bytes they hold.

/// Bytes of an ID3v1 tag.
const ID3V1: usize = 128;
/// Bytes of its extension, which stands before it.
const EXTENDED: usize = 227;

/// Where the content of a file begins: behind any number of ID3v2 tags, and behind the zero bytes
/// that some writers leave between a tag and the audio.
///
/// The result is beyond the end of a file that ends inside a tag.
pub(super) fn front(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(length) = bytes.get(at..).and_then(id3v2) {
        at += length;
        at += bytes.get(at..).map_or(0, zeros);
    }
    at
}

/// True when nothing but tags and zero bytes follows.
pub(super) fn only_tags(bytes: &[u8]) -> bool {
    let mut rest = &bytes[zeros(bytes)..];
    while !rest.is_empty() {
        let first = match rest {
            [b'T', b'A', b'G', b'+', ..] if rest.len() >= EXTENDED + ID3V1 => Some(EXTENDED),
            [b'T', b'A', b'G', ..] => Some(ID3V1),
            _ => id3v2(rest).or_else(|| ape(rest)),
        };
        if let Some(behind) = first.and_then(|length| rest.get(length..)) {
            rest = &behind[zeros(behind)..];
        } else if let Some(length) = last(rest) {
            rest = &rest[..rest.len() - length];
        } else {
            return false;
        }
    }
    true
}

/// Bytes of the tag at the end: of those that are found from there.
fn last(bytes: &[u8]) -> Option<usize> {
    let from_end = |length: usize| bytes.get(bytes.len().checked_sub(length)?..);
    let begins = |length: usize, with: &[u8]| from_end(length).is_some_and(|tag| tag.starts_with(with));
    if begins(ID3V1, b"TAG") {
        return Some(ID3V1);
    }
    if begins(EXTENDED, b"TAG+") {
        return Some(EXTENDED);
    }
    if begins(9, b"LYRICS200") {
        let digits = std::str::from_utf8(&from_end(15)?[..6]).ok()?;
        let length = digits.parse::<usize>().ok()? + 15;
        return begins(length, b"LYRICSBEGIN").then_some(length);
    }
    let footer = from_end(32)?.first_chunk::<32>()?;
    if !footer.starts_with(b"APETAGEX") {
        return None;
    }
    let number = |at: usize| u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]]);
    // The length counts items and footer; a header is told by the highest bit of the flags.
    let length = number(12) as usize + if number(20) >> 31 == 1 { 32 } else { 0 };
    (32..=bytes.len()).contains(&length).then_some(length)
}

/// Bytes of the ID3v2 tag at the beginning, with its header and footer.
pub(super) fn id3v2(bytes: &[u8]) -> Option<usize> {
    let head = bytes.first_chunk::<10>()?;
    // A length is four bytes of 7 bits each, so that none of them looks like the sync code of MPEG.
    if !head.starts_with(b"ID3") || head[6..].iter().any(|&b| b >= 0x80) {
        return None;
    }
    let content = head[6..].iter().fold(0usize, |length, &b| (length << 7) | usize::from(b));
    let footer = if head[5] & 0x10 == 0 { 0 } else { 10 };
    Some(10 + content + footer)
}

/// Bytes of the APE tag at the beginning, with its header and footer.
fn ape(bytes: &[u8]) -> Option<usize> {
    let head = bytes.first_chunk::<32>()?;
    let content = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
    head.starts_with(b"APETAGEX").then_some(32 + content as usize)
}

fn zeros(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&b| b == 0).count()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An ID3v2 tag with these bytes in it.
    pub fn id3v2_of(content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut tag = b"ID3\x04\0\0".to_vec();
        tag.extend([21, 14, 7, 0].map(|shift| (length >> shift) as u8 & 0x7f));
        tag.extend(content);
        tag
    }

    #[test]
    fn tags_in_front_are_skipped_by_their_length() {
        let first = id3v2_of(&b"fLaC\xff\xf8".repeat(100_000));
        let mut second = id3v2_of(b"RIFF");
        second[5] |= 0x10;
        second.extend(b"3DI\x04\0\x10\0\0\0\x04");
        let file = [first.as_slice(), &second, b"\0\0\0", b"audio"].concat();
        assert_eq!(front(&file), file.len() - 5);
        assert_eq!(front(b"audio"), 0);
        assert_eq!(front(b"\0\0audio"), 0);
        assert!(front(&first[..1000]) > 1000);
    }

    #[test]
    fn a_length_with_a_high_bit_is_no_tag() {
        let mut tag = id3v2_of(b"1234");
        tag[9] = 0x84;
        assert_eq!(id3v2(&tag), None);
    }

    #[test]
    fn only_tags_and_zeros_may_follow_the_audio() {
        let id3v1 = [b"TAG".as_slice(), &[b'x'; 125]].concat();
        let ape = [b"APETAGEX\xd0\x07\0\0\x04\0\0\0".as_slice(), &[1; 20]].concat();
        for good in [vec![], vec![0; 1000], id3v1.clone(), id3v2_of(b"x"), ape.clone()] {
            assert!(only_tags(&good), "{good:?}");
        }
        let items = b"\x05\0\0\0\0\0\0\0Title\0hello";
        let footer = [b"APETAGEX\xd0\x07\0\0".as_slice(), &(items.len() as u32 + 32).to_le_bytes(), &[1], &[0; 15]];
        let without_header = [items.as_slice(), &footer.concat()].concat();
        let extended = [b"TAG+".as_slice(), &[b'y'; 223], &id3v1].concat();
        let lyrics = [b"LYRICSBEGIN".as_slice(), b"IND0000200", b"000021LYRICS200", &id3v1].concat();
        for good in [&without_header, &[without_header.as_slice(), &id3v1].concat(), &extended, &lyrics] {
            assert!(only_tags(good), "{good:?}");
            assert!(!only_tags(&[b"audio".as_slice(), good].concat()));
        }
        let all = [ape.as_slice(), &[0; 7], &id3v1, &id3v2_of(b"abc"), &[0; 9]].concat();
        assert!(only_tags(&all));
        for bad in [b"TAG".to_vec(), id3v1[..127].to_vec(), [id3v1.as_slice(), b"x"].concat(), vec![0, 0, 1]] {
            assert!(!only_tags(&bad), "{bad:?}");
        }
    }
}
