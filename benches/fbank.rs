//! Speed of the filter banks on one core.
//!
//!     cargo bench --bench fbank
//!
//! Each benchmark is one call on one thread. `items/s` counts seconds of audio, so it says how many
//! times faster than real time the call is.

use divan::counter::ItemsCount;
use revox::audio::{Fbank, FbankConfig};
use revox::rng::Stream;

fn main() {
    divan::main();
}

fn noise(seconds: usize) -> Vec<f32> {
    let mut stream = Stream::new(1, "bench", &[]);
    (0..16000 * seconds).map(|_| (0.1 * stream.normal()) as f32).collect()
}

#[divan::bench(args = [3, 60])]
fn fbank_80(bencher: divan::Bencher, seconds: usize) {
    let fbank = Fbank::new(FbankConfig::default()).unwrap();
    let samples = noise(seconds);
    bencher
        .counter(ItemsCount::new(seconds))
        .bench(|| fbank.compute(divan::black_box(&samples), None));
}

#[divan::bench(args = [2, 3])]
fn fbank_80_with_dither(bencher: divan::Bencher, seconds: usize) {
    let fbank = Fbank::new(FbankConfig { dither: 1.0, ..FbankConfig::default() }).unwrap();
    let samples = noise(seconds);
    bencher.counter(ItemsCount::new(seconds)).bench(|| {
        fbank.compute(divan::black_box(&samples), Some(&mut Stream::new(1, "bench", &[])))
    });
}
