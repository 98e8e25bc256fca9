use std::path::PathBuf;

use super::*;
use crate::rng::Stream;
use crate::scoring::plda::PldaTraining;
use crate::scoring::reference::{Reference, far};
use crate::scoring::{Embeddings, Groups};

/// A model with every step, or only with a mean.
fn model(mean: bool, lda: Option<usize>, length_norm: bool) -> (Plda, Embeddings) {
    let (mut all, mut stream) = (Embeddings::new(5), Stream::new(2, "plda", &[]));
    let mut voice = [0.0; 5];
    for i in 0..60 {
        if i % 6 == 0 {
            voice = std::array::from_fn(|_| stream.normal());
        }
        let row: Vec<f32> =
            voice.iter().map(|x| (2.0 + x + 0.5 * stream.normal()) as f32).collect();
        all.push(&format!("{}-{i}", i / 6), &row).unwrap();
    }
    let groups = Groups::new(&all, &|id| Some(id.split('-').next()?.to_owned())).unwrap();
    let mean = mean.then(|| all.mean());
    let training = PldaTraining { mean, lda, length_norm, ..PldaTraining::default() };
    (Plda::train(&all, &groups, &training, &mut || ()).unwrap(), all)
}

fn llr(plda: &Plda, all: &Embeddings) -> Vec<f64> {
    let scorer = plda.scorer(all, None, 0..all.len()).unwrap();
    (0..all.len() - 7).map(|i| scorer.llr(i, i + 7)).collect()
}

fn written(plda: &Plda, name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    plda.save(&path).unwrap();
    (dir, path)
}

#[test]
fn our_file_keeps_all_of_a_model() {
    for (mean, lda, norm) in [(false, None, false), (true, Some(3), true), (true, None, true)] {
        let (plda, all) = model(mean, lda, norm);
        let (_dir, path) = written(&plda, "p.safetensors");
        let again = Plda::load(&path).unwrap();
        assert_eq!(llr(&again, &all), llr(&plda, &all));
        assert_eq!((again.chain(), again.length_norm()), (plda.chain(), norm));
        assert!(far(&again.within(), &plda.within()) < 1e-10);
        assert!(far(&again.between(), &plda.between()) < 1e-10);
        let (_other, copy) = written(&again, "p.safetensors");
        assert_eq!(std::fs::read(copy).unwrap(), std::fs::read(path).unwrap());
    }
}

#[test]
fn a_mean_goes_into_the_files_of_others_where_it_can() {
    let (plda, all) = model(true, None, false);
    let (_dir, path) = written(&plda, "p.kaldi");
    let again = Plda::load(&path).unwrap();
    assert!(again.chain().links().is_empty());
    assert!(far(&llr(&again, &all), &llr(&plda, &all)) < 1e-9);
    let dir = tempfile::tempdir().unwrap();
    let fails = |plda: &Plda, name: &str, wanted: &str| {
        let error = plda.save(dir.path().join(name)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    fails(&plda, "p.txt", ".safetensors, .kaldi or .plda");
    fails(&model(true, None, true).0, "p.plda", "a mean in front of a length norm");
    fails(&model(true, Some(2), false).0, "p.kaldi", "an LDA");
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    Plda::check_name("a.H5").unwrap();
    Plda::check_name("-").unwrap();
    assert!(Plda::check_name("a").is_err());
}

#[test]
fn kaldis_file_comes_back_byte_for_byte() {
    let Some(reference) = Reference::open() else { return };
    let path = reference.folder.join("plda_default5.kaldi");
    let plda = Plda::load(&path).unwrap();
    check(&reference, &plda);
    let (_dir, copy) = written(&plda, "p.kaldi");
    assert_eq!(std::fs::read(copy).unwrap(), std::fs::read(path).unwrap());
}

fn check(reference: &Reference, plda: &Plda) {
    let wanted = |name: &str| reference.f64(&format!("plda/default5/{name}"));
    assert_eq!((plda.mu(), plda.psi()), (&wanted("mu")[..], &wanted("psi")[..]));
    assert_eq!(plda.transform(), wanted("transform"));
    assert!(far(plda.offset(), &wanted("offset")) < 1e-10);
    assert!(far(&plda.within(), &wanted("W")) < 1e-8);
    assert!(far(&plda.between(), &wanted("B")) < 1e-8);
    assert!(!plda.length_norm() && !plda.lacks_mean());
}

#[test]
fn wespeakers_file_is_read_and_written() {
    let Some(reference) = Reference::open() else { return };
    let plda = Plda::load(reference.folder.join("plda_default5.h5")).unwrap();
    check(&reference, &plda);
    let (_dir, path) = written(&plda, "p.h5");
    check(&reference, &Plda::load(path).unwrap());
}

#[test]
fn wespeakers_file_tells_what_it_lacks() {
    let (plda, all) = model(true, None, true);
    let (_dir, path) = written(&plda, "p.hdf5");
    let again = Plda::load(&path).unwrap();
    assert!(again.lacks_mean() && again.length_norm());
    let error = again.scorer(&all, None, [0]).err().unwrap().to_string();
    assert!(error.contains("a mean is needed"), "{error}");
    let scorer = again.scorer(&all, Some(&all.mean()), 0..all.len()).unwrap();
    let ours: Vec<f64> = (0..all.len() - 7).map(|i| scorer.llr(i, i + 7)).collect();
    assert!(far(&ours, &llr(&plda, &all)) < 1e-9);
    let error = again.save(path.with_extension("kaldi")).unwrap_err().to_string();
    assert!(error.contains("must be subtracted first"), "{error}");
    // Cut or changed files are refused or read, and nothing else happens.
    let good = std::fs::read(&path).unwrap();
    for cut in (0..good.len()).step_by(97) {
        std::fs::write(&path, &good[..cut]).unwrap();
        match Plda::load(&path) {
            Err(e) => assert!(e.to_string().contains("not a readable PLDA file"), "{cut}: {e}"),
            // Nothing was lost that is looked at.
            Ok(read) => assert_eq!(read, again, "{cut}"),
        }
    }
    for (bit, damaged) in crate::tensor_file::flipped(&good, 400) {
        std::fs::write(&path, damaged).unwrap();
        if let Err(e) = Plda::load(&path) {
            assert!(e.to_string().contains("p.hdf5"), "bit {bit}: {e}");
        }
    }
}

#[test]
fn kaldis_text_is_read() {
    let text = "<Plda>  [ 0.5 -1 ]\n [\n  2 0\n  1 4 ]\n [ 3 0.25 ]\n</Plda> ";
    let parts = kaldi::read(text.as_bytes()).unwrap();
    assert_eq!((parts.mu, parts.psi), (vec![0.5, -1.0], vec![3.0, 0.25]));
    assert_eq!(parts.transform, [2.0, 0.0, 1.0, 4.0]);
    for (from, to, wanted) in [
        ("</Plda>", "", "`</Plda>` is missing"),
        ("[ 3 0.25 ]", "", "three arrays"),
        ("0.25 ]", "0.25", "between [ and ]"),
        ("0.25", "x", "`x` is no number"),
        ("2 0\n", "2 0 0\n", "not of one length"),
        ("[ 0.5 -1 ]", "[ 0.5 ]", "a mean of 1 values"),
    ] {
        let error = kaldi::read(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn damaged_files_of_kaldi_are_refused() {
    let (plda, _) = model(false, None, false);
    let (_dir, path) = written(&plda, "p.kaldi");
    let good = std::fs::read(&path).unwrap();
    for cut in 0..good.len() {
        std::fs::write(&path, &good[..cut]).unwrap();
        let error = Plda::load(&path).unwrap_err().to_string();
        assert!(error.contains("p.kaldi: not a readable PLDA file"), "{cut}: {error}");
    }
    let fails = |at: usize, bytes: &[u8], wanted: &str| {
        let mut damaged = good.clone();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(&path, damaged).unwrap();
        let error = Plda::load(&path).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    // The size of the mean is behind `\0B<Plda> DV \4`.
    fails(13, &i32::MAX.to_le_bytes(), "ends too early");
    fails(13, &(-1i32).to_le_bytes(), "a negative size");
    fails(12, &[8], "not a number of 32 bits");
    fails(9, b"C", "`DV` or `FV` is missing");
    fails(17, &f64::NAN.to_le_bytes(), "not finite");
    // The transform is behind the mean and `DM \4size\4size`.
    fails(17 + 5 * 8 + 13, &[0; 25 * 8], "has no inverse");
    let behind = good.len() - END - 8;
    fails(behind, &(-1.0f64).to_le_bytes(), "negative");
    std::fs::write(&path, [&good[..], b"x"].concat()).unwrap();
    assert!(Plda::load(&path).unwrap_err().to_string().contains("1 bytes follow its end"));
    for (bit, damaged) in crate::tensor_file::flipped(&good, 500) {
        std::fs::write(&path, damaged).unwrap();
        if let Err(e) = Plda::load(&path) {
            assert!(e.to_string().contains("p.kaldi"), "bit {bit}: {e}");
        }
    }
}

/// Bytes of `</Plda> `.
const END: usize = 8;

#[test]
fn what_is_no_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let fails = |bytes: &[u8], wanted: &str| {
        std::fs::write(&path, bytes).unwrap();
        let error = Plda::load(&path).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    fails(b"", "neither safetensors nor Kaldi's nor HDF5");
    fails(b"hello", "neither safetensors");
    let header = b"{}      ";
    fails(&[&8u64.to_le_bytes()[..], header].concat(), "holds no PLDA");
    let (plda, _) = model(true, Some(2), true);
    let (_dir, good) = written(&plda, "p.safetensors");
    let good = std::fs::read(good).unwrap();
    for (bit, damaged) in crate::tensor_file::flipped(&good, 300) {
        std::fs::write(&path, damaged).unwrap();
        assert!(Plda::load(&path).is_err(), "bit {bit}");
    }
}
