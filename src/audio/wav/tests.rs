use proptest::prelude::*;

use super::Reader;
use crate::audio::blocks::Blocks;
use crate::audio::input::tests::{held, paged};
use crate::audio::source::tests::all;
use crate::error::Remedy;

fn chunk(id: &[u8], content: &[u8]) -> Vec<u8> {
    let mut chunk = [id, &(content.len() as u32).to_le_bytes(), content].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

/// Fields for integers of 16 bits. The byte rate may be wrong.
fn format(channels: u16, byte_rate: u32) -> Vec<u8> {
    let rates = [16_000, byte_rate].map(u32::to_le_bytes).concat();
    let rest = [2 * channels, 16].map(u16::to_le_bytes).concat();
    [[1, channels].map(u16::to_le_bytes).concat(), rates, rest].concat()
}

/// The samples and their rate.
fn read(bytes: &[u8], channel: Option<usize>) -> Result<(Vec<f32>, u32), String> {
    Reader::new(held("a.wav", bytes), 0, channel).and_then(all).map_err(|e| e.to_string())
}

/// Chunks of any kind but the two that matter.
fn others() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let id = prop::sample::select(vec![
        b"LIST", b"fact", b"JUNK", b"bext", b"id3 ", b"cue ", b"PEAK", b"ds64",
    ]);
    let one = (id, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(id, content)| chunk(id, &content));
    prop::collection::vec(one, 0..4)
}

/// What may stand behind the last chunk.
const JUNK: [&[u8]; 4] = [b"", b"\0", b"TAG", b"\x80\x81 junk that is no chunk"];

proptest! {
    #[test]
    fn chunks_in_any_order_leave_the_samples_as_they_are(
        samples in prop::collection::vec(any::<i16>(), 3..50),
        channels in 1u16..4,
        (first, second, last) in (others(), others(), others()),
        (riff, byte_rate) in any::<(u32, u32)>(),
        extra in prop::collection::vec(any::<u8>(), 0..30),
        junk in prop::sample::select(JUNK.to_vec()),
    ) {
        let whole = samples.len() - samples.len() % usize::from(channels);
        let data: Vec<u8> = samples[..whole].iter().flat_map(|x| x.to_le_bytes()).collect();
        let head = [b"RIFF".as_slice(), &riff.to_le_bytes(), b"WAVE"].concat();
        let fields = chunk(b"fmt ", &[format(channels, byte_rate), extra].concat());
        let before = [head, first.concat(), fields, second.concat()].concat();
        let file = [before, chunk(b"data", &data), last.concat(), junk.to_vec()].concat();
        for channel in 0..usize::from(channels) {
            let chosen = samples[..whole].iter().skip(channel).step_by(channels.into());
            let wanted: Vec<f32> = chosen.map(|&x| f32::from(x) / 32_768.0).collect();
            prop_assert_eq!(read(&file, Some(channel)).unwrap(), (wanted, 16_000));
        }
    }

    #[test]
    fn a_cut_never_passes_for_the_whole(
        samples in prop::collection::vec(any::<i16>(), 1..50),
        other in others(),
        cut in any::<prop::sample::Index>(),
    ) {
        let data: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        let fields = chunk(b"fmt ", &format(1, 0));
        let before = [b"RIFF\0\0\0\0WAVE".to_vec(), other.concat(), fields].concat();
        let file = [before, chunk(b"data", &data)].concat();
        prop_assert!(read(&file, None).is_ok());
        prop_assert!(read(&file[..cut.index(file.len())], None).is_err());
    }
}

#[test]
fn a_stream_that_nobody_could_finish_is_read_to_its_end() {
    let mut file = [b"RIFF\xff\xff\xff\xffWAVE".to_vec(), chunk(b"fmt ", &format(1, 0))].concat();
    file.extend(b"data\xff\xff\xff\xff");
    for i in 0..100i16 {
        file.extend(i.to_le_bytes());
    }
    let wanted: Vec<f32> = (0..100i16).map(|i| f32::from(i) / 32_768.0).collect();
    assert_eq!(read(&file, None).unwrap().0, wanted);
    file.pop();
    let error = read(&file, None).unwrap_err();
    assert!(
        error.contains("a.wav") && error.contains("199 bytes are not whole frames of 2"),
        "{error}"
    );
}

#[test]
fn a_wrong_choice_of_a_channel_is_an_error_before_the_samples() {
    let file =
        [b"RIFF\0\0\0\0WAVE".to_vec(), chunk(b"fmt ", &format(6, 0)), chunk(b"data", &[0; 24])]
            .concat();
    let error = Reader::new(held("a.wav", &file), 0, None).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "a.wav: has 6 channels");
    assert_eq!(error.remedy(), Some(&Remedy::ChooseChannel { channels: 6 }));
    assert!(
        read(&file, Some(6)).unwrap_err().contains("has no channel 6: it has 6, counted from 0")
    );
    assert_eq!(read(&file, Some(5)).unwrap().0, [0.0, 0.0]);
}

/// More samples than are decoded at a time, each of three channels.
#[test]
fn long_files_are_read_in_pieces() {
    let values: Vec<i16> = (0..150_000i32).map(|i| (i * 7919) as i16).collect();
    let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let tail = chunk(b"LIST", b"INFO and more");
    let file =
        [b"RIFF\0\0\0\0WAVE".to_vec(), chunk(b"fmt ", &format(3, 0)), chunk(b"data", &data), tail]
            .concat();
    let wanted: Vec<f32> =
        values.iter().skip(2).step_by(3).map(|&x| f32::from(x) / 32_768.0).collect();
    for input in [held("a.wav", &file), paged("a.wav", &file, 100), paged("a.wav", &file, 1 << 16)]
    {
        let mut reader = Reader::new(input, 0, Some(2)).unwrap();
        assert_eq!(reader.length(), Some(50_000));
        for _ in 0..2 {
            let (mut samples, mut pieces) = (Vec::new(), 0);
            while reader.more(&mut samples).unwrap() {
                pieces += 1;
            }
            assert!(
                samples == wanted && pieces == 5,
                "{} samples in {pieces} pieces",
                samples.len()
            );
            for sample in [17u64, 49_999, 0, 50_000, 60_000, 30_001] {
                let first = reader.seek(sample).unwrap();
                assert_eq!(first, sample.min(50_000));
                let mut samples = Vec::new();
                while reader.more(&mut samples).unwrap() {}
                assert!(samples == wanted[first as usize..], "from {sample}");
            }
            reader.rewind();
        }
    }
}
