//! Another sound in the place of one that cannot be read.

use std::sync::Arc;

use crate::error::{Error, Remedy, Result};
use crate::rng::Stream;
use crate::train::dataset::left_out::LeftOut;

/// Sounds that are drawn in a row until one of them can be read.
const ATTEMPTS: usize = 100;

/// Draws sounds of a list, and counts those that cannot be read.
pub(super) struct Drawn {
    /// The key of the recipe that names the list.
    key: &'static str,
    left_out: LeftOut,
    warn: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Drawn {
    /// Draws from `count` sounds. A part of them may be left out, at least one of several unless
    /// the part is 0.
    pub fn new(
        key: &'static str,
        count: usize,
        tolerate: f64,
        warn: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        Self { key, left_out: LeftOut::of_sounds(key, tolerate, count), warn }
    }

    /// What `work` makes of any of these sounds. Where it fails, another sound is drawn from the
    /// same stream, so that nothing depends on thread and time.
    ///
    /// # Errors
    /// Sounds that cannot be read, if they are too many.
    pub fn any<T>(
        &self,
        sounds: &[usize],
        draw: &mut Stream,
        mut work: impl FnMut(usize, &mut Stream) -> Result<T>,
    ) -> Result<T> {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let sound = sounds[draw.below(sounds.len())];
            match work(sound, draw) {
                Ok(done) => return Ok(done),
                Err(fault) => {
                    last = fault.to_string();
                    if let Some(text) = self.left_out.add(sound, fault)? {
                        (self.warn)(&format!("{text}; left out"));
                    }
                }
            }
        }
        let message = format!("{last}; and no other sound could be read in its place");
        let remedy = Remedy::LeaveOut { key: self.key, tolerate: None, resume: false };
        Err(Error::Training(message).with(remedy))
    }

    /// The faults so far, a line for each sound.
    pub fn faults(&self) -> Vec<String> {
        self.left_out.faults()
    }
}
