use super::*;

#[test]
fn numbers_take_as_many_bytes_as_they_need() {
    assert_eq!(varint(0), [0]);
    assert_eq!(varint(127), [0x7f]);
    assert_eq!(varint(128), [0x80, 1]);
    assert_eq!(varint(300), [0xac, 2]);
    assert_eq!(varint(u64::MAX), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    let mut to = Writer::default();
    to.int(1, -1);
    assert_eq!(to.0.len(), 11);
}

/// The bytes that Google's own library writes.
#[test]
fn a_tensor_has_known_bytes() {
    let data = Data::F32(vec![1.0, -2.0]);
    let tensor = Tensor { name: "w".to_owned(), dims: vec![2], data };
    let mut to = Writer::default();
    tensor.write(&mut to);
    let wanted = [8, 2, 16, 1, 0x42, 1, b'w', 0x4a, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0];
    assert_eq!(to.0, wanted);
}

#[test]
fn a_node_has_known_bytes() {
    let attributes = vec![
        Attribute("axis", Setting::Int(1)),
        Attribute("e", Setting::Float(0.5)),
        Attribute("p", Setting::Ints(vec![1, 0])),
    ];
    let (name, inputs) = ("n".to_owned(), vec!["x".to_owned()]);
    let mut node = Node { name, op: "Op", inputs, output: "y".to_owned(), attributes };
    let mut to = Writer::default();
    node.write(&mut to);
    let head = [0x0a, 1, b'x', 0x12, 1, b'y', 0x1a, 1, b'n', 0x22, 2, b'O', b'p'];
    let int = [0x2a, 11, 0x0a, 4, b'a', b'x', b'i', b's', 0x18, 1, 0xa0, 1, 2];
    let float = [0x2a, 11, 0x0a, 1, b'e', 0x15, 0, 0, 0, 0x3f, 0xa0, 1, 1];
    let ints = [0x2a, 10, 0x0a, 1, b'p', 0x40, 1, 0x40, 0, 0xa0, 1, 7];
    assert_eq!(to.0, [&head[..], &int, &float, &ints].concat());
    node.name.clear();
    let mut nameless = Writer::default();
    node.write(&mut nameless);
    assert_eq!(nameless.0, [&to.0[..6], &to.0[9..]].concat());
}

/// A message of more than 127 bytes has a length of two bytes, which is put in front of it.
#[test]
fn long_messages_have_their_length_in_front() {
    let mut to = Writer::default();
    to.within(3, |to| to.text(1, &"a".repeat(200)));
    assert_eq!(to.0[..6], [0x1a, 0xcb, 1, 0x0a, 0xc8, 1]);
    assert_eq!(to.0.len(), 6 + 200);
}

#[test]
fn sizes_of_axes_are_numbers_or_names() {
    let port = Port { name: "x", dims: vec![Dim::Any("B"), Dim::Of(80)] };
    let mut to = Writer::default();
    port.write(&mut to);
    let shape = [0x12, 9, 0x0a, 3, 0x12, 1, b'B', 0x0a, 2, 8, 80];
    let kind = [&[0x12, 15, 0x0a, 13, 8, 1][..], &shape].concat();
    assert_eq!(to.0, [&[0x0a, 1, b'x'][..], &kind].concat());
}
