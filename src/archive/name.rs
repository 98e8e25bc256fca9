//! What the name of an input or output says: an archive, a list, or both.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Kaldi's promises about an input, which need not be known: read once, sorted, asked for in order.
const PROMISES: [&str; 3] = ["o", "s", "cs"];

/// Kaldi's words for an input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// The archive, if it is named.
    pub ark: Option<PathBuf>,
    /// The list, if it is named.
    pub scp: Option<PathBuf>,
    /// Whether text is wanted.
    pub text: bool,
}

impl Name {
    /// Takes a name apart: `ark:F`, `ark,t:F`, `scp:F`, `ark,scp:F,G`, or a path that ends in .ark
    /// or .scp. None for other names.
    ///
    /// # Errors
    /// An option of Kaldi's that is not known; a file that is missing.
    pub fn parse(name: &Path) -> Result<Option<Self>> {
        let text = name.to_str().unwrap_or_default();
        let named = text.split_once(':').map(|(options, files)| {
            let options: Vec<&str> = options.split(',').collect();
            (options, files)
        });
        if let Some((options, files)) = named
            && ["ark", "scp"].contains(&options[0])
        {
            return Self::by_options(name, &options, files).map(Some);
        }
        let ends = |ending: &str| name.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
        let file = || Some(name.to_owned());
        Ok(match (ends("ark"), ends("scp")) {
            (true, _) => Some(Self { ark: file(), scp: None, text: false }),
            (_, true) => Some(Self { ark: None, scp: file(), text: false }),
            _ => None,
        })
    }

    fn by_options(name: &Path, options: &[&str], files: &str) -> Result<Self> {
        let bad = |message: String| Err(Error::file(name, message));
        let known =
            |option: &&str| ["ark", "scp", "t"].contains(option) || PROMISES.contains(option);
        if let Some(other) = options.iter().find(|&option| !known(option)) {
            return bad(format!("the option `{other}` is not known; `ark`, `scp` and `t` are"));
        }
        let has = |option: &str| options.contains(&option);
        let (ark, scp) = match (has("ark"), has("scp")) {
            (true, true) => match files.split_once(',') {
                Some((ark, scp)) if options[0] == "ark" => (Some(ark), Some(scp)),
                _ => return bad("the form is `ark,scp:F.ark,F.scp`".into()),
            },
            (true, false) => (Some(files), None),
            _ => (None, Some(files)),
        };
        if [ark, scp].into_iter().flatten().any(str::is_empty) {
            return bad("a file's name is missing".into());
        }
        Ok(Self { ark: ark.map(PathBuf::from), scp: scp.map(PathBuf::from), text: has("t") })
    }
}

/// Whether a name is that of an archive or a list of one: it begins with `ark:`, `scp:` or such, or
/// ends in .ark or .scp.
pub fn is_archive(name: &Path) -> bool {
    !matches!(Name::parse(name), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let parse = |name: &str| Name::parse(Path::new(name));
        let wanted = |ark: &str, scp: &str, text| {
            let file = |name: &str| (!name.is_empty()).then(|| PathBuf::from(name));
            Some(Name { ark: file(ark), scp: file(scp), text })
        };
        for (name, wanted) in [
            ("a.ark", wanted("a.ark", "", false)),
            ("x/a.SCP", wanted("", "x/a.SCP", false)),
            ("ark:-", wanted("-", "", false)),
            ("ark,t:a", wanted("a", "", true)),
            ("scp:a", wanted("", "a", false)),
            ("ark,s,cs:a", wanted("a", "", false)),
            ("ark,scp:a.ark,b.scp", wanted("a.ark", "b.scp", false)),
            ("ark,t,scp:a,b", wanted("a", "b", true)),
            ("ark,scp,t:a,b", wanted("a", "b", true)),
            ("ark:C:\\a", wanted("C:\\a", "", false)),
            ("a.safetensors", None),
            ("mark:a", None),
            ("./ark:a", None),
            ("-", None),
        ] {
            assert_eq!(parse(name).unwrap(), wanted, "{name}");
            assert_eq!(is_archive(Path::new(name)), wanted.is_some(), "{name}");
        }
        for (name, wanted) in [
            ("ark,p:a", "option `p`"),
            ("ark:", "name is missing"),
            ("ark,scp:a", "the form is"),
            ("scp,ark:a,b", "the form is"),
            ("ark,scp:a,", "name is missing"),
        ] {
            let error = parse(name).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(wanted), "{error}");
            assert!(is_archive(Path::new(name)));
        }
    }
}
