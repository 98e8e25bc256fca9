//! PLDA models: our files and Kaldi's. WeSpeaker's are in [`hdf5`](crate::hdf5).

use std::fmt::Write;
use std::path::Path;

use revox::rng::Stream;
use revox::scoring::{Embeddings, Groups, Plda, PldaAdaptation, PldaTraining};
use safetensors::SafeTensors;

use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::text::text;
use crate::{shared, sign};

/// The input's name. What it holds is told by its content.
pub const FILE: &str = "plda.bin";

/// Embeddings of some voices, six of each.
fn embeddings(dim: usize, count: usize) -> Embeddings {
    let (mut all, mut stream) = (Embeddings::new(dim), Stream::new(2, "plda", &[]));
    let mut voice = vec![0.0; dim];
    for i in 0..count {
        if i % 6 == 0 {
            voice.fill_with(|| stream.normal());
        }
        let row: Vec<f32> = voice.iter().map(|x| (x + 0.5 * stream.normal()) as f32).collect();
        all.push(&format!("{}-{i}", i / 6), &row).expect("a new id");
    }
    all
}

/// A model of five values.
pub fn model(mean: bool, lda: Option<usize>, length_norm: bool) -> Plda {
    let all = embeddings(5, 60);
    let speaker = |id: &str| Some(id.split('-').next()?.to_owned());
    let groups = Groups::new(&all, &speaker).expect("speakers");
    let mean = mean.then(|| all.mean());
    let training = PldaTraining { mean, lda, length_norm, ..PldaTraining::default() };
    Plda::train(&all, &groups, &training, &mut || ()).expect("a model")
}

/// The file that a model is written to under a name.
pub fn file(plda: &Plda, name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    plda.save(&path).expect("written");
    std::fs::read(path).expect("a file")
}

/// A file of the shared data, if it is there.
pub fn given(name: &str) -> Option<Vec<u8>> {
    let path = shared::shared(&format!("fixtures/f10_backend/{name}"))?;
    Some(std::fs::read(path).expect("a file"))
}

/// What a user does with a model that was read: scores and an adaptation. Nothing may panic.
fn used(plda: &Plda) -> Result<(), String> {
    let dim = plda.dim();
    if [plda.mu().len(), plda.psi().len(), plda.offset().len()] != [dim; 3]
        || [plda.transform().len(), plda.within().len(), plda.between().len()] != [dim * dim; 3]
    {
        return Err(format!("arrays that are not of a model of {dim} values"));
    }
    let held = plda.mu().iter().chain(plda.psi()).all(|x| x.is_finite());
    if !held || plda.psi().iter().any(|&p| p < 0.0) {
        return Err("a mean or a variance that is none".into());
    }
    let all = embeddings(plda.input_dim(), 4);
    let mean = plda.lacks_mean().then(|| vec![0.0; plda.input_dim()]);
    match plda.scorer(&all, mean.as_deref(), 0..all.len()) {
        Ok(scorer) => {
            scorer.llr(0, 3);
            scorer.llr_multi(&[0, 1, 2], 3, true);
        }
        // Values may be so large or so small that an embedding loses its direction.
        Err(e) if e.to_string().contains("no direction") => {}
        Err(e) => return Err(format!("read, but without scores: {e}")),
    }
    // Covariances may be singular.
    let _ = plda.adapt(&all, &PldaAdaptation::default());
    Ok(())
}

/// The model is the same in each form that holds all of it.
fn again(plda: &Plda, path: &Path) -> Result<(), String> {
    let ours = path.with_file_name("copy.safetensors");
    let written = |plda: &Plda| {
        plda.save(&ours).map_err(|e| format!("not written: {e}"))?;
        std::fs::read(&ours).map_err(|e| e.to_string())
    };
    let first = written(plda)?;
    let mut forms = vec!["copy.safetensors"];
    if plda.chain().links().is_empty() {
        forms.push("copy.h5");
        if !plda.length_norm() && !plda.lacks_mean() {
            forms.push("copy.kaldi");
        }
    }
    for form in forms {
        let copy = path.with_file_name(form);
        plda.save(&copy).map_err(|e| format!("{form} is not written: {e}"))?;
        let read = Plda::load(&copy).map_err(|e| format!("{form} is not read again: {e}"))?;
        if written(&read)? != first {
            return Err(format!("another model after writing {form}"));
        }
    }
    Ok(())
}

/// Whether a tensor file has a checksum that is not its own.
fn is_damaged(bytes: &[u8]) -> bool {
    let key = b"\"sha256\":\"";
    let Ok((_, header)) = SafeTensors::read_metadata(bytes) else { return false };
    let metadata = header.metadata().as_ref();
    let has_one = metadata.is_some_and(|entries| entries.contains_key("sha256"));
    has_one
        && bytes.windows(key.len()).filter(|window| window == key).count() == 1
        && !sign::is_signed(bytes)
}

/// Reads a file of any of the forms and uses the model.
pub fn read(path: &Path, bytes: &[u8]) -> Outcome {
    let plda = match Plda::load(path) {
        Ok(plda) => plda,
        Err(e) if e.to_string().contains(FILE) => return Ok(Verdict::Refused),
        Err(e) => return Err(format!("an error without the file's name: {e}")),
    };
    if is_damaged(bytes) {
        return Err("a damaged file is read".into());
    }
    used(&plda)?;
    // One in four files; the same one is always treated alike.
    if bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)).is_multiple_of(4) {
        again(&plda, path)?;
    }
    Ok(Verdict::Read)
}

/// A seed with one to four changes. The first `hot` bytes are changed most.
pub fn changed(stream: &mut Stream, seeds: &[Vec<u8>], hot: usize) -> Vec<u8> {
    let mut data = pick(stream, seeds).clone();
    for _ in 0..1 + stream.below(4) {
        mutate::change(stream, &mut data, seeds, hot);
    }
    data
}

#[test]
fn plda_files() {
    let models = [(false, None, false), (true, Some(3), true), (true, None, true)];
    let mut good: Vec<Vec<u8>> = models
        .iter()
        .map(|&(mean, lda, norm)| file(&model(mean, lda, norm), "p.safetensors"))
        .collect();
    let mut unsigned = good[1].clone();
    sign::unsign(&mut unsigned);
    good.push(unsigned);
    let words = [
        "plda",
        "format",
        "chain",
        "mean-subtract",
        "length-norm",
        "lda",
        "length_norm",
        "lacks_mean",
        "mu",
        "psi",
        "transform",
        "chain.0.mean",
        "chain.2.matrix",
        "F64",
        "F32",
        "shape",
        "dtype",
        "data_offsets",
    ];
    let make = |stream: &mut Stream| match stream.chance(0.5) {
        true => mutate::bytes(stream, &good, 900),
        false => {
            let seed = pick(stream, &good).clone();
            mutate::with_header(stream, &seed, |stream, header| text(stream, &[header], &words))
        }
    };
    run(&Target { name: "plda_files", file: FILE, good: &good, make: &make, read: &read });
}

/// Kaldi's text.
fn as_text(plda: &Plda) -> Vec<u8> {
    let row = |values: &[f64]| -> String { values.iter().map(|x| format!(" {x}")).collect() };
    let mut out = format!("<Plda>  [{} ]\n [", row(plda.mu()));
    for values in plda.transform().chunks_exact(plda.dim()) {
        write!(out, "\n {}", row(values)).expect("text takes text");
    }
    write!(out, " ]\n [{} ]\n</Plda> ", row(plda.psi())).expect("text takes text");
    out.into_bytes()
}

/// Kaldi's binary form in 32 bits.
fn as_floats(plda: &Plda) -> Vec<u8> {
    let size = [&[4][..], &(plda.dim() as i32).to_le_bytes()].concat();
    let bytes = |values: &[f64]| -> Vec<u8> {
        values.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect()
    };
    [
        &b"\0B<Plda> FV "[..],
        &size,
        &bytes(plda.mu()),
        b"FM ",
        &size,
        &size,
        &bytes(&plda.transform()),
        b"FV ",
        &size,
        &bytes(plda.psi()),
        b"</Plda> ",
    ]
    .concat()
}

#[test]
fn plda_kaldi() {
    let plain = model(false, None, false);
    let mut good = vec![file(&plain, "p.kaldi"), as_text(&plain), as_floats(&plain)];
    let texts = vec![good[1].clone(), b"<Plda> [ 0.5 ]\n[ 2 ]\n[ 3 ]\n</Plda>\n".to_vec()];
    good.extend(given("plda_default5.kaldi"));
    let words = ["<Plda>", "</Plda>", "[", "]", "[ ]", "1e-200", "1e200", "DV", "\0B"];
    let make = |stream: &mut Stream| match stream.chance(0.5) {
        true => changed(stream, &good, 60),
        false => text(stream, &texts, &words),
    };
    run(&Target { name: "plda_kaldi", file: FILE, good: &good, make: &make, read: &read });
}
