//! The program on a GPU: that of a software driver where there is no other.

use revox::backend::BackendKind;
use revox::scoring::Embeddings;

use crate::Place;

/// Kernels are compiled for each shape, so there are few. Embeddings stay those of the processor.
#[test]
fn embed_on_wgpu_pads_to_few_lengths_and_says_so() {
    if let Err(e) = BackendKind::Wgpu.device(0) {
        return eprintln!("skipped: {e}");
    }
    let place = Place::make();
    place.model("m.safetensors");
    let mut list = String::new();
    for i in 0..6 {
        place.wav(&format!("{i}.wav"), 0.5 + 0.1 * f64::from(i), 90.0 + 17.0 * f64::from(i));
        list += &format!("u{i} {i}.wav\n");
    }
    place.write("wav.scp", &list);
    let embed = |backend: &str| {
        let out = format!("{backend}.safetensors");
        let ran = place.run(&[
            "embed",
            "m.safetensors",
            "--wav-scp",
            "wav.scp",
            "-o",
            &out,
            "--backend",
            backend,
        ]);
        assert_eq!(ran.code, 0, "{backend}: {}", ran.err);
        (ran.err, Embeddings::load(place.path(&out)).unwrap())
    };
    let ((log, ours), (cpu_log, wanted)) = (embed("wgpu"), embed("flex"));
    let told = log.lines().find(|line| line.contains("padded by")).unwrap_or_default();
    let shapes = told.split("lengths in ").nth(1).and_then(|rest| rest.split(' ').next());
    let shapes: usize = shapes.and_then(|count| count.parse().ok()).expect(&log);
    // From half a second to a second: 64 and 128 frames.
    assert_eq!(shapes, 2, "{log}");
    assert!(!cpu_log.contains("padded by"), "{cpu_log}");
    assert_eq!((ours.len(), wanted.len()), (6, 6));
    for i in 0..6 {
        assert_eq!(ours.id(i), wanted.id(i));
        let largest = wanted.row(i).iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let off = ours.row(i).iter().zip(wanted.row(i));
        let off = off.fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(largest > 0.0 && off <= 1e-4 * largest, "{}: {off} of {largest}", ours.id(i));
    }
}
