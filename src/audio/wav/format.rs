//! The encoding of the samples of a WAV file: its chunk `fmt `.

use std::path::Path;

use crate::audio::kind::unsupported;
use crate::error::{Error, Result};

/// The encoding of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Integers: unsigned in one byte, two's complement in more.
    Integer,
    /// Floating-point numbers, full scale 1.
    Float,
    /// A-law of ITU-T G.711.
    ALaw,
    /// Mu-law of ITU-T G.711.
    MuLaw,
}

/// The format of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// The encoding of a sample.
    pub encoding: Encoding,
    /// Bytes of a sample.
    pub container: usize,
    /// Number of channels.
    pub channels: usize,
    /// Samples per second.
    pub rate: u32,
}

const INTEGER: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// Says that a GUID behind the other fields gives the encoding.
const EXTENSIBLE: u16 = 0xfffe;

/// The bytes after the number of an encoding in its GUID.
const GUID: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

impl Format {
    /// Reads the content of the chunk. Bytes behind the fields are ignored, and so is the byte
    /// rate, which follows from the other fields.
    ///
    /// # Errors
    /// An unsupported encoding; fields that are missing or contradict each other.
    pub fn parse(path: &Path, fields: &[u8]) -> Result<Self> {
        let bad = |why: String| Err(Error::file(path, format!("not a readable WAV file: {why}")));
        let half = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
        if fields.len() < 16 {
            return bad(format!(
                "its chunk `fmt ` has {} bytes; at least 16 are needed",
                fields.len()
            ));
        }
        let (mut tag, channels, frame, bits) =
            (half(0), usize::from(half(2)), usize::from(half(12)), half(14));
        let rate = u32::from_le_bytes([fields[4], fields[5], fields[6], fields[7]]);
        if channels == 0 || rate == 0 {
            return bad(format!("its header says {rate} Hz and {channels} channels"));
        }
        // The bits of a sample that count. They are the upper ones, so the value is only checked.
        let mut valid = bits;
        if tag == EXTENSIBLE {
            if fields.len() < 40 {
                return bad(format!(
                    "its chunk `fmt ` has {} bytes; 40 are needed for its extension",
                    fields.len()
                ));
            }
            valid = half(18);
            tag = half(24);
            if fields[26..40] != GUID {
                return Err(unsupported(path, "WAV audio of an unknown encoding (by its GUID)"));
            }
        }
        let encoding = match tag {
            INTEGER => Encoding::Integer,
            FLOAT => Encoding::Float,
            A_LAW => Encoding::ALaw,
            MU_LAW => Encoding::MuLaw,
            _ => return Err(unsupported(path, &format!("WAV audio encoded as {}", name(tag)))),
        };
        let container = usize::from(bits.div_ceil(8));
        let is_read = match encoding {
            Encoding::Integer => (1..=4).contains(&container),
            Encoding::Float => bits == 32 || bits == 64,
            Encoding::ALaw | Encoding::MuLaw => bits == 8,
        };
        if bits == 0 {
            return bad("its header says samples of 0 bits".into());
        }
        if !is_read {
            return Err(unsupported(
                path,
                &format!("WAV audio encoded as {} of {bits} bits", name(tag)),
            ));
        }
        // A frame of 0 bytes means unknown. One of another length leaves open where in its bytes a
        // sample lies.
        if frame != 0 && frame != channels * container {
            return bad(format!(
                "its header contradicts itself: \
                 {channels} channel(s) of {bits} bits take {} bytes, not {frame}",
                channels * container
            ));
        }
        if encoding == Encoding::Integer && valid > bits {
            return bad(format!(
                "its header contradicts itself: {valid} valid bits in samples of {bits} bits"
            ));
        }
        Ok(Self { encoding, container, channels, rate })
    }

    /// Bytes of a frame: one sample of each channel.
    pub fn frame(&self) -> usize {
        self.container * self.channels
    }
}

/// The name of an encoding by its number, from Microsoft's `mmreg.h`.
fn name(tag: u16) -> String {
    let name = match tag {
        INTEGER => "integers",
        FLOAT => "floating-point numbers",
        A_LAW => "A-law",
        MU_LAW => "mu-law",
        0x0002 => "Microsoft ADPCM",
        0x0010 => "OKI ADPCM",
        0x0011 => "IMA ADPCM",
        0x0014 => "G.723 ADPCM",
        0x0022 => "TrueSpeech",
        0x0031 => "GSM 6.10",
        0x0040 => "G.721 ADPCM",
        0x0045 | 0x0064 => "G.726 ADPCM",
        0x0050 => "MPEG audio",
        0x0055 => "MP3",
        0x0083 => "G.729",
        0x00ff | 0x1600 | 0x1601 | 0x1610 => "AAC",
        0x0160..=0x0163 => "Windows Media Audio",
        0x0008 | 0x2001 => "DTS",
        0x0092 | 0x2000 => "AC-3",
        0x674f..=0x6751 | 0x676f..=0x6771 => "Vorbis",
        0x704f => "Opus",
        0xf1ac => "FLAC",
        _ => return format!("format {tag:#06x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a file at 16 kHz, with a wrong byte rate.
    fn fields(tag: u16, channels: u16, frame: u16, bits: u16) -> Vec<u8> {
        let mut fields = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
        fields.extend(16_000u32.to_le_bytes());
        fields.extend(77u32.to_le_bytes());
        fields.extend([frame.to_le_bytes(), bits.to_le_bytes()].concat());
        fields
    }

    fn extensible(tag: u16, frame: u16, bits: u16, valid: u16) -> Vec<u8> {
        let mut fields = fields(EXTENSIBLE, 1, frame, bits);
        fields.extend([22, 0]);
        fields.extend(valid.to_le_bytes());
        fields.extend([4, 0, 0, 0]);
        fields.extend(tag.to_le_bytes());
        fields.extend(GUID);
        fields
    }

    fn parse(fields: &[u8]) -> Result<Format, String> {
        Format::parse(Path::new("a.wav"), fields).map_err(|e| e.to_string())
    }

    #[test]
    fn what_a_sample_is() {
        use Encoding::{ALaw, Float, Integer, MuLaw};
        for (fields, encoding, container) in [
            (fields(1, 1, 1, 8), Integer, 1),
            (fields(1, 1, 2, 12), Integer, 2),
            (fields(1, 1, 2, 16), Integer, 2),
            (fields(1, 1, 3, 20), Integer, 3),
            (fields(1, 1, 0, 24), Integer, 3),
            (fields(1, 1, 4, 32), Integer, 4),
            (fields(3, 1, 4, 32), Float, 4),
            (fields(3, 1, 8, 64), Float, 8),
            (fields(6, 1, 1, 8), ALaw, 1),
            (fields(7, 1, 1, 8), MuLaw, 1),
            (extensible(1, 4, 32, 24), Integer, 4),
            (extensible(1, 3, 24, 20), Integer, 3),
            (extensible(1, 2, 16, 12), Integer, 2),
            (extensible(1, 2, 16, 0), Integer, 2),
            (extensible(3, 4, 32, 0), Float, 4),
            (extensible(7, 1, 8, 8), MuLaw, 1),
        ] {
            for more in [0, 2, 4, 26] {
                let longer = [fields.clone(), vec![9; more]].concat();
                let wanted = Format { encoding, container, channels: 1, rate: 16_000 };
                assert_eq!(parse(&longer), Ok(wanted), "{longer:?}");
            }
        }
        let three = parse(&fields(1, 3, 6, 16)).unwrap();
        assert_eq!((three.channels, three.frame()), (3, 6));
    }

    #[test]
    fn encodings_that_are_not_read_are_named() {
        let mut guid = extensible(1, 2, 16, 16);
        guid[39] ^= 1;
        for (fields, wanted) in [
            (fields(0x11, 1, 256, 4), "IMA ADPCM"),
            (fields(0x31, 1, 65, 0), "GSM 6.10"),
            (fields(0x55, 1, 1, 0), "MP3"),
            (fields(0x1234, 1, 1, 8), "format 0x1234"),
            (fields(1, 1, 8, 64), "integers of 64 bits"),
            (fields(3, 1, 2, 16), "floating-point numbers of 16 bits"),
            (guid, "GUID"),
        ] {
            let error = parse(&fields).unwrap_err();
            assert!(
                error.contains(wanted) && error.contains("ffmpeg -i a.wav"),
                "{error} for {wanted}"
            );
        }
    }

    #[test]
    fn fields_that_are_missing_or_contradict_each_other_are_errors() {
        let mut no_rate = fields(1, 1, 2, 16);
        no_rate[4..8].fill(0);
        for (fields, wanted) in [
            (fields(1, 1, 2, 16)[..14].to_vec(), "has 14 bytes; at least 16"),
            (extensible(1, 2, 16, 16)[..38].to_vec(), "has 38 bytes; 40"),
            (fields(1, 0, 0, 16), "0 channels"),
            (no_rate, "0 Hz"),
            (fields(1, 1, 2, 0), "0 bits"),
            (fields(1, 1, 4, 24), "1 channel(s) of 24 bits take 3 bytes, not 4"),
            (fields(1, 2, 2, 16), "2 channel(s) of 16 bits take 4 bytes, not 2"),
            (extensible(1, 2, 16, 24), "24 valid bits in samples of 16 bits"),
        ] {
            let error = parse(&fields).unwrap_err();
            assert!(error.contains(wanted), "{error} for {wanted}");
        }
    }
}
