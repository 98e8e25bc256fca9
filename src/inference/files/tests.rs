use std::path::Path;

use burn::tensor::Device;

use super::super::windows::of_windows;
use super::*;
use crate::audio::write_wav16;
use crate::error::Error;
use crate::inference::tests::{
    Recording, extractor, frontend, meter, network, reading, recording, tone,
};
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
    let (extractor, meter) = (extractor(), meter());
    let reading = reading(&extractor, &meter, WINDOW);
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
    let (extractor, meter) = (extractor(), meter());
    let reading = reading(&extractor, &meter, 0.25);
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

/// Takes embeddings until it fails, and counts the places at which work may begin anew.
struct Until {
    rows: Vec<Vec<f32>>,
    reached: Vec<usize>,
    most: usize,
}

impl Until {
    fn taking(most: usize) -> Self {
        Self { rows: Vec::new(), reached: Vec::new(), most }
    }
}

impl Receiver for Until {
    fn take(&mut self, _: usize, result: Result<(Facts, Vec<f32>)>) -> Result<()> {
        self.rows.push(result?.1);
        Ok(())
    }

    fn reached(&mut self, place: usize) -> Result<()> {
        self.reached.push(place);
        match self.reached.len() < self.most {
            true => Ok(()),
            false => Err(Error::Interrupted("a test".into())),
        }
    }
}

#[test]
fn work_that_begins_anew_at_a_place_gives_the_same_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let (network, device) = (network(), Device::default());
    let paths: Vec<_> = (0..30).map(|i| dir.path().join(format!("{i}.wav"))).collect();
    for (i, path) in paths.iter().enumerate() {
        let samples: Vec<f32> = (0..4000 + 1600 * (i % 4))
            .map(|t| (t as f32 * (0.01 + 0.003 * i as f32)).sin() * 0.5)
            .collect();
        write_wav16(path, &samples, 16_000).unwrap();
    }
    let open = |i: usize, rate: u32, channel: Option<usize>| Source::open(&paths[i], rate, channel);
    // By the runtime, where there is one, and by Burn.
    for embedder in [
        Embedder::new(&network, &frontend(), &device).unwrap(),
        Embedder::by_burn(&network, &frontend(), &device).unwrap(),
    ] {
        // A few recordings at a time. The longest are cut into two windows.
        begins_anew(&embedder.window(0.5).waiting(8000), &open);
    }
}

fn begins_anew(embedder: &Embedder, open: &Opener) {
    let all = |from: usize, most: usize| {
        let mut until = Until::taking(most);
        let done = embedder.utterances(from..30, open, &mut until);
        assert_eq!(done.is_err(), until.reached.len() == most);
        until
    };
    let whole = all(0, usize::MAX);
    assert!(whole.rows.len() == 30 && whole.reached.len() > 4, "{:?}", whole.reached);
    for (k, &place) in whole.reached.iter().enumerate() {
        let first = all(0, k + 1);
        assert!(first.rows.len() == place && first.rows == whole.rows[..place]);
        assert!(all(place, usize::MAX).rows == whole.rows[place..], "from {place}");
    }
}
