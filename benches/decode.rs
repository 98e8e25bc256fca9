//! Files decoded in a second on one core: 7.3 s of speech, 16 kHz, one channel, page cache.
//!
//!     cargo bench --bench decode
//!     REVOX_PYTHON=/path/to/python3 cargo bench --bench decode
//!
//! `items/s` counts files. `flac` or `ffmpeg` writes the FLAC files, `ffmpeg` the M4A files: in
//! those of `m4a`, as is its default, it puts bands of noise, which a decoder has to draw. The
//! speech is that of the shared data (`REVOX_SHARED`); without it, it is noise, which compresses
//! less. Training and `embed` read as `whole` does; `whole_with_md5` compares the MD5 of FLAC
//! files, too, as `prepare` does.
//!
//! Peers, of which none compares the MD5, read the same files behind the benchmarks: ffmpeg, where
//! it is there, and soundfile and torchaudio, where a Python with them is given. Their seconds are
//! those of the processor, whatever the number of threads. ffmpeg reads all files in one process
//! and with one decoder, which spares it what others do for each file.

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
const FORMATS: [&str; 5] = ["wav", "flac-5", "flac-8", "m4a", "m4a-no-noise"];
/// How often ffmpeg reads each file in a process, so that its start does not count.
const ROUNDS: usize = 20;
/// Processes of ffmpeg, of which the median counts.
const RUNS: usize = 5;

fn main() {
    divan::main();
    peers(std::env::var_os("REVOX_PYTHON").as_deref().map(Path::new));
}

/// Whole files.
#[divan::bench(args = FORMATS, sample_count = 20, sample_size = 1)]
fn whole(bencher: divan::Bencher, format: &str) {
    let read = |file: &Path| Source::open(file, RATE, None).unwrap().read(usize::MAX).unwrap();
    all(bencher, format, &read);
}

/// Whole files with every check.
#[divan::bench(args = ["flac-5", "flac-8"], sample_count = 20, sample_size = 1)]
fn whole_with_md5(bencher: divan::Bencher, format: &str) {
    all(bencher, format, &|file| load(file, RATE, None).unwrap().samples);
}

fn all(bencher: divan::Bencher, format: &str, read: &(dyn Fn(&Path) -> Vec<f32> + Sync)) {
    let folder = tempfile::tempdir().unwrap();
    let Some(files) = written(folder.path(), format) else { return };
    bencher
        .counter(ItemsCount::new(FILES))
        .bench(|| files.iter().map(|file| read(file).len()).sum::<usize>());
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
        let level = format.strip_prefix("flac-");
        let done = match (level, format) {
            (Some(level), _) => {
                let level_of = format!("-{level}");
                let [file, input] = [wav.with_extension("flac"), wav.clone()];
                let by_flac = run(Command::new("flac")
                    .args(["--silent", &level_of, "-o"])
                    .args([&file, &input]));
                let encoder = ["-compression_level", level];
                (by_flac || ffmpeg(&input, &encoder, &file)).then_some(file)
            }
            (None, "m4a" | "m4a-no-noise") => {
                let file = wav.with_extension("m4a");
                let noise = if format == "m4a" { "1" } else { "0" };
                let encoder = ["-c:a", "aac", "-b:a", "64k", "-aac_pns", noise];
                ffmpeg(&wav, &encoder, &file).then_some(file)
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
fn peers(python: Option<&Path>) {
    for format in FORMATS {
        let folder = tempfile::tempdir().unwrap();
        let Some(files) = written(folder.path(), format) else { continue };
        match by_ffmpeg(&files) {
            Some(rate) => println!("{format:8} {:12} {rate:.0} files/s", "ffmpeg"),
            None => eprintln!("skipped: ffmpeg is not there, or cannot read the files"),
        }
        let Some(python) = python else { continue };
        let mut command = Command::new(python);
        command.args(["-c", PEERS, format]).arg(folder.path()).env("OMP_NUM_THREADS", "1");
        if !run(&mut command) {
            eprintln!("skipped: {} cannot read the files", python.display());
        }
    }
}

/// Files that ffmpeg decodes to f32 in a second of the processor.
fn by_ffmpeg(files: &[PathBuf]) -> Option<f64> {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let lines: String = files.iter().map(|file| format!("file '{}'\n", file.display())).collect();
    std::fs::write(&list, lines.repeat(ROUNDS)).unwrap();
    let one_run = |_| {
        let output = Command::new("ffmpeg")
            .args(["-hide_banner", "-nostats", "-benchmark", "-threads", "1"])
            .args(["-f", "concat", "-safe", "0", "-i"])
            .arg(&list)
            .args(["-c:a", "pcm_f32le", "-f", "null", "-"])
            .stdin(Stdio::null())
            .output();
        seconds(&String::from_utf8_lossy(&output.ok()?.stderr))
    };
    let mut runs = (0..RUNS).map(one_run).collect::<Option<Vec<f64>>>()?;
    runs.sort_by(f64::total_cmp);
    Some((ROUNDS * files.len()) as f64 / runs[RUNS / 2])
}

/// The processor's seconds by ffmpeg's own account: `bench: utime=0.530s stime=0.020s rtime=...`.
fn seconds(account: &str) -> Option<f64> {
    let line = account.lines().find_map(|line| line.strip_prefix("bench: utime="))?;
    let (user, rest) = line.split_once("s stime=")?;
    let (system, _) = rest.split_once("s ")?;
    Some(user.parse::<f64>().ok()? + system.parse::<f64>().ok()?)
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
            begun = time.process_time()
            for file in files:
                read(file)
            times.append(time.process_time() - begun)
        print(f"{sys.argv[1]:8} {name:12} {len(files) / statistics.median(times):.0f} files/s")
    except Exception as error:
        print(f"{sys.argv[1]:8} {name:12} not measured: {error}")
"#;
