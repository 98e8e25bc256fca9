//! Room impulse responses.

use std::path::Path;
use std::sync::Arc;

use super::kept::Kept;
use super::list::SoundList;
use crate::audio::augment::Response;
use crate::error::Result;
use crate::rng::Stream;

/// The room impulse responses of a list.
pub(super) struct Responses {
    list: SoundList,
    kept: Kept<Arc<Response>>,
}

impl Responses {
    /// The responses of a wav.scp at a rate. Those kept may take `bytes` of memory.
    ///
    /// # Errors
    /// Those of [`read_wav_scp`](crate::corpus::read_wav_scp).
    pub fn new(list: &Path, rate: u32, bytes: usize) -> Result<Self> {
        let list = SoundList::read(list, rate)?;
        Ok(Self { kept: Kept::new(list.count(), bytes), list })
    }

    /// Any of the responses.
    ///
    /// # Errors
    /// A file that cannot be read, at its line.
    pub fn any(&self, draw: &mut Stream) -> Result<Arc<Response>> {
        let place = draw.below(self.list.count());
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
