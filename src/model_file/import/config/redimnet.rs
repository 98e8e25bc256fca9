//! Arguments of WeSpeaker's ReDimNets (`redimnet.py`, `redimnet2.py`).

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::model_file::import::cell::Cell;
use crate::model_file::import::section::Section;
use crate::zoo::{Blocks2d, Context, ReDimNet, ReDimNet2, ReDimNetStage};

/// The most stages, and the most blocks of one.
const MOST: usize = 32;
/// The most of channels and of what divides them.
const CHANNELS: f64 = 65536.0;

/// A ReDimNet's layers: `usual`, but for the arguments.
pub(super) fn first(args: &Section, usual: ReDimNet) -> Result<ReDimNet> {
    let mut layers = usual;
    layers.context = context(args, layers.context)?;
    layers.blocks = blocks(args, layers.blocks)?;
    layers.group_divisor = divisor(args, "group_divisor", layers.group_divisor)?;
    layers.output = divisor(args, "out_channels", layers.output)?;
    if let Some(list) = given(args, "stages_setup") {
        // Its blocks have kernels of 3x3 whatever the list says.
        let read = |cell: &Cell| -> Result<ReDimNetStage> {
            let [stride, blocks, expansion, _, context] = cell.array()?;
            stage([stride.whole(1.0..=3.0)?, 1], &blocks, &expansion, &context)
        };
        layers.stages = stages(&list, read)?;
    }
    Ok(layers)
}

/// A ReDimNet2's layers: `usual`, but for the arguments.
pub(super) fn second(args: &Section, usual: ReDimNet2) -> Result<ReDimNet2> {
    without_extras(args)?;
    let mut layers = usual;
    layers.context = context(args, layers.context)?;
    layers.blocks = blocks(args, layers.blocks)?;
    layers.group_divisor = divisor(args, "group_divisor", layers.group_divisor)?;
    layers.output = divisor(args, "out_channels", layers.output)?;
    layers.flat = !args.flag("return_2d_output")?.unwrap_or(!layers.flat);
    layers.compressed = args.flag("compress_tconvs")?.unwrap_or(layers.compressed);
    layers.embedding_norm = args.flag("emb_bn")?.unwrap_or(layers.embedding_norm);
    if let Some(list) = given(args, "stages_setup") {
        let kernels = match layers.blocks {
            Blocks2d::ConvNext => true,
            Blocks2d::Basic | Blocks2d::BasicSe => false,
        };
        let read = |cell: &Cell| -> Result<ReDimNetStage> {
            let [strides, blocks, expansion, kernel, context] = cell.array()?;
            let [mels, frames] = strides.array()?;
            let strides = [mels.whole(1.0..=8.0)?, frames.whole(1.0..=8.0)?];
            let mut stage = stage(strides, &blocks, &expansion, &context)?;
            if kernels {
                let [kernel] = kernel.array()?;
                let [mels, frames] = kernel.array()?;
                let kernel = [mels.whole(1.0..=15.0)?, frames.whole(1.0..=15.0)?];
                stage.kernel = (kernel != [3, 3]).then_some(kernel);
            }
            Ok(stage)
        };
        layers.stages = stages(&list, read)?;
    }
    Ok(layers)
}

/// Refuses what a ReDimNet2 can have and ours cannot.
fn without_extras(args: &Section) -> Result<()> {
    for key in ["agg_gnorm", "dual_agg", "return_all_outputs", "use_freq_pos_enc"] {
        if args.flag(key)? == Some(true) {
            return Err(args.error(key, "only false is supported"));
        }
    }
    for (key, only) in [("causal", "none"), ("fm_weigthing_type", "NC"), ("spec", "fbank")] {
        let Some(cell) = given(args, key) else { continue };
        if cell.text()? != only {
            return Err(cell.error(format!("only {only} is supported")));
        }
    }
    for (key, only) in
        [("before_pool_offset", 0.0), ("pad_right_samples", 0.0), ("spec_in_channels", 1.0)]
    {
        if let Some(cell) = given(args, key) {
            cell.number(only..=only)?;
        }
    }
    Ok(())
}

/// The value under a key, if it is there and not null.
fn given<'a>(args: &Section<'a>, key: &str) -> Option<Cell<'a>> {
    args.cell(key).filter(|cell| !cell.is_null())
}

/// A number that null stands for the lack of; the usual one without the key.
fn divisor(args: &Section, key: &str, usual: Option<usize>) -> Result<Option<usize>> {
    match args.cell(key) {
        None => Ok(usual),
        Some(cell) => cell.unless_null(|cell| cell.whole(1.0..=CHANNELS)),
    }
}

fn context(args: &Section, usual: Context) -> Result<Context> {
    named(args, "block_1d_type", usual, "conv+att and att")
}

fn blocks(args: &Section, usual: Blocks2d) -> Result<Blocks2d> {
    named(args, "block_2d_type", usual, "basic_resnet, basic_resnet_fwse and convnext_like")
}

/// A choice by its name, which is WeSpeaker's.
fn named<T: DeserializeOwned>(args: &Section, key: &str, usual: T, all: &str) -> Result<T> {
    let Some(name) = args.text(key)? else { return Ok(usual) };
    let value = serde_json::Value::String(name.to_owned());
    serde_json::from_value(value)
        .map_err(|_| args.error(key, format!("`{name}` is not supported; {all} are")))
}

fn stages(
    list: &Cell,
    read: impl Fn(&Cell) -> Result<ReDimNetStage>,
) -> Result<Cow<'static, [ReDimNetStage]>> {
    let stages = list.list(MOST)?;
    if stages.is_empty() {
        return Err(list.error("a network has stages"));
    }
    Ok(Cow::Owned(stages.iter().map(read).collect::<Result<Vec<_>>>()?))
}

fn stage(
    stride: [usize; 2],
    blocks: &Cell,
    expansion: &Cell,
    context: &Cell,
) -> Result<ReDimNetStage> {
    Ok(ReDimNetStage {
        stride,
        blocks: blocks.whole(0.0..=MOST as f64)?,
        expansion: expansion.number(0.01..=8.0)?,
        context: context.unless_null(|cell| cell.whole(1.0..=CHANNELS))?,
        kernel: None,
    })
}
