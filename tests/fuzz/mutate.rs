//! Random changes of bytes.

use revox::rng::Stream;

use crate::sign;

/// Longest input. Longer ones would only be slower.
const MOST: usize = 1 << 20;

/// One of several.
pub fn pick<'a, T>(stream: &mut Stream, all: &'a [T]) -> &'a T {
    &all[stream.below(all.len())]
}

/// One of the seeds, changed in one to four ways. The first `hot` bytes are changed most.
pub fn bytes(stream: &mut Stream, seeds: &[Vec<u8>], hot: usize) -> Vec<u8> {
    let mut data = pick(stream, seeds).clone();
    for _ in 0..1 + stream.below(4) {
        change(stream, &mut data, seeds, hot);
    }
    seal(stream, &mut data);
    data
}

/// Corrects the checksum of a changed tensor file, so that readers go on to its content. One in ten
/// files keeps the wrong checksum, and one in ten has none.
pub fn seal(stream: &mut Stream, file: &mut [u8]) {
    match stream.below(10) {
        0 => {}
        1 => sign::unsign(file),
        _ => sign::sign(file),
    }
}

/// One change. `seeds` are files to take pieces from.
pub fn change(stream: &mut Stream, data: &mut Vec<u8>, seeds: &[Vec<u8>], hot: usize) {
    if data.is_empty() {
        let count = 1 + stream.below(64);
        data.extend(noise(stream, count));
        return;
    }
    let near = if hot > 0 && stream.chance(0.6) { hot.min(data.len()) } else { data.len() };
    let at = stream.below(near);
    match stream.below(13) {
        0 | 1 => data[at] ^= 1 << stream.below(8),
        2 => data[at] = *pick(stream, &[0, 1, 0x7f, 0x80, 0xfe, 0xff]),
        3 => data[at] = stream.bits() as u8,
        4 | 5 => integer(stream, data, at),
        6 => {
            let end = block_end(stream, data, at);
            data.drain(at..end);
        }
        7 => {
            let end = block_end(stream, data, at);
            let (block, place) = (data[at..end].to_vec(), stream.below(data.len() + 1));
            data.splice(place..place, block);
        }
        8 => {
            let count = 1 + stream.below(32);
            let block = match stream.chance(0.5) {
                true => noise(stream, count),
                false => vec![*pick(stream, &[0, 0xff, b'A', 0x80]); count],
            };
            data.splice(at..at, block);
        }
        9 => {
            // A block over another one of the same length.
            let end = block_end(stream, data, at);
            let place = stream.below(data.len() - (end - at) + 1);
            data.copy_within(at..end, place);
        }
        10 => data.truncate(at),
        11 => {
            // The beginning of this file and the end of another.
            let other = pick(stream, seeds);
            let from = stream.below(other.len() + 1);
            data.truncate(at);
            data.extend_from_slice(&other[from..]);
        }
        _ => {
            // The same place of another file.
            let other = pick(stream, seeds);
            let end = block_end(stream, data, at).min(other.len());
            if at < end {
                data[at..end].copy_from_slice(&other[at..end]);
            }
        }
    }
    data.truncate(MOST);
}

fn noise(stream: &mut Stream, count: usize) -> Vec<u8> {
    (0..count).map(|_| stream.bits() as u8).collect()
}

/// The end of a block that begins at `at`: mostly short.
fn block_end(stream: &mut Stream, data: &[u8], at: usize) -> usize {
    let longest = 1usize << stream.below(12);
    (at + 1 + stream.below(longest)).min(data.len())
}

/// An integer of 1, 2, 4 or 8 bytes in either order becomes one that programs stumble over.
fn integer(stream: &mut Stream, data: &mut [u8], at: usize) {
    let width = (1usize << stream.below(4)).min(data.len());
    let at = at.min(data.len() - width);
    let most = u64::MAX >> (64 - 8 * width);
    let place = &mut data[at..at + width];
    let little = stream.chance(0.5);
    if !little {
        place.reverse();
    }
    let mut before = [0; 8];
    before[..width].copy_from_slice(place);
    let before = u64::from_le_bytes(before);
    let value = match stream.below(4) {
        0 => before.wrapping_add(1 + stream.below(16) as u64),
        1 => before.wrapping_sub(1 + stream.below(16) as u64),
        2 => before << 1,
        _ => *pick(
            stream,
            &[0, 1, most, most - 1, most >> 1, (most >> 1) + 1, 1 << 31, 1 << 32, 1 << 62],
        ),
    };
    place.copy_from_slice(&value.to_le_bytes()[..width]);
    if !little {
        place.reverse();
    }
}

/// A safetensors file whose JSON header `change` has changed. Nine times in ten the length in
/// front of it is made right.
pub fn with_header(
    stream: &mut Stream,
    seed: &[u8],
    change: impl FnOnce(&mut Stream, Vec<u8>) -> Vec<u8>,
) -> Vec<u8> {
    let (header, tensors) = parts(seed);
    let header = change(stream, header.to_vec());
    let length = if stream.chance(0.9) { header.len() } else { stream.below(2 * header.len() + 2) };
    let mut file = [&(length as u64).to_le_bytes()[..], header.as_slice(), tensors].concat();
    seal(stream, &mut file);
    file
}

/// Header and tensors of a whole safetensors file.
pub fn parts(file: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = file.split_at(8);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(length);
    rest.split_at(u64::from_le_bytes(bytes) as usize)
}
