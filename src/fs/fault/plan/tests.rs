use super::*;

fn plan(fault: &str) -> Plan {
    Plan { fault: Some(Fault::parse(fault).unwrap()), ..Plan::default() }
}

#[test]
fn a_fault_is_a_mode_and_a_point() {
    let fault = Fault::parse("kill@sync-folder a file 12").unwrap();
    assert_eq!(fault, Fault { mode: Mode::Kill, label: "sync-folder a file 12".to_owned() });
    for mode in Mode::ALL {
        for op in Op::ALL {
            let (mode_name, op_name) = (mode.name(), op.name());
            let fault = Fault::parse(&format!("{mode_name}@{op_name} a@b 1")).unwrap();
            assert_eq!(fault, Fault { mode, label: format!("{op_name} a@b 1") });
        }
    }
    let wrong = [
        "",
        "kill",
        "kill@",
        "kill@write a",
        "kill@write 1",
        "kill@write  1",
        "kill@write a 0",
        "kill@write a -1",
        "kill@write a x",
        "kill@burn a 1",
        "slow@write a 1",
        "write a 1",
    ];
    for text in wrong {
        assert_eq!(Fault::parse(text), None, "{text:?}");
    }
}

#[test]
fn operations_are_counted_by_name() {
    let mut plan = plan("once@write a 2");
    let mut passed = |op, name: &str| plan.pass(op, name);
    assert_eq!(passed(Op::Write, "a"), ("write a 1".to_owned(), Outcome::Pass));
    assert_eq!(passed(Op::Write, "b"), ("write b 1".to_owned(), Outcome::Pass));
    assert_eq!(passed(Op::Sync, "a"), ("sync a 1".to_owned(), Outcome::Pass));
    assert_eq!(passed(Op::Write, "a"), ("write a 2".to_owned(), Outcome::Hit(Mode::Once)));
    assert_eq!(passed(Op::Write, "a"), ("write a 3".to_owned(), Outcome::Pass));
}

#[test]
fn a_full_disk_stays_full() {
    let mut plan = plan("full@rename a 1");
    assert_eq!(plan.pass(Op::Create, "a").1, Outcome::Pass);
    assert_eq!(plan.pass(Op::Rename, "a").1, Outcome::Hit(Mode::Full));
    for op in [Op::Create, Op::Write, Op::Sync, Op::Append, Op::Link, Op::CreateFolder] {
        assert_eq!(plan.pass(op, "a").1, Outcome::Full, "{op:?}");
    }
    for op in [Op::Rename, Op::Remove, Op::SyncFolder] {
        assert_eq!(plan.pass(op, "a").1, Outcome::Pass, "{op:?}");
    }
}

#[test]
fn every_point_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    std::fs::write(&path, "before\n").unwrap();
    let mut plan = Plan { log: Some(Plan::open_log(path.as_os_str())), ..Plan::default() };
    plan.pass(Op::CreateFolder, "a b");
    plan.pass(Op::Append, "metrics.jsonl");
    plan.pass(Op::Append, "metrics.jsonl");
    let wanted = "before\ncreate-folder a b 1\nappend metrics.jsonl 1\nappend metrics.jsonl 2\n";
    assert_eq!(std::fs::read_to_string(path).unwrap(), wanted);
}

#[test]
fn a_point_has_the_last_name() {
    assert_eq!(last_name(Path::new("a/b.c")), "b.c");
    assert_eq!(last_name(Path::new("a/")), "a");
    assert_eq!(last_name(Path::new("..")), "..");
}
