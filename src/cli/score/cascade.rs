//! `revox score --cascade`: a small model decides where its score is clear, a large one elsewhere.

mod cost;
mod kept;
mod named;
mod report;
mod side;

use std::path::{Path, PathBuf};

use self::cost::Costs;
use self::kept::Kept;
use self::named::Named;
use self::report::{Report, rates};
use self::side::Side;
use super::check_ending;
use crate::cli::{Global, outputs, tell, values};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scoring::{Band, BothLlrs, ChosenBand, choose_band, write_scored};
use crate::terminal::{errln, note};

/// Options that go with embeddings only.
const OTHERS: [&str; 13] = [
    "mean",
    "cohort",
    "wav_scp",
    "utt2spk",
    "top_n",
    "norm",
    "keep_cosines",
    "enroll",
    "average",
    "skip_missing",
    "plda",
    "calibration",
    "durations",
];

/// Options of a cascade.
#[derive(Debug, clap::Args)]
#[group(conflicts_with_all = OTHERS)]
pub(super) struct Cascade {
    /// Two calibrated models: the large one decides where the small one is not clear, and embeds
    /// only what such trials name. EMBEDDINGS is then the list of recordings (wav.scp or a corpus).
    /// Scores are log-likelihood ratios (LLR), natural logarithms. Embeddings of long lists are
    /// kept in OUTPUT.part while the work lasts: if it ends early, the same command goes on there.
    #[arg(long, value_name = "SMALL:LARGE", value_parser = pair)]
    cascade: Option<String>,
    /// The small model's LLRs that are not clear: from LOW up to HIGH, without HIGH.
    #[arg(
        long,
        value_name = "LOW:HIGH",
        requires = "cascade",
        conflicts_with_all = ["band_from", "band_list", "loss"],
        allow_hyphen_values = true,
        value_parser = band
    )]
    band: Option<Band>,
    /// Trials with labels, such as those of a dev set. The program tries all bands on them, and
    /// takes the one that asks the large model for the fewest trials, with an equal error rate
    /// within --loss of the large model's. --band-list has their recordings.
    #[arg(long, value_name = "TRIALS", requires = "cascade", requires = "band_list")]
    band_from: Option<PathBuf>,
    /// The list of the recordings that the trials of --band-from name: wav.scp or a corpus.
    #[arg(long, value_name = "LIST", requires = "band_from")]
    band_list: Option<PathBuf>,
    /// How much higher than the large model's the equal error rate may be on --band-from: 0.001 is
    /// 0.1 points.
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = 0.001,
        requires = "band_from",
        value_parser = loss
    )]
    loss: f64,
    /// Report the large model's error rates too, for which it must embed everything.
    #[arg(long, requires = "cascade")]
    compare: bool,
    /// Channel, from 0, to read of every file. Files of several channels need it.
    #[arg(long, requires = "cascade")]
    channel: Option<usize>,
}

fn pair(text: &str) -> Result<String, String> {
    match text.contains(':') {
        true => Ok(text.to_owned()),
        false => Err("SMALL:LARGE is wanted, two model files".into()),
    }
}

fn band(text: &str) -> Result<Band, String> {
    text.parse().map_err(|e: Error| e.to_string())
}

fn loss(text: &str) -> Result<f64, String> {
    values::within(text, 0.0..=1.0, "a difference of rates, 0 to 1")
}

/// Where the band comes from.
enum Source {
    Given(Band),
    Dev(Box<Named>),
}

impl Cascade {
    /// The models, if a cascade is wanted.
    pub(super) fn models(&self) -> Option<&str> {
        self.cascade.as_deref()
    }

    fn source(&self, quiet: bool) -> Result<Source> {
        match (self.band, &self.band_from, &self.band_list) {
            (Some(band), ..) => Ok(Source::Given(band)),
            (None, Some(trials), Some(list)) => {
                Ok(Source::Dev(Box::new(Named::read(trials, list, quiet)?)))
            }
            _ => Err(values::misuse(
                "--cascade wants the band of LLRs that are not clear: give --band LOW:HIGH, or \
                 choose it with --band-from TRIALS --band-list LIST",
            )),
        }
    }
}

/// How utterances are embedded.
struct How {
    channel: Option<usize>,
    quiet: bool,
}

/// Scores `trials` of the recordings of a `list`.
pub(super) fn run(
    models: &str,
    args: &Cascade,
    list: &Path,
    trials: &Path,
    output: &Path,
    global: &Global,
) -> Result<()> {
    let [small, large] = split(models)?;
    let how = How { channel: args.channel, quiet: global.quiet };
    let source = args.source(how.quiet)?;
    let tested = Named::read(trials, list, how.quiet)?;
    let mut inputs = tested.inputs();
    if let Source::Dev(dev) = &source {
        inputs.extend(dev.inputs());
    }
    let models = [small, large].into_iter();
    let inputs: Vec<&Path> = models.chain(inputs.iter().map(|path| &**path)).collect();
    outputs::check(&[output], &inputs)?;
    check_ending(output)?;
    let device = global.open()?;
    let small = Side::load("small model", small, &device)?;
    let large = Side::load("large model", large, &device)?;
    if let Some(warning) = cost::swapped([&small, &large])? {
        errln!("warning: {warning}");
    }
    let models = [&small, &large];
    let work = || kept::description(models, &tested, &source, args, global);
    let mut kept = Kept::open(output, Box::new(work))?;
    let (band, chosen) = match &source {
        Source::Given(band) => (*band, None),
        Source::Dev(dev) => {
            let chosen = choose(models, dev, args.loss, &how, &mut kept)?;
            (chosen.band, Some((chosen, args.loss)))
        }
    };

    let all: Vec<usize> = (0..tested.trials().len()).collect();
    let (first, by_small) = small.llrs(&tested, &all, &how, &mut kept)?;
    let unclear: Vec<usize> = all.iter().copied().filter(|&i| band.holds(first[i])).collect();
    let asked = if args.compare { &all } else { &unclear };
    let (second, _) = large.llrs(&tested, asked, &how, &mut kept)?;
    let mut merged = first.clone();
    for (&trial, &llr) in asked.iter().zip(&second) {
        if band.holds(first[trial]) {
            merged[trial] = llr;
        }
    }
    let mut progress = Progress::new("writing", merged.len(), how.quiet);
    write_scored(output, tested.words(), tested.trials(), &|i: usize| merged[i], &mut |n| {
        progress.add(n)
    })?;
    drop(progress);
    kept.end()?;

    let labels = tested.labels();
    let of = |llrs: &[f64]| labels.as_deref().map(|labels| rates(llrs, labels)).transpose();
    let report = Report {
        output,
        trials: all.len(),
        band,
        chosen,
        unclear: unclear.len(),
        costs: Costs::of(&tested, &by_small, &unclear, [small.header(), large.header()])?,
        paths: [small.path(), large.path()],
        rates: [of(&first)?, if args.compare { of(&second)? } else { None }, of(&merged)?],
    };
    let text = if global.json { report.json().to_string() } else { report.text() };
    tell(output, &text);
    Ok(())
}

/// The two models of `SMALL:LARGE`. Their paths may have colons: the text is cut where both sides
/// exist.
fn split(text: &str) -> Result<[&Path; 2]> {
    let colons = text.match_indices(':');
    let cuts: Vec<[&Path; 2]> =
        colons.map(|(i, _)| [Path::new(&text[..i]), Path::new(&text[i + 1..])]).collect();
    let are_there = |cut: &&[&Path; 2]| cut.iter().all(|path| path.exists());
    let found: Vec<[&Path; 2]> = cuts.iter().filter(are_there).copied().collect();
    match (&cuts[..], &found[..]) {
        // Of a single cut the file that is missing is named when it is opened.
        ([cut], _) | (_, [cut]) => Ok(*cut),
        (_, []) => Err(values::misuse(format!(
            "--cascade {text}: SMALL:LARGE is wanted, two model files that exist"
        ))),
        _ => Err(values::misuse(format!(
            "--cascade {text}: several colons part it into two files that exist; give other paths"
        ))),
    }
}

/// The band for these dev trials.
fn choose(
    models: [&Side; 2],
    dev: &Named,
    loss: f64,
    how: &How,
    kept: &mut Kept,
) -> Result<ChosenBand> {
    let labels = dev.wanted_labels()?;
    let all: Vec<usize> = (0..labels.len()).collect();
    let (small, _) = models[0].llrs(dev, &all, how, kept)?;
    let (large, _) = models[1].llrs(dev, &all, how, kept)?;
    let both = small.into_iter().zip(large).zip(labels);
    let both = both.map(|((small, large), target)| BothLlrs { small, large, target });
    let chosen = choose_band(&both.collect::<Vec<_>>(), loss)
        .map_err(|e| e.retold(|text| Error::file(dev.path(), text)))?;
    note!("the band is {} (--band)", chosen.band);
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_parted_where_both_exist() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for name in ["a", "b", "c:d"] {
            std::fs::write(at(name), "").unwrap();
        }
        let parts = |text: &str| split(text).map(|parts| parts.map(|p| p.display().to_string()));
        let pair = |first: &str, second: &str| format!("{}:{}", at(first), at(second));
        for (first, second) in [("a", "b"), ("c:d", "a"), ("b", "c:d")] {
            assert_eq!(parts(&pair(first, second)).unwrap(), [at(first), at(second)]);
        }
        // A file that is missing is named when it is opened.
        assert_eq!(parts("none:nor").unwrap(), ["none", "nor"]);
        let error = |text: &str| parts(text).unwrap_err().to_string();
        assert!(error("one").contains("--cascade one: SMALL:LARGE is wanted"));
        assert!(error("x:y:z").contains("two model files that exist"));
    }

    #[test]
    fn several_partings_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        // Files `x` and `b:c`, and files `x:b` and `c`.
        for path in [at("x"), format!("{}:{}", at("b"), at("c"))]
            .into_iter()
            .chain([format!("{}:{}", at("x"), at("b")), at("c")])
        {
            std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
        }
        let text = [at("x"), at("b"), at("c")].join(":");
        let error = split(&text).unwrap_err().to_string();
        assert!(error.contains("several colons part it"), "{error}");
    }
}
