use super::*;
use crate::rng::Stream;
use crate::zoo::tests::various;
use crate::zoo::{Architecture, names};

fn stored(name: &str) -> Stored {
    Architecture::named(name).unwrap().stored_graph().unwrap()
}

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut json = Vec::new();
    ZlibDecoder::new(bytes).read_to_end(&mut json).unwrap();
    json
}

fn deflated(json: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(json).unwrap();
    encoder.finish().unwrap()
}

fn error(json: &[u8]) -> String {
    Stored::from_bytes(&deflated(json)).unwrap_err().to_string()
}

#[test]
fn graphs_come_back_from_their_bytes() {
    for arch in various(16) {
        let stored = arch.stored_graph().unwrap();
        let back = Stored::from_bytes(&stored.to_bytes().unwrap()).unwrap();
        assert!(back == stored, "{}", arch.name);
    }
}

/// The longest one has thousands of nodes.
#[test]
fn graphs_of_all_networks_take_few_bytes() {
    let lengths = names().map(|name| stored(&name).to_bytes().unwrap().len());
    let most = lengths.max().unwrap();
    assert!(most < 16 << 10, "{most} bytes");
}

/// Changed bytes of JSON are a graph that fits together, or an error.
#[test]
fn hostile_bytes_are_errors() {
    let json = inflated(&stored("rev1-resnet10").to_bytes().unwrap());
    let mut stream = Stream::new(1, "wire", &[]);
    let mut read = 0;
    for _ in 0..3000 {
        let mut changed = json.clone();
        for _ in 0..1 + stream.below(3) {
            let place = stream.below(changed.len());
            match stream.below(3) {
                0 => changed[place] = b"0123456789-,[]{}\""[stream.below(17)],
                1 => drop(changed.remove(place)),
                _ => changed.insert(place, b'9'),
            }
        }
        read += usize::from(Stored::from_bytes(&deflated(&changed)).is_ok());
    }
    // Names of tensors, and numbers that nothing contradicts.
    assert!((1..2000).contains(&read), "{read} of 3000 were read");
}

#[test]
fn what_is_wrong_is_said() {
    let bytes = stored("resnet10").to_bytes().unwrap();
    let json = String::from_utf8(inflated(&bytes)).unwrap();
    let later = json.replacen("\"version\":1", "\"version\":2", 1);
    assert!(error(later.as_bytes()).contains("a later revox has written it"));
    let wide = json.replacen("\"input\":[80,33]", "\"input\":[80,33000]", 1);
    assert!(wide != json && error(wide.as_bytes()).contains("33000 frames"));
    assert!(error(b"").contains("is damaged"));
    // A bomb: it inflates to more than any graph has.
    assert!(error(&vec![b' '; MOST_BYTES as usize + 1]).contains("more bytes"));
    let more = [bytes.as_slice(), b"x"].concat();
    assert!(Stored::from_bytes(&more).is_err());
    assert!(Stored::from_bytes(&bytes[..bytes.len() / 2]).is_err());
}
