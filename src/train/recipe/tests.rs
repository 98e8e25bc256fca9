//! Recipes that are read, and recipes that are refused.

mod ours;

use super::*;

const SMALL: &str = "[data]\ntrain = \"a\"\ndev = \"b\"\n[model]\nname = \"resnet18\"\n";

fn parse(text: &str, changes: &[&str]) -> Result<Recipe> {
    let changes: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
    Recipe::parse(text, Path::new("r.toml"), &changes)
}

#[test]
fn a_recipe_survives_its_own_text() {
    let text = format!(
        "{SMALL}width = 8\n[optimizer]\nkind = \"adamw\"\n[loss.inter_topk]\nk = 3\n\
         [augment.spec]\n"
    );
    let recipe = parse(&text, &["train.epochs=3", "margin.increase_start_epoch=1"]).unwrap();
    assert_eq!(recipe.train.epochs, 3);
    assert_eq!(recipe.data.trials, Path::new("b/trials.txt"));
    assert_eq!(parse(&recipe.to_toml(), &[]).unwrap(), recipe);
}

#[test]
fn what_does_not_change_the_result_is_left_out() {
    let plain = parse(SMALL, &[]).unwrap();
    let neutral = [
        "data.threads=7",
        "data.cache_mib=9",
        "train.checkpoint_every=3 steps",
        "train.keep=8",
        "train.shard_states=true",
        "seed=18446744073709551615",
    ];
    let other = parse(SMALL, &neutral).unwrap();
    assert_ne!(other.to_toml(), plain.to_toml());
    let same = Recipe { seed: plain.seed, ..other.clone() };
    assert_eq!(same.decisive(), plain.decisive());
    for name in ["threads", "cache_mib", "checkpoint_every", "keep", "shard_states"] {
        assert!(
            other.to_toml().contains(name) && !other.decisive().contains(name),
            "{}",
            other.decisive()
        );
    }
    let back = parse(&other.decisive(), &[]).unwrap();
    assert_eq!(back, Recipe { seed: u64::MAX, ..plain.clone() });
    let taped = parse(SMALL, &["model.name=rev1-resnet18", "train.execution=taped"]).unwrap();
    assert!(taped.to_toml().contains("execution") && !taped.decisive().contains("execution"));
    let within = ["train.execution=checkpointed", "train.memory=11GB"];
    let checkpointed = parse(SMALL, &within).unwrap();
    assert!(checkpointed.to_toml().contains("memory = \"11GB\""));
    assert_eq!(checkpointed.decisive(), plain.decisive());
    let released = parse(SMALL, &["train.release_gradients=true"]).unwrap();
    assert!(released.to_toml().contains("release_gradients"));
    assert_eq!(released.decisive(), plain.decisive());
    assert!(!plain.to_toml().contains("release_gradients"));
}

/// The section of the optimizer, as a recipe is written.
fn written(text: &str, changes: &[&str]) -> toml::Table {
    let text = parse(text, changes).unwrap().to_toml();
    toml::from_str::<toml::Table>(&text).unwrap()["optimizer"].as_table().unwrap().clone()
}

#[test]
fn an_optimizer_is_a_name_or_a_table() {
    for name in OptimizerConfig::NAMES {
        let recipe = parse(SMALL, &[&format!("optimizer={name}")]).unwrap();
        assert_eq!(recipe.optimizer, OptimizerConfig::named(name).unwrap());
        assert_eq!(parse(&format!("optimizer = \"{name}\"\n{SMALL}"), &[]).unwrap(), recipe);
        assert_eq!(parse(&recipe.to_toml(), &[]).unwrap(), recipe);
    }
    let table = format!(
        "{SMALL}[optimizer]\nkind = \"adamw8bit\"\n[optimizer.states]\nblock_size = 2048\n"
    );
    let optimizer = written(&table, &[]);
    assert_eq!(optimizer["kind"].as_str(), Some("adamw8bit"));
    assert_eq!(optimizer["guard"].as_bool(), Some(true));
    let states = ["block_size", "min_size"].map(|key| optimizer["states"][key].as_integer());
    assert_eq!(states, [Some(2048), Some(4096)]);
}

#[test]
fn an_optimizer_without_a_kind_is_the_default_one() {
    let ours = "kind = \"sgd\"\nmomentum = 0.9\nnesterov = true\nweight_decay = 0.01\n";
    let ours: toml::Table = toml::from_str(ours).unwrap();
    assert_eq!(written(SMALL, &["optimizer.weight_decay=0.01"]), ours);
    assert_eq!(written(&format!("{SMALL}[optimizer]\nweight_decay = 0.01\n"), &[]), ours);
    // A name is a section of that kind.
    let named = format!("optimizer = \"sgd8bit\"\n{SMALL}");
    let optimizer = written(&named, &["optimizer.weight_decay=0.01"]);
    assert_eq!(optimizer["kind"].as_str(), Some("sgd8bit"));
    assert_eq!(optimizer["weight_decay"].as_float(), Some(0.01));
    assert_eq!(optimizer["momentum"].as_float(), Some(0.9));
    assert_eq!(
        parse(&named, &["optimizer.kind=adamw"]).unwrap().optimizer,
        OptimizerConfig::named("adamw").unwrap()
    );
    let error = parse(SMALL, &["optimizer.beta1=0.5"]).unwrap_err().to_string();
    assert!(error.contains("unknown field `beta1`"), "{error}");
    let error =
        parse(&format!("{SMALL}[optimizer]\nmomentun = 0.5\n"), &[]).unwrap_err().to_string();
    assert!(error.contains("r.toml:6: unknown field `momentun`"), "{error}");
}

#[test]
fn a_seed_is_any_number_of_64_bits() {
    let recipe = parse(SMALL, &["seed=18446744073709551615"]).unwrap();
    assert_eq!(recipe.seed, u64::MAX);
    assert_eq!(parse(&recipe.to_toml(), &["train.epochs=150"]).unwrap(), recipe);
}

#[test]
fn typos_and_impossible_values_are_errors_with_their_place() {
    let fails = |text: &str, changes: &[&str], wanted: &str| {
        let error = parse(text, changes).unwrap_err().to_string();
        assert!(
            error.contains(wanted) && error.contains("r.toml") | error.contains("override"),
            "{error}"
        );
    };
    fails(&format!("{SMALL}widht = 8\n"), &[], "r.toml:6: unknown field `widht`");
    fails(&format!("{SMALL}[trian]\nepochs = 1\n"), &[], "unknown field `trian`");
    fails(&format!("{SMALL}width = \"wide\"\n"), &[], "r.toml:6:");
    fails(
        &format!("{SMALL}[schedule]\nscale_ratio = -1\n"),
        &[],
        "r.toml:7: schedule.scale_ratio = -1: must be",
    );
    fails(
        &format!("{SMALL}[margin]\nlast = nan\n"),
        &[],
        "r.toml:7: margin.last = nan: must be 0 to 1.5",
    );
    fails(&format!("{SMALL}[train]\nepochs = -1\n"), &[], "r.toml:7: train.epochs = -1: must be");
    fails(
        &format!("{SMALL}[train]\nepochs = 2\naverage_last = 3\n"),
        &[],
        "r.toml:8: train.average_last = 3",
    );
    fails(
        &format!("{SMALL}[train]\nvalidate_every = 5\npatience = 2\n"),
        &[],
        "r.toml:8: train.patience = 2",
    );
    let synchronised = format!("{SMALL}[train]\nsync_batch_norm = true\n");
    let of_sync = "r.toml:7: train.sync_batch_norm: ";
    fails(&format!("{synchronised}accumulate = 2\n"), &[], of_sync);
    fails(&format!("{synchronised}precision = \"f16\"\n"), &[], of_sync);
    let released = format!("{SMALL}[train]\nrelease_gradients = true\n");
    let of_release = "r.toml:7: train.release_gradients: not with train.";
    fails(&format!("{released}accumulate = 2\n"), &[], of_release);
    fails(&format!("{released}precision = \"f16\"\n"), &[], of_release);
    let packed = format!("{SMALL}[train]\nweights = \"bf16+8\"\n");
    fails(&packed, &[], "r.toml:7: train.weights: not bf16+8 with resnet18 on the ordinary tape");
    fails(&packed, &[], "at a time, with train.release_gradients = true");
    let reversible = "model.name=rev2-resnet18";
    fails(&packed, &[reversible], "train.release_gradients = true steps one weight");
    let released = "train.release_gradients=true";
    fails(&packed, &[reversible, released, "train.execution=taped"], "on the ordinary tape");
    fails(
        &format!("{packed}[quantize]\nmethod = \"kmeans\"\nbits = 4\n"),
        &[reversible, released],
        "train.weights: not bf16+8 with [quantize]",
    );
    assert!(parse(&packed, &[reversible, released]).is_ok());
    fails(&SMALL.replace("18", "19"), &[], "r.toml:4: no architecture `resnet19`");
    fails(SMALL, &["train.average_last=200"], "train.average_last = 200");
    fails("[data", &[], "r.toml:1:");
    fails(SMALL, &["model.name=resnet19"], "no architecture `resnet19`");
    fails(SMALL, &["train.batch_size=1"], "train.batch_size = 1");
    fails(SMALL, &["schedule.initial_lr=nan"], "schedule.initial_lr");
    fails(SMALL, &["augment.probability=1.5"], "augment.probability");
    fails(SMALL, &["data.speeds=[0.9]"], "data.speeds");
    fails(SMALL, &["loss.kind=softmax", "loss.sub_centers=3"], "softmax has no");
    fails(SMALL, &["loss.kind=sphereface2", "loss.sub_centers=3"], "sphereface2 has no");
    fails(SMALL, &["loss.t=3"], "form, t and lambda belong to sphereface2");
    fails(SMALL, &["loss.kind=sphereface2", "loss.form=m"], "expected `c` or `a`");
    fails(SMALL, &["loss.kind=sphereface2", "loss.lambda=1.0"], "loss.lambda = 1.0: must be");
    fails(SMALL, &["optimizer.kind=sgd", "optimizer.momentum=2"], "momentum");
    fails(SMALL, &["optimizer.kind=lion"], "lion");
    fails(SMALL, &["optimizer=lion"], "lion");
    fails(SMALL, &["optimizer=8"], "the name of an optimizer");
    fails(&format!("{SMALL}[optimizer]\nkind = \"sgd8bit\"\nguard = true\n"), &[], "guard");
    fails(
        SMALL,
        &["optimizer.kind=adam8bit", "optimizer.states.block_size=100"],
        "block_size = 100",
    );
    fails(SMALL, &["optimizer.kind=adam8bit", "optimizer.states.rounding=up"], "sign-preserving");
    fails(SMALL, &["optimizer.kind=adamw8bit", "optimizer.beta2=1.0"], "beta2 = 1");
    fails(SMALL, &["optimizer.kind=sgd8bit", "optimizer.momentum=0.0"], "momentum = 0");
    fails(SMALL, &["optimizer.kind=sgd8bit", "optimizer.dampening=0.1"], "nesterov with dampening");
    fails(SMALL, &["train.execution=taped"], "rev1-resnet18");
    fails(SMALL, &["train.execution=checkpoints"], "`checkpointed`");
    fails(SMALL, &["train.memory=11GB"], "which is not chosen");
    fails(SMALL, &["train.execution=checkpointed", "train.memory=11"], "as in \"11GB\"");
    fails(
        SMALL,
        &["model.name=rev1-resnet18", "train.execution=checkpointed"],
        "recomputes its activations already",
    );
    fails(SMALL, &["model.reversible.merge=mean"], "rev2-resnet18");
    let rev = |changes: &[&str], wanted| {
        fails(SMALL, &[&["model.name=rev1-resnet18"], changes].concat(), wanted)
    };
    rev(&["model.reversible.merge=sum"], "expected one of `mean`, `concat`, `project`");
    rev(&["model.reversible.width=3"], "unknown field `width`");
    rev(&["model.reversible.state=7"], "an even number is expected");
    rev(&["model.reversible.transition=block"], "streams = \"split\"");
    rev(&["model.reversible.inner=0.0"], "inner = 0");
    rev(&["model.name=rev2-resnet18", "model.reversible.transition=merged"], "Type II squeezes");
    rev(
        &["model.name=rev1-df-resnet56", "model.reversible.transition=block"],
        "per-stream or merged",
    );
    rev(&["model.name=rev3-resnet18"], "no architecture `rev3-resnet18`");
    fails(SMALL, &["seed=2", "seed.x=1"], "`seed` is not a section");
    fails(SMALL, &["epochs"], "wanted key=value");
    fails("[data]\ntrain = \"a\"\n[model]\nname = \"resnet18\"\n", &[], "data.dev");
}

#[test]
fn a_loss_is_written_with_the_options_of_its_kind() {
    let recipe = parse(SMALL, &["loss.kind=sphereface2"]).unwrap();
    let written = recipe.to_toml();
    for option in ["form = \"c\"", "t = 3", "lambda = 0.7"] {
        assert!(written.contains(option), "{option}: {written}");
    }
    assert_eq!(parse(&written, &[]).unwrap(), recipe);
    let written = parse(SMALL, &[]).unwrap().to_toml();
    assert!(!written.contains("form") && !written.contains("lambda"), "{written}");
}

#[test]
fn schedules_take_epochs_to_iterations() {
    let changes = [
        "margin.initial=0.0",
        "margin.increase_start_epoch=2",
        "margin.fix_start_epoch=3",
        "train.epochs=4",
        "schedule.warm_up_epochs=1",
        "schedule.scale_ratio=1.0",
    ];
    let recipe = parse(SMALL, &changes).unwrap();
    let at = |t: usize| recipe.schedules(10).at(t);
    assert_eq!((at(9).margin, at(20).margin), (0.0, 0.2));
    assert!(at(15).margin > 0.0 && at(15).margin < 0.2);
    assert_eq!(at(0).rate, 0.0);
    assert!((at(40).rate - 5e-5).abs() < 1e-12);
}

#[test]
fn categories_of_noises_have_ranges() {
    let text = format!("{SMALL}[augment.categories.speech]\nsnr = [13, 20]\nmix = [3, 7]\n");
    let speech = parse(&text, &[]).unwrap().augment.categories.speech.unwrap();
    assert_eq!((speech.snr, speech.mix), ([13.0, 20.0], [3, 7]));
    let error = parse(&text, &["augment.categories.speech.snr=[20, 13]"]).unwrap_err();
    assert!(error.to_string().contains("augment.categories.speech.snr"), "{error}");
    // Old checkpoints compare with what is written.
    let plain = parse(SMALL, &[]).unwrap().to_toml();
    assert!(!plain.contains("normalize") && !plain.contains("categories"), "{plain}");
}
