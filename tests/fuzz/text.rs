//! Random changes of text: words, lines, separators, depth.

use std::ops::Range;

use revox::rng::Stream;

use crate::mutate::{self, pick};

/// What any format may stumble over.
const WORDS: &[&str] = &[
    "NaN",
    "nan",
    "-nan",
    "inf",
    "-inf",
    ".inf",
    ".nan",
    "Infinity",
    "0",
    "-0",
    "-0.0",
    "1",
    "2",
    "-1",
    "-16000",
    "0.5",
    "1e6",
    "1e12",
    "1e38",
    "1e308",
    "1e309",
    "-1e308",
    "1e-320",
    "1e-400",
    "255",
    "256",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "4294983296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
    "0x10",
    "1_000",
    "true",
    "false",
    "null",
    "~",
    "\"\"",
    "[]",
    "{}",
];

/// What separates words, and what should not.
const SEPARATORS: &[&[u8]] = &[
    b" ",
    b"\t",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\0",
    b"\x0b",
    b"\x0c",
    b"\xef\xbb\xbf",
    b"\xc2\xa0",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xae",
    b"\x1b[31m",
    b"\xff",
    b"\xc3",
    b",",
    b":",
    b"=",
    b"|",
    b"#",
    b"\"",
    b"\\",
    b"'",
];

/// What nests.
const BRACKETS: &[&str] = &["[", "{", "(", "- ", "? ", "[[", "{\"a\":", "a: {", "a.b."];

/// One of the seeds, changed in one to four ways. `words` are the format's own.
pub fn text(stream: &mut Stream, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut data = pick(stream, seeds).clone();
    for _ in 0..1 + stream.below(4) {
        change(stream, &mut data, seeds, words);
    }
    data
}

/// One change.
pub fn change(stream: &mut Stream, data: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
    let word = |stream: &mut Stream| match words.is_empty() || stream.chance(0.6) {
        true => pick(stream, WORDS).as_bytes().to_vec(),
        false => pick(stream, words).as_bytes().to_vec(),
    };
    let at = stream.below(data.len() + 1);
    match stream.below(14) {
        0..=3 => {
            let token = token(data, at);
            data.splice(token, word(stream));
        }
        4 => {
            let (separator, word) = (pick(stream, SEPARATORS).to_vec(), word(stream));
            data.splice(at..at, [separator, word].concat());
        }
        5 => {
            let token = token(data, at);
            data.drain(token);
        }
        6 => {
            let separator = *pick(stream, SEPARATORS);
            data.splice(at..at, separator.iter().copied());
        }
        7 => *data = lines(stream, data, seeds),
        8 => {
            let bracket = *pick(stream, BRACKETS);
            let depth = 1 << stream.below(15);
            data.splice(at..at, bracket.repeat(depth).into_bytes());
        }
        9 => {
            let letter = *pick(stream, b"a90 .-\"");
            let length = 1 << stream.below(17);
            data.splice(at..at, vec![letter; length]);
        }
        10 => {
            // A word of this text or another one.
            let other = pick(stream, seeds);
            let from = stream.below(other.len() + 1);
            let (copied, token) = (other[token(other, from)].to_vec(), token(data, at));
            data.splice(token, copied);
        }
        11 => {
            let all: Vec<u8> = data
                .iter()
                .flat_map(|&b| if b == b'\n' { vec![b'\r', b'\n'] } else { vec![b] })
                .collect();
            *data = all;
        }
        12 => {
            data.splice(0..0, *b"\xef\xbb\xbf");
        }
        _ => mutate::change(stream, data, seeds, 0),
    }
    data.truncate(1 << 20);
}

/// The word at or behind a place; empty where there is none.
fn token(data: &[u8], at: usize) -> Range<usize> {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"._+-/".contains(b) || *b >= 0x80;
    let Some(inside) = data[at..].iter().position(is_part).map(|ahead| at + ahead) else {
        return at..at;
    };
    let start = data[..inside].iter().rposition(|b| !is_part(b)).map_or(0, |before| before + 1);
    let end = data[inside..]
        .iter()
        .position(|b| !is_part(b))
        .map_or(data.len(), |behind| inside + behind);
    start..end
}

/// A line more, a line less, two lines exchanged, or one of another text.
fn lines(stream: &mut Stream, data: &[u8], seeds: &[Vec<u8>]) -> Vec<u8> {
    let split = |text: &'_ [u8]| -> Vec<Vec<u8>> {
        text.split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect()
    };
    let mut all = split(data);
    if all.is_empty() {
        return b"\n".to_vec();
    }
    let (a, b) = (stream.below(all.len()), stream.below(all.len()));
    match stream.below(4) {
        0 => all.insert(b, all[a].clone()),
        1 => drop(all.remove(a)),
        2 => all.swap(a, b),
        _ => {
            let others = split(pick(stream, seeds).as_slice());
            if !others.is_empty() {
                all.insert(a, pick(stream, &others).clone());
            }
        }
    }
    all.concat()
}
