//! Another sound in the place of one that cannot be read.

use std::sync::Arc;

use crate::error::{Error, Remedy, Result};
use crate::rng::Stream;
use crate::train::dataset::left_out::LeftOut;

/// Sounds that are drawn in a row until one of them can be read.
const ATTEMPTS: usize = 100;

/// How the sounds of a list are read.
#[derive(Clone)]
pub(super) struct Reading {
    /// Samples per second that they will have.
    pub rate: u32,
    /// Bytes of memory that those kept may take.
    pub bytes: usize,
    /// The part of them that may turn out to be unreadable.
    pub tolerate: f64,
    /// Gets a warning of each such sound.
    pub warn: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Draws sounds of a list, and counts those that cannot be read.
pub(super) struct Drawn {
    /// The key of the recipe that names the list.
    key: &'static str,
    left_out: LeftOut,
    warn: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Drawn {
    /// Draws from `count` sounds. The part `reading.tolerate` of them may be left out, at least one
    /// of several unless the part is 0.
    pub fn new(key: &'static str, count: usize, reading: Reading) -> Self {
        let left_out = LeftOut::of_sounds(key, reading.tolerate, count);
        Self { key, left_out, warn: reading.warn }
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

    /// What is left out.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// The faults so far, a line for each sound.
    pub fn faults(&self) -> Vec<String> {
        self.left_out.faults()
    }
}
