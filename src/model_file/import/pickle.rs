//! Bounds the instructions of a pickle before it is read. An instruction of one byte may become a
//! hundred bytes in memory, so a small file could ask for much.

use std::io::{self, BufRead, Read};

/// The most instructions of a checkpoint's pickles. A tensor takes about forty.
const MOST: usize = 1_000_000;

/// What follows an instruction.
enum Argument {
    /// So many bytes.
    Bytes(u64),
    /// A length of so many bytes, then bytes of that length.
    Counted(usize),
    /// So many lines of text.
    Lines(usize),
    /// The pickle ends.
    Stop,
    /// Not an instruction of checkpoints' pickles.
    Unknown,
}

/// The argument of an instruction, by its opcode (CPython's `pickletools.py`).
fn argument(instruction: u8) -> Argument {
    use Argument::{Bytes, Counted, Lines, Stop, Unknown};
    match instruction {
        b'.' => Stop,
        b'('
        | b'0'
        | b'1'
        | b'2'
        | b'N'
        | b'R'
        | b'b'
        | b'd'
        | b'l'
        | b't'
        | b's'
        | b'a'
        | b')'
        | b']'
        | b'}'
        | b'e'
        | b'u'
        | b'Q'
        | 0x81
        | 0x85..=0x89
        | 0x8f..=0x94 => Bytes(0),
        b'K' | b'h' | b'q' | 0x80 => Bytes(1),
        b'M' => Bytes(2),
        b'J' | b'j' | b'r' => Bytes(4),
        b'G' | 0x95 => Bytes(8),
        b'U' | b'C' | 0x8a | 0x8c => Counted(1),
        b'T' | b'X' | b'B' | 0x8b => Counted(4),
        0x8d | 0x8e | 0x96 => Counted(8),
        b'I' | b'L' | b'F' | b'V' | b'g' | b'p' | b'P' => Lines(1),
        b'c' => Lines(2),
        _ => Unknown,
    }
}

/// Counts the instructions of `pickles` consecutive pickles.
///
/// A pickle that ends early or is none passes: the reader will stop at the same place, and say why.
///
/// # Errors
/// More instructions than any checkpoint has.
pub(super) fn check(mut reader: impl BufRead, pickles: usize) -> Result<(), String> {
    let (mut count, mut left) = (0, pickles);
    while left > 0 {
        let mut instruction = [0];
        if reader.read_exact(&mut instruction).is_err() {
            return Ok(());
        }
        count += 1;
        if count > MOST {
            return Err(format!("its pickle has more than {MOST} instructions"));
        }
        let whole = match argument(instruction[0]) {
            Argument::Stop => {
                left -= 1;
                Ok(true)
            }
            Argument::Bytes(bytes) => skip(&mut reader, bytes),
            Argument::Counted(bytes) => {
                let mut length = [0; 8];
                let read = reader.read_exact(&mut length[..bytes]);
                read.and_then(|()| skip(&mut reader, u64::from_le_bytes(length)))
            }
            Argument::Lines(lines) => (0..lines).try_fold(true, |whole, _| {
                reader.skip_until(b'\n').map(|bytes| whole && bytes > 0)
            }),
            Argument::Unknown => Ok(false),
        };
        if !whole.unwrap_or(false) {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether so many bytes were there to skip.
fn skip(reader: &mut impl BufRead, bytes: u64) -> io::Result<bool> {
    io::copy(&mut Read::take(reader, bytes), &mut io::sink()).map(|skipped| skipped == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_skipped_not_counted() {
        // A string of a million stops, in each form that strings have, then one more instruction.
        let long = vec![b'.'; MOST];
        for (instruction, width) in
            [(b'X', 4), (0x8d, 8), (b'T', 4), (b'B', 4), (0x8e, 8), (0x96, 8)]
        {
            let mut pickle = vec![0x80, 2, instruction];
            pickle.extend(&(MOST as u64).to_le_bytes()[..width]);
            pickle.extend(&long);
            pickle.extend(b"q\x00.");
            let mut rest = &pickle[..];
            check(&mut rest, 1).unwrap();
            assert!(rest.is_empty(), "{instruction:#x}");
        }
        let lines = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nI5\nL7L\nV.....\ng1\np2\n.rest";
        let mut rest = &lines[..];
        check(&mut rest, 1).unwrap();
        assert_eq!(rest, b"rest");
    }

    #[test]
    fn many_instructions_are_refused_in_any_of_the_pickles() {
        let many = vec![b'N'; MOST + 1];
        assert!(check(&many[..], 1).unwrap_err().contains("instructions"));
        let mut second = b"\x80\x02N.".to_vec();
        second.extend(&many);
        assert!(check(&second[..], 5).is_err());
        check(&second[..], 1).unwrap();
        // The reader reports broken pickles.
        for broken in [&b""[..], b"\x80", b"X\xff\xff\xff\xff..", b"cno end", b"\xff"] {
            check(broken, 5).unwrap();
        }
    }
}
