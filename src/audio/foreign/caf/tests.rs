use super::*;
use crate::audio::input::tests::every;

fn chunk(id: &[u8], content: &[u8]) -> Vec<u8> {
    [id, &(content.len() as u64).to_be_bytes(), content].concat()
}

fn description(format: &[u8; 4], flags: u32, bytes: u32, channels: u32, bits: u32) -> Vec<u8> {
    let mut fields = [16_000f64.to_be_bytes().as_slice(), format].concat();
    for field in [flags, bytes, 1, channels, bits] {
        fields.extend(field.to_be_bytes());
    }
    chunk(b"desc", &fields)
}

fn data(samples: &[u8]) -> Vec<u8> {
    chunk(b"data", &[[0; 4].as_slice(), samples].concat())
}

fn read(chunks: &[Vec<u8>], channel: Option<usize>) -> Result<Vec<f32>, String> {
    let bytes = [b"caff\0\x01\0\0".to_vec(), chunks.concat()].concat();
    let found = every("a.caf", &bytes).map(|input| {
        let mut blocks = open(input, 0, channel).map_err(|e| e.to_string())?;
        let mut samples = Vec::new();
        while blocks.more(&mut samples).map_err(|e| e.to_string())? {}
        assert_eq!((blocks.length(), blocks.rate()), (Some(samples.len() as u64), 16_000));
        Ok(samples)
    });
    assert!(found[0] == found[1] && found[1] == found[2], "{found:?}");
    let [found, ..] = found;
    found
}

#[test]
fn samples_that_are_stored_as_they_are() {
    for (format, flags, bits, bytes, wanted) in [
        (b"lpcm", 0, 16, vec![0x40, 0], 0.5),
        (b"lpcm", 2, 16, vec![0, 0xc0], -0.5),
        (b"lpcm", 2, 24, vec![0, 0, 0x40], 0.5),
        (b"lpcm", 0, 8, vec![0xc0], -0.5),
        (b"lpcm", 1, 32, 0.25f32.to_be_bytes().to_vec(), 0.25),
        (b"lpcm", 3, 64, 0.25f64.to_le_bytes().to_vec(), 0.25),
        (b"ulaw", 0, 8, vec![0x80], 32_124.0 / 32_768.0),
        (b"alaw", 0, 8, vec![0x2a], -32_256.0 / 32_768.0),
    ] {
        let one = description(format, flags, bytes.len() as u32, 1, bits);
        let free = chunk(b"free", b"xyz");
        assert_eq!(read(&[one, free.clone(), data(&bytes), free], None), Ok(vec![wanted]));
        let two = description(format, flags, 2 * bytes.len() as u32, 2, bits);
        let both = [vec![0; bytes.len()], bytes].concat();
        let mut unknown = data(&both);
        unknown[4..12].fill(255);
        assert_eq!(read(&[two.clone(), unknown], Some(1)), Ok(vec![wanted]));
        assert!(read(&[two, data(&both)], None).unwrap_err().contains("has 2 channels"));
    }
}

#[test]
fn other_codecs_are_named_and_damage_is_an_error() {
    let good = description(b"lpcm", 0, 2, 1, 16);
    let rate = chunk(b"desc", &[0; 32]);
    let table = |bytes: &[u8]| chunk(b"pakt", &[&[0; 7], &[9u8][..], &[0; 16], bytes].concat());
    let cookie = |cookie: &[u8]| chunk(b"kuki", cookie);
    let mut config = vec![0, 0, 0x10, 0, 0, 16, 40, 10, 14, 1, 0, 255];
    config.extend([0; 8]);
    config.extend(16_000u32.to_be_bytes());
    let lossless = description(b"alac", 0, 0, 1, 0);
    for (chunks, wanted) in [
        (vec![description(b"aac ", 2, 0, 1, 0), data(&[0; 9])], "encoded as `aac `"),
        (vec![description(b"lpcm", 0, 2, 1, 12), data(&[0; 2])], "of 12 bits"),
        (vec![good.clone()], "no chunk `data`"),
        (vec![good.clone(), data(&[0; 4])[..19].to_vec()], "promises 8 bytes, the file holds 7"),
        (vec![good.clone(), data(&[0; 3])], "ends inside a sample"),
        (vec![good, b"dat".to_vec()], "inside the head of a chunk"),
        (vec![rate, data(&[0; 4])], "makes no sense"),
        (vec![lossless.clone(), cookie(b"x"), data(&[0; 4])], "no configuration of ALAC"),
        (
            vec![lossless, cookie(&config), table(&[1, 1, 0x81]), data(&[0; 4])],
            "`pakt`, is cut off",
        ),
    ] {
        let error = read(&chunks, None).unwrap_err();
        assert!(error.contains(wanted) && error.contains("a.caf"), "{error} for {wanted}");
    }
}

#[test]
fn tables_of_packets_have_numbers_of_seven_bits_a_byte() {
    let head = [3u64.to_be_bytes(), 5000u64.to_be_bytes(), [0; 8]].concat();
    let bytes = [head.as_slice(), &[5, 0x81, 0x00, 0x7f]].concat();
    let wanted = [(100, 5), (105, 128), (233, 127)].map(|(place, bytes)| Packet { place, bytes });
    assert_eq!(packets(&bytes, 100), Some(wanted.to_vec()));
    assert_eq!(packets(&bytes[..27], 100), None);
    let hostile = [[255; 16].as_slice(), &[0; 8], &[0x84, 0x80, 0x80, 0x80, 0x80, 0]].concat();
    assert_eq!(packets(&hostile, 0), None);
}
