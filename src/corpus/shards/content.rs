//! What becomes of a recording in a tar file: its bytes, perhaps as FLAC, and the ending of its
//! name.

use std::path::Path;

use crate::audio::{Source, encode_flac, pipe};
use crate::corpus::endings::is_audio;
use crate::corpus::{Corpus, Place, Utterance};
use crate::error::{Error, Remedy, Result};
use crate::fs;

/// Formats by their first bytes: the place of the mark, the mark, and the ending.
const MARKS: [(usize, &[u8], &str); 10] = [
    (0, b"RIFF", "wav"),
    (0, b"RF64", "wav"),
    (0, b"BW64", "wav"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (0, b"caff", "caf"),
    (0, b"NIST_1A", "sph"),
    (4, b"ftyp", "m4a"),
    (8, b"AIF", "aiff"),
];
/// Endings of formats that may hold plain samples of 16 bits.
const PLAIN: [&str; 4] = ["wav", "aiff", "caf", "sph"];
/// FLAC has 20 bits for the rate.
const RATES: std::ops::Range<u32> = 1..1 << 20;

/// The content of an entry.
pub(super) struct Content {
    /// The ending of its name, without dot.
    pub ending: String,
    pub bytes: Vec<u8>,
    /// Whether it became FLAC.
    pub is_encoded: bool,
}

impl Content {
    /// The bytes of a recording, as FLAC if `flac` and if that is shorter and loses nothing.
    ///
    /// # Errors
    /// A recording that cannot be read, or whose format neither its name nor its bytes tell; audio
    /// to be encoded that cannot be decoded.
    pub fn of(corpus: &Corpus, utterance: &Utterance, flac: bool) -> Result<Self> {
        let (name, bytes) = match (&utterance.place, corpus.shards()) {
            (Place::File { path, .. }, _) if path.to_str().is_some_and(pipe::is_command) => {
                return Err(Error::invalid("is a command; write the audio to files first"));
            }
            (Place::File { path, .. }, _) => (path.to_path_buf(), fs::read(path)?),
            (&Place::Entry { shard, offset, bytes }, Some(shards)) => {
                let name = shards.path(shard).join(&*utterance.id);
                (name, shards.read(shard, offset, bytes)?)
            }
            (Place::Entry { .. }, None) => {
                return Err(Error::invalid("is in a tar file that is not known"));
            }
        };
        if bytes.is_empty() {
            return Err(Error::file(name, "the file is empty"));
        }
        let found = by_content(&bytes);
        if flac
            && found.is_some_and(|ending| PLAIN.contains(&ending))
            && let Some(bytes) = encoded(&name, &bytes)?
        {
            return Ok(Self { ending: "flac".into(), bytes, is_encoded: true });
        }
        // The id of an entry may end like the name of a file.
        let own = utterance.path().and_then(Path::extension).and_then(|own| own.to_str());
        match own.filter(|own| is_audio(own)).or(found) {
            Some(ending) => {
                Ok(Self { ending: ending.to_ascii_lowercase(), bytes, is_encoded: false })
            }
            None => {
                let message = "neither its name nor its first bytes tell an audio format";
                Err(Error::file(name, message))
            }
        }
    }
}

/// The ending of a format by the first bytes of a file.
fn by_content(bytes: &[u8]) -> Option<&'static str> {
    let has = |at: usize, mark: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(mark));
    match MARKS.iter().find(|&&(at, mark, _)| has(at, mark)) {
        Some(&(_, _, ending)) => Some(ending),
        // The header of an MPEG frame of layer III.
        None => matches!(bytes, [0xff, second, ..] if second & 0xe6 == 0xe2).then_some("mp3"),
    }
}

/// A recording of 16 bits as FLAC, checked by decoding it. None for other recordings, and if FLAC
/// is not shorter.
fn encoded(name: &Path, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let source = |bytes: &[u8], rate: u32| Source::of_bytes(name, bytes.to_vec(), rate, None);
    let rate = match source(bytes, 16_000) {
        Ok(source) => source.source_rate(),
        Err(e) if matches!(e.remedy(), Some(Remedy::ChooseChannel { .. })) => return Ok(None),
        Err(e) => return Err(e),
    };
    let samples = source(bytes, rate)?.read(usize::MAX)?;
    let whole = samples.iter().map(|&x| {
        let value = x * 32_768.0;
        let fits = value.fract() == 0.0 && (-32_768.0..=32_767.0).contains(&value);
        fits.then_some(value as i16)
    });
    let Some(whole) = whole.collect::<Option<Vec<i16>>>().filter(|_| RATES.contains(&rate)) else {
        return Ok(None);
    };
    let flac = encode_flac(&whole, rate);
    let decoded = source(&flac, rate)?.verified().read(usize::MAX)?;
    if decoded != samples {
        return Err(Error::file(
            name,
            "was not the same after encoding it as FLAC; leave out --flac",
        ));
    }
    Ok((flac.len() < bytes.len()).then_some(flac))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What packing names, reading must find.
    #[test]
    fn every_ending_is_known() {
        for (at, mark, ending) in MARKS {
            assert!(is_audio(ending), "{ending}");
            let bytes = [vec![1; at], mark.to_vec(), vec![1; 9]].concat();
            assert_eq!(by_content(&bytes), Some(ending));
        }
        assert_eq!(by_content(b"\xff\xfb\x90\x64"), Some("mp3"));
        assert_eq!(by_content(b"\xff\xf1\x50\x80"), None);
        assert_eq!(by_content(b"\xff"), None);
        assert!(PLAIN.iter().all(|plain| MARKS.iter().any(|mark| mark.2 == *plain)));
    }

    #[test]
    fn what_is_not_16_bits_of_one_channel_stays() {
        let wav = |bits_per_sample, channels, scale: f32| {
            let mut bytes = std::io::Cursor::new(Vec::new());
            let sample_format = hound::SampleFormat::Int;
            let spec =
                hound::WavSpec { channels, sample_rate: 22_050, bits_per_sample, sample_format };
            let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
            for i in 0..6000 {
                writer.write_sample(((i as f32 * 0.05).sin() * scale) as i32).unwrap();
            }
            writer.finalize().unwrap();
            bytes.into_inner()
        };
        let name = Path::new("a.wav");
        let plain = wav(16, 1, 9000.0);
        let flac = encoded(name, &plain).unwrap().unwrap();
        assert!(flac.len() < plain.len() && by_content(&flac) == Some("flac"));
        let samples = |bytes: &[u8]| {
            let source = Source::of_bytes(name, bytes.to_vec(), 22_050, None);
            source.unwrap().read(usize::MAX).unwrap()
        };
        assert_eq!(samples(&flac), samples(&plain));
        assert!(encoded(name, &wav(16, 2, 9000.0)).unwrap().is_none());
        assert!(encoded(name, &wav(24, 1, 900_000.0)).unwrap().is_none());
        assert!(encoded(name, &plain[..5000]).is_err());
    }
}
