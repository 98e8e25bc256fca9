//! Links, devices, pipes and standard output as outputs.

use std::fs::{File, FileType};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::Command;

use super::{bytes, place};
use crate::place::{Place, has_full_disk};

/// Verbs that write a file, up to the file's name.
const WRITERS: [&[&str]; 5] = [
    &["fbank", "a.wav", "b.wav", "-o"],
    &["embed", "m.safetensors", "a.wav", "b.wav", "-o"],
    &["score", "e.safetensors", "trials", "-o"],
    &["import", "m.safetensors", "--arch", "resnet10", "--mels", "40", "-o"],
    &[
        "quantize",
        "m.safetensors",
        "--bits",
        "8",
        "--set",
        "quantize.small_layers=fewer-bits",
        "-o",
    ],
];

fn kind(path: &Path) -> FileType {
    std::fs::symlink_metadata(path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .file_type()
}

/// What a verb writes into an ordinary file.
fn plain(place: &Place, verb: &[&str]) -> Vec<u8> {
    place.ok(&[verb, &["plain"]].concat());
    let written = bytes(place.path("plain"));
    assert!(!written.is_empty());
    written
}

#[test]
fn links_stay_and_lead_to_the_output() {
    let place = place();
    std::fs::create_dir(place.path("sub")).unwrap();
    for verb in WRITERS {
        let wanted = plain(&place, verb);
        let links = [
            ("to a file", "sub/file"),
            ("to a link", "to a file"),
            ("dangling", "sub/new"),
            ("two", "dangling"),
        ];
        for (link, target) in links {
            symlink(target, place.path(link)).unwrap();
        }
        place.write("sub/file", "old");
        for (link, file) in
            [("to a file", "sub/file"), ("to a link", "sub/file"), ("two", "sub/new")]
        {
            if file == "sub/file" {
                place.write(file, "old");
            }
            place.ok(&[verb, &[link]].concat());
            assert!(bytes(place.path(file)) == wanted, "{verb:?} through {link}");
            assert!(!kind(&place.path(file)).is_symlink());
        }
        for (link, target) in links {
            let leads = std::fs::read_link(place.path(link))
                .unwrap_or_else(|e| panic!("{verb:?}, {link}: {e}"));
            assert_eq!(leads, Path::new(target), "{verb:?}");
            std::fs::remove_file(place.path(link)).unwrap();
        }
        assert_eq!(place.list("sub"), ["file", "new"], "{verb:?}: nothing else may stay");
        std::fs::remove_file(place.path("sub/new")).unwrap();
    }
    symlink("round", place.path("about")).unwrap();
    symlink("about", place.path("round")).unwrap();
    place.fails(&["fbank", "a.wav", "-o", "round"], &["round"]);
}

/// Runs with standard output in a file that holds `before` already, and gives what it holds then.
fn redirected(place: &Place, args: &[&str], before: &str) -> Vec<u8> {
    let path = place.path("redirected");
    std::fs::write(&path, before).unwrap();
    let file = File::options().append(true).open(&path).unwrap();
    let ran = place.command(args).stdout(file).output().unwrap();
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    bytes(path)
}

/// Restores the system's link in case a test run by root replaces it.
struct Standing(std::path::PathBuf);

impl Standing {
    fn look() -> Option<Self> {
        std::fs::read_link("/dev/stdout").ok().map(Self)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        if std::fs::read_link("/dev/stdout").ok().as_ref() != Some(&self.0) {
            let _ = std::fs::remove_file("/dev/stdout");
            let _ = symlink(&self.0, "/dev/stdout");
            assert!(std::thread::panicking(), "/dev/stdout was replaced");
        }
    }
}

#[test]
fn standard_output_is_written_through_and_stays() {
    let Some(_standing) = Standing::look() else {
        eprintln!("skipped: /dev/stdout is no link here");
        return;
    };
    let place = place();
    for verb in WRITERS {
        let wanted = plain(&place, verb);
        for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"] {
            let found = redirected(&place, &[verb, &[name]].concat(), "before\n");
            assert!(
                found == [b"before\n".as_slice(), wanted.as_slice()].concat(),
                "{verb:?} to {name}"
            );
        }
        symlink("/dev/stdout", place.path("link")).unwrap();
        let found = redirected(&place, &[verb, &["link"]].concat(), "");
        assert!(found.starts_with(&wanted), "{verb:?} through a link");
        assert!(kind(&place.path("link")).is_symlink());
        std::fs::remove_file(place.path("link")).unwrap();
        assert!(!place.path("-").exists());
    }
}

#[test]
fn a_dash_is_standard_output() {
    let place = place();
    for verb in WRITERS {
        let wanted = plain(&place, verb);
        for json in [false, true] {
            let more: &[&str] = if json { &["-", "--json"] } else { &["-"] };
            let ran = place.command(&[verb, more].concat()).output().unwrap();
            assert!(ran.status.success(), "{verb:?}: {}", String::from_utf8_lossy(&ran.stderr));
            assert!(ran.stdout == wanted, "{verb:?}: standard output is not the file");
            // The report goes to standard error.
            assert!(!ran.stderr.is_empty(), "{verb:?}: no report");
        }
    }
}

#[test]
fn devices_and_pipes_are_written_through() {
    let place = place();
    for verb in WRITERS {
        let wanted = plain(&place, verb);
        place.ok(&[verb, &["/dev/null"]].concat());
        assert!(kind(Path::new("/dev/null")).is_char_device(), "{verb:?} replaced /dev/null");
        let pipe = place.path("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            // Reading a pipe that nobody writes to never ends.
            move || Command::new("timeout").args(["20", "cat"]).arg(pipe).output().unwrap()
        });
        place.ok(&[verb, &["pipe"]].concat());
        let read = reader.join().unwrap();
        assert!(read.status.success(), "{verb:?}: nothing came through the pipe");
        assert!(read.stdout == wanted, "{verb:?} through a pipe");
        assert!(kind(&pipe).is_fifo(), "{verb:?} replaced the pipe");
        std::fs::remove_file(pipe).unwrap();
    }
}

#[test]
fn folders_and_full_disks_are_errors() {
    let place = place();
    place.write("folder/kept", "kept");
    for verb in WRITERS {
        place.fails(&[verb, &["folder"]].concat(), &["folder"]);
        place.fails(&[verb, &["no/such/file"]].concat(), &["no/such/file"]);
        if has_full_disk() {
            place.fails(&[verb, &["/dev/full"]].concat(), &["/dev/full: cannot write"]);
        }
    }
    assert_eq!(place.list("folder"), ["kept"]);
}

#[test]
fn the_users_mask_decides_who_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let mode =
        |name: &str| std::fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    for (mask, wanted) in [("077", 0o600), ("002", 0o664)] {
        let name = format!("{mask}.safetensors");
        let line = format!("umask {mask}; \"$0\" embed m.safetensors a.wav -o {name}");
        let shell = std::process::Command::new("sh")
            .args(["-c", &line, env!("CARGO_BIN_EXE_revox")])
            .current_dir(place.dir.path())
            .output()
            .unwrap();
        assert!(shell.status.success(), "{}", String::from_utf8_lossy(&shell.stderr));
        assert_eq!(mode(&name), wanted, "{mask}");
    }
    // A file that replaces another keeps its permissions.
    std::fs::set_permissions(place.path("e.safetensors"), std::fs::Permissions::from_mode(0o640))
        .unwrap();
    place.ok(&["embed", "m.safetensors", "a.wav", "-o", "e.safetensors"]);
    assert_eq!(mode("e.safetensors"), 0o640);
}
