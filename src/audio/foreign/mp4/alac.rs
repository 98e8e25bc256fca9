//! The configuration of an ALAC decoder, its "magic cookie".

use crate::audio::foreign::word;

/// What the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audio::foreign) struct Config {
    /// Its own bytes, 24 of them.
    pub cookie: Vec<u8>,
    /// Samples per second.
    pub rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Samples of every packet but the last.
    pub samples: u64,
}

impl Config {
    /// Reads a configuration, which may stand in a box `alac` behind a box `frma`.
    pub fn parse(mut bytes: &[u8]) -> Option<Self> {
        for kind in [b"frma", b"alac"] {
            if bytes.get(4..8) == Some(kind.as_slice()) {
                bytes = bytes.get(12..)?;
            }
        }
        let cookie = bytes.first_chunk::<24>()?;
        let (samples, rate, channels) = (word(cookie, 0)?, word(cookie, 20)?, cookie[9]);
        // The decoder keeps as many samples as a packet may have.
        let is_possible = (1..=1 << 16).contains(&samples)
            && rate > 0
            && (1..=8).contains(&channels)
            && matches!(cookie[5], 16 | 20 | 24 | 32);
        is_possible.then(|| Self {
            cookie: cookie.to_vec(),
            rate,
            channels: channels.into(),
            samples: samples.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_with_and_without_boxes() {
        let mut cookie = vec![0, 0, 0x10, 0, 0, 16, 40, 10, 14, 2, 0, 255];
        cookie.extend([0; 8]);
        cookie.extend(44_100u32.to_be_bytes());
        let wanted = Config { cookie: cookie.clone(), rate: 44_100, channels: 2, samples: 4096 };
        let boxed = [b"\0\0\0\x24alac\0\0\0\0".as_slice(), &cookie].concat();
        let both = [b"\0\0\0\x0cfrmaalac".as_slice(), &boxed].concat();
        for bytes in [&cookie, &boxed, &both] {
            assert_eq!(Config::parse(bytes), Some(wanted.clone()));
        }
        for (at, value) in [(0, 1), (5, 12), (9, 0), (9, 9)] {
            let mut bad = cookie.clone();
            bad[at] = value;
            assert_eq!(Config::parse(&bad), None);
        }
        assert_eq!(Config::parse(&cookie[..23]), None);
    }
}
