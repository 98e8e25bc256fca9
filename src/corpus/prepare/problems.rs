//! What is wrong with a corpus, by kind.

use std::collections::BTreeMap;

use serde::Serialize;

/// A kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// No audio, damaged, in a format that is not read, or of several channels.
    Unreadable,
    /// Shorter than allowed.
    Short,
    /// Nothing can be heard.
    Silent,
    /// The same audio as another file of the speaker.
    Copy,
    /// The same audio as a file of another speaker.
    Disputed,
    /// Of a lower rate than wanted: kept, but high frequencies are missing.
    Narrow,
    /// Another file of an utterance that has one.
    SecondFile,
    /// Not where the corpus has its audio.
    Misplaced,
    /// With a name that lists cannot hold.
    Unlistable,
    /// A link to nothing or a loop of links, a folder that cannot be read, a file that is not
    /// there.
    Unreachable,
    /// With a name that file managers hide.
    Hidden,
    /// Audio whose name does not end as names of audio do.
    OddEnding,
    /// A line of a list that cannot be used, or a list as a whole.
    List,
    /// A remark about a speaker.
    Speaker,
    /// Trials of utterances that are not there.
    Trials,
    /// Speakers to train on that occur in tests.
    TestSpeaker,
    /// Speakers of another corpus than the folder is given for.
    OtherCorpus,
}

impl ProblemKind {
    /// Its name in `problems.txt`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Short => "short",
            Self::Silent => "silent",
            Self::Copy => "copy",
            Self::Disputed => "disputed",
            Self::Narrow => "narrow",
            Self::SecondFile => "second-file",
            Self::Misplaced => "misplaced",
            Self::Unlistable => "unlistable",
            Self::Unreachable => "unreachable",
            Self::Hidden => "hidden",
            Self::OddEnding => "odd-ending",
            Self::List => "list",
            Self::Speaker => "speaker",
            Self::Trials => "trials",
            Self::TestSpeaker => "test-speaker",
            Self::OtherCorpus => "other-corpus",
        }
    }

    /// What follows the number of such problems.
    fn phrase(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Short => "too short",
            Self::Silent => "silent",
            Self::Copy => "with the audio of another file",
            Self::Disputed => "with the audio of another speaker's file",
            Self::Narrow => "recorded at a lower rate, and kept",
            Self::SecondFile => "for utterances that have a file already",
            Self::Misplaced => "outside of the folders of the corpus",
            Self::Unlistable => "with names that lists cannot hold",
            Self::Unreachable => "out of reach",
            Self::Hidden => "remarks on hidden files",
            Self::OddEnding => "audio by content, not by name",
            Self::List => "in lists",
            Self::Speaker => "remarks on speakers",
            Self::Trials => "remarks on trials",
            Self::TestSpeaker => "remarks on speakers of tests",
            Self::OtherCorpus => "remarks on speakers of another corpus",
        }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub kind: ProblemKind,
    /// The file, and what is wrong with it; one line.
    pub text: String,
    /// The short reason, if there are several for its kind: `is AU audio`.
    pub reason: Option<String>,
}

/// The problems of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemGroup<'a> {
    /// Their kind.
    pub kind: ProblemKind,
    /// How many there are.
    pub count: usize,
    /// The first of them.
    pub first: &'a str,
    /// The reasons and how often each occurs, most frequent first.
    pub reasons: Vec<(&'a str, usize)>,
}

/// All problems of a corpus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// Most problems of one kind that are told one by one.
const FEW: usize = 3;
/// Most reasons that a summary shows.
const REASONS: usize = 4;

impl Problems {
    /// Adds a problem without a reason of its own.
    pub(crate) fn add(&mut self, kind: ProblemKind, text: impl Into<String>) {
        self.0.push(Problem { kind, text: text.into(), reason: None });
    }

    /// Adds a problem.
    pub(crate) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// All problems in the order in which they were found.
    pub fn all(&self) -> &[Problem] {
        &self.0
    }

    /// Number of problems of a kind.
    pub fn count(&self, kind: ProblemKind) -> usize {
        self.of(kind).count()
    }

    /// The problems of a kind in the order in which they were found.
    pub fn of(&self, kind: ProblemKind) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |p| p.kind == kind).map(|p| p.text.as_str())
    }

    /// The problems by kind.
    pub fn groups(&self) -> Vec<ProblemGroup<'_>> {
        let mut kinds: BTreeMap<ProblemKind, Vec<&Problem>> = BTreeMap::new();
        for problem in &self.0 {
            kinds.entry(problem.kind).or_default().push(problem);
        }
        let mut groups = Vec::with_capacity(kinds.len());
        for (kind, problems) in kinds {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for reason in problems.iter().filter_map(|p| p.reason.as_deref()) {
                *counts.entry(reason).or_default() += 1;
            }
            let mut reasons: Vec<(&str, usize)> = counts.into_iter().collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let (count, first) = (problems.len(), problems[0].text.as_str());
            groups.push(ProblemGroup { kind, count, first, reasons });
        }
        groups
    }

    /// The problems in few lines: a kind with few of them one by one, others by their number, their
    /// reasons and the first of them.
    pub fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for group in self.groups() {
            if group.count <= FEW {
                lines.extend(self.of(group.kind).map(str::to_owned));
                continue;
            }
            let shown: Vec<String> = group
                .reasons
                .iter()
                .take(REASONS)
                .map(|(reason, count)| match *count {
                    1 => (*reason).to_owned(),
                    count if count == group.count => (*reason).to_owned(),
                    2 => format!("twice: {reason}"),
                    count => format!("{count} times: {reason}"),
                })
                .collect();
            let more = if group.reasons.len() > REASONS { "; and others" } else { "" };
            let reasons = match shown.is_empty() {
                true => String::new(),
                false => format!(" ({}{more})", shown.join("; ")),
            };
            let (count, phrase, first) = (group.count, group.kind.phrase(), group.first);
            lines.push(format!("{count} {phrase}{reasons}; the first: {first}"));
        }
        lines
    }

    /// The lines of `problems.txt`, by kind: `kind: problem`.
    pub fn lines(&self) -> Vec<String> {
        let mut sorted: Vec<&Problem> = self.0.iter().collect();
        sorted.sort_by_key(|p| p.kind);
        sorted.iter().map(|p| format!("{}: {}", p.kind.name(), p.text)).collect()
    }

    /// The text of `problems.txt`.
    pub(super) fn text(&self) -> String {
        self.lines().iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_problems_are_told_in_few_lines() {
        let mut problems = Problems::default();
        problems.add(ProblemKind::Silent, "a: silent");
        for i in 0..6 {
            let reason = ["is AU audio", "is AU audio", "has 2 channels"].get(i);
            let reason = Some((*reason.unwrap_or(&"cut short")).to_owned());
            problems.push(Problem { kind: ProblemKind::Unreadable, text: format!("f{i}"), reason });
        }
        let wanted = "6 unreadable (3 times: cut short; twice: is AU audio; has 2 channels); the \
                      first: f0";
        assert_eq!(problems.summary(), [wanted, "a: silent"]);
        assert_eq!(problems.of(ProblemKind::Silent).collect::<Vec<_>>(), ["a: silent"]);
        let text = problems.text();
        assert!(text.starts_with("unreadable: f0\n") && text.ends_with("silent: a: silent\n"));
        assert_eq!(text.lines().count(), problems.all().len());
        assert_eq!((problems.count(ProblemKind::Unreadable), problems.groups().len()), (6, 2));
        assert_eq!(serde_json::json!(problems.groups()[0].kind), "unreadable");
        let mut problems = Problems::default();
        for i in 0..4 {
            let reason = Some("8000 Hz".to_owned());
            problems.push(Problem { kind: ProblemKind::Narrow, text: format!("f{i}"), reason });
        }
        let wanted = "4 recorded at a lower rate, and kept (8000 Hz); the first: f0";
        assert_eq!(problems.summary(), [wanted]);
    }
}
