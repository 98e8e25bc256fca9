#[global_allocator]
static A: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;
use revox::memory::*;
use revox::train::OptimizerConfig;
use revox::zoo::Architecture;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let batch: usize = args[1].parse().unwrap();
    for name in &args[2..] {
        let (name, execution) = match name.strip_suffix("+t") {
            Some(n) => (n, Some(revox::backend::reversible::Execution::Taped)),
            None => (name.as_str(), None),
        };
        let s = Setting {
            arch: Architecture::named(name).unwrap(),
            execution,
            batch,
            frames: 200,
            speakers: 1000,
            optimizer: OptimizerConfig::default(),
        };
        let t = std::time::Instant::now();
        let m = measure(&s, &burn::tensor::Device::default()).unwrap();
        let mib = |b: usize| b as f64 / 1048576.0;
        println!(
            "{name} {execution:?} batch {batch}: resident {:.1} held {:.1} peak {:.1} MiB  ({:.1} s)",
            mib(m.resident),
            mib(m.held),
            mib(m.peak),
            t.elapsed().as_secs_f64() / 2.0
        );
    }
}
