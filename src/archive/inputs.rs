//! The files that the name of an input leads to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::name::Name;
use super::scp::Line;
use crate::corpus::locate;
use crate::fs;

/// Every file that reading an input takes: `F` of `F.ark` and `ark:F`; the list `F` of `F.scp` and
/// `scp:F`, and each archive that it names; or else the path itself. A line that is not understood
/// names nothing here, and [`Reader`](super::Reader) refuses it.
pub fn input_files(name: &Path) -> Vec<PathBuf> {
    let Ok(Some(Name { ark, scp, .. })) = Name::parse(name) else { return vec![name.to_owned()] };
    let mut files: Vec<PathBuf> = ark.into_iter().collect();
    let Some(list) = scp else { return files };
    // A pipe gives its text only once.
    let is_pipe = fs::is_stdin(&list) || !list.is_file();
    if !is_pipe && let Ok(text) = fs::read_to_string(&list) {
        let lines = text.lines().filter_map(|line| Line::parse(line).ok());
        let named: BTreeSet<&str> = lines.map(|line| line.file).collect();
        files.extend(named.into_iter().map(|file| locate(&list, file)));
    }
    files.push(list);
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_lead_to_their_archives() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("b.ark"), "").unwrap();
        let other = at("x/a.ark");
        let text = format!("u1 b.ark:3\n\nu2 {}:9[0:1]\nu3\nu4 b.ark:70\n", other.display());
        std::fs::write(at("f.scp"), text).unwrap();
        let wanted = BTreeSet::from([at("b.ark"), at("f.scp"), other]);
        let prefixed = PathBuf::from(format!("scp:{}", at("f.scp").display()));
        for name in [at("f.scp"), prefixed] {
            let files = input_files(&name);
            assert_eq!(files.len(), 3, "{files:?}");
            assert_eq!(BTreeSet::from_iter(files), wanted, "{name:?}");
        }
        for (name, wanted) in [
            ("ark:e", "e"),
            ("e.ark", "e.ark"),
            ("e.safetensors", "e.safetensors"),
            ("scp:-", "-"),
            ("scp:/none/f", "/none/f"),
        ] {
            assert_eq!(input_files(Path::new(name)), [PathBuf::from(wanted)], "{name}");
        }
    }
}
