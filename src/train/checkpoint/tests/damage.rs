//! Files that are damaged, or that lie.

use super::*;

/// A flipped bit anywhere, a cut, a checksum that is gone.
#[test]
fn damage_is_found() {
    let folder = Folder::new();
    let (bytes, ..) = folder.saved(&OptimizerConfig::default());
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for i in (0..header).step_by(3).chain((header..bytes.len()).step_by(101)) {
        let mut damaged = bytes.clone();
        damaged[i] ^= 1 << (i % 8);
        folder.refused(&damaged, "");
    }
    for cut in (0..bytes.len()).step_by(997) {
        folder.refused(&bytes[..cut], "");
    }
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    folder.refused(&damaged, "its SHA-256 is not that of its content");
    // The format has a checksum; a file of it without one has lost it.
    folder.refused(&rewritten(&bytes, false, |_, _| ()), "checksum");
}

/// Only their contents show that they are wrong.
#[test]
fn lies_under_a_right_checksum_are_refused() {
    let folder = Folder::new();
    let (bytes, ..) = folder.saved(&OptimizerConfig::default());
    let state = |from: &str, to: &str, wanted: &str| {
        let changed = rewritten(&bytes, true, |json, _| {
            assert!(json.contains(from), "{json}");
            *json = json.replace(from, to);
        });
        folder.refused(&changed, wanted);
    };
    state("\"epoch\":2", "\"epoch\":0", "contradicts itself: epoch 0");
    state("\"epoch\":2", "\"epoch\":18446744073709551615", "contradicts itself");
    state("\"batch\":0", "\"batch\":18446744073709551615", "contradicts itself");
    state("\"best\":[0.25,1]", "\"best\":[0.25,2]", "contradicts itself");
    state("\"averaged\":0", "\"averaged\":2", "contradicts itself");
    state("\"averaged\":0", "\"averaged\":1", "0 sums of weights for 1 epoch");
    state("\"format\":3", "\"format\":4", "is a checkpoint of format 4, of a newer revox");
    let parts = |change: &dyn Fn(&mut Parts), wanted: &str| {
        folder.refused(&rewritten(&bytes, true, |_, parts| change(parts)), wanted);
    };
    let stray = ("average.network.conv1.weight".to_owned(), Dtype::F32, vec![1], vec![0; 4]);
    parts(&|p| p.push(stray.clone()), "1 sums of weights for 0 epochs");
    parts(&|p| p.retain(|part| part.0 != "optimizer"), "no optimizer state");
    // Sums of every tensor, of which one is not a number.
    let averaged = rewritten(&bytes, true, |json, parts| {
        *json = json.replace("\"averaged\":0", "\"averaged\":1");
        let sums = parts.iter().filter_map(|(name, dtype, shape, bytes)| {
            let name = format!("average.{}", name.strip_prefix("model.")?);
            let bytes = match name.ends_with("conv1.weight") {
                true => f32::NAN.to_le_bytes().repeat(bytes.len() / 4),
                false => bytes.clone(),
            };
            Some((name, *dtype, shape.clone(), bytes))
        });
        let sums: Parts = sums.collect();
        parts.extend(sums);
    });
    folder.refused(&averaged, "no sum of `network.conv1.weight`");
    let record = |p: &mut Parts, change: &dyn Fn(&mut Vec<u8>)| {
        let part = p.iter_mut().find(|part| part.0 == "optimizer").unwrap();
        change(&mut part.3);
        part.2 = vec![part.3.len()];
    };
    parts(&|p| record(p, &|bytes| bytes.truncate(9)), "the optimizer's record");
    parts(&|p| record(p, &|bytes| bytes[0] ^= 1), "the optimizer's record");
}

/// Without a checksum, a damaged record is an error, or the next step can use it.
#[test]
fn damaged_records_never_panic() {
    let folder = Folder::new();
    for text in OPTIMIZERS {
        let config: OptimizerConfig = toml::from_str(text).unwrap();
        let (bytes, ..) = folder.saved(&config);
        let mut refused = 0;
        for i in (0..12_000).step_by(59) {
            let damaged = rewritten(&bytes, false, |json, parts| {
                old(json);
                let record = &mut parts.iter_mut().find(|part| part.0 == "optimizer").unwrap().3;
                let at = i % record.len();
                record[at] ^= 1 << (i % 8);
            });
            match folder.load(&damaged, &config) {
                Err(error) => {
                    assert!(error.contains(
                        "checkpoint.safetensors: not a readable checkpoint: the optimizer's record"
                    ));
                    refused += 1;
                }
                Ok((loaded, mut optimizer, ..)) => drop(step(&mut optimizer, loaded.train())),
            }
        }
        assert!(refused > 20, "{text}: {refused}");
    }
}
