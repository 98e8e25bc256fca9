//! Numbers of parameters, figures on Vox1-O alone, and what the default model's card says of its
//! thresholds.

use burn::tensor::Device;

use super::*;
use crate::zoo::Architecture;

fn cards() -> impl Iterator<Item = (&'static str, Card)> {
    names().map(|name| (name, Card::of(name).unwrap()))
}

fn parameters(arch: &Architecture) -> usize {
    Derived::of(arch, 200).unwrap().parameters
}

/// Whether a source that rounds or cuts off after one, two or three digits shows a count so.
fn is_shown_as(count: usize, millions: f64) -> bool {
    (1..=3).any(|digits| {
        let scale = 10f64.powi(digits);
        let whole = count as f64 / 1e6 * scale;
        [whole.round(), whole.floor()].iter().any(|shown| (shown / scale - millions).abs() < 1e-9)
    })
}

#[test]
fn sources_round_or_cut_off() {
    for (count, millions) in [
        (6_634_336, 6.63),
        (4_689_024, 4.68),
        (4_689_024, 4.69),
        (7_176_224, 7.2),
        (1_001_851, 1.0),
        (6_659_744, 6.6),
    ] {
        assert!(is_shown_as(count, millions), "{count} {millions}");
    }
    for (count, millions) in
        [(2_123_481, 2.2), (4_693_920, 4.5), (6_634_336, 6.64), (9_887_808, 7.88)]
    {
        assert!(!is_shown_as(count, millions), "{count} {millions}");
    }
}

/// The message has the numbers as they must be.
#[test]
fn parameters_are_those_of_the_account() {
    let mut wrong = String::new();
    for (name, card) in cards() {
        let right = parameters(&card.arch);
        if card.parameters != right {
            wrong += &format!("\nmodels/{name}/model.toml\nparameters = {right}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A published number is that of the card's network, with the embedding that the source names, or
/// the card says why it is not.
#[test]
fn published_parameters_agree_or_are_explained() {
    let mut explained = 0;
    let mut seen = 0;
    for (name, card) in cards() {
        for published in &card.published {
            let Some(count) = &published.parameters else { continue };
            let embedding_dim = published.embedding_dim.unwrap_or(card.arch.embedding_dim);
            let ours = parameters(&Architecture { embedding_dim, ..card.arch.clone() });
            let agrees = is_shown_as(ours, count.millions);
            assert_eq!(agrees, count.differs.is_none(), "{name}: {ours}, published {count:?}");
            assert!(count.differs.as_ref().is_none_or(|why| !why.is_empty()), "{name}");
            seen += 1;
            explained += usize::from(!agrees);
        }
    }
    assert!(seen >= 30 && explained < seen / 2, "{explained} of {seen}");
}

/// Texts leave numbers of parameters to the fields that tests check.
#[test]
fn notes_count_no_parameters() {
    for (name, card) in cards() {
        let note = card.note.unwrap_or_default();
        assert!(!note.contains("million"), "{name}: {note}");
    }
}

#[test]
fn figures_on_one_list_have_public_sources() {
    let mut seen = 0;
    for (name, card) in cards() {
        for published in &card.published_on_o {
            assert!(published.source.starts_with("https://"), "{name}: {published:?}");
            assert!(!published.rates.is_empty(), "{name}: {published:?}");
            for rates in &published.rates {
                let [eer] = rates.eer_percent;
                assert!(0.0 < eer && eer < 5.0, "{name}: {rates:?}");
                let [cost] = rates.min_dcf.expect("that is what these sources add");
                assert!(0.0 < cost && cost < 1.0, "{name}: {rates:?}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "{seen}");
    let large = Card::of("eres2net34-large").unwrap().published_on_o;
    assert_eq!((large[0].rates[0].min_dcf, large[0].rates[1].lm), (Some([0.058]), true));
}

/// The card says whose thresholds the model has, with the numbers of both lists.
#[test]
fn the_default_models_thresholds_are_explained() {
    let card = DefaultCard::get();
    let scoring = default_model(&Device::default()).unwrap().header.scoring;
    for tested in &card.tested {
        let threshold = format!("{:.4}", tested.threshold);
        assert!(card.thresholds.contains(&threshold), "{threshold}: {}", card.thresholds);
    }
    let [own, other] = [0, 1].map(|i: usize| card.tested[i].threshold);
    assert!(own < other, "the text says that too much is accepted on the other list");
    assert_eq!(scoring.thresholds.len(), 4);
    // Fewer false accepts want a higher score.
    let (rates, scores): (Vec<f64>, Vec<f64>) = scoring.thresholds.into_iter().unzip();
    assert!(rates.is_sorted_by(|a, b| a > b) && scores.is_sorted(), "{rates:?} {scores:?}");
    assert!(
        card.made.commit.chars().all(|c| c.is_ascii_hexdigit()) && card.made.commit.len() == 40
    );
}
