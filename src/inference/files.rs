//! Embeddings of many files in bounded memory.

use std::path::Path;

use burn::tensor::Device;
use rayon::prelude::*;

use super::embed::{Batches, of_windows};
use super::reading::Opened;
use super::{Facts, Features, Reading};
use crate::error::Result;
use crate::zoo::Network;

/// Bytes of features after which embeddings are given away. What is decoded at a time is bounded by
/// the number of threads and the length of a window, so memory does not grow with the number of
/// files, nor with their lengths.
const WAITING: usize = 64 << 20;

/// What takes the embedding of each file: the file's place, and what came of it.
pub type Taker<'a> = dyn FnMut(usize, Result<(Facts, Vec<f32>)>) -> Result<()> + 'a;

/// Embeddings of files, in their order and in bounded memory. `each` gets the place of every file
/// with what was read of it and its embedding, or the error; it ends the work by returning one.
/// The embeddings are those of [`embed_recordings`](super::embed_recordings).
///
/// # Errors
/// Those of `each`.
pub fn embed_files(
    network: &Network,
    reading: &Reading,
    paths: &[&Path],
    device: &Device,
    each: &mut Taker,
) -> Result<()> {
    let mels = reading.extractor.fbank().config().mels;
    let done = |_: usize| ();
    let mut queue = Queue {
        reading,
        batches: Batches::new(network, mels, device, &done),
        files: Vec::new(),
        bytes: 0,
    };
    let at_once = 2 * rayon::current_num_threads();
    for (k, wave) in paths.chunks(at_once).enumerate() {
        let first = at_once * k;
        let opened: Vec<Result<Opened>> = wave.par_iter().map(|path| reading.open(path)).collect();
        for (i, opened) in (first..).zip(opened) {
            queue.add(i, opened, 4 * mels);
            // Only the files decide what runs together, not the number of threads: batches of
            // other sizes round otherwise.
            if queue.bytes > WAITING {
                queue.flush(each)?;
            }
        }
    }
    queue.flush(each)
}

/// Files on their way through the network.
struct Queue<'a> {
    reading: &'a Reading<'a>,
    batches: Batches<'a, Features>,
    /// Places of files, and what was read of them: facts, and the number of windows.
    files: Vec<(usize, Result<(Facts, usize)>)>,
    /// Bytes of their features, gone or not.
    bytes: usize,
}

impl Queue<'_> {
    /// Takes the next file, of which a frame has so many bytes.
    fn add(&mut self, place: usize, opened: Result<Opened>, frame: usize) {
        let before = self.batches.count();
        let facts = opened.and_then(|opened| match opened {
            Opened::Short(facts, features) => {
                self.batches.add(features);
                Ok(facts)
            }
            Opened::Long(mut source) => {
                self.reading.windows(&mut source, &mut |window| self.batches.add(window))
            }
        });
        match &facts {
            Ok(facts) => self.bytes += frame * facts.frames,
            Err(_) => self.batches.truncate(before),
        }
        let windows = self.batches.count() - before;
        self.files.push((place, facts.map(|facts| (facts, windows))));
    }

    /// Gives all embeddings away.
    fn flush(&mut self, each: &mut Taker) -> Result<()> {
        let mut rows = self.batches.finish().into_iter();
        self.bytes = 0;
        for (place, read) in self.files.drain(..) {
            each(
                place,
                read.map(|(facts, windows)| (facts, of_windows(rows.by_ref().take(windows)))),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::write_wav16;
    use crate::inference::tests::{MELS, extractor, network, tone};
    use crate::inference::{Recording, WINDOW, embed, embed_recordings};

    #[test]
    fn files_come_in_order_with_their_errors() {
        let dir = tempfile::tempdir().unwrap();
        let (extractor, network, device) = (extractor(), network(), Device::default());
        let reading = Reading { extractor: &extractor, channel: None, window: WINDOW };
        let paths: Vec<_> = (0..20).map(|i| dir.path().join(format!("{i}.wav"))).collect();
        for (i, path) in paths.iter().enumerate().filter(|(i, _)| i % 7 != 3) {
            let samples: Vec<f32> =
                (0..4000 + 160 * (i % 3)).map(|t| (t as f32 * 0.01 * i as f32).sin()).collect();
            write_wav16(path, &samples, 16000).unwrap();
        }
        let paths: Vec<&Path> = paths.iter().map(|p| p.as_path()).collect();
        let mut seen = Vec::new();
        let mut each = |i: usize, result: Result<(Facts, Vec<f32>)>| {
            assert_eq!(result.is_err(), i % 7 == 3);
            seen.push(i);
            if let Ok((facts, row)) = result {
                let recording = reading.file(paths[i]).unwrap();
                assert_eq!(facts, recording.facts);
                let alone = embed_recordings(&network, &[&recording], MELS, &device, &|_| ());
                // Batches of another size round otherwise.
                assert!(
                    alone[0].iter().zip(&row).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b.abs())),
                    "{i}"
                );
            }
            Ok(())
        };
        embed_files(&network, &reading, &paths, &device, &mut each).unwrap();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
    }

    /// A long file between short ones, one of which is as long as its windows.
    #[test]
    fn long_files_have_the_embeddings_of_their_recordings() {
        let dir = tempfile::tempdir().unwrap();
        let (extractor, network, device) = (extractor(), network(), Device::default());
        let reading = Reading { extractor: &extractor, channel: None, window: 0.25 };
        let paths: Vec<_> = (0..4).map(|i| dir.path().join(format!("{i}.wav"))).collect();
        for (path, length) in paths.iter().zip([4000, 78_390, 3930, 3000]) {
            write_wav16(path, &tone(length), 16_000).unwrap();
        }
        let paths: Vec<&Path> = paths.iter().map(|p| p.as_path()).collect();
        let recordings: Vec<Recording> =
            paths.iter().map(|path| reading.file(path).unwrap()).collect();
        assert_eq!(recordings.iter().map(|r| r.windows.len()).collect::<Vec<_>>(), [1, 20, 1, 1]);
        assert_eq!(
            recordings[1].windows.iter().filter(|w| w.frames == recordings[2].facts.frames).count(),
            19
        );
        let together: Vec<&Recording> = recordings.iter().collect();
        let wanted = embed_recordings(&network, &together, MELS, &device, &|_| ());
        let mut rows = Vec::new();
        embed_files(&network, &reading, &paths, &device, &mut |i, result| {
            let (facts, row) = result?;
            assert_eq!(facts, recordings[i].facts);
            rows.push(row);
            Ok(())
        })
        .unwrap();
        assert_eq!(rows, wanted);
    }

    #[test]
    fn the_embedding_of_windows_is_their_mean_direction() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write_wav16(&path, &tone(50_000), 16_000).unwrap();
        let (extractor, network, device) = (extractor(), network(), Device::default());
        let read =
            |window| Reading { extractor: &extractor, channel: None, window }.file(&path).unwrap();
        let (whole, cut) = (read(WINDOW), read(1.0));
        let rows = embed(&network, &cut.windows.iter().collect::<Vec<_>>(), MELS, &device, &|_| ());
        let mean = &embed_recordings(&network, &[&cut], MELS, &device, &|_| ())[0];
        let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
        for (i, m) in mean.iter().enumerate() {
            let wanted = rows.iter().map(|row| row[i] / length(row)).sum::<f32>() / 4.0;
            assert!((m - wanted).abs() < 1e-6, "{m} {wanted}");
        }
        let single = &embed_recordings(&network, &[&whole], MELS, &device, &|_| ())[0];
        assert_eq!(single, &embed(&network, &[&whole.windows[0]], MELS, &device, &|_| ())[0]);
    }
}
