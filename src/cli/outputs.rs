//! What an output must not replace, though it could be written.

use std::path::Path;

use super::chosen;
use crate::error::{Error, Result};
use crate::fs;
use crate::scoring::Store;

/// Checks outputs that are no models, before any work.
///
/// # Errors
/// Those of [`fs::check_outputs`]; an output in whose place a store of voices or a network's model
/// is.
pub(super) fn check(outputs: &[&Path], inputs: &[&Path]) -> Result<()> {
    check_with_models(outputs, &[], inputs)
}

/// The same with outputs that are models. They may replace models, but no store.
///
/// # Errors
/// Those of [`check`].
pub(super) fn check_with_models(
    others: &[&Path],
    models: &[&Path],
    inputs: &[&Path],
) -> Result<()> {
    fs::check_outputs(&[others, models].concat(), inputs)?;
    others.iter().try_for_each(|output| keep(output, false))?;
    models.iter().try_for_each(|output| keep(output, true))
}

/// Refuses an output in whose place something is that took long to make.
fn keep(output: &Path, is_model: bool) -> Result<()> {
    // A device or a pipe is written to, and replaced by nothing.
    if fs::is_stdout(output) || !output.is_file() {
        return Ok(());
    }
    let what = if Store::is_at(output) {
        "a store of voices"
    } else if !is_model && chosen::holds_model(output).unwrap_or(false) {
        "a network's model"
    } else {
        return Ok(());
    };
    let message = format!("is {what}, which would be lost; remove it, or name another output");
    Err(Error::file(output, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::StoreModel;

    #[test]
    fn stores_and_models_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (arch, frontend) = ("resnet10".to_owned(), "{}".to_owned());
        let model = StoreModel { hash: "abc".into(), arch, frontend, dim: 2 };
        drop(Store::open_or_create(at("voices"), &model).unwrap());
        std::fs::write(at("model"), crate::model_file::SHIPPED).unwrap();
        std::fs::write(at("text"), "a b 0.5\n").unwrap();
        let error = |result: Result<()>| result.unwrap_err().to_string();
        for refused in [
            check(&[&at("new"), &at("voices")], &[]),
            check_with_models(&[], &[&at("voices")], &[]),
        ] {
            let text = error(refused);
            assert!(text.contains("voices: is a store of voices, which would be lost"), "{text}");
        }
        let text = error(check(&[&at("model")], &[]));
        assert!(text.contains("model: is a network's model, which would be lost"), "{text}");
        check_with_models(&[&at("text"), &at("new")], &[&at("model")], &[]).unwrap();
        check(&[Path::new("-")], &[]).unwrap();
    }
}
