//! Files of models: ours, Kaldi's and WeSpeaker's.

mod hdf5;
mod kaldi;
mod tensors;

use std::path::Path;

use super::{Link, Plda, Steps};
use crate::error::{Error, Result};
use crate::fs;
use crate::terminal::note;

/// What a file of Kaldi or WeSpeaker holds.
#[derive(Debug, Clone, PartialEq)]
struct Parts {
    mu: Vec<f64>,
    psi: Vec<f64>,
    /// `[dim, dim]`, row by row.
    transform: Vec<f64>,
    length_norm: bool,
    lacks_mean: bool,
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PldaForm {
    /// Ours, safetensors: it holds all of a model.
    Tensors,
    /// Kaldi's, `<Plda>`, binary or text: it says nothing of what is done to embeddings first.
    Kaldi,
    /// WeSpeaker's, HDF5: it says whether a mean is subtracted and whether lengths become equal.
    Hdf5,
}

impl PldaForm {
    /// The form of a file's content, if it is that of a PLDA file. HDF5 may hold something else.
    pub fn of_content(bytes: &[u8]) -> Option<Self> {
        if kaldi::is_it(bytes) {
            Some(Self::Kaldi)
        } else if hdf5::is_it(bytes) {
            Some(Self::Hdf5)
        } else {
            tensors::is_it(bytes).then_some(Self::Tensors)
        }
    }

    /// The form that the ending of a name asks for.
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "safetensors" => Ok(Self::Tensors),
            "kaldi" | "plda" => Ok(Self::Kaldi),
            "h5" | "hdf5" => Ok(Self::Hdf5),
            _ if fs::is_stdout(path) => Ok(Self::Tensors),
            _ => Err(Error::file(
                path,
                "a PLDA file's name ends in .safetensors, .kaldi or .plda (Kaldi's form), or .h5 \
                 (WeSpeaker's)",
            )),
        }
    }
}

impl Plda {
    /// Reads a model: our own file, Kaldi's (`<Plda>`, binary or text) or WeSpeaker's (HDF5). The
    /// content tells which it is. `-` is standard input.
    ///
    /// # Errors
    /// A file that is none of them, is damaged or holds no usable model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path)?;
        let bad = |what: String| Error::file(path, format!("not a readable PLDA file: {what}"));
        let parts = if kaldi::is_it(&bytes) {
            kaldi::read(&bytes).map_err(bad)?
        } else if hdf5::is_it(&bytes) {
            hdf5::read(&bytes).map_err(bad)?
        } else if bytes.get(8) == Some(&b'{') {
            return tensors::load(path, bytes);
        } else {
            return Err(bad("neither safetensors nor Kaldi's nor HDF5".into()));
        };
        let Parts { mu, psi, transform, length_norm, lacks_mean } = parts;
        let steps = Steps { length_norm, lacks_mean, ..Steps::default() };
        Self::of_transform(steps, mu, psi, &transform).map_err(|e| bad(e.to_string()))
    }

    /// Writes the model atomically, in the form that the name's ending asks for: `.safetensors`
    /// (ours, which keeps all of it; `-` too), `.kaldi` or `.plda` (Kaldi's binary form), `.h5` or
    /// `.hdf5` (WeSpeaker's, which HDF5 1.10 and later read).
    ///
    /// Kaldi's and WeSpeaker's files hold no LDA and no mean of a domain. The mean goes into `mu`
    /// where no length norm stands between them. Kaldi's file does not hold the length norm, and a
    /// note says so.
    ///
    /// # Errors
    /// A name with another ending; a model that the form cannot hold; otherwise as
    /// [`write_atomic`](crate::fs::write_atomic).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let form = PldaForm::of(path)?;
        match form {
            PldaForm::Tensors => tensors::save(self, path),
            PldaForm::Kaldi => fs::write_bytes(path, &kaldi::write(&self.parts(path, form)?)),
            PldaForm::Hdf5 => {
                let file = hdf5::write(&self.parts(path, form)?);
                let failed = |what: String| Error::file(path, format!("cannot be HDF5: {what}"));
                fs::write_bytes(path, &file.map_err(failed)?)
            }
        }
    }

    /// Refuses a name that [`save`](Self::save) would refuse whatever the model.
    ///
    /// # Errors
    /// A name with another ending.
    pub fn check_name(path: impl AsRef<Path>) -> Result<()> {
        PldaForm::of(path.as_ref()).map(|_| ())
    }

    /// The model in the form of others.
    fn parts(&self, path: &Path, form: PldaForm) -> Result<Parts> {
        let lost = |what: &str| Error::file(path, format!("this form of file cannot hold {what}"));
        let mut mu = self.mu.clone();
        let mut lacks_mean = self.lacks_mean;
        match self.chain.links() {
            [] => (),
            [Link::Mean(mean)] if !self.length_norm => {
                mu.iter_mut().zip(mean).for_each(|(mu, mean)| *mu += mean);
            }
            [Link::Mean(_)] if form == PldaForm::Hdf5 => {
                note!(
                    "{}: WeSpeaker's files do not hold the mean that is subtracted first; its \
                     scoring takes it from --indomain_scp",
                    path.display()
                );
                lacks_mean = true;
            }
            [Link::Mean(_)] => return Err(lost("a mean in front of a length norm")),
            _ => return Err(lost("an LDA")),
        }
        if form == PldaForm::Kaldi && self.lacks_mean {
            return Err(lost("that a mean must be subtracted first"));
        }
        if form == PldaForm::Kaldi && self.length_norm {
            note!(
                "{}: Kaldi's files do not hold the length norm (--normalize-length \
                 --simple-length-normalization in its programs)",
                path.display()
            );
        }
        let (psi, transform) = (self.psi.clone(), self.transform());
        Ok(Parts { mu, psi, transform, length_norm: self.length_norm, lacks_mean })
    }
}

#[cfg(test)]
mod tests;
