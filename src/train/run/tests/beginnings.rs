//! Runs that begin with a model: one that the recipe names, and that of a first phase.

use super::*;

#[test]
fn a_recipe_can_name_the_model_that_it_begins_with() {
    let place = Place::new();
    place.ok("first", &[]);
    let model = place.path("first/model.safetensors");
    let init = format!("init={}", model.display());
    place.ok("second", &[&init]);
    assert!(place.tensors("second") != place.tensors("first"));
    // As if the model had been given.
    let (start, header) = Start::load(&model, &Device::default()).unwrap();
    assert_eq!(place.recipe(&[&init]).model, header.arch);
    let way = Way { out: "given", ..Way::default() };
    let options = place.options(way, &Arc::default());
    fine_tune(&place.recipe(&[]), &options, start).unwrap();
    assert!(place.tensors("given") == place.tensors("second"));
    let lock = std::fs::read_to_string(place.path("second/recipe.lock.toml")).unwrap();
    assert!(lock.contains("init = ") && lock.contains("model.safetensors"), "{lock}");
    let changes = [init.as_str(), "model.width=4"];
    place.fails(
        Way { out: "other", changes: &changes, ..way },
        "[model] is not that of the model to start with: width = 4, there 2",
    );
    // The same model elsewhere is the same model; another one is not.
    std::fs::copy(&model, place.path("copy.safetensors")).unwrap();
    let copy = format!("init={}", place.path("copy.safetensors").display());
    let way = Way { out: "second", resume: true, ..way };
    place.train(Way { changes: &[&copy], ..way }).unwrap();
    let other = format!("init={}", place.path("second/model.safetensors").display());
    place.fails(Way { changes: &[&other], ..way }, "the run began with another model");
}

/// Network and front-end need not be given then. A model that is named from outside wins.
#[test]
fn a_recipe_takes_the_network_of_its_model() {
    let place = Place::new();
    place.ok("first", &["train.epochs=1"]);
    place.ok("other", &["train.epochs=1", "model.width=4"]);
    let [first, other] = ["first", "other"].map(|out| place.path(out).join("model.safetensors"));
    let data = place.path("corpus").display().to_string();
    let text = format!(
        "init = '{}'\n[data]\ntrain = '{data}/train'\ndev = '{data}/dev'\nframes = 50\n",
        first.display()
    );
    std::fs::write(place.path("r.toml"), text).unwrap();
    let read = |changes: &[String], init: Option<&Path>| {
        let recipe = Recipe::load_from(place.path("r.toml"), changes, init).unwrap();
        (recipe.model.width, recipe.init)
    };
    assert_eq!(read(&[], None), (2, Some(first.clone())));
    assert_eq!(read(&[], Some(&other)), (4, Some(other.clone())));
    let change = [format!("init={}", other.display())];
    assert_eq!(read(&change, None), (4, Some(other.clone())));
    assert_eq!(read(&change, Some(&first)), (2, Some(first)));
    let none = ["init=".to_owned()];
    let error = Recipe::load_from(place.path("r.toml"), &none, None).unwrap_err().to_string();
    assert!(error.contains("missing field `model`"), "{error}");
}

#[test]
fn a_second_phase_begins_with_the_model_of_the_first() {
    let place = Place::new();
    let speeds = "data.speeds=[1.0, 1.1]";
    let phase = ["large_margin.epochs=1", "large_margin.frames=60", "large_margin.initial_lr=1e-9"];
    let changes = [&phase[..], &[speeds, "large_margin.final_lr=1e-9"]].concat();
    let report = place.ok("both", &changes);
    let first = report.first.as_ref().unwrap();
    assert_eq!((report.epochs, first.epochs), (1, 2));
    assert_eq!(report.model, place.path("both/large_margin/model.safetensors"));
    assert_eq!(first.model, place.path("both/model.safetensors"));
    // Speakers at another speed are no classes of the second phase.
    let head = report.head.unwrap();
    assert_eq!((head.kept, head.added, head.dropped), (5, 0, 5));
    let (before, after) = (place.rows("both"), place.rows("both/large_margin"));
    assert_eq!((before.len(), after.len()), (10, 5));
    for (name, row) in &after {
        let far = row.iter().zip(&before[name]).any(|(x, y)| (x - y).abs() > 1e-5);
        assert!(!far, "{name}");
    }
    // The first phase is what it is without a second one.
    place.ok("first", &[speeds]);
    assert!(place.tensors("first") == place.tensors("both"));
    // It goes on where it is, also when it was cut off between the phases.
    let wanted = place.tensors("both/large_margin");
    let way = Way { out: "both", resume: true, changes: &changes, ..Way::default() };
    let (report, _) = place.train(way).unwrap();
    assert!(report.ended.is_some() && report.first.unwrap().ended.is_some());
    let (report, _) = place.train(Way { out: "first", ..way }).unwrap();
    assert!(report.ended.is_none() && report.first.unwrap().ended.is_some());
    assert!(place.tensors("first/large_margin") == wanted);
    assert!(place.tensors("both/large_margin") == wanted);
    // More epochs of the second phase, and none of the first any more.
    let longer = [&changes[..], &["large_margin.epochs=2"]].concat();
    let (report, _) = place.train(Way { changes: &longer, ..way }).unwrap();
    assert_eq!((report.epochs, report.ended), (2, None));
    let longer = [&changes[..], &["train.epochs=3"]].concat();
    place.fails(
        Way { changes: &longer, ..way },
        "2 of 3 epochs are trained, but the second phase in",
    );
    place.fails(Way { resume: false, ..way }, "holds the second phase of a run already");
}

/// Nothing is trained then, so that it must not look like success.
#[test]
fn a_run_that_is_complete_takes_no_new_speakers() {
    let place = Place::new();
    place.without("first", |speaker| speaker == "s00000");
    let [first, all] = ["first", "corpus/train"]
        .map(|folder| format!("data.train={}", place.path(folder).display()));
    let lm = ["train.epochs=1", "large_margin.epochs=1", "large_margin.frames=60"];
    place.ok("one", &["train.epochs=1", &first]);
    place.ok("two", &[&lm[..], &[first.as_str()]].concat());
    let complete = |out: &str, changes: &[&str]| {
        let accept = &["data.train"];
        place.train(Way { out, resume: true, accept, changes }).unwrap_err()
    };
    let error = complete("one", &["train.epochs=1", &all]);
    assert!(error.to_string().contains("new speakers need more epochs"), "{error}");
    assert_eq!(error.remedy(), Some(&Remedy::Raise { key: "train.epochs" }));
    let error = complete("two", &[&lm[..], &[all.as_str()]].concat());
    assert!(error.to_string().contains("the second phase has begun in"), "{error}");
    let model = place.path("two/model.safetensors");
    assert_eq!(error.remedy(), Some(&Remedy::BeginWith { model }));
    // Fewer epochs of the second phase go by the key of the recipe.
    let changes = [&lm[..], &[first.as_str()]].concat();
    let longer = [&changes[..], &["large_margin.epochs=2"]].concat();
    let way = Way { out: "two", resume: true, changes: &longer, ..Way::default() };
    place.train(way).unwrap();
    let error = place.train(Way { changes: &changes, ..way }).unwrap_err();
    assert!(error.to_string().contains("large_margin.epochs = 1, in the checkpoint 2"), "{error}");
    let value = "2".to_owned();
    let wanted = Remedy::Set { key: "large_margin.epochs", value, names: Vec::new() };
    assert_eq!(error.remedy(), Some(&wanted));
}
