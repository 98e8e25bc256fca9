//! Where in a FLAC file a frame belongs.

use super::bits::CUT;
use super::block::Block;
use super::header::Header;
use super::stream::StreamInfo;

/// What the numbers of the frames count. All frames of a file have the numbering of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    /// Frames. All of them but the last have this many samples.
    Frames(u64),
    /// Samples. A frame may have any number of them.
    Samples,
}

impl Numbering {
    /// The numbering of a file that begins with this frame.
    pub fn of(first: &Header) -> Self {
        if first.variable { Self::Samples } else { Self::Frames(first.samples as u64) }
    }

    /// The position of a frame by its header, if the file may hold such a frame.
    pub fn position(self, header: &Header) -> Option<Position> {
        let (frames, samples) = match (self, header.variable) {
            (Self::Frames(block), false) if header.samples as u64 <= block => {
                (header.number, header.number * block)
            }
            // Nobody asks for the number of a frame here.
            (Self::Samples, true) => (0, header.number),
            _ => return None,
        };
        Some(Position { frames, samples, numbering: Some(self) })
    }
}

/// How far a file has been read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    /// Frames so far.
    pub frames: u64,
    /// Samples so far.
    pub samples: u64,
    /// The numbering, from the first frame on.
    pub numbering: Option<Numbering>,
}

impl Position {
    /// Decodes the frame at the beginning of `bytes` to `block`. Gives its header and its length in
    /// bytes; none if the frame may go on behind them. `is_rest` says that the file ends with them.
    ///
    /// # Errors
    /// Why these bytes are not the next frame.
    pub fn decode(
        &self,
        bytes: &[u8],
        is_rest: bool,
        info: &StreamInfo,
        block: &mut Block,
    ) -> Result<Option<(Header, usize)>, String> {
        if bytes.starts_with(b"fLaC") {
            return Err("another FLAC file begins: split them".into());
        }
        let Some(header) = Header::parse(bytes) else {
            return Err("there is neither a frame nor a tag: damaged or cut off".into());
        };
        self.refuse(&header, info)?;
        match block.decode(bytes, &header, info.bits) {
            Ok(length) => Ok(Some((header, length))),
            Err(CUT) if !is_rest => Ok(None),
            Err(why) => Err(format!("the frame is damaged or cut off: {why}")),
        }
    }

    /// Refuses a frame that is not the next one of this file.
    fn refuse(&self, header: &Header, info: &StreamInfo) -> Result<(), String> {
        if let Some(why) = header.contradicts(info) {
            return Err(format!("the frame is of another file: {why}"));
        }
        if self.numbering.is_some_and(|of| (of == Numbering::Samples) != header.variable) {
            return Err("the frame is of another file: it is numbered in another way".into());
        }
        let (what, wanted) =
            if header.variable { ("sample", self.samples) } else { ("frame", self.frames) };
        if header.number != wanted {
            return Err(format!(
                "{what} {} follows where {wanted} should be: frames are missing",
                header.number
            ));
        }
        // Seeking relies on it.
        if let Some(Numbering::Frames(block)) = self.numbering
            && self.samples != self.frames * block
        {
            return Err(format!(
                "frame {wanted} should begin at sample {}: the one before has another size than \
                 the first, of {block} samples",
                wanted * block
            ));
        }
        Ok(())
    }

    /// Goes behind the frame that was decoded.
    pub fn advance(&mut self, header: &Header) {
        self.frames += 1;
        self.samples += header.samples as u64;
        self.numbering.get_or_insert(Numbering::of(header));
    }
}
