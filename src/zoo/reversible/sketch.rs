//! The plan as arithmetic sees it.

use super::super::sketch::{Function, Rearrangement, Size, Sketch, SketchStep};
use super::super::{Architecture, resnet};
use super::plan::{Entry, Plan};
use super::{MergeRule, StreamRule};
use crate::nn::Conv2dConfig;

impl Plan {
    /// The network for utterances of `frames` frames.
    pub(in crate::zoo) fn sketch(&self, arch: &Architecture, frames: usize) -> Sketch {
        let mut steps = Vec::new();
        let size = [arch.mels, frames];
        let mut stem = Function::of(&[[1, size[0], size[1]]]);
        let [mels, frames] = [0, 1].map(|i| size[i].next_multiple_of(self.multiple[i]));
        let x = stem.pad(0, mels, frames);
        let x = stem.conv_norm(
            "body.stem.conv",
            "body.stem.norm",
            Conv2dConfig::new(1, self.stem, 3),
            x,
        );
        let x = stem.relu(x);
        let duplicate = !self.whole_stem && self.streams == StreamRule::Duplicate;
        stem.outputs = if duplicate { vec![x, x] } else { vec![x] };
        let mut sizes = stem.output_sizes();
        steps.push(("stem".to_owned(), SketchStep::Keep(stem)));
        if !self.whole_stem && self.streams == StreamRule::Split {
            rearrange("stem", Rearrangement::Split, &mut sizes, &mut steps);
        }
        for (s, stage) in self.stages.iter().enumerate() {
            let name = format!("stage {}", s + 1);
            let place = format!("body.stages.{s}");
            entry(
                &format!("transition {}", s + 1),
                &format!("{place}.transition"),
                stage.entry,
                &mut sizes,
                &mut steps,
            );
            for b in 0..stage.blocks {
                let branch = |which: &str| {
                    let name = format!("{place}.blocks.{b}.{which}");
                    let [_, mels, frames] = sizes[0];
                    Function::branch(
                        &name,
                        self.kind,
                        self.order,
                        stage.width,
                        stage.inner,
                        [mels, frames],
                    )
                };
                steps.push((name.clone(), SketchStep::Couple(branch("f"), branch("g"))));
            }
        }
        if self.merge != MergeRule::Mean {
            rearrange("pooling", Rearrangement::Join, &mut sizes, &mut steps);
        }
        let mut last = Function::of(&sizes);
        let mut x = if self.merge == MergeRule::Mean { last.mean(0, 1) } else { 0 };
        x = last.norm("body.summary.norm", x);
        x = last.relu(x);
        if self.merge == MergeRule::Project {
            let conv = Conv2dConfig::new(last.size(x)[0], self.project, 1);
            x = last.conv_norm("body.summary.project.0", "body.summary.project.1", conv, x);
            x = last.relu(x);
        }
        x = last.pool(arch.pooling, "body.summary.pool", x);
        last.outputs = vec![x];
        let pooled = last.size(x)[0];
        steps.push(("pooling".to_owned(), SketchStep::Keep(last)));
        Sketch {
            steps,
            tail: Function::tail(pooled, arch.embedding_dim, arch.two_embedding_layers),
        }
    }
}

type Steps = Vec<(String, SketchStep)>;

fn rearrange(name: &str, how: Rearrangement, sizes: &mut Vec<Size>, steps: &mut Steps) {
    *sizes = match (how, &sizes[..]) {
        (Rearrangement::Split, &[[channels, mels, frames]]) => {
            vec![[channels / 2, mels, frames]; 2]
        }
        (Rearrangement::Join, &[[channels, mels, frames], _]) => vec![[2 * channels, mels, frames]],
        (_, same) => same.to_vec(),
    };
    steps.push((name.to_owned(), SketchStep::Rearrange(how)));
}

/// What an entry does; `sizes` become the streams' behind it.
fn entry(step: &str, name: &str, entry: Entry, sizes: &mut Vec<Size>, steps: &mut Steps) {
    let whole = matches!(entry, Entry::Merged(_) | Entry::Block(..));
    if whole && sizes.len() == 2 {
        rearrange(step, Rearrangement::Join, sizes, steps);
    }
    let mut f = Function::of(sizes);
    f.outputs = match entry {
        Entry::Direct => return,
        Entry::Squeeze(squeeze) => {
            let (h, w) = (squeeze.mels, squeeze.frames);
            sizes.iter_mut().for_each(|s| *s = [s[0] * h * w, s[1] / h, s[2] / w]);
            return rearrange(step, Rearrangement::Squeeze, sizes, steps);
        }
        Entry::PerStream(conv) => (0..2)
            .map(|i| f.conv_norm(&format!("{name}.{i}.0"), &format!("{name}.{i}.1"), conv, i))
            .collect(),
        Entry::Merged(conv) => {
            vec![f.conv_norm(&format!("{name}.0"), &format!("{name}.1"), conv, 0)]
        }
        Entry::Block(kind, input, width, stride) => {
            vec![f.residual_block(
                name,
                &resnet::convolutions(kind, input, width, stride),
                stride,
                0,
            )]
        }
    };
    *sizes = f.output_sizes();
    steps.push((step.to_owned(), SketchStep::Keep(f)));
    if whole {
        rearrange(step, Rearrangement::Split, sizes, steps);
    }
}
