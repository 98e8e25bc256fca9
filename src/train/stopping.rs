//! When a run ends.

use super::Recipe;
use super::checkpoint::State;
use crate::bytes::counted;

/// Why a run has ended, if it has: its epochs are done, or the dev EER has not improved for as long
/// as `train.patience` allows. The answer is the same before an epoch and after it, so resuming a
/// run that had ended changes nothing.
pub(super) fn ended(recipe: &Recipe, state: &State) -> Option<String> {
    let done = state.epoch.saturating_sub(1);
    let (epochs, patience) = (recipe.train.epochs, recipe.train.patience);
    if let Some((_, best)) = state.best
        && patience > 0
        && done >= best.saturating_add(patience)
    {
        let since = counted(done - best, "epoch");
        return Some(format!(
            "no better dev EER for {since} since epoch {best} (train.patience = {patience})"
        ));
    }
    (done >= epochs).then(|| match epochs {
        1 => "its one epoch is done".to_owned(),
        _ => format!("all {epochs} epochs are done"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Identity;

    #[test]
    fn a_run_ends_with_its_epochs_or_its_patience() {
        let parse = |changes: &[String]| {
            let text = "[data]\ntrain = \"a\"\ndev = \"b\"\n[model]\nname = \"resnet10\"\n\
                        [train]\nepochs = 9\n";
            Recipe::parse(text, "r.toml".as_ref(), changes).unwrap()
        };
        let at = |epoch: usize, best: Option<usize>| State {
            epoch,
            best: best.map(|e| (0.1, e)),
            ..State::start(Identity::default())
        };
        let patient = parse(&["train.patience=3".to_owned()]);
        assert_eq!(ended(&patient, &at(1, None)), None);
        assert_eq!(ended(&patient, &at(4, Some(1))), None);
        let why = ended(&patient, &at(5, Some(1))).unwrap();
        assert_eq!(why, "no better dev EER for 3 epochs since epoch 1 (train.patience = 3)");
        assert_eq!(ended(&patient, &at(8, None)), None, "nothing was tested yet");
        let endless = parse(&[]);
        assert_eq!(ended(&endless, &at(9, Some(1))), None);
        assert_eq!(ended(&endless, &at(10, Some(1))).unwrap(), "all 9 epochs are done");
    }
}
