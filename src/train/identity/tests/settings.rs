//! Differences in recipe, backend, devices and model to begin with.

use super::*;

#[test]
fn the_same_settings_are_the_same_run() {
    let old = recorded(&[]);
    assert_eq!(compare(&settings(&[]), &old, &[]), Ok(vec![]));
    let neutral = [
        "data.threads=9",
        "data.cache_mib=7",
        "train.checkpoint_every=5 steps",
        "train.keep=9",
        "train.shard_states=true",
    ];
    assert_eq!(settings(&neutral), settings(&[]));
    // A seed that no signed integer holds.
    let seed = ["seed=18446744073709551615"];
    assert_eq!(compare(&settings(&seed), &recorded(&seed), &[]), Ok(vec![]));
    // It comes back from a checkpoint as it went in.
    let json = serde_json::to_string(&old).unwrap();
    assert_eq!(serde_json::from_str::<Identity>(&json).unwrap(), old);
}

#[test]
fn keys_of_the_recipe_are_named_with_both_values_and_can_be_accepted() {
    let old = recorded(&["train.epochs=5"]);
    let ours = settings(&["train.epochs=3", "schedule.initial_lr=0.2", "schedule.scale_ratio=1.0"]);
    let error = compare(&ours, &old, &[]).unwrap_err();
    assert_eq!(
        error,
        "runs/r/checkpoint.safetensors: belongs to another recipe: \
         schedule.initial_lr = 0.2, in the checkpoint 0.1; \
         schedule.scale_ratio = 1.0, in the checkpoint not given; \
         train.epochs = 3, in the checkpoint 5 \
         [set train.epochs=5, accept schedule.initial_lr schedule.scale_ratio]"
    );
    let error = compare(&ours, &old, &["schedule"]).unwrap_err();
    assert!(
        !error.contains("schedule") && error.contains("[set train.epochs=5, accept ]"),
        "{error}"
    );
    let notes = compare(&ours, &old, &["schedule", "train"]).unwrap();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert_eq!(notes[2], "accepted: train.epochs = 3, in the checkpoint 5");
    let changes =
        ["augment.probability=0.1", "margin.last=0.3", "data.frames=100", "data.dev=other"];
    for change in changes.into_iter().chain(["train.precision=bf16", "train.accumulate=2"]) {
        let (name, _) = change.split_once('=').unwrap();
        let error = compare(&settings(&[change]), &recorded(&[]), &[]).unwrap_err();
        assert!(
            error.contains("belongs to another recipe")
                && error.contains(&format!("[accept {name}")),
            "{error}"
        );
        // The list of trials goes by the dev folder.
        let notes = compare(&settings(&[change]), &recorded(&[]), &[name, "data.trials"]).unwrap();
        assert!(notes[0].starts_with(&format!("accepted: {name} = ")), "{notes:?}");
    }
}

#[test]
fn another_list_of_training_data_may_be_meant_or_not() {
    let old = recorded(&["train.epochs=5", "data.train=big"]);
    let ours = settings(&["train.epochs=3", "data.train=small"]);
    let error = compare(&ours, &old, &[]).unwrap_err();
    let wanted = "data.train = \"small\", in the checkpoint \"big\"; train.epochs = 3, in the \
                  checkpoint 5 [Keep { settings: [(\"data.train\", \"big\"), (\"train.epochs\", \
                  \"5\")], names: [\"data.train\", \"train.epochs\"] }]";
    assert!(error.ends_with(wanted), "{error}");
    let error = compare(&ours, &old, &["data.train"]).unwrap_err();
    assert!(error.ends_with("[set train.epochs=5, accept ]"), "{error}");
    compare(&ours, &old, &["data.train", "train.epochs"]).unwrap();
}

#[test]
fn more_epochs_need_no_acceptance() {
    let old = recorded(&["train.epochs=5"]);
    let more = settings(&["train.epochs=8"]);
    let wanted = "accepted: train.epochs = 8, in the checkpoint 5: from here on the rates are \
                  those of a run of 8 epochs";
    for names in [&[][..], &["train.epochs"], &["train"]] {
        assert_eq!(compare(&more, &old, names), Ok(vec![wanted.to_owned()]), "{names:?}");
        let accept = accept(names);
        more.check_settings(&old, Path::new(CHECKPOINT), &accept).unwrap();
        assert_eq!(accept.unused(), [""; 0]);
    }
    // What differs besides is asked for, and nothing else.
    let ours = settings(&["train.epochs=8", "margin.last=0.3"]);
    let error = compare(&ours, &old, &[]).unwrap_err();
    assert!(
        error.ends_with("recipe: margin.last = 0.3, in the checkpoint 0.2 [accept margin.last]")
    );
    // Stages of a quantizer would move.
    let bits = "quantize.bits=4";
    let ours = settings(&["train.epochs=8", bits]);
    let error = compare(&ours, &recorded(&["train.epochs=5", bits]), &[]).unwrap_err();
    assert!(error.ends_with("[accept train.epochs]"), "{error}");
}

#[test]
fn what_does_not_change_this_run_is_not_compared() {
    let phase = ["large_margin.epochs=3", "init=elsewhere.safetensors"];
    assert_eq!(compare(&settings(&phase), &recorded(&[]), &[]), Ok(vec![]));
    for change in ["train.freeze=['layer1']", "schedule.factors.projection=10"] {
        let (name, _) = change.split_once('=').unwrap();
        let error = compare(&settings(&[change]), &recorded(&[]), &[]).unwrap_err();
        assert!(error.ends_with(&format!("[accept {name}]")), "{error}");
        assert_eq!(compare(&settings(&[change]), &recorded(&[]), &[name]).unwrap().len(), 1);
    }
}

#[test]
fn what_would_not_fit_cannot_be_accepted() {
    for (change, name) in [
        ("model.width=8", "model.width"),
        ("loss.scale=8.0", "loss.scale"),
        ("optimizer=adamw", "optimizer.kind"),
        ("seed=9", "seed"),
        ("frontend.dither=0.5", "frontend.dither"),
        ("data.passes=3", "data.passes"),
        ("data.speeds=[1.0, 0.9]", "data.speeds"),
        ("train.batch_size=64", "train.batch_size"),
    ] {
        let ours = settings(&[change, "train.epochs=3"]);
        let error = compare(&ours, &recorded(&[]), &["train", "data"]).unwrap_err();
        assert!(
            error.contains("belongs to another recipe: ") && error.contains(&format!("{name} = ")),
            "{error}"
        );
        assert!(error.ends_with("cannot change within a run [another folder]"), "{error}");
        assert!(!error.contains("train.epochs"), "{error}");
    }
    let error = compare(&settings(&["data.speeds=[1.0, 0.9]"]), &recorded(&[]), &[]).unwrap_err();
    assert!(error.contains("data.speeds = [1.0, 0.9], in the checkpoint [1.0]"), "{error}");
}

#[test]
fn backend_and_devices_are_compared() {
    let old = recorded(&[]);
    let ours = Identity { backend: Some("cuda".to_owned()), devices: Some(2), ..settings(&[]) };
    let error = compare(&ours, &old, &[]).unwrap_err();
    assert!(
        error.contains(
            "was made otherwise: backend = cuda, in the checkpoint flex; \
             devices = 2, in the checkpoint 1 [accept backend devices]"
        ),
        "{error}"
    );
    assert!(compare(&ours, &old, &["backend"]).unwrap_err().contains("made otherwise: devices"));
    assert_eq!(compare(&ours, &old, &["backend", "devices"]).unwrap().len(), 2);
    // With another recipe, all of it is named.
    let error =
        compare(&Identity { recipe: settings(&["seed=5"]).recipe, ..ours }, &old, &[]).unwrap_err();
    assert!(
        error.contains("another recipe: seed = 5, in the checkpoint 42; backend = cuda"),
        "{error}"
    );
}

#[test]
fn what_another_number_of_ranks_changes_is_a_note() {
    let ours = Identity { ranks: Some(2), ..recorded(&[]) };
    let notes = compare(&ours, &recorded(&[]), &[]).unwrap();
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(note.contains("ranks = 2, in the checkpoint 1: from here on BatchNorm"), "{note}");
    assert!(note.contains("running statistics come from other parts in any case"), "{note}");
}

#[test]
fn the_model_to_begin_with_is_the_same_one() {
    let from = |init: Option<&str>| Identity { init: init.map(str::to_owned), ..recorded(&[]) };
    assert_eq!(compare(&from(Some("a1")), &from(Some("a1")), &[]), Ok(vec![]));
    for (ours, theirs, wanted) in [
        (Some("a1"), Some("b2"), "the run began with another model"),
        (Some("a1"), None, "the run began with random weights"),
        (None, Some("b2"), "the run began with a model"),
    ] {
        let error = compare(&from(ours), &from(theirs), &[]).unwrap_err();
        assert!(
            error.contains("belongs to another recipe: init: ") && error.contains(wanted),
            "{error}"
        );
        assert!(error.contains("init cannot change within a run"), "{error}");
    }
}

#[test]
fn an_old_checkpoint_is_compared_in_what_it_has() {
    let without_new_keys = "[data]\ntrain = \"d/train\"\ndev = \"d/dev\"\nthreads = 1\n\
                            cache_mib = 0\n[model]\nname = \"resnet18\"\n";
    let old = Identity { recipe: without_new_keys.to_owned(), ..Identity::default() };
    let notes = compare(&settings(&[]), &old, &[]).unwrap();
    let wanted =
        "does not tell backend, devices, data, since an earlier version wrote it: not compared";
    assert_eq!(notes, [format!("{CHECKPOINT} {wanted}")]);
    assert!(
        compare(&settings(&["seed=7"]), &old, &[])
            .unwrap_err()
            .contains("seed = 7, in the checkpoint 42")
    );
    let mut ours = recorded(&[]);
    assert_eq!(
        ours.check_data(&old, Path::new(CHECKPOINT), &accept(&[])).unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(serde_json::from_str::<Identity>("{\"recipe\": \"x\"}").unwrap().recipe, "x");
}

#[test]
fn a_recipe_that_cannot_be_read_says_so() {
    let old = Identity { recipe: "[model]\nnew = 1\n".to_owned(), ..recorded(&[]) };
    let error = compare(&settings(&[]), &old, &[]).unwrap_err();
    let start = "runs/r/checkpoint.safetensors: this version cannot read the recipe in it: ";
    assert!(error.starts_with(start) && error.ends_with(" [another folder]"), "{error}");
    assert!(error.contains("recipe:2: unknown field `new`"), "{error}");
}
