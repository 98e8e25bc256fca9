//! Recipes whose trainings take a moment, in parts.
#![allow(dead_code, reason = "each test program uses a part")]

/// The seed, and crops of half a second of the data that `lines` name.
pub fn data(lines: &str) -> String {
    format!("seed = 3\n[data]\n{lines}frames = 50\nthreads = 1\n")
}

/// The lists that `revox synth` makes in a folder. Paths are relative, so that the same run in
/// another folder makes the same files.
pub fn lists(folder: &str) -> String {
    format!("train = \"{folder}/train\"\ndev = \"{folder}/dev\"\n")
}

/// The smallest network.
pub fn model(mels: usize, embedding_dim: usize) -> String {
    format!(
        "[model]\nname = \"resnet10\"\nwidth = 2\nmels = {mels}\nembedding_dim = {embedding_dim}\n"
    )
}

/// A margin that rises in one epoch, and a learning rate that warms up in the first.
pub fn rising(epoch: usize) -> String {
    format!(
        "[margin]\ninitial = 0.0\nlast = 0.2\nincrease_start_epoch = {epoch}\n\
         fix_start_epoch = {}\n\
         [schedule]\ninitial_lr = 0.05\nfinal_lr = 0.01\nwarm_up_epochs = 1\nscale_ratio = 1.0\n",
        epoch + 1
    )
}

/// Epochs of batches of four utterances.
pub fn train(epochs: usize, lines: &str) -> String {
    format!("[train]\nepochs = {epochs}\nbatch_size = 4\n{lines}")
}
