//! Room impulse responses.

use std::path::Path;
use std::sync::Arc;

use super::drawn::{Drawn, Reading};
use super::kept::Kept;
use super::list::SoundList;
use crate::audio::augment::Response;
use crate::error::Result;
use crate::rng::Stream;

/// The room impulse responses of a list.
pub(super) struct Responses {
    list: SoundList,
    kept: Kept<Arc<Response>>,
    /// All places of the list.
    all: Vec<usize>,
    pub drawn: Drawn,
}

impl Responses {
    /// The responses of a wav.scp.
    ///
    /// # Errors
    /// Those of [`read_wav_scp`](crate::corpus::read_wav_scp).
    pub fn new(list: &Path, reading: Reading) -> Result<Self> {
        let list = SoundList::read(list, reading.rate)?;
        let count = list.count();
        let kept = Kept::new(count, reading.bytes);
        let drawn = Drawn::new("augment.reverb", count, reading);
        Ok(Self { kept, all: (0..count).collect(), drawn, list })
    }

    /// Any of the responses.
    ///
    /// # Errors
    /// Files that cannot be read, at their lines, if they are too many.
    pub fn any(&self, draw: &mut Stream) -> Result<Arc<Response>> {
        self.drawn.any(&self.all, draw, |place, _| self.response(place))
    }

    fn response(&self, place: usize) -> Result<Arc<Response>> {
        if let Some(response) = self.kept.get(place) {
            return Ok(response.clone());
        }
        let response = self
            .list
            .with(place, |mut source| Ok(Arc::new(Response::new(&source.read(usize::MAX)?))))?;
        self.kept.keep(place, response.clone(), response.bytes());
        Ok(response)
    }
}
