//! Tags around the audio of a file. Their lengths are enough to skip them, whatever they hold.

use super::input::Input;
use crate::error::Result;

/// Bytes of an ID3v1 tag.
const ID3V1: u64 = 128;
/// Bytes of its extension, which stands in front of it.
const EXTENDED: u64 = 227;

/// The byte at which the audio of a file begins: behind any number of ID3v2 tags, and behind the
/// zero bytes that some writers leave between tag and audio.
///
/// If the file ends inside a tag, the result lies beyond its end.
pub(super) fn front(input: &mut Input) -> Result<u64> {
    let mut at = 0;
    loop {
        let tag = id3v2(input.at(at, 10)?);
        let Some(length) = tag else { return Ok(at) };
        at = behind_zeros(input, at + length)?;
    }
}

/// Whether only tags and zero bytes follow from byte `at` on.
pub(super) fn only_tags(input: &mut Input, at: u64) -> Result<bool> {
    let mut at = behind_zeros(input, at)?;
    let mut end = input.length();
    while at < end {
        let tag = first(input, at)?;
        let Some(length) = tag.filter(|length| *length <= end - at) else { break };
        at = behind_zeros(input, at + length)?;
    }
    // Other tags are found from their end, since they may begin with anything.
    while at < end {
        let tag = last(input, at, end)?;
        let Some(length) = tag else { return Ok(false) };
        end -= length;
    }
    Ok(true)
}

/// Length of the tag that begins at byte `at`.
fn first(input: &mut Input, at: u64) -> Result<Option<u64>> {
    let left = input.length() - at;
    Ok(match input.at(at, 32)? {
        [b'T', b'A', b'G', b'+', ..] if left >= EXTENDED + ID3V1 => Some(EXTENDED),
        [b'T', b'A', b'G', ..] => Some(ID3V1),
        bytes => id3v2(bytes).or_else(|| ape(bytes)),
    })
}

/// Length of the tag that ends before byte `end` and begins at byte `at` or behind it. ID3v1 and
/// its extension, Lyrics3 and APE can be found from their end.
fn last(input: &mut Input, at: u64, end: u64) -> Result<Option<u64>> {
    let from_end = |length: u64| end.checked_sub(length).filter(|place| *place >= at);
    for (length, mark) in [(ID3V1, b"TAG".as_slice()), (EXTENDED, b"TAG+")] {
        if let Some(place) = from_end(length)
            && input.begins(place, mark)?
        {
            return Ok(Some(length));
        }
    }
    if let Some(place) = from_end(9)
        && input.begins(place, b"LYRICS200")?
    {
        let Some(place) = from_end(15) else { return Ok(None) };
        let digits = std::str::from_utf8(&input.at(place, 6)?[..6])
            .ok()
            .and_then(|digits| digits.parse::<u64>().ok());
        let length = digits.map(|length| length + 15);
        return match length.and_then(from_end) {
            Some(place) if input.begins(place, b"LYRICSBEGIN")? => Ok(length),
            _ => Ok(None),
        };
    }
    let Some(place) = from_end(32) else { return Ok(None) };
    let footer =
        input.at(place, 32)?.first_chunk::<32>().filter(|footer| footer.starts_with(b"APETAGEX"));
    let Some(footer) = footer else { return Ok(None) };
    let number = |at: usize| {
        u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]])
    };
    // The length counts items and footer. The highest bit of the flags says that there is a header.
    let length = u64::from(number(12)) + if number(20) >> 31 == 1 { 32 } else { 0 };
    Ok(Some(length).filter(|length| (32..=end - at).contains(length)))
}

/// Length of the ID3v2 tag at the beginning of `bytes`, with header and footer.
pub(super) fn id3v2(bytes: &[u8]) -> Option<u64> {
    let head = bytes.first_chunk::<10>()?;
    // A length is four bytes of 7 bits each, so that none of them looks like the sync code of MPEG.
    if !head.starts_with(b"ID3") || head[6..].iter().any(|&b| b >= 0x80) {
        return None;
    }
    let content = head[6..].iter().fold(0u64, |length, &b| (length << 7) | u64::from(b));
    let footer = if head[5] & 0x10 == 0 { 0 } else { 10 };
    Some(10 + content + footer)
}

/// Length of the APE tag at the beginning of `bytes`, with header and footer.
fn ape(bytes: &[u8]) -> Option<u64> {
    let head = bytes.first_chunk::<32>()?;
    let content = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
    head.starts_with(b"APETAGEX").then_some(32 + u64::from(content))
}

/// The first byte from `at` on that is not zero, or the end of the file.
fn behind_zeros(input: &mut Input, mut at: u64) -> Result<u64> {
    loop {
        let bytes = input.at(at, 1)?;
        let zeros = bytes.iter().take_while(|&&b| b == 0).count();
        let is_over = zeros < bytes.len() || bytes.is_empty();
        at += zeros as u64;
        if is_over {
            return Ok(at);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::input::tests::every;
    use super::*;

    /// An ID3v2 tag with these bytes in it.
    pub fn id3v2_of(content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut tag = b"ID3\x04\0\0".to_vec();
        tag.extend([21, 14, 7, 0].map(|shift| (length >> shift) as u8 & 0x7f));
        tag.extend(content);
        tag
    }

    /// Where the content begins.
    fn front_of(bytes: &[u8]) -> usize {
        let [a, b, c] = every("a", bytes).map(|mut input| front(&mut input).unwrap());
        assert!(a == b && b == c, "{a} {b} {c}");
        a as usize
    }

    /// Whether `bytes` are only tags, wherever they stand in the file.
    fn are_tags(bytes: &[u8]) -> bool {
        let answers = [0, 1, 100].map(|before| {
            let file = [vec![0xff; before].as_slice(), bytes].concat();
            every("a", &file).map(|mut input| only_tags(&mut input, before as u64).unwrap())
        });
        let answer = answers[0][0];
        assert!(answers.as_flattened().iter().all(|a| *a == answer), "{answers:?} of {bytes:?}");
        answer
    }

    #[test]
    fn tags_in_front_are_skipped_by_their_length() {
        let first = id3v2_of(&b"fLaC\xff\xf8".repeat(100_000));
        let mut second = id3v2_of(b"RIFF");
        second[5] |= 0x10;
        second.extend(b"3DI\x04\0\x10\0\0\0\x04");
        let file = [first.as_slice(), &second, b"\0\0\0", b"audio"].concat();
        assert_eq!(front_of(&file), file.len() - 5);
        assert_eq!(front_of(b"audio"), 0);
        assert_eq!(front_of(b"\0\0audio"), 0);
        assert!(front_of(&first[..1000]) > 1000);
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
            assert!(are_tags(&good), "{good:?}");
        }
        let items = b"\x05\0\0\0\0\0\0\0Title\0hello";
        let footer = [
            b"APETAGEX\xd0\x07\0\0".as_slice(),
            &(items.len() as u32 + 32).to_le_bytes(),
            &[1],
            &[0; 15],
        ];
        let without_header = [items.as_slice(), &footer.concat()].concat();
        let extended = [b"TAG+".as_slice(), &[b'y'; 223], &id3v1].concat();
        let lyrics =
            [b"LYRICSBEGIN".as_slice(), b"IND0000200", b"000021LYRICS200", &id3v1].concat();
        for good in
            [&without_header, &[without_header.as_slice(), &id3v1].concat(), &extended, &lyrics]
        {
            assert!(are_tags(good), "{good:?}");
            assert!(!are_tags(&[b"audio".as_slice(), good].concat()));
        }
        let all = [ape.as_slice(), &[0; 7], &id3v1, &id3v2_of(b"abc"), &[0; 9]].concat();
        assert!(are_tags(&all));
        for bad in [
            b"TAG".to_vec(),
            id3v1[..127].to_vec(),
            [id3v1.as_slice(), b"x"].concat(),
            vec![0, 0, 1],
        ] {
            assert!(!are_tags(&bad), "{bad:?}");
        }
    }
}
