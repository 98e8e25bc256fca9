//! The packets of a track. Four boxes tell where they are: the bytes of each (`stsz`), how many
//! follow each other in a chunk (`stsc`), and where the chunks are (`stco`, `co64`).

use super::boxes::{self, Atom, content, damaged, find};
use crate::audio::foreign::table::Packet;
use crate::audio::foreign::{long, word};
use crate::audio::input::Input;
use crate::audio::kind::unsupported;
use crate::error::Result;

/// The packets of the track with these boxes of `stbl`.
///
/// # Errors
/// Boxes that are missing or contradict each other.
pub(super) fn packets(input: &mut Input, atoms: &[Atom]) -> Result<Vec<Packet>> {
    if find(atoms, b"stz2").is_some() {
        return Err(unsupported(input.path(), "an MP4 file with compact sizes (`stz2`)"));
    }
    let Some(sizes) = sizes(&content(input, atoms, b"stsz")?, input.length()) else {
        return Err(damaged(input, b"stsz"));
    };
    let wide = find(atoms, b"co64").is_some();
    let offsets = content(input, atoms, if wide { b"co64" } else { b"stco" })?;
    let Some(offsets) = offsets_of(&offsets, wide) else { return Err(damaged(input, b"stco")) };
    let Some(runs) = runs(&content(input, atoms, b"stsc")?) else {
        return Err(damaged(input, b"stsc"));
    };
    if runs.iter().any(|run| run.description != 1) {
        return Err(unsupported(input.path(), "an MP4 file whose encoding changes"));
    }
    let count = sizes.len();
    let Some(packets) = placed(sizes, &offsets, &runs) else {
        let why = format!("its tables place fewer than its {count} packets: damaged");
        return Err(input.unreadable(boxes::NAME, why));
    };
    Ok(packets)
}

/// The bytes of every packet. `length` is that of the file: packets of a common size take as many
/// bytes as there are packets, or more.
fn sizes(bytes: &[u8], length: u64) -> Option<Vec<u32>> {
    let (common, count) = (word(bytes, 4)?, word(bytes, 8)?);
    if common > 0 {
        let fits = u64::from(common) * u64::from(count) <= length;
        return fits.then(|| vec![common; count as usize]);
    }
    table(bytes.get(12..)?, count, 4)?.map(|size| word(size, 0)).collect()
}

fn offsets_of(bytes: &[u8], wide: bool) -> Option<Vec<u64>> {
    let entries = table(bytes.get(8..)?, word(bytes, 4)?, if wide { 8 } else { 4 })?;
    entries.map(|e| if wide { long(e, 0) } else { word(e, 0).map(u64::from) }).collect()
}

/// The entries of a table, if it holds so many.
fn table(bytes: &[u8], count: u32, entry: usize) -> Option<impl Iterator<Item = &[u8]>> {
    let length = (count as usize).checked_mul(entry)?;
    Some(bytes.get(..length)?.chunks_exact(entry))
}

/// Chunks with the same number of packets, up to the next run.
struct Run {
    /// The number of the first chunk, from 1.
    chunk: u32,
    packets: u32,
    description: u32,
}

fn runs(bytes: &[u8]) -> Option<Vec<Run>> {
    let entries = table(bytes.get(8..)?, word(bytes, 4)?, 12)?;
    let run =
        |e: &[u8]| Some(Run { chunk: word(e, 0)?, packets: word(e, 4)?, description: word(e, 8)? });
    let runs: Vec<Run> = entries.map(run).collect::<Option<_>>()?;
    let in_order = runs.is_sorted_by(|a, b| a.chunk < b.chunk);
    (in_order && runs.first().is_none_or(|run| run.chunk == 1)).then_some(runs)
}

/// The packets with their places; none if there are more packets than places.
fn placed(sizes: Vec<u32>, offsets: &[u64], runs: &[Run]) -> Option<Vec<Packet>> {
    let mut packets = Vec::with_capacity(sizes.len());
    let mut sizes = sizes.into_iter();
    for (i, run) in runs.iter().enumerate() {
        let end = runs.get(i + 1).map_or(offsets.len(), |next| next.chunk as usize - 1);
        for &offset in offsets.get(run.chunk as usize - 1..end.min(offsets.len()))? {
            let mut place = offset;
            for bytes in sizes.by_ref().take(run.packets as usize) {
                packets.push(Packet { place, bytes });
                place = place.checked_add(bytes.into())?;
            }
        }
    }
    sizes.next().is_none().then_some(packets)
}

#[cfg(test)]
mod tests {
    use super::super::boxes::tests::atom;
    use super::*;
    use crate::audio::input::tests::every;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|x| x.to_be_bytes()).collect()
    }

    fn found(stsz: &[u32], stsc: &[u32], stco: &[u32]) -> Result<Vec<(u64, u32)>, String> {
        let boxes = [(b"stsz", stsz), (b"stsc", stsc), (b"stco", stco)];
        let file = boxes.map(|(kind, content)| atom(kind, &words(content))).concat();
        let [first, ..] = every("a.m4a", &file).map(|mut input| {
            let whole = 0..input.length();
            let atoms = boxes::list(&mut input, &whole).map_err(|e| e.to_string())?;
            let packets = packets(&mut input, &atoms).map_err(|e| e.to_string())?;
            Ok(packets.iter().map(|packet| (packet.place, packet.bytes)).collect())
        });
        first
    }

    #[test]
    fn chunks_place_the_packets() {
        let sizes = [0, 0, 5, 10, 20, 30, 40, 50];
        // Two packets in each of the first two chunks, one in the third.
        let runs = [0, 2, 1, 2, 1, 3, 1, 1];
        let offsets = [0, 3, 1000, 500, 2000];
        let wanted = vec![(1000, 10), (1010, 20), (500, 30), (530, 40), (2000, 50)];
        assert_eq!(found(&sizes, &runs, &offsets), Ok(wanted));
        let same = vec![(1000, 7), (1007, 7), (500, 7)];
        assert_eq!(found(&[0, 7, 3], &[0, 1, 1, 2, 1], &[0, 2, 1000, 500]), Ok(same));
        assert_eq!(found(&[0, 0, 0], &[0, 0], &[0, 0]), Ok(vec![]));
    }

    #[test]
    fn tables_that_contradict_each_other_are_errors() {
        let good = ([0, 0, 2, 10, 20], [0, 1, 1, 1, 1], [0, 2, 100, 200]);
        for (stsz, stsc, stco, wanted) in [
            (&[0, 0, 3, 10, 20][..], &good.1[..], &good.2[..], "`stsz`"),
            (&[0, 9, u32::MAX], &good.1, &good.2, "`stsz`"),
            (&good.0, &[0, 2, 1, 1, 1], &good.2, "`stsc`"),
            (&good.0, &[0, 1, 0, 1, 1], &good.2, "`stsc`"),
            (&good.0, &[0, 1, 2, 1, 1], &good.2, "`stsc`"),
            (&good.0, &[0, 1, 1, 1, 2], &good.2, "encoding changes"),
            (&good.0, &good.1, &[0, 3, 100, 200], "`stco`"),
            (&good.0, &good.1, &[0, 1, 100], "fewer than its 2 packets"),
            (&good.0, &[0, 0], &good.2, "fewer than its 2 packets"),
        ] {
            let error = found(stsz, stsc, stco).unwrap_err();
            assert!(error.contains(wanted) && error.contains("a.m4a"), "{error} for {wanted}");
        }
    }
}
