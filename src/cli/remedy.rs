//! Hints for errors, in the words of the command line.

use crate::error::{Error, Remedy};

/// Options that have another name in another verb.
pub(super) struct Terms {
    /// Names the folder of a run.
    folder: &'static str,
    /// Chooses computing in f32.
    precision: &'static str,
}

impl Terms {
    /// The options of `train` and `bench`.
    pub const USUAL: Self = Self { folder: "--out", precision: "--precision f32" };
    /// The options of `quantize`.
    pub const QUANTIZE: Self = Self { folder: "--run", precision: "--set train.precision=f32" };
}

/// An error's message, with a hint.
pub(super) fn told(error: &Error) -> String {
    told_in(error, &Terms::USUAL)
}

/// The same in the terms of a verb.
pub(super) fn told_in(error: &Error, terms: &Terms) -> String {
    let lost = matches!(error.bare(), Error::DeviceLost { .. }).then(|| LOST.to_owned());
    let remedy = match error.remedy() {
        // The text about a lost device says already how to test it.
        Some(Remedy::TestDevice) if lost.is_some() => None,
        remedy => remedy.map(|remedy| words(remedy, terms)),
    };
    let parts = [Some(error.to_string()), lost, remedy];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Why a device does not answer any more, and how to test it.
const LOST: &str = "a driver that was reset or an unplugged or overheated GPU does that. \
                    `revox doctor --selftest` tells whether it works again";

/// A remedy as options and verbs.
fn words(remedy: &Remedy, terms: &Terms) -> String {
    let Terms { folder, precision } = terms;
    match remedy {
        Remedy::ChooseChannel { channels } => format!(
            "choose one with --channel N, from 0 to {}, or make a file of one channel",
            channels.saturating_sub(1)
        ),
        Remedy::Resume => "go on with --resume".into(),
        Remedy::ResumeFrom { checkpoint } => {
            format!("go on from {} with --resume", checkpoint.display())
        }
        Remedy::StartAnew => "start without --resume".into(),
        Remedy::OtherFolder => format!("name another folder ({folder}) to begin anew"),
        Remedy::ResumeOrOtherFolder => {
            format!("go on with it (--resume), or name another folder ({folder})")
        }
        Remedy::Accept { names } => {
            let accept = accepted(names);
            format!("go on with{accept}, or name another folder ({folder}) to begin anew")
        }
        Remedy::Set { key, value, names } => {
            let options = format!("--set {key}={value}{}", accepted(names));
            format!("go on with {options}, or name another folder ({folder}) to begin anew")
        }
        Remedy::Keep { settings, names } => {
            let keep: String =
                settings.iter().map(|(key, value)| format!(" --set {key}={value}")).collect();
            let is_kept = |name: &String| settings.iter().any(|(key, _)| key == name);
            let others: Vec<String> = names.iter().filter(|n| !is_kept(n)).cloned().collect();
            format!(
                "go on as before with{keep}{}, or as it is now with{}, or name another folder \
                 ({folder}) to begin anew",
                accepted(&others),
                accepted(names)
            )
        }
        Remedy::Raise { key } => format!("go on with a larger one: --set {key}=N"),
        Remedy::Lower { key, most } => format!("make it smaller: --set {key}={most}"),
        Remedy::BeginWith { model } => {
            format!("begin a new run in another folder ({folder}) with --init {}", model.display())
        }
        Remedy::LeaveOut { key, tolerate, resume } => {
            let accept = if *resume { " --accept data.tolerate" } else { "" };
            let raise = tolerate.as_ref().map_or_else(String::new, |part| {
                format!("raise data.tolerate (--set data.tolerate={part}{accept}) or ")
            });
            let remove = format!("take what cannot be read out of {key}");
            match resume {
                true => format!("{raise}{remove} (--accept {key}), and go on with --resume"),
                false => format!("{raise}{remove}"),
            }
        }
        Remedy::TryAgain => "try again when that process has finished".into(),
        Remedy::OtherArguments => "--help tells what is possible".into(),
        Remedy::RestoreStore => "put an undamaged copy in its place, or enrol the voices anew in \
                                 another file; to remove what is in it for good, delete the file"
            .into(),
        Remedy::AddRecordings => {
            "add recordings to that voice with --add, or choose another name".into()
        }
        Remedy::Quantize => "`revox quantize MODEL --recipe` uses it".into(),
        Remedy::GiveRecipe => "give --recipe, or --set quantize.sensitivity.measure=error".into(),
        Remedy::WriteAnew => "`revox export MODEL -o NEW.safetensors` writes it anew".into(),
        Remedy::IgnoreChecksum => "--no-checksum reads it all the same".into(),
        Remedy::ChooseNetwork => "choose one with --key".into(),
        Remedy::SayArchitecture => {
            "give --arch NAME (`revox zoo` lists them), or --config config.yaml".into()
        }
        Remedy::SayArchitectureInstead => {
            "or give --arch NAME (`revox zoo` lists them) without a configuration".into()
        }
        Remedy::SaySizes => {
            "a network of other sizes than those that `revox zoo` lists needs its config.yaml \
             (--config)"
                .into()
        }
        Remedy::SayFrontEnd => "say --mels and --pooling, or give --config".into(),
        Remedy::Import => {
            "`revox import FILE -o MODEL` makes a model of a WeSpeaker checkpoint or ONNX file"
                .into()
        }
        Remedy::UseF32 => format!("use {precision}"),
        Remedy::RebuildWith { feature } => format!("rebuild with `--features {feature}`"),
        Remedy::TestDevice => "`revox doctor --selftest` tells whether it works".into(),
        Remedy::OtherToolkit => {
            "install a CUDA toolkit that knows the GPU and is no newer than its driver".into()
        }
    }
}

/// Options that accept differences, each after a blank.
fn accepted(names: &[String]) -> String {
    names.iter().map(|name| format!(" --accept {name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_help_follows_the_error() {
        let error = Error::invalid("has 6 channels").with(Remedy::ChooseChannel { channels: 6 });
        assert_eq!(
            told(&error),
            "has 6 channels; choose one with --channel N, from 0 to 5, \
             or make a file of one channel"
        );
        assert_eq!(told(&Error::invalid("no")), "no");
        let names = vec!["backend".to_owned(), "train.epochs".to_owned()];
        let error = Error::invalid("differs").with(Remedy::Accept { names });
        let wanted = "differs; go on with --accept backend --accept train.epochs, or";
        assert!(told(&error).starts_with(wanted), "{}", told(&error));
    }

    #[test]
    fn settings_are_told_with_their_values() {
        let names = vec!["data.dev".to_owned()];
        let remedy = Remedy::Set { key: "train.epochs", value: "3".to_owned(), names };
        let text = told(&Error::invalid("differs").with(remedy));
        let wanted = "differs; go on with --set train.epochs=3 --accept data.dev, or name another";
        assert!(text.starts_with(wanted), "{text}");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let settings = vec![pair("data.train", "big"), pair("train.epochs", "4")];
        let names = ["data.train", "data.dev", "train.epochs"].map(str::to_owned).to_vec();
        let text = told(&Error::invalid("differs").with(Remedy::Keep { settings, names }));
        assert_eq!(
            text,
            "differs; go on as before with --set data.train=big --set train.epochs=4 --accept \
             data.dev, or as it is now with --accept data.train --accept data.dev --accept \
             train.epochs, or name another folder (--out) to begin anew"
        );
        let leave_out = |tolerate: Option<&str>, resume| {
            let tolerate = tolerate.map(str::to_owned);
            let remedy = Remedy::LeaveOut { key: "data.train", tolerate, resume };
            told(&Error::invalid("cut").with(remedy))
        };
        assert_eq!(
            leave_out(Some("0.01"), true),
            "cut; raise data.tolerate (--set data.tolerate=0.01 --accept data.tolerate) or take \
             what cannot be read out of data.train (--accept data.train), and go on with --resume"
        );
        assert_eq!(leave_out(None, false), "cut; take what cannot be read out of data.train");
        let text = told(&Error::invalid("over").with(Remedy::Raise { key: "train.epochs" }));
        assert_eq!(text, "over; go on with a larger one: --set train.epochs=N");
        let text = told(&Error::invalid("over").with(Remedy::BeginWith { model: "m".into() }));
        assert_eq!(text, "over; begin a new run in another folder (--out) with --init m");
    }

    #[test]
    fn what_a_checkpoint_does_not_say_is_asked_for() {
        let said = |remedy: Remedy| told(&Error::invalid("no").with(remedy));
        let arch = said(Remedy::SayArchitecture);
        assert!(arch.contains("--arch NAME (`revox zoo` lists them), or --config"), "{arch}");
        let instead = said(Remedy::SayArchitectureInstead);
        assert!(instead.starts_with("no; or give --arch NAME"), "{instead}");
        let sizes = said(Remedy::SaySizes);
        assert!(sizes.ends_with("needs its config.yaml (--config)"), "{sizes}");
    }

    #[test]
    fn each_verb_has_its_own_options() {
        let error = Error::invalid("holds a run").with(Remedy::ResumeOrOtherFolder);
        assert!(told(&error).ends_with("(--resume), or name another folder (--out)"));
        let text = told_in(&error, &Terms::QUANTIZE);
        assert!(text.ends_with("(--resume), or name another folder (--run)"), "{text}");
        let error = Error::invalid("no bf16").with(Remedy::UseF32);
        assert_eq!(told(&error), "no bf16; use --precision f32");
        assert_eq!(told_in(&error, &Terms::QUANTIZE), "no bf16; use --set train.precision=f32");
        let error = Error::invalid("unknown GPU").with(Remedy::OtherToolkit);
        assert!(told(&error).starts_with("unknown GPU; install a CUDA toolkit that knows the GPU"));
    }

    #[test]
    fn a_lost_device_is_to_be_tested() {
        let lost = || Error::DeviceLost { words: "gone".into() };
        let text = told(&lost());
        assert!(text.starts_with("the device was lost: gone; a driver that was reset"), "{text}");
        assert_eq!(told(&lost().with(Remedy::TestDevice)), text);
        let text = told(&lost().with(Remedy::Resume));
        assert!(text.contains("--selftest") && text.ends_with("; go on with --resume"), "{text}");
    }
}
