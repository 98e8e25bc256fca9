//! The metadata in front of the frames of a FLAC file (RFC 9639, section 8).

use crate::audio::input::Input;
use crate::error::Result;

/// Facts about the samples, from the header of a file. Sizes of blocks and frames are left out:
/// many writers get them wrong, and each frame holds its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamInfo {
    /// Samples per second.
    pub rate: u32,
    /// Number of channels, 1 to 8.
    pub channels: usize,
    /// Bits of a sample, 4 to 32.
    pub bits: u32,
    /// Samples of each channel, if the writer knew them.
    pub total: Option<u64>,
    /// MD5 of the samples, if the writer knew it.
    pub md5: Option<[u8; 16]>,
}

/// Type of the first metadata block.
const STREAM_INFO: u8 = 0;
/// A forbidden type: a block of it would begin like a frame.
const FORBIDDEN: u8 = 127;

impl StreamInfo {
    fn parse(block: &[u8]) -> Result<Self, String> {
        let block: &[u8; 34] = block
            .try_into()
            .map_err(|_| format!("its STREAMINFO block has {} bytes, not 34", block.len()))?;
        let mut packed = [0; 8];
        packed.copy_from_slice(&block[10..18]);
        let packed = u64::from_be_bytes(packed);
        let mut md5 = [0; 16];
        md5.copy_from_slice(&block[18..]);
        let info = Self {
            rate: (packed >> 44) as u32,
            channels: (packed >> 41) as usize % 8 + 1,
            bits: (packed >> 36) as u32 % 32 + 1,
            total: Some(packed % (1 << 36)).filter(|&total| total > 0),
            md5: Some(md5).filter(|md5| *md5 != [0; 16]),
        };
        if info.rate == 0 || info.bits < 4 {
            return Err(format!("its header says {} Hz and {} bits", info.rate, info.bits));
        }
        Ok(info)
    }
}

/// Reads the metadata blocks of the file that begins at byte `start`. Gives the byte behind them,
/// too.
pub(super) fn metadata(input: &mut Input, start: u64) -> Result<(StreamInfo, u64)> {
    const CUT: &str = "it ends inside its metadata: truncated or damaged";
    let bad = |input: &Input, why: String| Err(input.unreadable("FLAC", why));
    let mut at = start + b"fLaC".len() as u64;
    let mut info = None;
    loop {
        let head = input.at(at, 4)?.first_chunk::<4>().copied();
        let Some(head) = head else { return bad(input, CUT.into()) };
        let (last, kind) = (head[0] & 0x80 != 0, head[0] & 0x7f);
        if kind == FORBIDDEN {
            return bad(input, format!("no metadata block begins at byte {at}: damaged"));
        }
        let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
        let end = at + 4 + length as u64;
        if end > input.length() {
            return bad(input, CUT.into());
        }
        match (kind, info) {
            (STREAM_INFO, None) => {
                let parsed = StreamInfo::parse(&input.at(at + 4, length)?[..length]);
                match parsed {
                    Ok(found) => info = Some(found),
                    Err(why) => return bad(input, why),
                }
            }
            (_, None) => return bad(input, "its first metadata block is not STREAMINFO".into()),
            (STREAM_INFO, _) => {
                return bad(input, format!("a second STREAMINFO block begins at byte {at}"));
            }
            _ => {}
        }
        at = end;
        if let (true, Some(info)) = (last, info) {
            return Ok((info, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::input::tests::every;

    fn block(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32).to_be_bytes();
        [[kind, length[1], length[2], length[3]].as_slice(), content].concat()
    }

    /// 44,100 Hz, 2 channels of 24 bits, 2^36 - 1 samples.
    fn stream_info() -> Vec<u8> {
        let mut content = vec![0; 10];
        let packed = (44_100u64 << 44) | (1 << 41) | (23 << 36) | ((1 << 36) - 1);
        content.extend(packed.to_be_bytes());
        content.extend([7; 16]);
        content
    }

    #[test]
    fn metadata_is_skipped_up_to_the_frames() {
        let file = [
            b"??fLaC".as_slice(),
            &block(0, &stream_info()),
            &block(6, &[1; 70_000]),
            &block(0x81, b""),
        ]
        .concat();
        let info = StreamInfo {
            rate: 44_100,
            channels: 2,
            bits: 24,
            total: Some((1 << 36) - 1),
            md5: Some([7; 16]),
        };
        for mut input in every("a.flac", &file) {
            assert_eq!(metadata(&mut input, 2).unwrap(), (info, file.len() as u64));
        }
    }

    #[test]
    fn damaged_metadata_is_an_error() {
        let first = block(0, &stream_info());
        let mut no_rate = stream_info();
        no_rate[10..13].fill(0);
        for (blocks, wanted) in [
            (vec![first.clone()], "ends inside"),
            (vec![first.clone(), block(0x84, &[0; 9])[..10].to_vec()], "ends inside"),
            (vec![block(4, b""), first.clone()], "not STREAMINFO"),
            (vec![first.clone(), first.clone()], "second STREAMINFO block begins at byte 42"),
            (vec![first.clone(), vec![0xff; 9]], "byte 42"),
            (vec![block(0x80, &stream_info()[..33])], "33 bytes"),
            (vec![block(0x80, &no_rate)], "0 Hz"),
        ] {
            for mut input in every("a.flac", &[b"fLaC".to_vec(), blocks.concat()].concat()) {
                let error = metadata(&mut input, 0).unwrap_err().to_string();
                assert!(error.contains("a.flac") && error.contains(wanted), "{error} for {wanted}");
            }
        }
    }
}
