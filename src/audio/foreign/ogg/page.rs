//! The pages of an Ogg stream (RFC 3533). Each has a checksum and a number.

use std::fmt::Display;

use crate::audio::foreign::rescaled;
use crate::audio::input::Input;
use crate::audio::tags;
use crate::error::{Error, Result};

/// Bytes of a page's header, without the table of its segments.
const HEADER: usize = 27;
/// Flags: the page goes on with a packet of the page before; it is the first or last of its stream.
const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// The place of its header.
    pub begin: u64,
    /// The place of its packets.
    pub body: u64,
    /// Bytes of its segments. A packet ends with the first one of fewer than 255.
    pub segments: Vec<u8>,
    /// Samples up to the end of the last packet that ends here; none if no packet does.
    pub granule: Option<u64>,
    serial: u32,
    number: u32,
    flags: u8,
}

impl Page {
    /// Bytes of its packets.
    pub fn length(&self) -> usize {
        self.segments.iter().map(|bytes| usize::from(*bytes)).sum()
    }

    /// Whether it goes on with a packet of the page before.
    pub fn is_continued(&self) -> bool {
        self.flags & CONTINUED != 0
    }

    /// Whether it is the last one of its stream.
    pub fn is_last(&self) -> bool {
        self.flags & LAST != 0
    }

    fn end(&self) -> u64 {
        self.body + self.length() as u64
    }

    /// The page at a place, or why there is none.
    fn read(input: &mut Input, begin: u64) -> Result<Result<Self, &'static str>> {
        const CUT: &str = "it ends inside a page: truncated";
        let head = input.at(begin, HEADER + 255)?;
        if !head.starts_with(b"OggS\0") {
            return Ok(Err("there is no page: damaged or cut off"));
        }
        let Some(fixed) = head.first_chunk::<HEADER>() else { return Ok(Err(CUT)) };
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| fixed[at + i]));
        let granule = u64::from(number(6)) | (u64::from(number(10)) << 32);
        let count = usize::from(fixed[26]);
        let Some(segments) = head.get(HEADER..HEADER + count) else { return Ok(Err(CUT)) };
        let page = Self {
            begin,
            body: begin + (HEADER + count) as u64,
            segments: segments.to_vec(),
            granule: Some(granule).filter(|granule| *granule < 1 << 63),
            serial: number(14),
            number: number(18),
            flags: fixed[5],
        };
        let checksum = number(22);
        let length = HEADER + count + page.length();
        let Some(bytes) = input.at(begin, length)?.get(..length) else { return Ok(Err(CUT)) };
        // The checksum covers the page with zeros in its own place.
        let sum = crc(crc(crc(0, &bytes[..22]), &[0; 4]), &bytes[26..]);
        Ok(if sum == checksum { Ok(page) } else { Err("the page has a wrong checksum: damaged") })
    }
}

/// CRC-32 with the polynomial 0x04c11db7, the highest bit first.
fn crc(start: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut sum = (i as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                sum = if sum >> 31 == 1 { (sum << 1) ^ 0x04c1_1db7 } else { sum << 1 };
                bit += 1;
            }
            table[i] = sum;
            i += 1;
        }
        table
    };
    bytes.iter().fold(start, |sum, byte| (sum << 8) ^ TABLE[(sum >> 24) as usize ^ *byte as usize])
}

/// The pages of one stream of a file.
pub(super) struct Pages {
    pub input: Input,
    /// The name of the stream for errors.
    pub name: &'static str,
    serial: u32,
    /// Where the next page is, and its number.
    next: (u64, u32),
    /// Whether the last page was read.
    is_over: bool,
    /// Where the samples begin, once that is known.
    samples: Option<(u64, u32)>,
    /// Samples read so far, and how many there are in a second, for errors.
    pub read: (u64, u32),
}

impl Pages {
    /// The pages of the stream that begins at byte `start`.
    ///
    /// # Errors
    /// There is no first page of a stream.
    pub fn new(mut input: Input, start: u64, name: &'static str) -> Result<Self> {
        let first = Page::read(&mut input, start)?.and_then(|page| match page.flags & FIRST {
            0 => Err("it does not begin with the first page of a stream: cut off"),
            _ => Ok(page),
        });
        let first = first.map_err(|why| input.unreadable(name, why))?;
        let (serial, next) = (first.serial, (start, first.number));
        Ok(Self { input, name, serial, next, is_over: false, samples: None, read: (0, 1) })
    }

    /// Says that the next page is the first one with samples.
    pub fn samples_begin(&mut self) {
        self.samples = Some(self.next);
    }

    /// Goes back to the first page with samples.
    pub fn rewind(&mut self) {
        self.next = self.samples.unwrap_or(self.next);
        self.is_over = false;
        self.read.0 = 0;
    }

    /// The next page of the stream; none behind the last one.
    ///
    /// # Errors
    /// A damaged, cut or missing page, or another recording behind this one.
    pub fn next(&mut self) -> Result<Option<Page>> {
        loop {
            let at = self.next.0;
            if self.is_over && tags::only_tags(&mut self.input, at)? {
                return Ok(None);
            }
            if at >= self.input.length() {
                return Err(self.bad(at, "it ends without the last page: truncated"));
            }
            let page = match Page::read(&mut self.input, at)? {
                Ok(page) => page,
                Err(why) => return Err(self.bad(at, why)),
            };
            self.next.0 = page.end();
            let is_first = page.flags & FIRST != 0;
            if is_first && (self.is_over || self.samples.is_some()) {
                return Err(self.bad(at, "another recording begins: split them"));
            }
            if page.serial != self.serial {
                continue;
            }
            if self.is_over {
                return Err(self.bad(at, "a page follows behind the last one: damaged"));
            }
            if page.number != self.next.1 {
                let why = format!(
                    "page {} follows where page {} should be: pages are missing",
                    page.number, self.next.1
                );
                return Err(self.bad(at, why));
            }
            self.next.1 = page.number.wrapping_add(1);
            self.is_over = page.is_last();
            return Ok(Some(page));
        }
    }

    /// The error for something wrong at a place.
    pub fn bad(&self, at: u64, why: impl Display) -> Error {
        let seconds = rescaled(self.read.0, 1000, self.read.1) as f64 / 1000.0;
        self.input.unreadable(self.name, format!("at byte {at} ({seconds:.3} s) {why}"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audio::input::tests::{every, held};

    /// A page with these segments.
    pub fn page(flags: u8, granule: i64, number: u32, segments: &[&[u8]]) -> Vec<u8> {
        let mut page = [b"OggS\0".as_slice(), &[flags], &granule.to_le_bytes()].concat();
        page.extend([77u32, number, 0].map(u32::to_le_bytes).as_flattened());
        page.push(segments.len() as u8);
        page.extend(segments.iter().map(|segment| segment.len() as u8));
        page.extend(segments.concat());
        let sum = crc(0, &page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        page
    }

    /// The granules of all pages, or the error.
    fn granules(bytes: &[u8]) -> Result<Vec<Option<u64>>, String> {
        let found = every("a.ogg", bytes).map(|input| {
            let mut pages = Pages::new(input, 0, "Ogg").map_err(|e| e.to_string())?;
            let mut granules = Vec::new();
            while let Some(page) = pages.next().map_err(|e| e.to_string())? {
                granules.push(page.granule);
                pages.samples_begin();
            }
            Ok(granules)
        });
        assert!(found[0] == found[1] && found[1] == found[2], "{found:?}");
        let [found, ..] = found;
        found
    }

    #[test]
    fn the_checksum_is_that_of_the_format() {
        // That of "123456789" with this polynomial, without a start or an end.
        assert_eq!(crc(0, b"123456789"), 0x89a1_897f);
    }

    #[test]
    fn pages_follow_each_other_to_the_last_one() {
        let (one, two) = (page(2, 0, 0, &[b"head"]), page(0, -1, 1, &[&[1; 255]]));
        let three = page(5, 99, 2, &[b"tail", b""]);
        let all = [one.clone(), two.clone(), three.clone()].concat();
        let wanted = vec![Some(0), None, Some(99)];
        assert_eq!(granules(&all), Ok(wanted.clone()));
        let tag = [b"TAG".as_slice(), &[b'x'; 125]].concat();
        assert_eq!(granules(&[all.clone(), tag].concat()), Ok(wanted));
        for (bytes, wanted) in [
            ([one.clone(), three.clone()].concat(), "page 2 follows where page 1 should be"),
            ([one.clone(), two.clone()].concat(), "without the last page"),
            (all[..all.len() - 1].to_vec(), "ends inside a page"),
            ([one.as_slice(), b"junk", &two].concat(), "at byte 32 (0.000 s) there is no page"),
            ([all.clone(), one.clone()].concat(), "another recording begins"),
            ([all.clone(), three].concat(), "behind the last one"),
            ([all.as_slice(), b"junk"].concat(), "there is no page"),
            (two, "does not begin with the first page"),
        ] {
            let error = granules(&bytes).unwrap_err();
            assert!(error.contains(wanted) && error.contains("a.ogg"), "{error} for {wanted}");
        }
        for at in 5..all.len() {
            let mut bad = all.clone();
            bad[at] ^= 16;
            assert!(granules(&bad).is_err(), "{at}");
        }
    }

    #[test]
    fn reading_begins_again_with_the_samples() {
        let parts = [page(2, 0, 0, &[b"head"]), page(0, 5, 1, &[b"x"]), page(4, 9, 2, &[b"y"])];
        let mut pages = Pages::new(held("a.ogg", &parts.concat()), 0, "Ogg").unwrap();
        pages.next().unwrap().unwrap();
        pages.samples_begin();
        for _ in 0..3 {
            assert_eq!(pages.next().unwrap().unwrap().granule, Some(5));
            assert_eq!(pages.next().unwrap().unwrap().granule, Some(9));
            assert_eq!(pages.next().unwrap(), None);
            pages.rewind();
        }
    }
}
