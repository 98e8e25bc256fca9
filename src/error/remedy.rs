//! What would help against an error.

use std::path::PathBuf;

/// What would help, as data. Whoever shows an error says it in its own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Choose one channel of several.
    ChooseChannel {
        /// How many there are.
        channels: usize,
    },
    /// Go on from what was saved.
    Resume,
    /// Go on from this checkpoint.
    ResumeFrom {
        /// The checkpoint.
        checkpoint: PathBuf,
    },
    /// Start anew: nothing is there to go on with.
    StartAnew,
    /// Name another output folder.
    OtherFolder,
    /// Go on with the run in the folder, or name another folder.
    ResumeOrOtherFolder,
    /// Accept these differences, or name another folder.
    Accept {
        /// What differs.
        names: Vec<String>,
    },
    /// Give a setting this value and accept these differences, or name another folder.
    Set {
        /// The key of the recipe.
        key: &'static str,
        /// Its value.
        value: String,
        /// What else differs.
        names: Vec<String>,
    },
    /// Go on with what the checkpoint has, by giving settings these values, or with what is given
    /// now, by accepting all differences; or name another folder.
    Keep {
        /// Keys of the recipe, and their values in the checkpoint.
        settings: Vec<(String, String)>,
        /// All that differs, these keys included.
        names: Vec<String>,
    },
    /// Go on with a larger value of a setting.
    Raise {
        /// The key of the recipe.
        key: &'static str,
    },
    /// Give a setting a value of at most this.
    Lower {
        /// The key of the recipe.
        key: &'static str,
        /// The largest value that is possible.
        most: usize,
    },
    /// Begin a new run with this model.
    BeginWith {
        /// The model.
        model: PathBuf,
    },
    /// Tolerate more files that cannot be read, or take them out of their list.
    LeaveOut {
        /// The key of the recipe that names the list.
        key: &'static str,
        /// A share that is enough (`data.tolerate`), if there is one.
        tolerate: Option<String>,
        /// Whether to go on from what was saved then.
        resume: bool,
    },
    /// Read the file without checking its checksum.
    IgnoreChecksum,
    /// Say which network of the file is meant.
    ChooseNetwork,
    /// Say the architecture, or give the training's configuration.
    SayArchitecture,
    /// Say the architecture instead of giving a configuration.
    SayArchitectureInstead,
    /// Give the training's configuration: it says sizes that are not the published ones.
    SaySizes,
    /// Say mels and pooling, or give the training's configuration.
    SayFrontEnd,
    /// Import the file first.
    Import,
    /// Write the model anew with the program, which adds what is missing.
    WriteAnew,
    /// Compute in f32.
    UseF32,
    /// Rebuild the program with a Cargo feature.
    RebuildWith {
        /// The feature.
        feature: &'static str,
    },
    /// Test the device.
    TestDevice,
    /// Install the release of the CUDA toolkit that fits GPU and driver.
    OtherToolkit,
    /// Try again when the other process has finished.
    TryAgain,
    /// Give other arguments: some are missing, or do not go together.
    OtherArguments,
    /// Put an undamaged copy of the store of voices in its place, or delete it.
    RestoreStore,
    /// Add recordings to the voice of this name, or choose another name.
    AddRecordings,
    /// Quantize a model with the recipe instead of training with it.
    Quantize,
    /// Give a recipe, or measure what quantization costs without data.
    GiveRecipe,
}
