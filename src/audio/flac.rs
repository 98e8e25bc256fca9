//! FLAC through `symphonia`.

use std::path::Path;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::TrackType;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;

use super::Decoded;
use crate::error::{Error, Result};
use crate::fs;

pub(super) fn read(path: &Path) -> Result<Decoded> {
    let bad = |e: Symphonia| Error::file(path, format!("not a readable FLAC file: {e}"));
    let missing = |what: &str| Error::file(path, format!("not a readable FLAC file: no {what}"));
    let stream = MediaSourceStream::new(Box::new(fs::open(path)?), Default::default());
    let mut hint = Hint::new();
    hint.with_extension("flac");
    let mut format =
        symphonia::default::get_probe().probe(&hint, stream, Default::default(), Default::default()).map_err(bad)?;
    let track = format.default_track(TrackType::Audio).ok_or_else(|| missing("audio track"))?;
    let (track_id, promised) = (track.id, track.num_frames);
    let params =
        track.codec_params.as_ref().and_then(|p| p.audio()).ok_or_else(|| missing("stream information"))?.clone();
    let sample_rate = params.sample_rate.filter(|&r| r > 0).ok_or_else(|| missing("sample rate"))?;
    let mut decoder =
        symphonia::default::get_codecs().make_audio_decoder(&params, &AudioDecoderOptions::default()).map_err(bad)?;

    let mut samples = Vec::new();
    let mut packet_samples: Vec<f32> = Vec::new();
    let mut channels = 0;
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(Symphonia::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(bad(e)),
        };
        if packet.track_id != track_id {
            continue;
        }
        let audio = decoder.decode(&packet).map_err(bad)?;
        channels = audio.spec().channels().count();
        audio.copy_to_vec_interleaved(&mut packet_samples);
        samples.extend_from_slice(&packet_samples);
    }
    let frames = samples.len() / channels.max(1);
    if let Some(promised) = promised
        && (frames as u64) < promised
    {
        let message =
            format!("the FLAC header promises {promised} samples, the file holds {frames}: truncated or damaged");
        return Err(Error::file(path, message));
    }
    Ok(Decoded { samples, channels: channels.max(1), sample_rate })
}
