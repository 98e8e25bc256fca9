//! The effect of a changed key on a resumed run.

/// The effect of another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::train) enum Role {
    /// Nothing: the result is the same.
    Neutral,
    /// It changes the rest of the run. A person may want that.
    Changeable,
    /// Weights, optimizer state or the place in the data would not fit any more.
    Fixed,
}

/// Neutral keys, and a section of such. A run's identity holds the hash of the model that it begins
/// with, wherever that lies. The second phase is a run of its own, whose recipe has other keys.
pub(super) const NEUTRAL: [&str; 10] = [
    "init",
    "data.threads",
    "data.cache_mib",
    "augment.cache_mib",
    "train.execution",
    "train.shard_states",
    "train.release_gradients",
    "train.checkpoint_every",
    "train.keep",
    "large_margin",
];

/// Changeable keys, and a section of such.
pub(in crate::train) const CHANGEABLE: [&str; 35] = [
    "data.train",
    "data.dev",
    "data.trials",
    "data.frames",
    "data.tolerate",
    "data.features",
    "augment.probability",
    "augment.noise",
    "augment.noise_snr",
    "augment.reverb",
    "augment.normalize",
    "augment.categories",
    "augment.spec.time_masks",
    "augment.spec.time_width",
    "augment.spec.mel_masks",
    "augment.spec.mel_width",
    "margin.initial",
    "margin.last",
    "margin.increase_start_epoch",
    "margin.fix_start_epoch",
    "margin.increase",
    "schedule.initial_lr",
    "schedule.final_lr",
    "schedule.warm_up_epochs",
    "schedule.warm_from_zero",
    "schedule.scale_ratio",
    "schedule.factors",
    "train.epochs",
    "train.accumulate",
    "train.patience",
    "train.validate_every",
    "train.average_last",
    "train.freeze",
    "train.sync_batch_norm",
    "train.precision",
];

/// Fixed keys, and sections whose keys are all fixed.
const FIXED: [&str; 11] = [
    "seed",
    "data.synth",
    "data.passes",
    "data.speeds",
    "data.shard_mix",
    "frontend",
    "model",
    "loss",
    "optimizer",
    "quantize",
    "train.batch_size",
];

/// Whether a key is `section` or below it.
pub(in crate::train) fn is_within(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The role of a key. None if no recipe has the key.
pub(in crate::train) fn role_of(key: &str) -> Option<Role> {
    let is_among = |keys: &[&str]| keys.iter().any(|section| is_within(key, section));
    [(&NEUTRAL[..], Role::Neutral), (&CHANGEABLE[..], Role::Changeable), (&FIXED[..], Role::Fixed)]
        .into_iter()
        .find_map(|(keys, role)| is_among(keys).then_some(role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_those_of_keys_and_of_fixed_sections() {
        assert_eq!(role_of("train.keep"), Some(Role::Neutral));
        assert_eq!(role_of("train.epochs"), Some(Role::Changeable));
        assert_eq!(role_of("schedule.factors.layer1.0"), Some(Role::Changeable));
        assert_eq!(role_of("large_margin.epochs"), Some(Role::Neutral));
        for key in
            ["seed", "model", "model.width", "loss.inter_topk.k", "optimizer.states.block_size"]
        {
            assert_eq!(role_of(key), Some(Role::Fixed), "{key}");
        }
        for key in ["", "train", "train.epoch", "models", "seeds.x", "data"] {
            assert_eq!(role_of(key), None, "{key}");
        }
    }
}
