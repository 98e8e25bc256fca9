//! RIRS_NOISES: impulse responses of rooms.

use std::path::Path;

use super::layout::{Layout, ListFolder, Named};
use super::names::as_id;
use super::{PrepareReport, PrepareSettings, prepare};
use crate::corpus::Done;
use crate::error::Result;

const SIMULATED: &str = "simulated_rirs";
const REAL: &str = "real_rirs_isotropic_noises";
/// Folders of simulated rooms.
const ROOMS: [&str; 3] = ["smallroom", "mediumroom", "largeroom"];

struct Rirs {
    all: bool,
}

impl Layout for Rirs {
    fn wanted(&self) -> &'static str {
        "audio files in simulated_rirs/{smallroom,mediumroom,largeroom}"
    }

    fn name(&mut self, parts: &[&str], _root: usize) -> Named {
        let [folders @ .., file] = parts else { return Named::Unwanted };
        let response = |at: usize| Named::Utterance {
            id: as_id(&parts[at..].join("/")),
            speaker: None,
            group: 0,
        };
        let room = folders.iter().rposition(|name| ROOMS.contains(name));
        if let Some(at) = room.and_then(|at| at.checked_sub(1))
            && folders[at] == SIMULATED
        {
            return response(at);
        }
        match folders.iter().rposition(|name| *name == REAL) {
            // Beside the responses lie noises of the same rooms.
            Some(at) if self.all && !file.contains("noise") => response(at),
            _ => Named::Unwanted,
        }
    }

    fn lists(&self) -> Vec<ListFolder> {
        ListFolder::only(false)
    }
}

/// Makes `wav.scp` of RIRS_NOISES in `out`: the simulated responses and, with `all`, the measured
/// ones of a single channel. Ids are paths: `simulated_rirs/smallroom/Room001/Room001-00001.wav`.
/// Noises are not listed. What cannot be used is left out and reported. `done` is called after each
/// file.
///
/// # Errors
/// A root without usable responses; a list in `out`; a file that cannot be written.
pub fn prepare_rirs(
    root: &Path,
    all: bool,
    out: &Path,
    settings: &PrepareSettings,
    done: &Done,
) -> Result<PrepareReport> {
    prepare(&[root], out, &mut Rirs { all }, settings, done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_told_from_noises() {
        let simulated = "simulated_rirs/smallroom/Room001/Room001-00001.wav";
        let real = "real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla.wav";
        for (path, all, wanted) in [
            (simulated, false, true),
            (real, false, false),
            (real, true, true),
            ("real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav", true, false),
            ("pointsource_noises/noise-free-sound-0000.wav", true, false),
            ("smallroom/x.wav", true, false),
        ] {
            let parts: Vec<&str> =
                ["d", "RIRS_NOISES"].into_iter().chain(path.split('/')).collect();
            let named = Rirs { all }.name(&parts, 2);
            let is_listed = matches!(&named, Named::Utterance { id, .. } if id == path);
            assert_eq!(is_listed, wanted, "{path}: {named:?}");
        }
    }
}
