//! What the first frame of an MP3 file may say of the others: the tag `Xing` (or `Info`) with
//! LAME's extension, or the tag `VBRI`. The frame itself holds no samples.

use crate::audio::foreign::word;

/// Samples that every decoder adds in front.
const DECODER: u64 = 529;

/// What the tag says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    /// Frames of the file.
    pub frames: Option<u32>,
    /// Samples in front of the recording.
    pub skip: u64,
    /// Samples behind it.
    pub padding: u64,
}

/// The tag in the first frame of a file, if there is one.
pub(super) fn info(frame: &[u8]) -> Option<Info> {
    let &[_, second, _, fourth, ..] = frame else { return None };
    let (first_version, mono) = ((second >> 3) & 3 == 3, fourth >> 6 == 3);
    let side = match (first_version, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    let tag = frame.get(4 + side..)?;
    if tag.starts_with(b"Xing") || tag.starts_with(b"Info") {
        return xing(tag);
    }
    let tag = frame.get(4 + 32..)?;
    let frames = word(tag, 14).filter(|_| tag.starts_with(b"VBRI"))?;
    Some(Info { frames: Some(frames), ..Info::default() })
}

/// Flags say which fields there are: the frames, the bytes, 100 places, the quality. LAME's
/// extension follows.
fn xing(tag: &[u8]) -> Option<Info> {
    let flags = word(tag, 4)?;
    let frames = if flags & 1 == 0 { None } else { word(tag, 8).filter(|frames| *frames > 0) };
    let lengths = [4, 4, 100, 4];
    let fields: usize =
        (0..4).filter(|bit| flags & (1 << bit) != 0).map(|bit: usize| lengths[bit]).sum();
    let mut info = Info { frames, ..Info::default() };
    let extension = tag.get(8 + fields..).unwrap_or_default();
    if [b"LAME", b"Lavf", b"Lavc"].iter().any(|&mark| extension.starts_with(mark))
        && let Some(&[a, b, c]) = extension.get(21..24)
    {
        // Two numbers of 12 bits.
        let (delay, padding) = ((u64::from(a) << 4) | u64::from(b >> 4), u64::from(b & 15) << 8);
        info.skip = delay + DECODER;
        // Without a number of frames, the end is unknown.
        if frames.is_some() {
            info.padding = (padding | u64::from(c)).saturating_sub(DECODER);
        }
    }
    Some(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(side: usize, head: [u8; 4], tag: &[u8]) -> Vec<u8> {
        let mut frame = [&head[..], &vec![0; side], tag].concat();
        frame.resize(frame.len() + 40, 0);
        frame
    }

    #[test]
    fn tags_give_frames_and_what_encoders_add() {
        let mut lame = b"Info\0\0\0\x0f\0\0\x01\x02".to_vec();
        lame.extend([7; 4 + 100 + 4]);
        lame.extend(b"LAME3.100");
        lame.extend([0; 12]);
        lame.extend([0x24, 0x05, 0x00]);
        for (side, head) in [
            (32, *b"\xff\xfb\x90\x64"),
            (17, *b"\xff\xfb\x90\xc4"),
            (17, *b"\xff\xf3\x84\x44"),
            (9, *b"\xff\xf3\x84\xc4"),
        ] {
            let wanted = Info { frames: Some(258), skip: 576 + 529, padding: 0x500 - 529 };
            assert_eq!(info(&frame(side, head, &lame)), Some(wanted));
            let bare = Info { frames: Some(3), ..Info::default() };
            assert_eq!(info(&frame(side, head, b"Xing\0\0\0\x01\0\0\0\x03")), Some(bare));
            assert_eq!(info(&frame(side, head, b"Xing\0\0\0\0")), Some(Info::default()));
            assert_eq!(info(&frame(side + 1, head, &lame)), None);
        }
        let vbri = [b"VBRI\0\x01\0\0\0\0\0\0\0\0".as_slice(), &9u32.to_be_bytes()].concat();
        let found = info(&frame(32, *b"\xff\xf3\x84\xc4", &vbri));
        assert_eq!(found, Some(Info { frames: Some(9), ..Info::default() }));
        assert_eq!(info(b"\xff\xfb\x90\x64"), None);
    }
}
