use super::*;
use crate::rng::Stream;
use crate::zoo::tests::various;
use crate::zoo::{Architecture, names};

fn named(name: &str) -> Architecture {
    Architecture::named(name).unwrap()
}

/// As a model file has it.
fn stored(arch: &Architecture) -> Stored {
    arch.stored_graph().unwrap()
}

/// 31 is odd, as the stored length is; 48 needs no zeros.
#[test]
fn graphs_of_other_lengths_are_those_that_networks_record() {
    for arch in various(16) {
        let whole = stored(&arch).graph;
        let least = arch.least_frames().unwrap();
        for frames in [least, 31, 48] {
            let wanted = arch.graph(frames.max(least)).unwrap();
            let found = whole.resized(frames.max(least)).unwrap();
            assert!(found == wanted, "{}, {:?}, {frames} frames", arch.name, arch.pooling);
        }
    }
}

#[test]
fn whole_networks_have_graphs_of_any_length() {
    for name in ["resnet34", "rev1-resnet34", "campplus", "redimnet2-b0", "ecapa-tdnn-glob-512"] {
        let (arch, whole) = (named(name), stored(&named(name)).graph);
        for frames in [33, 64, 101, 300, 6001] {
            assert!(whole.resized(frames).unwrap() == arch.graph(frames).unwrap(), "{name}");
        }
        assert!(whole.resized(0).is_err(), "{name}");
    }
}

#[test]
fn zeros_come_and_go() {
    let arch = named("rev2-resnet34");
    let pads = |graph: &Graph| graph.nodes.iter().filter(|n| matches!(n.op, Op::Pad(_))).count();
    let whole = stored(&arch).graph;
    assert_eq!([pads(&whole), pads(&whole.resized(64).unwrap())], [1, 0]);
    assert_eq!(whole.resized(64).unwrap().nodes.len() + 1, whole.nodes.len());
}

#[test]
fn bytes_give_back_the_graph_and_are_few() {
    for name in names() {
        let wanted = stored(&named(&name));
        let bytes = wanted.to_bytes().unwrap();
        assert!(Stored::from_bytes(&bytes).unwrap() == wanted, "{name}");
        // 30 bytes a node, and never more than a small part of the weights at 4 bits.
        let (nodes, weights) = (wanted.graph.nodes.len(), wanted.graph.parameters() / 2);
        assert!(bytes.len() < 1000 + 30 * nodes, "{name}: {} of {nodes} nodes", bytes.len());
        assert!(bytes.len() < weights / 50, "{name}: {} of {weights}", bytes.len());
    }
}

/// Whatever is read fits together: it can be made for any length.
fn read(bytes: &[u8]) -> bool {
    match Stored::from_bytes(bytes) {
        Ok(Stored { graph, least_frames }) => {
            for frames in [least_frames, 33, 400] {
                let _ = graph.resized(frames).map(|graph| graph.macs());
            }
            true
        }
        Err(error) => {
            assert!(error.to_string().starts_with("the network's graph"), "{error}");
            false
        }
    }
}

fn zlib(json: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(json).unwrap();
    encoder.finish().unwrap()
}

fn json(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut json = Vec::new();
    flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut json).unwrap();
    json
}

#[test]
fn changed_bytes_are_errors_or_graphs() {
    let mut stream = Stream::new(1, "graphs", &[]);
    for name in ["resnet10", "rev2-resnet10", "campplus", "redimnet2-b0", "tdnn"] {
        let bytes = stored(&named(name)).to_bytes().unwrap();
        assert!(read(&bytes) && !read(&bytes[..bytes.len() - 1]) && !read(&[]));
        let json = json(&bytes);
        // zlib has a checksum, in front of which a few bits mean nothing.
        for _ in 0..100 {
            let mut changed = bytes.clone();
            changed[stream.below(bytes.len())] ^= 1 << stream.below(8);
            assert!(!read(&changed) || self::json(&changed) == json, "{name}");
        }
        assert!(read(&zlib(&json)));
        let digits: Vec<usize> = (0..json.len()).filter(|&i| json[i].is_ascii_digit()).collect();
        let mut refused = 0;
        for _ in 0..300 {
            let mut changed = json.clone();
            match stream.below(3) {
                // Other numbers.
                0 => changed[digits[stream.below(digits.len())]] = b'0' + stream.below(10) as u8,
                1 => {
                    let at = digits[stream.below(digits.len())];
                    changed.splice(at..at, *b"9999999999");
                }
                // Any byte.
                _ => changed[stream.below(json.len())] = stream.below(256) as u8,
            }
            refused += usize::from(!read(&zlib(&changed)));
        }
        assert!(refused > 60, "{name}: {refused} of 300 refused");
    }
}

#[test]
fn what_is_too_large_is_not_unpacked() {
    assert!(!read(&zlib(&vec![b' '; 64 << 20])));
    let bytes = stored(&named("resnet10")).to_bytes().unwrap();
    assert!(!read(&[bytes.as_slice(), b"more"].concat()));
    let text = String::from_utf8(json(&bytes)).unwrap();
    let later = text.replacen("\"version\":1", "\"version\":2", 1);
    let error = Stored::from_bytes(&zlib(later.as_bytes())).unwrap_err().to_string();
    assert!(error.contains("later revox"), "{error}");
    assert_ne!(later, text);
}
