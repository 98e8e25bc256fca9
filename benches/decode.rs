//! Files decoded in a second on one core: 7.3 s of speech, 16 kHz, one channel, page cache.
//!
//!     cargo bench --bench decode
//!     REVOX_PYTHON=/path/to/python3 cargo bench --bench decode
//!
//! `items/s` counts files. `flac` or `ffmpeg` writes the FLAC files, `ffmpeg` the M4A files. The
//! speech is that of the shared data (`REVOX_SHARED`); without it, it is noise, which compresses
//! less. FLAC files hold an MD5 of their samples, which takes a third of the time to compare; peers
//! leave it out, and so do files without it. A Python with soundfile or torchaudio reads the same
//! files behind the benchmarks.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use divan::counter::ItemsCount;
use revox::audio::{Source, load, write_wav16};
use revox::rng::Stream;

const RATE: u32 = 16_000;
/// Samples of a file.
const SAMPLES: usize = 116_800;
/// Number of files.
const FILES: usize = 40;
const FORMATS: [&str; 6] =
    ["wav", "flac-5", "flac-8", "flac-5 without MD5", "flac-8 without MD5", "m4a"];

fn main() {
    divan::main();
    if let Some(python) = std::env::var_os("REVOX_PYTHON") {
        peers(Path::new(&python));
    }
}

/// Whole files.
#[divan::bench(args = FORMATS, sample_count = 20, sample_size = 1)]
fn whole(bencher: divan::Bencher, format: &str) {
    let folder = tempfile::tempdir().unwrap();
    let Some(files) = written(folder.path(), format) else { return };
    bencher.counter(ItemsCount::new(FILES)).bench(|| {
        files.iter().map(|file| load(file, RATE, None).unwrap().samples.len()).sum::<usize>()
    });
}

/// 2 s of each file, at places all over it.
#[divan::bench(args = FORMATS, sample_count = 20, sample_size = 1)]
fn crops_of_2_s(bencher: divan::Bencher, format: &str) {
    let folder = tempfile::tempdir().unwrap();
    let Some(files) = written(folder.path(), format) else { return };
    let wanted = 2 * RATE as usize;
    bencher.counter(ItemsCount::new(FILES)).bench(|| {
        let mut count = 0;
        for (i, file) in files.iter().enumerate() {
            let mut source = Source::open(file, RATE, None).unwrap();
            source.seek(i * (SAMPLES - wanted) / FILES).unwrap();
            count += source.read(wanted).unwrap().len();
        }
        count
    });
}

/// Writes all files in a format. Gives none, and says so, if no program here can.
fn written(folder: &Path, format: &str) -> Option<Vec<PathBuf>> {
    let files = recordings().iter().enumerate().map(|(i, samples)| {
        let wav = folder.join(format!("{i}.wav"));
        write_wav16(&wav, samples, RATE).unwrap();
        let level = format.strip_prefix("flac-").map(|level| &level[..1]);
        let done = match (level, format) {
            (Some(level), _) => {
                let level_of = format!("-{level}");
                let [file, input] = [wav.with_extension("flac"), wav.clone()];
                let by_flac = run(Command::new("flac")
                    .args(["--silent", &level_of, "-o"])
                    .args([&file, &input]));
                let encoder = ["-compression_level", level];
                let is_there = by_flac || ffmpeg(&input, &encoder, &file);
                if is_there && format.ends_with("without MD5") {
                    let mut bytes = std::fs::read(&file).unwrap();
                    // Zeros stand for none: the last field of the first block of metadata.
                    bytes[26..42].fill(0);
                    std::fs::write(&file, bytes).unwrap();
                }
                is_there.then_some(file)
            }
            (None, "m4a") => {
                let file = wav.with_extension("m4a");
                ffmpeg(&wav, &["-c:a", "aac", "-b:a", "64k"], &file).then_some(file)
            }
            _ => return Some(wav),
        };
        std::fs::remove_file(&wav).unwrap();
        done
    });
    let files: Option<Vec<PathBuf>> = files.collect();
    if files.is_none() {
        eprintln!("skipped: {format}: no program here writes it (flac, ffmpeg)");
    }
    files
}

fn ffmpeg(from: &Path, options: &[&str], to: &Path) -> bool {
    run(Command::new("ffmpeg").args(["-v", "error", "-y", "-i"]).arg(from).args(options).arg(to))
}

/// Whether a program is there and succeeds.
fn run(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The samples of the files: speech, or noise if there is none.
fn recordings() -> &'static [Vec<f32>] {
    static RECORDINGS: OnceLock<Vec<Vec<f32>>> = OnceLock::new();
    RECORDINGS.get_or_init(|| {
        let shared = std::env::var_os("REVOX_SHARED").map_or("../shared".into(), PathBuf::from);
        let mut files = Vec::new();
        list(&shared.join("data/speechocean762/flac"), &mut files);
        files.sort();
        let mut samples = Vec::new();
        for file in files {
            if samples.len() >= SAMPLES * FILES {
                break;
            }
            samples.extend(load(&file, RATE, None).unwrap().samples);
        }
        if samples.len() < SAMPLES * FILES {
            eprintln!("too little speech in {} (REVOX_SHARED): noise", shared.display());
            let (mut stream, mut last) = (Stream::new(1, "bench", &[]), 0.0);
            samples.resize_with(SAMPLES * FILES, || {
                last = 0.95 * last + 0.005 * stream.normal() as f32;
                last
            });
        }
        samples.chunks_exact(SAMPLES).take(FILES).map(<[f32]>::to_vec).collect()
    })
}

/// All files of a folder and its folders.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "flac") {
            files.push(path);
        }
    }
}

/// Prints the median files a second of other programs.
fn peers(python: &Path) {
    for format in FORMATS {
        let folder = tempfile::tempdir().unwrap();
        if written(folder.path(), format).is_none() {
            continue;
        }
        let mut command = Command::new(python);
        command.args(["-c", PEERS, format]).arg(folder.path()).env("OMP_NUM_THREADS", "1");
        if !run(&mut command) {
            eprintln!("skipped: {} cannot read the files", python.display());
        }
    }
}

const PEERS: &str = r#"
import glob, statistics, sys, time
files = sorted(glob.glob(sys.argv[2] + "/*"))
for name in ["soundfile", "torchaudio"]:
    try:
        module = __import__(name)
        if name == "torchaudio":
            __import__("torch").set_num_threads(1)
            read = module.load
        else:
            read = lambda file: module.read(file, dtype="float32")
        times = []
        for _ in range(21):
            begun = time.perf_counter()
            for file in files:
                read(file)
            times.append(time.perf_counter() - begun)
        print(f"{sys.argv[1]:8} {name:12} {len(files) / statistics.median(times):.0f} files/s")
    except Exception as error:
        print(f"{sys.argv[1]:8} {name:12} not measured: {error}")
"#;
