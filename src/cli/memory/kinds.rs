//! The ways in which a network is trained with less memory, and the plans of checkpointed ones.

use serde_json::{Value, json};

use crate::backend::BackendKind;
use crate::backend::reversible::Execution;
use crate::cli::values::{memory, misuse};
use crate::error::Result;
use crate::memory::{Plan, Setting, plan};
use crate::zoo::ReversibleType;

/// Which kinds of each network.
#[derive(Debug, clap::Args)]
pub(super) struct Kinds {
    /// How networks run: reversible ones reversible or taped, ordinary ones checkpointed. Networks
    /// that do not have the choice run as they do without it.
    #[arg(long, value_enum)]
    execution: Option<Execution>,
    /// Bytes that a step of a checkpointed network may take (train.memory): `11GB`. Without them it
    /// takes the fewest.
    #[arg(long = "memory", value_name = "SIZE", value_parser = memory)]
    budget: Option<u64>,
    /// The ordinary network, the same checkpointed, and its reversible types.
    #[arg(long, conflicts_with = "execution")]
    compare: bool,
}

impl Kinds {
    /// The steps that are asked for, of an ordinary step or of one of a reversible type.
    pub fn of(&self, setting: &Setting) -> Vec<Setting> {
        let is_reversible = |setting: &Setting| setting.arch.reversible_type().is_some();
        let run = |setting: &Setting, execution: Option<Execution>| {
            let has = match execution {
                Some(Execution::Checkpointed) => !is_reversible(setting),
                Some(Execution::Reversible | Execution::Taped) => is_reversible(setting),
                None => true,
            };
            let execution = execution.filter(|_| has);
            let budget = self.budget.filter(|_| execution == Some(Execution::Checkpointed));
            Setting { execution, budget, ..setting.clone() }
        };
        if !self.compare {
            return vec![run(setting, self.execution)];
        }
        let of_type = |reversible| {
            Some(Setting { arch: setting.arch.of_type(reversible)?, ..setting.clone() })
        };
        let ordinary = of_type(None);
        let checkpointed = ordinary.as_ref().map(|s| run(s, Some(Execution::Checkpointed)));
        let types = [ReversibleType::Partial, ReversibleType::Full];
        let reversible = types.into_iter().map(|of| of_type(Some(of)));
        [ordinary, checkpointed].into_iter().chain(reversible).flatten().collect()
    }

    /// Takes a budget away that no checkpointed step fits, if other kinds of the network stand
    /// beside it. Returns a note that says so.
    pub fn fitting(&self, setting: Setting, kind: BackendKind) -> (Setting, Option<String>) {
        if !self.compare || setting.budget.is_none() {
            return (setting, None);
        }
        let Err(e) = plan(&setting, kind) else { return (setting, None) };
        let fewest = Setting { budget: None, ..setting.clone() };
        // If this has an error too, the budget is not to blame, and the account tells it.
        match plan(&fewest, kind) {
            Ok(_) => (fewest, Some(format!("{e}; here it has the fewest bytes"))),
            Err(_) => (setting, None),
        }
    }

    /// Refuses a choice that none of the steps has.
    ///
    /// # Errors
    /// Such a choice.
    pub fn check(&self, settings: &[Setting]) -> Result<()> {
        if self.execution.is_some() && settings.iter().all(|s| s.execution.is_none()) {
            return Err(misuse(
                "--execution: reversible and taped are choices of rev1- and rev2- architectures, \
                 checkpointed is one of the others",
            ));
        }
        let checkpointed = |s: &Setting| s.execution == Some(Execution::Checkpointed);
        if self.budget.is_some() && !settings.iter().any(checkpointed) {
            return Err(misuse(
                "--memory is a budget of checkpointed networks (--execution checkpointed, or \
                 --compare)",
            ));
        }
        Ok(())
    }
}

/// The plan of a checkpointed step.
///
/// # Errors
/// Those of [`plan`].
pub(super) fn plan_of(setting: &Setting, kind: BackendKind) -> Result<Option<Plan>> {
    let is_planned = setting.execution == Some(Execution::Checkpointed);
    is_planned.then(|| plan(setting, kind)).transpose()
}

/// The plan as JSON; null for other steps.
///
/// # Errors
/// Those of [`plan`].
pub(super) fn plan_object(setting: &Setting, kind: BackendKind) -> Result<Value> {
    let Some(plan) = plan_of(setting, kind)? else { return Ok(Value::Null) };
    let stage = |(name, recomputed, kept): &(String, usize, usize)| {
        let mut stage = json!({"name": name});
        stage["recomputed"] = json!(recomputed);
        stage["kept"] = json!(kept);
        stage
    };
    Ok(json!({
        "bytes": plan.bytes,
        "ordinary": plan.ordinary,
        "again": plan.again,
        "stages": plan.stages.iter().map(stage).collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::OptimizerConfig;
    use crate::zoo::Architecture;

    fn setting(name: &str) -> Setting {
        Setting {
            batch: 8,
            speakers: 100,
            ..Setting::new(Architecture::named(name).unwrap(), OptimizerConfig::default())
        }
    }

    fn names(kinds: &Kinds, name: &str) -> Vec<String> {
        kinds.of(&setting(name)).iter().map(Setting::name).collect()
    }

    #[test]
    fn networks_have_the_choices_of_their_kind() {
        let chosen = |execution| Kinds { execution: Some(execution), budget: None, compare: false };
        let checkpointed = chosen(Execution::Checkpointed);
        assert_eq!(names(&checkpointed, "resnet34"), ["resnet34 (checkpointed)"]);
        assert_eq!(names(&checkpointed, "rev1-resnet34"), ["rev1-resnet34"]);
        assert!(checkpointed.check(&checkpointed.of(&setting("rev1-resnet34"))).is_err());
        let taped = chosen(Execution::Taped);
        assert_eq!(names(&taped, "rev1-resnet34"), ["rev1-resnet34 (taped)"]);
        assert!(taped.check(&taped.of(&setting("resnet34"))).is_err());
    }

    #[test]
    fn all_kinds_are_compared() {
        let all = Kinds { execution: None, budget: Some(11_000_000_000), compare: true };
        let wanted = ["resnet34", "resnet34 (checkpointed)", "rev1-resnet34", "rev2-resnet34"];
        assert_eq!(names(&all, "resnet34"), wanted);
        assert_eq!(names(&all, "rev2-resnet34"), wanted);
        assert_eq!(names(&all, "tdnn"), ["tdnn", "tdnn (checkpointed)"]);
        let settings = all.of(&setting("resnet34"));
        all.check(&settings).unwrap();
        assert!(settings.iter().all(|s| s.check().is_ok()));
        let budgets: Vec<bool> = settings.iter().map(|s| s.budget.is_some()).collect();
        assert_eq!(budgets, [false, true, false, false]);
        // A budget that nothing fits leaves the other rows, and the fewest bytes.
        let small = Setting { budget: Some(1_000_000), ..settings[1].clone() };
        let (found, note) = all.fitting(small.clone(), BackendKind::Flex);
        assert_eq!(found.budget, None);
        assert!(note.unwrap().contains("at least if it is checkpointed"));
        let fits = settings[1].clone();
        assert_eq!(all.fitting(fits.clone(), BackendKind::Flex), (fits, None));
        let lone = Kinds { execution: None, compare: false, ..all };
        assert_eq!(lone.fitting(small.clone(), BackendKind::Flex), (small, None));
        assert!(lone.check(&lone.of(&setting("resnet34"))).is_err());
    }
}
