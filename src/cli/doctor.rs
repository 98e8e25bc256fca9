//! `revox doctor`.

use std::time::Instant;

use serde_json::json;

use super::Global;
use super::remedy::told;
use super::values::counted;
use crate::backend::BackendKind;
use crate::backend::collective::{Launched, mpi_library, nccl_version};
use crate::error::{Error, Remedy, Result};
use crate::nn::Precision;
use crate::selftest::{CASES, Case, Finding, Subject};
use crate::terminal::outln;

/// Which backends are compiled in and work, and why one does not, and which MPI and NCCL connect
/// machines; with --selftest whether a backend computes what it should.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  revox doctor\n  revox doctor --selftest --backend wgpu")]
pub struct Args {
    /// Runs networks, training steps, reversible and 8-bit operations and quantizers on the chosen
    /// backend and compares them with a CPU backend and with reference values; exit code 1 if one
    /// is off.
    #[arg(long)]
    selftest: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if args.selftest {
        return selftest(global);
    }
    let rows = BackendKind::ALL.map(Row::new);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    if global.json {
        let backends: Vec<_> = rows
            .iter()
            .map(|row| {
                let Row { kind, works, detail, precisions } = row;
                json!({
                    "name": kind.name(), "compiled": kind.is_compiled(), "works": works,
                    "detail": detail, "precisions": precisions,
                })
            })
            .collect();
        outln!(
            "{}",
            json!({
                "version": env!("CARGO_PKG_VERSION"), "threads": threads, "backends": backends,
                "mpi": Mpi::found().json(), "nccl": Nccl(nccl_version()).json(),
            })
        );
        return Ok(());
    }
    outln!("revox {}, {}", env!("CARGO_PKG_VERSION"), counted(threads, "thread"));
    for Row { kind, works, detail, precisions } in rows {
        let name = kind.name();
        match works {
            true => outln!("{name:<8} works  {detail}: {}", precisions.join(", ")),
            false => outln!("{name:<8} off    {detail}"),
        }
    }
    outln!("{:<8} {}", "mpi", Mpi::found().words());
    outln!("{:<8} {}", "nccl", Nccl(nccl_version()).words());
    Ok(())
}

/// What connects several processes.
struct Mpi {
    /// Name and version of the library; none in a build without MPI.
    library: Option<String>,
    /// What a launcher says of this process.
    launched: Option<Launched>,
}

impl Mpi {
    fn found() -> Self {
        Self { library: mpi_library(), launched: Launched::from_environment() }
    }

    fn json(&self) -> serde_json::Value {
        let launched = self.launched.map(|Launched { rank, size, local_rank }| {
            json!({"rank": rank, "size": size, "local_rank": local_rank})
        });
        json!({
            "compiled": self.library.is_some(), "library": self.library, "launched": launched,
        })
    }

    fn words(&self) -> String {
        let started = self
            .launched
            .map_or_else(|| "not started by a launcher".into(), |l| format!("started as {l}"));
        match &self.library {
            Some(library) => format!("works  {library}: {started}"),
            None => {
                let off = Error::Backend(format!("not in this build ({started})"));
                format!("off    {}", told(&off.with(Remedy::RebuildWith { feature: "mpi" })))
            }
        }
    }
}

/// NVIDIA's library that sums between GPUs: its version, or what is missing.
struct Nccl(Result<String>);

impl Nccl {
    fn json(&self) -> serde_json::Value {
        json!({
            "compiled": cfg!(feature = "nccl"), "version": self.0.as_ref().ok(),
            "detail": self.0.as_ref().err().map(told),
        })
    }

    fn words(&self) -> String {
        match &self.0 {
            Ok(version) => format!("found  NCCL {version}: `train --link nccl`"),
            Err(error) => format!("off    {}", told(error)),
        }
    }
}

/// A backend's first device.
struct Row {
    kind: BackendKind,
    works: bool,
    /// The device, or why there is none.
    detail: String,
    /// What its convolutions can compute in.
    precisions: Vec<&'static str>,
}

impl Row {
    fn new(kind: BackendKind) -> Self {
        let opened = kind.device(0);
        let precisions = opened.as_ref().map_or_else(
            |_| Vec::new(),
            |device| {
                let fits = Precision::ALL.into_iter().filter(|p| p.check(device).is_ok());
                fits.map(Precision::name).collect()
            },
        );
        let works = opened.is_ok();
        let detail = opened.map_or_else(|e| told(&e), |device| format!("{device:?}"));
        Self { kind, works, detail, precisions }
    }
}

fn selftest(global: &Global) -> Result<()> {
    let subject = Subject::open(global.backend, global.device)?;
    let name = global.backend.name();
    if !global.json {
        outln!("revox {}, {name}, {:?}", env!("CARGO_PKG_VERSION"), subject.device);
    }
    let (mut rows, mut failed) = (Vec::new(), 0);
    for case in &CASES {
        let start = Instant::now();
        let outcome = case.run(&subject);
        let seconds = start.elapsed().as_secs_f64();
        let passed = outcome.as_ref().is_ok_and(|findings| findings.iter().all(Finding::passed));
        failed += usize::from(!passed);
        match global.json {
            true => rows.push(row(case, &outcome, passed, seconds)),
            false => print(case, &outcome, passed, seconds),
        }
    }
    if global.json {
        let (device, passed) = (format!("{:?}", subject.device), failed == 0);
        outln!("{}", json!({"backend": name, "device": device, "passed": passed, "cases": rows}));
    }
    match failed {
        0 => Ok(()),
        n => Err(Error::Backend(format!(
            "{n} of {} cases failed on {name}: its results are not to be trusted",
            CASES.len()
        ))),
    }
}

fn row(
    case: &Case,
    outcome: &Result<Vec<Finding>>,
    passed: bool,
    seconds: f64,
) -> serde_json::Value {
    let (name, about) = (case.name, case.about);
    match outcome {
        Err(e) => json!({
            "name": name, "about": about, "passed": false, "seconds": seconds, "message": told(e),
        }),
        Ok(findings) => {
            let worst = &findings[0];
            json!({
                "name": name,
                "about": about,
                "passed": passed,
                "seconds": seconds,
                "comparisons": findings.len(),
                "worst": worst.what,
                "error": worst.error,
                "tolerance": worst.tolerance,
            })
        }
    }
}

fn print(case: &Case, outcome: &Result<Vec<Finding>>, passed: bool, seconds: f64) {
    let verdict = if passed { "ok    " } else { "FAILED" };
    let head = format!("{verdict} {:<14} {:<66}", case.name, case.about);
    match outcome {
        Err(e) => outln!("{head} {}", told(e)),
        Ok(findings) => {
            let worst = &findings[0];
            outln!(
                "{head} {:>4} compared, worst {:.1e} of {:.0e}  {seconds:.1} s",
                findings.len(),
                worst.error,
                worst.tolerance
            );
            for off in findings.iter().filter(|f| !f.passed()).take(5) {
                outln!(
                    "       {}: off by {:.3e}, {:.0e} allowed",
                    off.what,
                    off.error,
                    off.tolerance
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mpi_and_the_launcher_are_told() {
        let library = Some("Open MPI v4.1.4".to_owned());
        let launched = Some(Launched { rank: 1, size: Some(4), local_rank: Some(1) });
        let mpi = Mpi { library, launched };
        assert_eq!(mpi.words(), "works  Open MPI v4.1.4: started as rank 1 of 4");
        let launched = json!({"rank": 1, "size": 4, "local_rank": 1});
        assert_eq!(
            mpi.json(),
            json!({"compiled": true, "library": "Open MPI v4.1.4", "launched": launched})
        );
        let off = Mpi { library: None, launched: None };
        assert_eq!(
            off.words(),
            "off    not in this build (not started by a launcher); rebuild with `--features mpi`"
        );
        assert_eq!(off.json(), json!({"compiled": false, "library": null, "launched": null}));
        assert_eq!(Mpi::found().library.is_some(), cfg!(feature = "mpi"));
    }

    #[test]
    fn nccl_or_what_it_lacks_is_told() {
        let compiled = cfg!(feature = "nccl");
        let found = Nccl(Ok("2.27.3".into()));
        assert_eq!(found.words(), "found  NCCL 2.27.3: `train --link nccl`");
        assert_eq!(
            found.json(),
            json!({"compiled": compiled, "version": "2.27.3", "detail": null})
        );
        let absent = Error::Backend("NCCL is not in this build".into());
        let absent = Nccl(Err(absent.with(Remedy::RebuildWith { feature: "nccl" })));
        let detail = "NCCL is not in this build; rebuild with `--features nccl`";
        assert_eq!(absent.words(), format!("off    {detail}"));
        assert_eq!(absent.json(), json!({"compiled": compiled, "version": null, "detail": detail}));
    }
}
