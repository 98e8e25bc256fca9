use super::*;

/// Bits as text, packed into bytes.
pub(in crate::audio::foreign::codec) fn packed(bits: &str) -> Vec<u8> {
    let bits: Vec<u8> = bits.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
    bits.chunks(8).map(|c| c.iter().enumerate().fold(0, |x, (i, b)| x | (b << (7 - i)))).collect()
}

fn name(bits: &str) -> String {
    config(Path::new("a.m4a"), &packed(bits)).unwrap_err().to_string()
}

#[test]
fn low_complexity_is_read_and_the_rest_is_named() {
    let good = |bits: &str| config(Path::new("a.m4a"), &packed(bits)).unwrap();
    assert_eq!(good("00010 1000 0001 000"), Config { rate: 16_000, channels: 1 });
    assert_eq!(good("00010 0100 0010 000"), Config { rate: 44_100, channels: 2 });
    let odd = format!("00010 1111 {:024b} 0001 000", 16_001);
    assert_eq!(good(&odd), Config { rate: 16_001, channels: 1 });
    // What ffmpeg writes: an extension that says that there is no SBR.
    assert_eq!(config(Path::new("a"), &[0x14, 0x08, 0x56, 0xe5, 0x00]).unwrap().rate, 16_000);
    for (bits, wanted) in [
        ("00001 1000 0001 000", "profile Main"),
        ("00101 1000 0001 0101 00010 000", "is HE-AAC audio"),
        ("11101 1000 0001 0101 00010 000", "is HE-AAC v2 audio"),
        ("00010 1000 0001 000 01010110111 00101 1 0101", "is HE-AAC audio"),
        ("00010 1000 0001 000 01010110111 00101 1 0101 10101001000 1", "is HE-AAC v2 audio"),
        ("11111 001010 1000 0001", "xHE-AAC"),
        ("11111 000111 1000 0001", "AAC-ELD"),
        ("10111 1000 0001 000", "AAC-LD"),
        ("00010 1000 0001 100", "960 samples"),
        ("00010 1000 0000 000", "channel layout of its own"),
        ("00010 1000 0110 000", "AAC audio of 6 channels"),
    ] {
        let error = name(bits);
        assert!(error.contains(wanted) && error.contains("ffmpeg -i"), "{error} for {wanted}");
    }
    for bits in ["", "00010", "00010 1110 0001 000", "11111 001010 1111 0000"] {
        assert!(name(bits).contains("configuration is cut off or damaged"), "{bits}");
    }
}

/// A packet of one channel whose content is made up, with an element behind it.
fn packet(content: usize, element: &str) -> Vec<u8> {
    let made_up: String = (0..content).map(|i| if i * i % 7 < 3 { '1' } else { '0' }).collect();
    packed(&format!("000 0000 {made_up} {element} 111"))
}

#[test]
fn sbr_is_found_behind_the_samples() {
    let filling = |bytes: usize, kind: &str| {
        let count = match bytes {
            0..=14 => format!("{bytes:04b}"),
            _ => format!("1111 {:08b}", bytes - 14),
        };
        format!("110 {count} {kind} {}", "01".repeat(4 * bytes - 2))
    };
    let found = |packets: &[Vec<u8>]| refuse_sbr(Path::new("a.m4a"), packets).is_err();
    for (kind, wanted) in [("1101", true), ("1110", true), ("0000", false)] {
        for bytes in [3, 14, 15, 40, 200] {
            let all: Vec<_> = (500..520).map(|n| packet(n, &filling(bytes, kind))).collect();
            assert_eq!(found(&all), wanted, "{kind} {bytes}");
        }
    }
    let mut some: Vec<_> = (0..8).map(|n| packet(300 + n, &filling(9, "1101"))).collect();
    assert!(found(&some) && !found(&some[..3]));
    some.push(packed(&format!("000 0000 {} 111", "0".repeat(300))));
    assert!(!found(&some) && !found(&[]));
}

#[test]
fn packets_of_other_channels_are_refused() {
    let single = packet(100, "");
    assert_eq!(check(&single, 1), Ok(()));
    assert!(check(&single, 2).is_err());
    assert_eq!(check(&packed("001 0000 0101"), 2), Ok(()));
    // Data, aligned, and filling in front.
    let data = packed("100 0000 1 00000001 11111111 000 0000 1111");
    assert_eq!(check(&data, 1), Ok(()));
    assert_eq!(check(&packed("110 0010 1111111111111111 000 0000"), 1), Ok(()));
    for nothing in ["", "111", "11111111 11111111", "110 0010 11111111", "010 0000"] {
        assert!(check(&packed(nothing), 1).is_err(), "{nothing}");
    }
}
