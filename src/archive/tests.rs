use std::path::{Path, PathBuf};

use super::*;
use crate::error::Result;
use crate::rng::Stream;

/// Arrays with all kinds of f32 that are finite, and their keys.
fn arrays(seed: u64) -> Vec<(String, Array)> {
    let mut stream = Stream::new(seed, "archives", &[]);
    let value = |stream: &mut Stream| loop {
        let value = f32::from_bits(stream.bits() as u32);
        if value.is_finite() {
            return value;
        }
    };
    let mut all = Vec::new();
    for i in 0..40 {
        let (rows, columns) = (stream.below(9), 1 + stream.below(7));
        let values = |stream: &mut Stream, count: usize| -> Vec<f32> {
            (0..count).map(|_| value(stream)).collect()
        };
        let array = match stream.chance(0.5) {
            true => Array::vector(values(&mut stream, rows)),
            false if rows == 0 => Array::matrix(Vec::new(), 0),
            false => Array::matrix(values(&mut stream, rows * columns), columns),
        };
        all.push((format!("id/ü{}{i}.wav", "x".repeat(stream.below(30))), array));
    }
    all
}

fn write(name: &str, arrays: &[(String, Array)]) -> Result<()> {
    let output = Output::parse(Path::new(name))?.expect("the name of an archive");
    output.write(arrays.len(), &|i| arrays[i].0.as_str(), &|i| arrays[i].1.view())
}

fn read(name: impl AsRef<Path>) -> Result<Vec<(String, Array)>> {
    Reader::open(name)?.map(|entry| entry.map(|entry| (entry.key, entry.array))).collect()
}

/// Equal to the bit: `==` would take -0 for 0.
fn assert_same(ours: &[(String, Array)], wanted: &[(String, Array)]) {
    assert_eq!(ours, wanted);
    let bits = |all: &[(String, Array)]| -> Vec<u32> {
        all.iter().flat_map(|(_, array)| array.values.iter().map(|x| x.to_bits())).collect()
    };
    assert_eq!(bits(ours), bits(wanted));
}

fn folder() -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap().to_owned();
    (dir, move |name: &str| name.replace('@', &format!("{root}/")))
}

#[test]
fn archives_give_back_what_was_written() {
    let (_dir, at) = folder();
    for seed in 0..20 {
        let wanted = arrays(seed);
        for (output, inputs) in [
            ("@a.ark", &["@a.ark", "ark:@a.ark"][..]),
            ("ark,t:@t.ark", &["@t.ark", "ark,t:@t.ark"][..]),
            ("ark,scp:@b.ark,@b.scp", &["@b.ark", "@b.scp", "scp:@b.scp"][..]),
            ("ark,t,scp:@c,@c.list", &["ark:@c", "scp:@c.list"][..]),
        ] {
            write(&at(output), &wanted).unwrap();
            for input in inputs {
                assert_same(&read(at(input)).unwrap(), &wanted);
            }
        }
    }
}

#[test]
fn an_archive_is_what_kaldi_writes() {
    let (_dir, at) = folder();
    let arrays = [
        ("a".to_owned(), Array::vector(vec![1.0, -0.5])),
        ("b".to_owned(), Array::matrix(vec![1.0, 2.0, 3.0, 4.5], 2)),
    ];
    write(&at("ark,scp:@a,@a.scp"), &arrays).unwrap();
    let vector = b"a \0BFV \x04\x02\0\0\0\0\0\x80\x3f\0\0\0\xbf";
    let matrix =
        b"b \0BFM \x04\x02\0\0\0\x04\x02\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x90\x40";
    assert_eq!(std::fs::read(at("@a")).unwrap(), [&vector[..], &matrix[..]].concat());
    let wanted = format!("a {0}:2\nb {0}:{1}\n", at("@a"), vector.len() + 2);
    assert_eq!(std::fs::read_to_string(at("@a.scp")).unwrap(), wanted);
    write(&at("ark,t:@t"), &arrays).unwrap();
    let wanted = "a  [ 1.0 -0.5 ]\nb  [\n  1.0 2.0 \n  3.0 4.5 ]\n";
    assert_eq!(std::fs::read_to_string(at("@t")).unwrap(), wanted);
}

#[test]
fn doubles_become_floats() {
    let mut stream = Stream::new(1, "doubles", &[]);
    let values: Vec<f64> = (0..12).map(|_| stream.uniform() * 1e3 - 500.0).collect();
    let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let file = [
        &b"v \0BDV \x04\x0c\0\0\0"[..],
        &data[..],
        &b"m \0BDM \x04\x03\0\0\0\x04\x04\0\0\0"[..],
        &data[..],
    ]
    .concat();
    let (_dir, at) = folder();
    std::fs::write(at("@d.ark"), file).unwrap();
    let wanted: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    let wanted = [
        ("v".to_owned(), Array::vector(wanted.clone())),
        ("m".to_owned(), Array::matrix(wanted, 4)),
    ];
    assert_same(&read(at("@d.ark")).unwrap(), &wanted);
}

/// Bytes of a compressed matrix: the token, the four numbers of the header, the rest.
fn compressed(token: &str, least: f32, range: f32, shape: [i32; 2], rest: &[u8]) -> Vec<u8> {
    let mut bytes = format!("k \0B{token} ").into_bytes();
    [least, range].iter().for_each(|x| bytes.extend(x.to_le_bytes()));
    shape.iter().for_each(|x| bytes.extend(x.to_le_bytes()));
    bytes.extend_from_slice(rest);
    bytes
}

/// The values against the formulas in f64, one value at a time.
#[test]
fn compressed_matrices_are_read() {
    let (_dir, at) = folder();
    let mut stream = Stream::new(1, "compressed", &[]);
    for [rows, columns] in [[1, 1], [3, 5], [64, 2], [65, 3], [200, 1], [0, 0]] {
        let count = rows * columns;
        let bytes: Vec<u8> = (0..2 * count).map(|_| stream.bits() as u8).collect();
        let quantiles: Vec<u16> = (0..4 * columns).map(|_| stream.bits() as u16).collect();
        let (least, range) = (-3.5f32, 17.25f32);
        let of_step = |step: u16| f64::from(least) + f64::from(range) / 65535.0 * f64::from(step);
        let by_column = |i: usize| {
            let (row, column) = (i / columns, i % columns);
            let q: Vec<f64> =
                quantiles[4 * column..4 * column + 4].iter().map(|&q| of_step(q)).collect();
            let x = f64::from(bytes[column * rows + row]);
            match x {
                ..=64.0 => q[0] + (q[1] - q[0]) * x / 64.0,
                ..=192.0 => q[1] + (q[2] - q[1]) * (x - 64.0) / 128.0,
                _ => q[2] + (q[3] - q[2]) * (x - 192.0) / 63.0,
            }
        };
        let by_two = |i: usize| of_step(u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]));
        let by_one = |i: usize| f64::from(least) + f64::from(range) / 255.0 * f64::from(bytes[i]);
        let heads: Vec<u8> = quantiles.iter().flat_map(|q| q.to_le_bytes()).collect();
        let shape = [rows as i32, columns as i32];
        type Case<'a> = (&'a str, Vec<u8>, &'a dyn Fn(usize) -> f64);
        let cases: [Case; 3] = [
            ("CM", [&heads[..], &bytes[..count]].concat(), &by_column),
            ("CM2", bytes.clone(), &by_two),
            ("CM3", bytes[..count].to_vec(), &by_one),
        ];
        for (token, rest, value) in cases {
            let file = compressed(token, least, range, shape, &rest);
            std::fs::write(at("@c.ark"), &file).unwrap();
            let found = read(at("@c.ark")).unwrap();
            assert_eq!(found[0].1.shape, Shape::Matrix { rows, columns });
            for (i, &x) in found[0].1.values.iter().enumerate() {
                assert!((f64::from(x) - value(i)).abs() < 2e-5, "{token} {shape:?} {i}: {x}");
            }
            // A matrix cut short is an error that names the key.
            for cut in 0..file.len() {
                std::fs::write(at("@c.ark"), &file[..cut]).unwrap();
                let read = read(at("@c.ark"));
                assert!(cut == 0 || read.is_err_and(|e| e.to_string().contains("c.ark: ")));
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let (_dir, at) = folder();
    let fails = |bytes: &[u8], wanted: &[&str]| {
        std::fs::write(at("@x.ark"), bytes).unwrap();
        let error = read(at("@x.ark")).unwrap_err().to_string();
        for wanted in wanted.iter().chain(&["x.ark: "]) {
            assert!(error.contains(wanted), "`{wanted}` is not in {error}");
        }
    };
    fails(b"RIFF\0\0\0\0WAVE", &["byte 0", "no key"]);
    fails(b"a [ 1 2", &["`a`", "byte 0", "ends within an array"]);
    fails(b"a [ 1 x ]\n", &["`a`", "byte 6", "`x` is not a number"]);
    fails(b"a [ 1 2\n 3 ]\n", &["`a`", "a row of 1 values after one of 2"]);
    fails(b"a 0.5\n", &["`a`", "`0.5` where an array begins"]);
    fails(b"a [ 1 ]\na [ 1 ]\n", &["`a`, entry at byte 8", "already at byte 0"]);
    fails(b"b \0BXX \x04\0\0\0\0", &["`b`", "the kind `XX`"]);
    fails(b"b \0B\x04\0\0\0\0", &["`b`", "no kind, as integers"]);
    fails(
        b"b \0BFV \x04\xff\xff\xff\x7f\0\0",
        &["`b`", "a vector of 2147483647 values", "2 bytes"],
    );
    fails(b"b \0BFV \x04\xff\xff\xff\xff", &["`b`", "the length is -1"]);
    fails(b"b \0BFV \x08\0\0\0\0", &["`b`", "of 8 bytes"]);
    let huge = b"b \0BDM \x04\xff\xff\xff\x7f\x04\xff\xff\xff\x7f";
    fails(huge, &["`b`", "a matrix of 4611686014132420609 values"]);
    fails(b"b \0BFM \x04\x02\0\0\0\x04\0\0\0\0", &["`b`", "2 rows and 0 columns"]);
}

#[test]
fn lists_name_the_line_at_fault() {
    let (dir, at) = folder();
    write(
        &at("ark,scp:@f.ark,@f.scp"),
        &[
            ("u".to_owned(), Array::matrix((0..20).map(|i| i as f32).collect(), 2)),
            ("v".to_owned(), Array::vector(vec![1.0])),
        ],
    )
    .unwrap();
    let list = |text: &str| {
        std::fs::write(at("@l.scp"), text).unwrap();
        read(at("@l.scp"))
    };
    // Files are looked for beside the list, and rows may be chosen.
    let found = list("\nu1 f.ark:2[1:2]\n\nu2 f.ark:2").unwrap();
    assert_eq!(found[0].1, Array::matrix(vec![2.0, 3.0, 4.0, 5.0], 2));
    assert_eq!((found[1].0.as_str(), found[1].1.values.len()), ("u2", 20));
    for (text, wanted) in [
        ("u f.ark:2\nv\n", "l.scp:2: one field"),
        ("u f.ark:2\n\nu f.ark:2\n", "l.scp:3: `u`: the key again; it is already at line 1"),
        ("u f.ark:2000\n", "byte 2000: the file has only"),
        ("u f.ark:0\n", "l.scp:1: `u`: "),
        ("u none.ark:2\n", "none.ark: cannot read"),
        ("u f.ark:2[5:20]\n", "rows [5:20] of a matrix of 10 rows"),
        ("u cat f.ark |\n", "l.scp:1: a command"),
    ] {
        let error = list(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
    let error = Reader::open(dir.path().join("none.scp")).err().unwrap().to_string();
    assert!(error.contains("none.scp"), "{error}");
}

#[test]
fn entries_are_what_is_asked_for() {
    let (_dir, at) = folder();
    let text = "v [ 1 2 ]\nr [\n 1 2 ]\nm [\n 1 2\n 3 4 ]\nn [ 1 nan ]\ne [ ]\nf [\n inf 1 ]\n";
    std::fs::write(at("@e.ark"), text).unwrap();
    let entries: Vec<Entry> = Reader::open(at("@e.ark")).unwrap().collect::<Result<_>>().unwrap();
    let [v, r, m, n, e, f] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((v.vector().unwrap(), r.vector().unwrap()), (&[1.0, 2.0][..], &[1.0, 2.0][..]));
    assert_eq!(m.matrix(2).unwrap(), (&[1.0, 2.0, 3.0, 4.0][..], 2));
    for (error, wanted) in [
        (v.matrix(2).unwrap_err(), "`v`, entry at byte 0: a vector of 2 values"),
        (m.matrix(3).unwrap_err(), "a matrix of 2 x 2; 3 columns"),
        (m.vector().unwrap_err(), "a matrix of 2 x 2 where a vector"),
        (n.vector().unwrap_err(), "`n`, entry at byte 37: value 2 is NaN"),
        (e.vector().unwrap_err(), "`e`, entry at byte 49: holds no values"),
        (f.matrix(2).unwrap_err(), "value 1 is inf"),
    ] {
        let error = error.to_string();
        assert!(error.contains("e.ark: ") && error.contains(wanted), "{error}");
    }
}

#[test]
fn what_cannot_be_written_is_refused_before() {
    let (_dir, at) = folder();
    for key in ["", "a b", "a\n", "\t"] {
        let error = write(&at("@a.ark"), &[(key.to_owned(), Array::vector(vec![1.0]))]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("a.ark: the id") && error.contains("a word without"), "{error}");
    }
    assert!(!Path::new(&at("@a.ark")).exists());
    for (name, wanted) in [
        ("a.scp", "without its archive"),
        ("scp:a", "without its archive"),
        ("ark,scp:-,a.scp", "standard output"),
        ("ark,scp:a\nb,c", "no list can hold"),
    ] {
        let error = Output::parse(Path::new(name)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    assert_eq!(Output::parse(Path::new("a.safetensors")).unwrap(), None);
    let both = Output::parse(Path::new("ark,scp:a,b")).unwrap().unwrap();
    assert_eq!(both.files(), [PathBuf::from("a"), PathBuf::from("b")]);
}
