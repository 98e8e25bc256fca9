//! States in 8 bits: code maps, and the codes of blocks.

use revox::backend::optim8::{Blocks, CodeMap, Codec, Rounding};

use crate::optim8::{COMMITTED, LARGE, bytes_of, floats, values};
use crate::shared::{Tensors, sets};

#[test]
fn code_maps_are_those_of_bitsandbytes() {
    for (folder, ()) in sets(COMMITTED, LARGE) {
        let t = Tensors::open(folder.join("quantize.safetensors"));
        for (name, map) in [("map/signed", CodeMap::Signed), ("map/unsigned", CodeMap::Unsigned)] {
            let wanted = t.f32(name);
            assert_eq!(
                map.values().map(f32::to_bits).to_vec(),
                wanted.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn codes_are_the_nearest() {
    for (folder, wanted) in sets((COMMITTED.0, [34, 15_418]), (LARGE.0, [45, 62_586])) {
        let t = Tensors::open(folder.join("quantize.safetensors"));
        assert_eq!(check_codes(&t), wanted, "arrays and codes of {}", folder.display());
    }
}

fn check_codes(t: &Tensors) -> [usize; 2] {
    let mut checked = [0, 0];
    for name in t.names() {
        let Some(prefix) = name.strip_suffix("/exact_codes") else { continue };
        let [tensor, map, block] = prefix.split('/').collect::<Vec<_>>().try_into().unwrap();
        let map = match map {
            "signed" => CodeMap::Signed,
            "unsigned" => CodeMap::Unsigned,
            other => panic!("unknown map {other}"),
        };
        let codec = Codec { map, rounding: Rounding::Nearest, block: block.parse().unwrap() };
        let input = t.f32(&format!("{tensor}/input"));
        let wanted = t.u8(&name);
        let blocks = Blocks::quantize(floats(&input), codec);
        let absmax = values(blocks.absmax.clone());
        assert_eq!(absmax, t.f32(&format!("{prefix}/absmax")), "{prefix}");
        let ours = bytes_of(blocks.words.to_data(), input.len());
        assert_eq!(ours.len(), wanted.len(), "{prefix}");
        let differing = (0..ours.len()).find(|&i| ours[i] != wanted[i]);
        assert!(differing.is_none(), "{prefix}: value {differing:?}");
        let back = values(blocks.dequantize(codec, [input.len()]));
        let wanted = codec.dequantize(&ours, &absmax);
        assert_eq!(back.len(), input.len(), "{prefix}");
        assert!(back.iter().zip(&wanted).all(|(a, b)| a.to_bits() == b.to_bits()), "{prefix}");
        checked[0] += 1;
        checked[1] += ours.len();
    }
    checked
}
