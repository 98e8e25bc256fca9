//! Embeddings and quality of recordings.

use std::ffi::c_char;
use std::sync::Arc;

use engine::Result as Heard;
use engine::portable::{Model, Utterance};

use crate::memory::{Place, path as path_of, values};
use crate::models::{Entry, RevoxModel, get};
use crate::quality::RevoxQuality;
use crate::status::{Failure, Result, RevoxStatus, guarded, of};

const BAD: RevoxStatus = RevoxStatus::Audio;

/// Larger samples are none of full scale 1, however loud.
const LARGEST: f32 = 100.0;

/// The channel of files that have only one, for `revox_embed_file`.
pub const REVOX_ONLY_CHANNEL: i32 = -1;

/// Where an utterance goes.
struct To {
    entry: Arc<Entry>,
    embedding: Place<f32>,
    quality: Option<Place<RevoxQuality>>,
}

impl To {
    /// # Safety
    /// That of [`Place::many`] and [`Place::perhaps`].
    unsafe fn new(
        model: *const RevoxModel,
        embedding: *mut f32,
        length: usize,
        quality: *mut RevoxQuality,
    ) -> Result<Self> {
        let entry = get(model)?;
        // SAFETY: the caller's pointers.
        unsafe {
            Ok(Self {
                embedding: Place::many("the embedding", embedding, length, entry.model.dim())?,
                quality: Place::perhaps("the quality", quality)?,
                entry,
            })
        }
    }

    fn hear(self, hear: impl FnOnce(&Model) -> Heard<Utterance>) -> Result<()> {
        let utterance = hear(&self.entry.model).map_err(of(BAD))?;
        self.embedding.fill(&utterance.embedding);
        if let Some(place) = self.quality {
            place.put(RevoxQuality::of(&utterance.facts));
        }
        Ok(())
    }
}

/// Embeds `count` samples of one channel, full scale = 1, at `rate` Hz: any rate of audio. They are
/// resampled if need be. `length` must be `revox_dim`. `quality` may be null. Recordings longer
/// than five minutes are heard in windows of equal length, and their embedding is the mean of the
/// windows'.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_embed(
    model: *const RevoxModel,
    samples: *const f32,
    count: usize,
    rate: u32,
    embedding: *mut f32,
    length: usize,
    quality: *mut RevoxQuality,
) -> RevoxStatus {
    // SAFETY: the caller's pointers.
    guarded(|| unsafe {
        let to = To::new(model, embedding, length, quality)?;
        let samples = values("the samples", samples, count)?;
        check_scale(samples)?;
        to.hear(|model| model.hear(samples, rate))
    })
}

/// Refuses integers that became floats as they were.
fn check_scale(samples: &[f32]) -> Result<()> {
    let sizes = samples.iter().map(|x| x.abs()).filter(|x| x.is_finite());
    let largest = sizes.fold(0.0, f32::max);
    if largest <= LARGEST {
        return Ok(());
    }
    let text = format!(
        "samples reach {}, but full scale is 1: give them to revox_embed_int16, or divide them by \
         32768",
        largest as u64
    );
    Err(Failure::new(BAD, text))
}

/// As `revox_embed`, of integers of 16 bits, full scale = 32768.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_embed_int16(
    model: *const RevoxModel,
    samples: *const i16,
    count: usize,
    rate: u32,
    embedding: *mut f32,
    length: usize,
    quality: *mut RevoxQuality,
) -> RevoxStatus {
    // SAFETY: the caller's pointers.
    guarded(|| unsafe {
        let to = To::new(model, embedding, length, quality)?;
        let samples = floats(values("the samples", samples, count)?);
        to.hear(|model| model.hear(&samples, rate))
    })
}

/// Embeds an audio file: WAV, FLAC, AIFF, CAF and SPHERE, and with the feature `formats` AAC, ALAC,
/// MP3, Vorbis and Opus. `path` is UTF-8. `channel` counts from 0; `REVOX_ONLY_CHANNEL` refuses
/// files of several. The rest is as in `revox_embed`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_embed_file(
    model: *const RevoxModel,
    path: *const c_char,
    channel: i32,
    embedding: *mut f32,
    length: usize,
    quality: *mut RevoxQuality,
) -> RevoxStatus {
    // SAFETY: the caller's pointers.
    guarded(|| unsafe {
        let to = To::new(model, embedding, length, quality)?;
        let path = path_of(path)?;
        let channel = match channel {
            REVOX_ONLY_CHANNEL => None,
            _ => Some(usize::try_from(channel).map_err(|_| {
                Failure::argument(format!("channel {channel}: channels count from 0"))
            })?),
        };
        to.hear(|model| model.hear_file(&path, channel))
    })
}

/// What samples offer, without an embedding. Arguments are those of `revox_embed`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_quality(
    model: *const RevoxModel,
    samples: *const f32,
    count: usize,
    rate: u32,
    quality: *mut RevoxQuality,
) -> RevoxStatus {
    // SAFETY: the caller's pointers.
    guarded(|| unsafe {
        let entry = get(model)?;
        let place = Place::one("the quality", quality)?;
        let samples = values("the samples", samples, count)?;
        place.put(RevoxQuality::of(&entry.model.quality(samples, rate).map_err(of(BAD))?));
        Ok(())
    })
}

fn floats(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|&sample| f32::from(sample) / 32_768.0).collect()
}
