//! The dashboard on a terminal, which util-linux's `script` provides.
#![cfg(all(target_os = "linux", feature = "tui"))]

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::Place;
use crate::training::recipe;

/// Escape sequences that switch to the dashboard's screen and back.
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// A program on a terminal of 80 x 24.
struct Session {
    child: Child,
    keys: ChildStdin,
    seen: Arc<Mutex<String>>,
}

impl Session {
    /// Starts a training in the folder `run`. Returns nothing if `script` is not installed.
    fn start(place: &Place, more: &str) -> Option<Self> {
        Self::start_with(place, more, &[("NO_COLOR", "")])
    }

    fn start_with(place: &Place, more: &str, environment: &[(&str, &str)]) -> Option<Self> {
        place.write("r.toml", &recipe());
        let program = env!("CARGO_BIN_EXE_revox");
        let command = format!(
            "stty rows 24 cols 80; echo $$ > pid; exec '{program}' train r.toml --out run {more}"
        );
        let child = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .envs(environment.iter().copied())
            .current_dir(place.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!("skipped: no `script` here to make a terminal");
            return None;
        };
        let keys = child.stdin.take().unwrap();
        let mut out = child.stdout.take().unwrap();
        let seen: Arc<Mutex<String>> = Arc::default();
        let theirs = seen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut bytes) {
                theirs.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        });
        Some(Self { child, keys, seen })
    }

    fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    /// Waits for a word on the screen.
    fn wait_for(&self, word: &str) {
        let begun = Instant::now();
        while !self.seen().contains(word) {
            assert!(begun.elapsed() < Duration::from_secs(60), "no `{word}` in {:?}", self.seen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for the end and checks that the terminal is restored. Returns the exit code and what
    /// was printed after the dashboard.
    fn end(mut self) -> (i32, String) {
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code().unwrap();
            }
            if begun.elapsed() > Duration::from_secs(60) {
                self.child.kill().unwrap();
                panic!("the training did not end: {:?}", self.seen());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        // The last bytes that `script` copied may still be in the pipe.
        std::thread::sleep(Duration::from_millis(200));
        let seen = self.seen();
        let (dashboard, after) =
            seen.rsplit_once(LEAVE).unwrap_or_else(|| panic!("never left: {seen:?}"));
        assert_eq!(
            (dashboard.matches(ENTER).count(), dashboard.contains(LEAVE)),
            (1, false),
            "{seen:?}"
        );
        // The cursor is back, at the start of a line, and lines end as they do outside raw mode.
        assert!(after.starts_with(&format!("{SHOW_CURSOR}\r")), "{after:?}");
        let bare = after.match_indices('\n').any(|(at, _)| !after[..at].ends_with('\r'));
        assert!(!bare, "raw mode was left on: {after:?}");
        (code, after.to_owned())
    }
}

#[test]
fn control_c_in_the_dashboard_saves_everything() {
    let place = Place::make();
    let Some(mut session) = Session::start(&place, "--set train.epochs=500") else { return };
    session.wait_for("everything");
    session.press(b"\x03");
    let (code, after) = session.end();
    assert_eq!(code, 130, "{after:?}");
    // It stopped in the middle of an epoch or of its test.
    assert!(after.contains("stopped in") && after.contains("--resume"), "{after:?}");
    assert!(place.path("run/checkpoint.safetensors").exists());
}

#[test]
fn a_second_press_ends_the_program_at_once() {
    let place = Place::make();
    let Some(mut session) = Session::start(&place, "--set train.epochs=500") else { return };
    session.wait_for("everything");
    session.press(b"q\x03");
    let (code, after) = session.end();
    assert_eq!(code, 130, "{after:?}");
}

#[test]
fn a_signal_from_outside_stops_and_its_message_waits_until_the_dashboard_has_gone() {
    for (signal, wanted) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        if signal == "-HUP" && ignores_hangup() {
            continue;
        }
        let place = Place::make();
        let Some(session) = Session::start(&place, "--set train.epochs=500") else { return };
        session.wait_for("everything");
        assert!(Command::new("kill").args([signal, &pid(&place)]).status().unwrap().success());
        let (code, after) = session.end();
        assert_eq!(code, wanted, "{after:?}");
        assert!(after.contains("stopping soon"), "{after:?}");
    }
}

/// Whether SIGHUP is ignored here, as under `nohup`. The program inherits that.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).unwrap_or("0");
    mask.trim().ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f'])
}

/// The program's process id.
fn pid(place: &Place) -> String {
    std::fs::read_to_string(place.path("pid")).unwrap().trim().to_owned()
}

/// Whether a process is running. One that has ended but was not waited for is not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

/// The end of `script` closes the terminal, as the end of a connection does.
#[test]
fn a_terminal_that_goes_away_has_the_training_end_in_order() {
    let place = Place::make();
    if ignores_hangup() {
        eprintln!("skipped: SIGHUP is ignored here");
        return;
    }
    let Some(mut session) = Session::start(&place, "--set train.epochs=500") else { return };
    session.wait_for("everything");
    let pid = pid(&place);
    assert!(runs(&pid));
    session.child.kill().unwrap();
    session.child.wait().unwrap();
    let begun = Instant::now();
    while runs(&pid) {
        if begun.elapsed() > Duration::from_secs(60) {
            Command::new("kill").args(["-KILL", &pid]).status().unwrap();
            panic!("the training went on without its terminal");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // A program that ends in order removes its lock.
    assert!(place.path("run/checkpoint.safetensors").exists());
    assert!(!place.path("run").join(revox::fs::LOCK_NAME).exists());
}

#[test]
fn a_training_that_is_done_leaves_the_terminal_and_reports() {
    let place = Place::make();
    let Some(session) = Session::start(&place, "") else { return };
    session.wait_for(ENTER);
    let (code, after) = session.end();
    assert_eq!(code, 0, "{after:?}");
    assert!(after.contains("dev EER"), "{after:?}");
}

#[test]
fn no_color_is_heeded() {
    for (value, coloured) in [("", true), ("1", false)] {
        let place = Place::make();
        let more = "--set train.epochs=500";
        let Some(mut session) = Session::start_with(&place, more, &[("NO_COLOR", value)]) else {
            return;
        };
        session.wait_for("everything");
        let seen = session.seen();
        assert_eq!(seen.contains("\x1b[38;5;"), coloured, "NO_COLOR={value}: {seen:?}");
        session.press(b"\x03");
        session.end();
    }
}
