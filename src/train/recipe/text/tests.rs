//! Lines of errors, changes, and what is no TOML.

use super::*;

const TEXT: &str = "seed = 1\n\n[data]\nspeeds = [\n  1.0,\n  0.9,\n]\nsynth.out = \"x\"\n\
                    [train]\nepochs = 3\n";

fn text() -> Text<'static> {
    Text::parse(TEXT, Path::new("r.toml")).unwrap()
}

#[test]
fn faults_are_at_the_line_of_their_key_or_section() {
    let at = |key: &str| text().fault(key, "m".into()).place().1;
    assert_eq!([at("seed"), at("data.speeds"), at("data.synth.out")], [Some(1), Some(4), Some(8)]);
    assert_eq!(
        [at("train.epochs"), at("train.patience"), at("train")],
        [Some(10), Some(9), Some(9)]
    );
    assert_eq!(at("margin.last"), None);
}

#[test]
fn keys_that_no_stack_could_hold_are_errors() {
    let deep = "a.".repeat(100_000);
    let text = format!("seed = 1\n{deep}a = 1\n");
    let error = Text::parse(&text, "r.toml".as_ref()).err().unwrap().to_string();
    assert!(error.starts_with("r.toml:2: more than"), "{error}");
    let change = [format!("{deep}a=1")];
    let error = apply(&mut DeTable::new(), Changes::named(&change, "--x")).unwrap_err();
    assert_eq!(error.to_string(), "--x: a key with more than 200 dots");
    let comment = format!("# {}\nseed = 1\n", ".".repeat(300));
    Text::parse(&comment, "r.toml".as_ref()).unwrap();
}

#[test]
fn what_was_changed_has_no_line() {
    let changes = ["train.epochs = 5".to_owned(), "margin.last=0.1".to_owned()];
    let mut changed = text();
    changed.change((&changes).into()).unwrap();
    let at = |key: &str| changed.fault(key, "m".into()).to_string();
    assert_eq!(at("train.epochs"), "r.toml: m");
    assert_eq!(at("train.patience"), "r.toml: m");
    assert_eq!(at("margin.last"), "r.toml: m");
    assert_eq!(at("seed"), "r.toml:1: m");
}

#[test]
fn errors_of_changes_have_the_name_that_their_giver_says() {
    let changes = ["train.x=1".to_owned(), "data.frames=1".to_owned()];
    let error = |changes: Changes| {
        let mut text = Text::parse(TEXT, Path::new("r.toml")).unwrap();
        let done = text.change(changes).and_then(|()| text.values::<toml::Table>());
        done.unwrap_err().to_string()
    };
    let wanted = "data.frames = 1: must be 16 to 100000";
    assert_eq!(error((&changes).into()), format!("r.toml: with override: {wanted}"));
    let named = Changes::named(&changes, "--set");
    assert_eq!(error(named), format!("r.toml: with --set: {wanted}"));
    let changes = ["train".to_owned()];
    assert_eq!(error((&changes).into()), "override train: wanted key=value");
}

#[test]
fn sections_that_are_there_are_left_alone() {
    let mut whole = text();
    whole.complete_with("[train]\nepochs = 9\n[model]\nname = \"n\"\n").unwrap();
    let values: toml::Table = whole.values().unwrap();
    assert_eq!(values["train"]["epochs"].as_integer(), Some(3));
    assert_eq!(values["model"]["name"].as_str(), Some("n"));
}

#[test]
fn what_is_not_toml_is_a_string() {
    let values = |change: &str| {
        let changes = [change.to_owned()];
        let mut text = text();
        text.change((&changes).into()).unwrap();
        text.values::<toml::Table>().unwrap()["x"].clone()
    };
    assert_eq!(values("x=runs/a b"), toml::Value::from("runs/a b"));
    assert_eq!(values("x="), toml::Value::from(""));
    assert_eq!(values("x = 0x10"), toml::Value::from(16));
    assert_eq!(values("x=[1, 2]"), toml::Value::from(vec![1, 2]));
    assert_eq!(values("x=\"7\""), toml::Value::from("7"));
}
