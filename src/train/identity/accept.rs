//! Differences that a person accepts between a run and its checkpoint.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{BACKEND, DEVICES, INIT};
use crate::error::{Error, Remedy, Result};
use crate::train::recipe::{CHANGEABLE, Role, is_within, role_of};

/// Names that are no keys of the recipe.
const OTHERS: [&str; 3] = [BACKEND, DEVICES, "model-file"];

/// Accepted names: `backend`, `devices`, `model-file`, and keys of the recipe that may change
/// within a run. A section stands for all such keys in it.
#[derive(Debug, Default)]
pub struct Accept(Vec<Accepted>);

#[derive(Debug)]
struct Accepted {
    name: String,
    /// Whether a difference of this name was found.
    used: AtomicBool,
}

impl Accept {
    /// Checks names.
    ///
    /// # Errors
    /// An unknown name, a name of something that cannot change within a run, and one that needs no
    /// acceptance.
    pub fn parse(names: &[String]) -> Result<Self> {
        names.iter().try_for_each(|name| check(name))?;
        Ok(Self(
            names
                .iter()
                .map(|name| Accepted { name: name.clone(), used: AtomicBool::new(false) })
                .collect(),
        ))
    }

    /// Whether a difference of this name is accepted. Ask only about differences that exist:
    /// [`Accept::unused`] returns the names that were never asked about.
    pub fn takes(&self, name: &str) -> bool {
        let mut taken = false;
        for accepted in self.0.iter().filter(|accepted| is_within(name, &accepted.name)) {
            accepted.used.store(true, Ordering::Relaxed);
            taken = true;
        }
        taken
    }

    /// Accepted names without a difference.
    pub fn unused(&self) -> Vec<&str> {
        self.0.iter().filter(|a| !a.used.load(Ordering::Relaxed)).map(|a| a.name.as_str()).collect()
    }
}

fn check(name: &str) -> Result<()> {
    let role = role_of(name);
    if OTHERS.contains(&name)
        || role == Some(Role::Changeable)
        || CHANGEABLE.iter().any(|key| is_within(key, name))
    {
        return Ok(());
    }
    let bad = |why: &str| Error::Invalid(format!("`{name}` cannot be accepted: {why}"));
    let fixed = || bad("it cannot change within a run").with(Remedy::OtherFolder);
    Err(match role {
        // The recipe's key is only the path.
        _ if name == INIT => fixed(),
        Some(Role::Neutral) => bad("it need not be, since it does not change the result"),
        Some(Role::Fixed) => fixed(),
        Some(Role::Changeable) | None => bad(&format!(
            "there is no such name. There are {}, and of the recipe {}; a section stands for its \
             keys",
            OTHERS.join(", "),
            CHANGEABLE.join(", ")
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(names: &[&str]) -> Result<Accept> {
        Accept::parse(&names.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_section_stands_for_its_keys() {
        let some =
            accept(&["schedule", "train.epochs", "augment.spec", "backend", "model-file"]).unwrap();
        for name in [
            "schedule.initial_lr",
            "train.epochs",
            "augment.spec.mel_width",
            "backend",
            "model-file",
        ] {
            assert!(some.takes(name), "{name}");
        }
        for name in ["train.patience", "train", "augment.noise", "schedules", "devices"] {
            assert!(!some.takes(name), "{name}");
        }
        assert!(!Accept::default().takes("backend"));
    }

    #[test]
    fn names_without_a_difference_are_known() {
        let some = accept(&["schedule", "data.train", "devices"]).unwrap();
        assert!(some.takes("data.train") && !some.takes("backend"));
        assert_eq!(some.unused(), ["schedule", "devices"]);
    }

    #[test]
    fn names_that_cannot_be_accepted_are_errors() {
        let fails = |name: &str, wanted: &str| {
            let error = accept(&["backend", name]).unwrap_err().to_string();
            let start = format!("`{name}` cannot be accepted: ");
            assert!(error.starts_with(&start) && error.contains(wanted), "{error}");
        };
        for name in ["", "train.epoch", "data.", "everything", "models"] {
            fails(name, "no such name");
        }
        for part in
            ["backend, devices, model-file", "data.train, data.dev, data.trials", "augment.noise, "]
        {
            fails("x", part);
        }
        for name in [
            "seed",
            "model",
            "model.width",
            "optimizer.kind",
            "train.batch_size",
            "data.synth.out",
            "init",
        ] {
            fails(name, "cannot change within a run");
        }
        fails("train.keep", "does not change the result");
        fails("data.threads", "does not change the result");
        assert_eq!(accept(&["seed"]).unwrap_err().remedy(), Some(&Remedy::OtherFolder));
    }
}
