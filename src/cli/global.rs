//! Options of every verb.

use burn::tensor::Device;

use crate::backend::BackendKind;
use crate::error::{Error, Result};

/// Options of every verb.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    #[arg(long, global = true, value_enum, default_value = "flex", help = backend_help())]
    pub(super) backend: BackendKind,
    /// Which device of the backend.
    #[arg(long, global = true, default_value_t = 0)]
    pub(super) device: usize,
    /// Seed of everything random (a recipe's own seed holds unless this is given).
    #[arg(long, global = true)]
    pub(super) seed: Option<u64>,
    /// No progress, lines of epochs, dashboard and notes. Results, warnings and errors stay.
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// One JSON object on stdout, for errors too; of `bench`, `zoo` and `memory` of several
    /// networks, an array of objects.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Do not check the checksums of files that are read.
    #[arg(long, global = true)]
    pub(super) no_checksum: bool,
    /// Let lists name commands in the place of files, as Kaldi's do (`sph2pipe a.sph |`). They run
    /// programs.
    #[arg(long, global = true)]
    pub(super) allow_pipes: bool,
    /// Print help.
    #[arg(long, short = 'h', global = true, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
}

fn backend_help() -> String {
    let compiled: Vec<&str> =
        BackendKind::ALL.iter().filter(|b| b.is_compiled()).map(|b| b.name()).collect();
    format!("Where tensors are computed; this build has {}", compiled.join(", "))
}

impl Global {
    /// The device of `--backend` and `--device`.
    pub(super) fn open(&self) -> Result<Device> {
        self.backend.device(self.device)
    }

    /// Bytes free on the device now, if its driver can be asked.
    pub(super) fn free(&self) -> Option<u64> {
        (self.backend == BackendKind::Cuda)
            .then(|| crate::memory::free_by_driver(self.device))
            .flatten()
    }

    /// The devices with these indices; without any, that of `--device`.
    pub(super) fn open_all(&self, indices: &[usize]) -> Result<Vec<Device>> {
        if let Some(twice) = indices.iter().enumerate().find(|(i, n)| indices[..*i].contains(n)) {
            return Err(Error::Invalid(format!("--devices names device {} twice", twice.1)));
        }
        match indices {
            [] => Ok(vec![self.open()?]),
            several => several.iter().map(|&n| self.backend.device(n)).collect(),
        }
    }
}
