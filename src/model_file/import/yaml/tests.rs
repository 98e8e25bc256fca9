use super::*;

fn parse(text: &str) -> Result<Rc<Node>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yaml");
    std::fs::write(&path, text).unwrap();
    read(&path)
}

fn fails(text: &str, wanted: &str) {
    let error = parse(text).unwrap_err().to_string();
    assert!(error.contains("c.yaml") && error.contains(wanted), "{error}");
}

/// One line a node: depth, key, text, line.
fn shown(node: &Node) -> String {
    match &node.value {
        Value::Scalar { text, plain } => {
            format!("{text}{}@{}", if *plain { "" } else { "!" }, node.line)
        }
        Value::List(items) => {
            format!("[{}]", items.iter().map(|n| shown(n)).collect::<Vec<_>>().join(" "))
        }
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(k, n)| format!("{k}:{}", shown(n))).collect();
            format!("{{{}}}", entries.join(" "))
        }
    }
}

#[test]
fn a_tree_keeps_texts_lines_and_order() {
    let tree = parse("b: 1\na:\n  - 'x'\n  - {c: , d: \"2\"}\n").unwrap();
    assert_eq!(shown(&tree), "{b:1@1 a:[x!@3 {c:@4 d:2!@4}]}");
}

#[test]
fn aliases_and_merge_keys_give_the_values_they_name() {
    let tree =
        parse("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{z: 4}, *a]}\n").unwrap();
    assert_eq!(
        shown(&tree),
        "{a:{x:1@1 y:2@1} b:{x:1@1 y:2@1} c:{y:3@3 x:1@1} d:{z:4@4 x:1@1 y:2@1}}"
    );
    fails("a: {<<: 1}", "merges maps");
    fails("a: &a [*a]", "alias");
    fails("a: *b", "not YAML");
}

#[test]
fn what_would_grow_without_bound_is_refused_or_shared() {
    // Nine levels of nine aliases each would be 3.4e9 nodes if they were copied.
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..10 {
        let alias = format!("*a{}", i - 1);
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![alias; 9].join(", "));
    }
    parse(&bomb).unwrap();
    // Depth through aliases.
    let mut deep = String::from("a0: &a0 x\n");
    for i in 1..100 {
        deep += &format!("a{i}: &a{i} [*a{}]\n", i - 1);
    }
    fails(&deep, "nested deeper");
    fails(&format!("{}{}", "[".repeat(200), "]".repeat(200)), "nested deeper");
    fails(&format!("{}{}", "{a: ".repeat(100), "}".repeat(100)), "nested deeper");
    fails(&format!("{}x", "- ".repeat(10_000)), "nested deeper");
    // Merges of a large map.
    let mut merges = String::from("a: &a {");
    (0..1000).for_each(|i| merges += &format!("k{i}: 1, "));
    merges += "}\n";
    (0..1000).for_each(|i| merges += &format!("m{i}: {{<<: *a}}\n"));
    fails(&merges, "merges more than");
    fails(&"#".repeat((1 << 20) + 1), "bytes");
}

#[test]
fn faults_name_their_line() {
    fails("a: 1\nb: 2\na: 3\n", "c.yaml:3: `a` stands twice");
    fails("a: 1\n---\nb: 2\n", "second document");
    fails("a: [1\n", "not YAML");
    fails("", "empty");
    fails("? [a]\n: 1\n", "not text");
}
