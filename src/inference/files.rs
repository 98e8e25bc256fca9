//! Embeddings of many files in bounded memory.

use std::path::Path;

use rayon::prelude::*;

use super::batches::{Batches, of_windows};
use super::reading::{Opened, Reading};
use super::{Facts, Features};
use crate::error::Result;

/// Bytes of features after which embeddings are handed over. The number of threads and the length
/// of a window bound the decoded audio, so memory does not grow with the number of files or their
/// lengths.
const WAITING: usize = 64 << 20;

/// Receives each file's place, and its facts and embedding or its error.
pub type Taker<'a> = dyn FnMut(usize, Result<(Facts, Vec<f32>)>) -> Result<()> + 'a;

/// Embeddings of files, as [`Embedder::files`](super::Embedder::files) says.
pub(super) fn embed_files(
    reading: &Reading,
    batches: Batches<Features>,
    paths: &[&Path],
    each: &mut Taker,
) -> Result<()> {
    let mut queue = Queue { reading, batches, files: Vec::new(), bytes: 0 };
    let at_once = 2 * rayon::current_num_threads();
    for (k, wave) in paths.chunks(at_once).enumerate() {
        let first = at_once * k;
        let opened: Vec<Result<Opened>> = wave.par_iter().map(|path| reading.open(path)).collect();
        for (i, opened) in (first..).zip(opened) {
            queue.add(i, opened);
            // Batches depend on the files only, not on the number of threads: batches of other
            // sizes round differently.
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
    /// Places of files, each with its facts and number of windows.
    files: Vec<(usize, Result<(Facts, usize)>)>,
    /// Bytes of their features, gone or not.
    bytes: usize,
}

impl Queue<'_> {
    /// Takes the next file.
    fn add(&mut self, place: usize, opened: Result<Opened>) {
        // An f32 a mel filter.
        let frame = 4 * self.reading.extractor.fbank().config().mels;
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

    /// Hands over all embeddings.
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
    use burn::tensor::Device;

    use super::*;
    use crate::audio::write_wav16;
    use crate::inference::tests::{Recording, extractor, frontend, network, recording, tone};
    use crate::inference::{Embedder, WINDOW};

    /// Embeddings of recordings whose features are in memory.
    fn of_recordings(embedder: &Embedder, recordings: &[&Recording]) -> Vec<Vec<f32>> {
        let windows: Vec<&Features> = recordings.iter().flat_map(|r| &r.windows).collect();
        let mut rows = embedder.features(&windows, &|_| ()).into_iter();
        recordings.iter().map(|r| of_windows(rows.by_ref().take(r.windows.len()))).collect()
    }

    #[test]
    fn files_come_in_order_with_their_errors() {
        let dir = tempfile::tempdir().unwrap();
        let (network, device) = (network(), Device::default());
        let extractor = extractor();
        let reading = Reading { extractor: &extractor, channel: None, window: WINDOW };
        let embedder = Embedder::new(&network, &frontend(), &device).unwrap();
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
                let recording = recording(&reading, paths[i]).unwrap();
                assert_eq!(facts, recording.facts);
                let alone = of_recordings(&embedder, &[&recording]);
                // Batches of another size round otherwise.
                assert!(
                    alone[0].iter().zip(&row).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b.abs())),
                    "{i}"
                );
            }
            Ok(())
        };
        embedder.files(&paths, &mut each).unwrap();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
    }

    /// A long file between short ones, one of which is as long as its windows.
    #[test]
    fn long_files_have_the_embeddings_of_their_recordings() {
        let dir = tempfile::tempdir().unwrap();
        let (network, device) = (network(), Device::default());
        let extractor = extractor();
        let reading = Reading { extractor: &extractor, channel: None, window: 0.25 };
        let embedder = Embedder::new(&network, &frontend(), &device).unwrap().window(0.25);
        let paths: Vec<_> = (0..4).map(|i| dir.path().join(format!("{i}.wav"))).collect();
        for (path, length) in paths.iter().zip([4000, 78_390, 3930, 3000]) {
            write_wav16(path, &tone(length), 16_000).unwrap();
        }
        let paths: Vec<&Path> = paths.iter().map(|p| p.as_path()).collect();
        let recordings: Vec<Recording> =
            paths.iter().map(|path| recording(&reading, path).unwrap()).collect();
        assert_eq!(recordings.iter().map(|r| r.windows.len()).collect::<Vec<_>>(), [1, 20, 1, 1]);
        assert_eq!(
            recordings[1].windows.iter().filter(|w| w.frames == recordings[2].facts.frames).count(),
            19
        );
        let wanted = of_recordings(&embedder, &recordings.iter().collect::<Vec<_>>());
        let mut rows = Vec::new();
        embedder
            .files(&paths, &mut |i, result| {
                let (facts, row) = result?;
                assert_eq!(facts, recordings[i].facts);
                rows.push(row);
                Ok(())
            })
            .unwrap();
        assert_eq!(rows, wanted);
    }
}
