//! NIST SPHERE: a header of lines, `name -type value`, in a number of bytes that its second line
//! gives, and samples behind it.

use super::input::Input;
use super::kind::unsupported;
use super::pcm::{self, Encoding, Layout};
use super::tags;
use crate::error::{Error, Result};

/// The first line.
const MARK: &[u8] = b"NIST_1A\n";
/// Most bytes of a header. Those of known corpora have 1024.
const LONGEST: u64 = 1 << 16;

/// Opens a SPHERE file that begins at byte `start`, behind any tags: integers of 1 to 4 bytes,
/// A-law and mu-law.
///
/// # Errors
/// A damaged header; samples that are compressed, by the name of the method; fewer or more
/// bytes than the header promises; several channels of which none is chosen.
pub(super) fn open(mut input: Input, start: u64, channel: Option<usize>) -> Result<pcm::Reader> {
    let (header, data) = header(&mut input, start)?;
    let fields = Fields { input: &input, header: &header };
    let layout = fields.layout()?;
    let rate = fields.number("sample_rate")?.unwrap_or(0);
    let rate = u32::try_from(rate).ok().filter(|rate| *rate > 0);
    let Some(rate) = rate else { return Err(fields.bad("its header gives no `sample_rate`")) };
    let held = input.length() - data;
    let promised = match fields.number("sample_count")? {
        Some(count) => count.saturating_mul(layout.frame() as u64),
        None => held,
    };
    if promised > held {
        let why = format!(
            "the header promises {promised} bytes of samples, the file holds {held}: \
             truncated or damaged"
        );
        return Err(fields.bad(&why));
    }
    let end = data + promised;
    if !tags::only_tags(&mut input, end)? {
        let more = held - promised;
        let why = format!("{more} bytes follow behind the {promised} bytes of its samples");
        return Err(input.unreadable("SPHERE", why));
    }
    pcm::Reader::new(input, "SPHERE", layout, rate, data..end, channel)
}

/// The text of the header, and the place of the samples behind it.
fn header(input: &mut Input, start: u64) -> Result<(String, u64)> {
    let head = input.at(start, 16)?;
    let length = head
        .strip_prefix(MARK)
        .and_then(|rest| std::str::from_utf8(rest.get(..8)?).ok()?.trim().parse::<u64>().ok())
        .filter(|length| (16..=LONGEST).contains(length));
    let Some(length) = length else {
        return Err(input.unreadable("SPHERE", "its second line is not the length of its header"));
    };
    if start + length > input.length() {
        return Err(input.unreadable("SPHERE", "it ends inside its header: truncated"));
    }
    let bytes = &input.at(start, length as usize)?[..length as usize];
    let text = String::from_utf8_lossy(bytes).into_owned();
    if !text.lines().any(|line| line.trim() == "end_head") {
        return Err(input.unreadable("SPHERE", "its header has no line `end_head`: damaged"));
    }
    Ok((text, start + length))
}

/// The fields of a header.
struct Fields<'a> {
    input: &'a Input,
    header: &'a str,
}

impl Fields<'_> {
    fn bad(&self, why: &str) -> Error {
        self.input.unreadable("SPHERE", why)
    }

    /// The value of a field. Comments begin with `;`.
    fn text(&self, name: &str) -> Option<&str> {
        let lines = self.header.lines().take_while(|line| line.trim() != "end_head");
        lines.filter(|line| !line.starts_with(';')).find_map(|line| {
            let (key, rest) = line.trim().split_once(char::is_whitespace)?;
            let (kind, value) = rest.trim_start().split_once(char::is_whitespace)?;
            (key == name && kind.starts_with('-')).then(|| value.trim())
        })
    }

    fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        // Rates may be real numbers: 16000.000000.
        let whole = text.split_once('.').map_or(text, |(whole, rest)| {
            if rest.bytes().all(|b| b == b'0') { whole } else { text }
        });
        whole
            .parse()
            .map(Some)
            .map_err(|_| self.bad(&format!("its header says `{name}` is `{text}`, not a number")))
    }

    fn layout(&self) -> Result<Layout> {
        let coding = self.text("sample_coding").unwrap_or("pcm").to_ascii_lowercase();
        let mut parts = coding.split(',').map(str::trim);
        let first = parts.next().unwrap_or_default();
        if let Some(method) = parts.next() {
            let name = format!("NIST SPHERE audio compressed with {method}");
            return Err(unsupported(self.input.path(), &name));
        }
        let encoding = match first {
            "pcm" => Encoding::Signed,
            "alaw" | "a-law" => Encoding::ALaw,
            "ulaw" | "mu-law" | "mulaw" => Encoding::MuLaw,
            other => {
                let name = format!("NIST SPHERE audio encoded as `{other}`");
                return Err(unsupported(self.input.path(), &name));
            }
        };
        let law = encoding != Encoding::Signed;
        let bytes = self.number("sample_n_bytes")?.unwrap_or(if law { 1 } else { 2 }) as usize;
        let channels = self.number("channel_count")?.unwrap_or(1);
        let channels = usize::try_from(channels).ok().filter(|n| (1..=1024).contains(n));
        let Some(channels) = channels else {
            return Err(self.bad("its header gives an impossible `channel_count`"));
        };
        // The digits number the bytes of a sample, from the least significant one.
        let big_endian = match self.text("sample_byte_format") {
            None | Some("1" | "0") if bytes == 1 => false,
            Some("01" | "012" | "0123") => false,
            Some("10" | "210" | "3210") => true,
            Some("mu-law" | "ulaw" | "alaw") if law => false,
            found => {
                let found = found.unwrap_or_default();
                let why = format!("its header says `sample_byte_format` is `{found}`");
                return Err(self.bad(&why));
            }
        };
        let layout = Layout { encoding, bytes, big_endian, channels };
        if layout.is_possible() {
            return Ok(layout);
        }
        Err(unsupported(
            self.input.path(),
            &format!("NIST SPHERE audio encoded as {first} of {bytes} bytes"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::tests::{every, held};
    use super::super::source::tests::all;
    use super::*;

    /// A file with these lines in its header.
    fn file(lines: &[&str], data: &[u8]) -> Vec<u8> {
        let mut bytes = format!("NIST_1A\n   1024\n{}\nend_head\n", lines.join("\n")).into_bytes();
        bytes.resize(1024, b' ');
        bytes.extend(data);
        bytes
    }

    fn read(bytes: &[u8], channel: Option<usize>) -> Result<(Vec<f32>, u32), String> {
        let found = every("a.sph", bytes)
            .map(|input| open(input, 0, channel).and_then(all).map_err(|e| e.to_string()));
        assert!(found[0] == found[1] && found[1] == found[2], "{found:?}");
        let [found, ..] = found;
        found
    }

    #[test]
    fn both_orders_of_bytes_and_all_channels() {
        let common = ["sample_rate -i 8000", "channel_count -i 2", "sample_n_bytes -i 2"];
        for (order, numbers) in [
            ("01", [1i16, -2, 300, 400].map(i16::to_le_bytes)),
            ("10", [1i16, -2, 300, 400].map(i16::to_be_bytes)),
        ] {
            let order = format!("sample_byte_format -s2 {order}");
            let lines = [&common[..], &[&order, "sample_count -i 2", "; note -s1 x"]].concat();
            let bytes = file(&lines, numbers.as_flattened());
            for (channel, wanted) in [(0, [1.0, 300.0]), (1, [-2.0, 400.0])] {
                let wanted = wanted.map(|x: f32| x / 32_768.0).to_vec();
                assert_eq!(read(&bytes, Some(channel)), Ok((wanted, 8000)));
            }
            assert!(read(&bytes, None).unwrap_err().contains("has 2 channels"));
            assert!(read(&bytes[..bytes.len() - 1], Some(0)).unwrap_err().contains("promises 8"));
            let longer = [bytes.as_slice(), b"more"].concat();
            assert!(read(&longer, Some(0)).unwrap_err().contains("4 bytes follow behind"));
        }
    }

    #[test]
    fn laws_are_read_and_compression_is_named() {
        let law = |coding: &str| {
            file(
                &["sample_rate -r 8000.000", &format!("sample_coding -s9 {coding}")],
                &[0x80, 0x2a],
            )
        };
        assert_eq!(read(&law("ulaw"), None).unwrap().0[0], 32_124.0 / 32_768.0);
        assert_eq!(read(&law("alaw"), None).unwrap().0[1], -32_256.0 / 32_768.0);
        for method in ["embedded-shorten-v2.00", "embedded-wavpack"] {
            let error = read(&law(&format!("pcm,{method}")), None).unwrap_err();
            assert!(error.contains(method) && error.contains("ffmpeg -i a.sph"), "{error}");
        }
        assert!(read(&law("g723"), None).unwrap_err().contains("`g723`"));
    }

    #[test]
    fn damaged_headers_are_errors() {
        let good = file(&["sample_rate -i 8000", "sample_byte_format -s2 01"], &[0; 8]);
        assert_eq!(read(&good, None).unwrap().0, [0.0; 4]);
        for (bytes, wanted) in [
            (good[..900].to_vec(), "inside its header"),
            (b"NIST_1A\n   abcd\n".to_vec(), "second line"),
            (b"NIST_1A\n".to_vec(), "second line"),
            (b"NIST_1A\n9999999\n".to_vec(), "second line"),
            (file(&["sample_byte_format -s2 01"], &[0; 8]), "no `sample_rate`"),
            (file(&["sample_rate -i many", "sample_byte_format -s2 01"], &[]), "not a number"),
            (file(&["sample_rate -i 8000", "sample_byte_format -s2 11"], &[]), "`11`"),
            (file(&["sample_rate -i 8000", "channel_count -i 0"], &[]), "`channel_count`"),
        ] {
            let error = read(&bytes, None).unwrap_err();
            assert!(error.contains(wanted) && error.contains("a.sph"), "{error} for {wanted}");
        }
        let text = String::from_utf8_lossy(&good).replace("end_head", "         ");
        assert!(open(held("a.sph", text.as_bytes()), 0, None).is_err());
    }
}
