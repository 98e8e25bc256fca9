//! `revox zoo --details`: one network, or the model inside the program.

use serde_json::{Value, json};

use crate::cli::values::architecture;
use crate::error::{Error, Result};
use crate::model_card::{
    Bytes, Card, Count, DEFAULT, DefaultCard, Derived, Input, Published, default_model, names,
};
use crate::model_file::{Frontend, Header};
use crate::terminal::outln;
use crate::zoo::{Architecture, Row};

/// Describes a network by its name.
///
/// # Errors
/// An unknown name, with those that have a card; fewer frames than the network takes.
pub(super) fn run(name: &str, frames: usize, json: bool) -> Result<()> {
    if name == DEFAULT {
        return describe_default(json);
    }
    let card = Card::of(name);
    let arch = match &card {
        Some(card) => card.arch.clone(),
        None => architecture(name).map_err(with_cards)?,
    };
    let derived = Derived::of(&arch, frames)?;
    let row = arch.row()?;
    match json {
        true => outln!("{}", as_json(&arch, row, &derived, card.as_ref())),
        false => print(&arch, row, &derived, card.as_ref()),
    }
    Ok(())
}

/// The error of a name that nothing has.
fn with_cards(error: Error) -> Error {
    let cards = names().collect::<Vec<_>>().join(", ");
    error.and(&format!("there are cards of {cards}; `{DEFAULT}` is the model inside the program"))
}

fn as_json(arch: &Architecture, row: &Row, derived: &Derived, card: Option<&Card>) -> Value {
    json!({
        "arch": arch,
        "paper": row.paper,
        "parameters": derived.parameters,
        "frames": derived.frames,
        "macs": derived.macs,
        "activation_bytes": derived.activation_bytes,
        "held_bytes": derived.held_bytes,
        "bytes": derived.bytes,
        "bytes_beside": derived.beside,
        "card": card,
    })
}

fn print(arch: &Architecture, row: &Row, derived: &Derived, card: Option<&Card>) {
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    outln!("{}", arch.name);
    outln!("architecture  {}", sizes(arch));
    match card {
        Some(card) => outln!("paper         {}\n              {}", card.paper.title, card.paper.at),
        None => outln!("paper         {}", row.paper),
    }
    if let Some(card) = card {
        match &card.frontend {
            Input::Kaldi(frontend) => outln!("front-end     {}", front_end(frontend)),
            Input::Own(words) => outln!("front-end     {words}"),
        }
    }
    outln!("parameters    {}", derived.parameters);
    outln!("GMACs         {:.2} for {} frames", derived.macs as f64 / 1e9, derived.frames);
    outln!("activations   {:.1} MiB for {} frames", mib(derived.activation_bytes), derived.frames);
    if let Some(held) = derived.held_bytes {
        outln!("held          {:.1} MiB by reversible training", mib(held));
    }
    outln!("file          {}", files(&derived.bytes));
    let kb = |bytes: usize| bytes.div_ceil(1000);
    let (whole, packed) = (kb(derived.beside.f32), kb(derived.beside.packed));
    outln!("              header and graph add {whole} KB in f32, {packed} KB packed");
    let Some(card) = card else {
        outln!("published     nothing is noted of this network");
        return;
    };
    for weights in &card.weights {
        outln!("weights       {}, licence {}", weights.trained_on, weights.licence);
        outln!("              {}", weights.at);
    }
    outln!("published     EER in % on Vox1-O, Vox1-E, Vox1-H (cleaned)");
    card.published.iter().for_each(print_published);
    if !card.published_on_o.is_empty() {
        outln!("published     EER in % on Vox1-O (cleaned)");
        card.published_on_o.iter().for_each(print_published);
    }
    for m in &card.measured {
        outln!("measured      {}: {} {} (`{}`)", m.what, m.value, m.unit, m.command);
    }
    if card.measured.is_empty() {
        outln!("measured      nothing yet");
    }
    if let Some(note) = &card.note {
        outln!("note          {note}");
    }
}

fn print_published<N: AsRef<[f64]>>(published: &Published<N>) {
    outln!("  trained on {}; {}", published.trained_on, published.source);
    let Published { embedding_dim, parameters, .. } = published;
    let dim = embedding_dim.map(|dim| format!("{dim}-d"));
    let count = parameters.as_ref().map(|Count { millions, differs }| match differs {
        None => format!("{millions} million parameters"),
        Some(why) => format!("{millions} million parameters: {why}"),
    });
    let size: Vec<String> = dim.into_iter().chain(count).collect();
    if !size.is_empty() {
        outln!("  {}", size.join(", "));
    }
    for rates in &published.rates {
        let costs = rates
            .min_dcf
            .as_ref()
            .map_or_else(String::new, |costs| format!("  minDCF(0.01) {}", columns(costs, 0)));
        outln!("  {}  {}{costs}", columns(&rates.eer_percent, 7), rates.conditions());
    }
}

/// Values side by side, with so many characters each or more.
fn columns(values: &impl AsRef<[f64]>, width: usize) -> String {
    let column = |value: &f64| format!("{value:width$.3}");
    values.as_ref().iter().map(column).collect::<Vec<_>>().join(" ")
}

/// A network's sizes.
fn sizes(arch: &Architecture) -> String {
    let Architecture { width, mels, embedding_dim, .. } = arch;
    let pooling = arch.pooling.name();
    let two = if arch.two_embedding_layers { ", two embedding layers" } else { "" };
    format!("width {width}, {mels} mels, {pooling} pooling, {embedding_dim}-d{two}")
}

fn front_end(frontend: &Frontend) -> String {
    let f = &frontend.fbank;
    let mean = if frontend.cmn { ", mean subtracted" } else { "" };
    format!(
        "{} Hz, {} mels, {:?} window, {}/{} ms, scale {}{mean}",
        f.sample_rate, f.mels, f.window, f.frame_length_ms, f.frame_shift_ms, f.scale
    )
}

fn files(bytes: &Bytes) -> String {
    let mb = |bytes: usize| bytes as f64 / 1e6;
    let Bytes { f32: whole, bits8, bits4, bits2 } = *bytes;
    format!(
        "{:.2} MB in f32; packed {:.2} MB at 8 bits, {:.2} MB at 4, {:.2} MB at 2",
        mb(whole),
        mb(bits8),
        mb(bits4),
        mb(bits2)
    )
}

/// Describes the model inside the program.
///
/// # Errors
/// Those of [`default_model`].
fn describe_default(json: bool) -> Result<()> {
    let (card, header) = (DefaultCard::get(), default_model(&Default::default())?.header);
    match json {
        true => outln!("{}", default_json(&card, &header)),
        false => print_default(&card, &header),
    }
    Ok(())
}

fn default_json(card: &DefaultCard, header: &Header) -> Value {
    json!({
        "arch": header.arch,
        "frontend": header.frontend,
        "scoring": header.scoring,
        "card": card,
    })
}

fn print_default(card: &DefaultCard, header: &Header) {
    outln!("{DEFAULT}: {}", card.title);
    outln!("architecture  {}, {}", header.arch.name, sizes(&header.arch));
    outln!("front-end     {}", front_end(&header.frontend));
    outln!("file          {} bytes, SHA-256 {}", card.bytes, card.sha256);
    outln!("licence       {}", card.licence);
    for data in &card.data {
        outln!("data          {} ({}): {}", data.name, data.licence, data.used);
        outln!("              {}", data.at);
    }
    let made = &card.made;
    outln!(
        "made          `{}` by {}, seed {}, revox {} at commit {}",
        made.command,
        made.recipe,
        made.seed,
        made.version,
        made.commit
    );
    outln!("              {}", made.later);
    for tested in &card.tested {
        outln!(
            "tested        {} ({}): EER {:.2} %, before packing {:.2} %; threshold {:.4}",
            tested.list,
            tested.size,
            tested.eer_percent,
            tested.f32_eer_percent,
            tested.threshold
        );
    }
    if let Some(threshold) = header.scoring.threshold_eer {
        outln!("threshold     {threshold:.4} at equal error rate");
    }
    for (far, threshold) in &header.scoring.thresholds {
        outln!("              {threshold:.4} at false-accept rate {far}");
    }
    outln!("              {}", card.thresholds);
    outln!("limits        {}", card.limits);
}
