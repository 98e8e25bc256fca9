use proptest::prelude::*;

use super::*;
use crate::rng::Stream;
use crate::scoring::linear::lower_factor;
use crate::scoring::reference::{Reference, far};
use crate::scoring::{Embeddings, Groups};

/// The two models of the references, by their names.
const NAMES: [&str; 2] = ["default5", "sub_norm10"];

fn trained(reference: &Reference, name: &str, iterations: Option<usize>) -> Plda {
    let (dev, groups) = reference.speakers("dev");
    let training = match name {
        "default5" => PldaTraining::default(),
        _ => PldaTraining {
            iterations: 10,
            mean: Some(dev.mean()),
            length_norm: true,
            ..PldaTraining::default()
        },
    };
    let iterations = iterations.unwrap_or(training.iterations);
    let mut passes = 0;
    let training = PldaTraining { iterations, ..training };
    let plda = Plda::train(&dev, &groups, &training, &mut || passes += 1).unwrap();
    assert_eq!(passes, iterations);
    plda
}

/// The largest difference as a part of the largest value.
fn relative(ours: &[f64], wanted: &[f64]) -> f64 {
    far(ours, wanted) / wanted.iter().fold(0.0, |most, x| x.abs().max(most))
}

/// Values without their signs, which are arbitrary.
fn sizes(values: &[f64]) -> Vec<f64> {
    values.iter().map(|x| x.abs()).collect()
}

#[test]
fn training_equals_the_references() {
    let Some(reference) = Reference::open() else { return };
    for name in NAMES {
        let wanted = |what: &str| reference.f64(&format!("plda/{name}/{what}"));
        let plda = trained(&reference, name, None);
        assert!(far(plda.mu(), &wanted("mu")) < 1e-10, "{name}");
        assert!(relative(&plda.within(), &wanted("W")) < 1e-8, "{name}");
        assert!(relative(&plda.between(), &wanted("B")) < 1e-8, "{name}");
        let mut psi = plda.psi().iter().zip(wanted("psi"));
        assert!(psi.all(|(p, w)| (p / w - 1.0).abs() < 1e-8), "{name}");
        assert!(far(&sizes(&plda.transform()), &sizes(&wanted("transform"))) < 1e-7, "{name}");
        assert!(far(&sizes(plda.offset()), &sizes(&wanted("offset"))) < 1e-7, "{name}");
    }
    let once = trained(&reference, "default5", Some(1));
    assert!(relative(&once.within(), &reference.f64("plda/default5/W_iter1")) < 1e-8);
    assert!(relative(&once.between(), &reference.f64("plda/default5/B_iter1")) < 1e-8);
}

#[test]
fn scores_equal_the_references() {
    let Some(reference) = Reference::open() else { return };
    let eval = reference.embeddings("eval");
    let trials = reference.trials("trials/eval");
    let enrolments = reference.i64("multi/enroll_utterances");
    let multi = reference.trials("multi/trials");
    for name in NAMES {
        let wanted = |what: &str| reference.f64(&format!("plda/{name}/{what}"));
        let plda = trained(&reference, name, None);
        let scorer = plda.scorer(&eval, None, 0..eval.len()).unwrap();
        let first: Vec<f64> = (0..16).flat_map(|i| scorer.vector(i).to_vec()).collect();
        assert!(far(&sizes(&first), &sizes(&wanted("transformed_eval_first16"))) < 1e-8, "{name}");
        let ours: Vec<f64> = trials.iter().map(|&(a, b)| scorer.llr(a, b)).collect();
        assert!(far(&ours, &wanted("llr_eval")) < 1e-8, "{name}");
        for (what, by_the_book) in [("by_the_book", true), ("averaged", false)] {
            let score = |&(model, test): &(usize, usize)| {
                let places: Vec<usize> =
                    enrolments[3 * model..3 * model + 3].iter().map(|&i| i as usize).collect();
                scorer.llr_multi(&places, test, by_the_book)
            };
            let ours: Vec<f64> = multi.iter().map(score).collect();
            assert!(far(&ours, &wanted(&format!("llr_multi_{what}"))) < 1e-8, "{name} {what}");
        }
    }
}

#[test]
fn adaptation_equals_the_references() {
    let Some(reference) = Reference::open() else { return };
    let [domain, eval] = ["adapt", "eval2"].map(|set| reference.embeddings(set));
    let trials = reference.trials("trials/eval2");
    let scores = |plda: &Plda, mean: Option<&[f64]>| -> Vec<f64> {
        let scorer = plda.scorer(&eval, mean, 0..eval.len()).unwrap();
        trials.iter().map(|&(a, b)| scorer.llr(a, b)).collect()
    };
    for name in NAMES {
        let wanted = |what: &str| reference.f64(&format!("plda/{name}/{what}"));
        let plda = trained(&reference, name, None);
        let zero = vec![0.0; plda.dim()];
        let ours = scores(&plda, Some(&zero));
        assert!(far(&ours, &wanted("llr_eval2_unadapted_nomean")) < 1e-8, "{name}");
        let ours = scores(&plda, Some(&domain.mean()));
        assert!(far(&ours, &wanted("llr_eval2_unadapted_indomain_mean")) < 1e-8, "{name}");
        let Adapted { plda, directions } = plda.adapt(&domain, &PldaAdaptation::default()).unwrap();
        assert!(far(plda.mu(), &wanted("adapted/mu")) < 1e-10, "{name}");
        assert!(relative(&plda.within(), &wanted("adapted/W")) < 1e-9, "{name}");
        assert!(relative(&plda.between(), &wanted("adapted/B")) < 1e-9, "{name}");
        let mut psi = wanted("adapted/psi");
        psi.reverse();
        assert!(relative(plda.psi(), &psi) < 1e-7, "{name}");
        let ours = scores(&plda, None);
        assert!(far(&ours, &wanted("llr_eval2_adapted_indomain_mean")) < 1e-7, "{name}");
        assert!(plda.has_mean() && !plda.length_norm() && directions > 0);
    }
    let file = crate::shared::json(reference.folder.join("backend.json"));
    let wanted = &file["plda"]["default5"]["adapt"]["directions_with_excess_variance"];
    let plda = trained(&reference, "default5", None);
    let adapted = plda.adapt(&domain, &PldaAdaptation::default()).unwrap();
    assert_eq!(*wanted, adapted.directions);
}

/// log N(vector; 0, covariance), up to the constant of the dimension.
fn log_density(covariance: &Matrix, vector: &[f64]) -> f64 {
    let lower = lower_factor(covariance).unwrap();
    let mut solved = Matrix::from_column_slice(vector.len(), 1, vector);
    assert!(lower.solve_lower_triangular_mut(&mut solved));
    let log_root: f64 = (0..vector.len()).map(|i| lower[(i, i)].ln()).sum();
    -log_root - 0.5 * solved.iter().map(|x| x * x).sum::<f64>()
}

/// log N of utterances of one speaker, by the covariance of all their values together.
fn together(within: &Matrix, between: &Matrix, vectors: &[&[f64]]) -> f64 {
    let dim = within.nrows();
    let covariance = Matrix::from_fn(dim * vectors.len(), dim * vectors.len(), |i, j| {
        let same = if i / dim == j / dim { within[(i % dim, j % dim)] } else { 0.0 };
        between[(i % dim, j % dim)] + same
    });
    log_density(&covariance, &vectors.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ratios_are_those_of_joint_gaussians(seed in 0u64..1 << 32, dim in 1usize..7) {
        let mut stream = Stream::new(seed, "plda", &[]);
        let mut square = |columns: usize| {
            let root = Matrix::from_fn(dim, columns, |_, _| stream.normal());
            &root * root.transpose()
        };
        let within = square(dim + 2) + Matrix::identity(dim, dim) * 0.1;
        // Often singular.
        let between = square(dim.div_ceil(2));
        let mu: Vec<f64> = (0..dim).map(|_| stream.normal()).collect();
        let mut all = Embeddings::new(dim);
        for i in 0..4 {
            let row: Vec<f32> = (0..dim).map(|_| (2.0 * stream.normal()) as f32).collect();
            all.push(&i.to_string(), &row).unwrap();
        }
        let centred: Vec<Vec<f64>> = (0..4)
            .map(|i| all.row(i).iter().zip(&mu).map(|(&x, m)| f64::from(x) - m).collect())
            .collect();
        let joint = |places: &[usize]| {
            let vectors: Vec<&[f64]> = places.iter().map(|&i| centred[i].as_slice()).collect();
            together(&within, &between, &vectors)
        };
        let plda =
            Plda::of_covariances(Steps::default(), mu.clone(), within.clone(), between.clone());
        let plda = plda.unwrap();
        let scorer = plda.scorer(&all, None, 0..4).unwrap();
        let near = |ours: f64, wanted: f64| (ours - wanted).abs() < 1e-9 * (1.0 + wanted.abs());
        let pair = joint(&[0, 3]) - joint(&[0]) - joint(&[3]);
        prop_assert!(near(scorer.llr(0, 3), pair), "{} {pair}", scorer.llr(0, 3));
        prop_assert!(near(scorer.llr(3, 0), pair));
        let wanted = joint(&[0, 1, 2, 3]) - joint(&[0, 1, 2]) - joint(&[3]);
        let ours = scorer.llr_multi(&[0, 1, 2], 3, true);
        prop_assert!(near(ours, wanted), "{ours} {wanted}");
        prop_assert_eq!(scorer.llr_multi(&[0], 3, true), scorer.llr_multi(&[0], 3, false));
    }
}

/// Three speakers of two utterances each, and others of one.
fn few(others: usize) -> (Embeddings, Groups) {
    let (mut all, mut stream) = (Embeddings::new(4), Stream::new(7, "few", &[]));
    for i in 0..6 + others {
        let speaker = if i < 6 { i / 2 } else { i };
        let row: [f32; 4] = std::array::from_fn(|_| stream.normal() as f32 + speaker as f32);
        all.push(&format!("{speaker}-{i}"), &row).unwrap();
    }
    let groups = Groups::new(&all, &|id| Some(id.split('-').next()?.to_owned())).unwrap();
    (all, groups)
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let (all, groups) = few(2);
    let fails = |training: PldaTraining, wanted: &str| {
        let error = Plda::train(&all, &groups, &training, &mut || ()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    let usual = PldaTraining::default;
    fails(PldaTraining { iterations: 0, ..usual() }, "at least one pass");
    fails(PldaTraining { mean: Some(vec![0.0; 3]), ..usual() }, "3 values are wanted");
    fails(PldaTraining { lda: Some(5), ..usual() }, "1 to 4 are possible");
    let own = all.row(3).iter().map(|&x| f64::from(x)).collect();
    fails(PldaTraining { mean: Some(own), length_norm: true, ..usual() }, "`1-3` becomes zero");
    let alone = Groups::new(&all, &|id| Some(id.to_owned())).unwrap();
    let error = Plda::train(&all, &alone, &usual(), &mut || ()).unwrap_err().to_string();
    assert!(error.contains("each of 8 speakers has one utterance"), "{error}");
    // Fewer utterances than a covariance has values is no obstacle: EM begins with unit matrices.
    let plda = Plda::train(&all, &groups, &usual(), &mut || ()).unwrap();
    assert!(plda.psi().iter().all(|p| *p >= 0.0));
}

#[test]
fn what_cannot_be_scored_or_adapted_is_refused() {
    let (all, groups) = few(0);
    let training = PldaTraining { length_norm: true, ..PldaTraining::default() };
    let plda = Plda::train(&all, &groups, &training, &mut || ()).unwrap();
    let mut other = Embeddings::new(3);
    other.push("a", &[1.0; 3]).unwrap();
    other.push("b", &[2.0; 3]).unwrap();
    let error = plda.scorer(&other, None, []).err().unwrap().to_string();
    assert!(error.contains("wants 4 values, the embeddings have 3"), "{error}");
    assert!(plda.scorer(&all, Some(&[0.0; 3]), []).is_err());
    let own: Vec<f64> = all.row(2).iter().map(|&x| f64::from(x)).collect();
    let error = plda.scorer(&all, Some(&own), 0..6).err().unwrap().to_string();
    assert!(error.contains("`1-2` becomes zero"), "{error}");
    let scorer = plda.scorer(&all, Some(&own), [0, 1]).unwrap();
    assert!(scorer.model(&[]).is_err() && scorer.model(&[2]).is_err());
    assert!(scorer.llr_multi(&[2], 0, true).is_nan());
    let adapt = |embeddings: &Embeddings, within| {
        let adaptation = PldaAdaptation { within, ..PldaAdaptation::default() };
        plda.adapt(embeddings, &adaptation).unwrap_err().to_string()
    };
    assert!(adapt(&all, 1.5).contains("0 to 1"));
    assert!(adapt(&all, 0.75).contains("0.75 and 0.5 are more than the whole"));
    assert!(adapt(&other, 0.5).contains("wants 4 values"));
    assert!(adapt(&Embeddings::new(4), 0.5).contains("two embeddings"));
}

#[test]
#[should_panic(expected = "embedding `0-0` was not prepared")]
fn what_was_not_prepared_has_no_score() {
    let (all, groups) = few(0);
    let plda = Plda::train(&all, &groups, &PldaTraining::default(), &mut || ()).unwrap();
    plda.scorer(&all, None, [1]).unwrap().llr(0, 1);
}

#[test]
fn an_lda_comes_before_the_model() {
    let (all, groups) = few(3);
    let training = PldaTraining {
        mean: Some(all.mean()),
        lda: Some(2),
        length_norm: true,
        ..PldaTraining::default()
    };
    let plda = Plda::train(&all, &groups, &training, &mut || ()).unwrap();
    assert_eq!((plda.dim(), plda.input_dim()), (2, 4));
    assert!(matches!(plda.chain().links(), [Link::Mean(_), Link::LengthNorm, Link::Lda(_)]));
    let scorer = plda.scorer(&all, None, 0..all.len()).unwrap();
    let length: f64 = scorer.vector(3).iter().map(|x| x * x).sum();
    assert!((length - 2.0).abs() < 1e-12 && scorer.llr(0, 1).is_finite());
}
