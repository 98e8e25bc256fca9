use super::*;
use crate::rng::Stream;

/// By definition: what counts of a strip sees nothing beyond the strip but what the utterance does
/// not have either, and each frame counts once.
#[test]
fn strips_see_what_their_own_frames_see() {
    let mut stream = Stream::new(3, "strips", &[]);
    let mut seen = 0;
    for _ in 0..500 {
        let stride = 1 << stream.below(4);
        let sight = Sight { stride, left: stream.below(40), right: stream.below(40) };
        let frames = 60 + stream.below(600);
        let made = frames.div_ceil(stride);
        let cut = Cut { nodes: 0, sight, made, macs: 0 };
        let count = 2 + stream.below(7);
        let Some((width, strips)) = narrowest(&cut, frames, count) else { continue };
        assert!(strips.len() <= count && width < frames);
        let mut next = 0;
        for Strip { first, own, at } in &strips {
            assert_eq!(*at, next);
            assert!(first.is_multiple_of(stride) && first + width <= frames);
            assert_eq!(first / stride + own.start, next);
            next += own.len();
            let (least, most) = (own.start * stride, (own.end - 1) * stride);
            assert!(*first == 0 || least >= sight.left, "{sight:?}: {strips:?}");
            assert!(first + width == frames || most + sight.right < width, "{sight:?}: {strips:?}");
        }
        assert_eq!(next, made);
        seen += strips.len();
    }
    assert!(seen > 1000, "{seen}");
}

#[cfg(feature = "burn")]
mod networks {
    use super::*;
    use crate::infer::Runtime;
    use crate::infer::tests::{model, noise, packed_in_4_bits};
    use crate::zoo::Architecture;

    /// ResNets of 4 bits, whose weights take less memory than their arena, for utterances of
    /// several lengths. `step_by_step` computes without strips.
    #[test]
    fn strips_take_less_memory_and_change_no_bit() {
        for (name, lengths) in [("resnet18", [298, 301, 640]), ("resnet34", [298, 1000, 3001])] {
            let model = packed_in_4_bits(&model(&Architecture::named(name).unwrap()));
            let [ours, plain] = [0, 1].map(|_| Runtime::of(&model).unwrap());
            let plain = plain.step_by_step();
            for frames in lengths {
                let features = noise(frames, model.header.arch.mels);
                let program = ours.program_for(&features, frames).unwrap();
                let Front { program, strips, .. } = &**program.front.as_ref().unwrap();
                let computed = strips.len() * program.frames;
                assert!(5 * computed <= 6 * frames, "{name}: {computed} of {frames}");
                let [few, many] = [&ours, &plain].map(|r| r.arena_bytes(frames).unwrap());
                assert!(4 * few <= 3 * many, "{name}: {few} bytes, {many} as a whole");
                let [ours, plain] = [&ours, &plain].map(|r| r.embed(&features, frames).unwrap());
                assert_eq!(ours, plain, "{name}, {frames} frames");
            }
        }
    }

    /// Where weights take most of the memory, nothing is computed twice.
    #[test]
    fn large_weights_have_no_strips() {
        let model = model(&Architecture::named("resnet34").unwrap());
        let runtime = Runtime::of(&model).unwrap();
        let features = noise(298, model.header.arch.mels);
        assert!(runtime.program_for(&features, 298).unwrap().front.is_none());
    }
}
