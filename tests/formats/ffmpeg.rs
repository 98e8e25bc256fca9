//! The program ffmpeg.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Whether there is an ffmpeg. Where continuous integration runs, there must be one.
pub fn is_there() -> bool {
    let found = Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    found || skipped("there is no ffmpeg to compare with")
}

/// False, with the reason. Where continuous integration runs, nothing may be missing.
fn skipped(why: &str) -> bool {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("skipped: {why}");
    false
}

/// Leaves a test if there is no ffmpeg.
#[macro_export]
macro_rules! ffmpeg_or_skip {
    () => {
        if !$crate::ffmpeg::is_there() {
            return;
        }
    };
}

/// What ffmpeg says to these arguments.
fn run(arguments: &[&str]) -> Output {
    let all = ["-nostdin", "-v", "error", "-y"].iter().chain(arguments);
    let output = Command::new("ffmpeg").args(all).output().expect("ffmpeg runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg {arguments:?}: {words}");
    output
}

/// Whether ffmpeg has an encoder. That of Debian, which continuous integration uses, has all.
pub fn has_encoder(name: &str) -> bool {
    let listed = Command::new("ffmpeg").args(["-v", "error", "-encoders"]).output();
    let listed = listed.expect("ffmpeg runs").stdout;
    let found = String::from_utf8_lossy(&listed)
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(name));
    found || skipped(&format!("ffmpeg has no encoder `{name}`"))
}

/// Encodes a signal, one list of samples for each channel, into a file of this name.
pub fn encoded(
    folder: &Path,
    name: &str,
    rate: u32,
    signal: &[Vec<f32>],
    arguments: &[&str],
) -> PathBuf {
    let (raw, path) = (folder.join(format!("{name}.raw")), folder.join(name));
    let count = signal[0].len();
    let frames = (0..count).flat_map(|i| signal.iter().map(move |channel| channel[i]));
    std::fs::write(&raw, frames.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    let (rate, channels) = (rate.to_string(), signal.len().to_string());
    let input = ["-f", "f32le", "-ar", &rate, "-ac", &channels, "-i", raw.to_str().unwrap()];
    run(&[&input, arguments, &[path.to_str().unwrap()]].concat());
    std::fs::remove_file(raw).unwrap();
    path
}

/// The samples of a file by ffmpeg, one list for each channel. `arguments` stand in front of the
/// file.
pub fn decoded(path: &Path, arguments: &[&str], channels: usize) -> Vec<Vec<f32>> {
    let file = ["-i", path.to_str().unwrap(), "-f", "f32le", "-"];
    let bytes = run(&[arguments, &file].concat()).stdout;
    let (samples, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty() && samples.len() % channels == 0);
    let one = |channel: usize| {
        let chosen = samples.iter().skip(channel).step_by(channels);
        chosen.map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    (0..channels).map(one).collect()
}
