//! What would help against an error, in the words of the command line.

use crate::error::{Error, Remedy};

/// The error as the program shows it: what is wrong, and what would help.
pub(super) fn told(error: &Error) -> String {
    let lost = match error.bare() {
        Error::DeviceLost { .. } => Some(LOST.to_owned()),
        _ => None,
    };
    let remedy = match error.remedy() {
        // A lost device is always to be tested.
        Some(Remedy::TestDevice) if lost.is_some() => None,
        remedy => remedy.map(words),
    };
    let parts = [Some(error.to_string()), lost, remedy];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What to know of a device that does not answer any more.
const LOST: &str = "a driver that was reset or an unplugged or overheated GPU does that. \
                    `revox doctor --selftest` tells whether it works again";

/// A remedy as options and verbs.
fn words(remedy: &Remedy) -> String {
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
        Remedy::OtherFolder => "name another folder (--out) to begin anew".into(),
        Remedy::ResumeOrOtherFolder => {
            "go on with it (--resume), or name another folder (--out)".into()
        }
        Remedy::Accept { names } => {
            let accept: Vec<String> = names.iter().map(|name| format!("--accept {name}")).collect();
            format!("go on with {}, or name another folder (--out) to begin anew", accept.join(" "))
        }
        Remedy::Quantize => "`revox quantize MODEL --recipe` uses it".into(),
        Remedy::IgnoreChecksum => "--no-checksum reads it all the same".into(),
        Remedy::ChooseNetwork => "choose one with --key".into(),
        Remedy::SayArchitecture => "give --arch NAME, or --config config.yaml".into(),
        Remedy::SayFrontEnd => "say --mels and --pooling, or give --config".into(),
        Remedy::Import => "`revox import` makes a model of a WeSpeaker checkpoint".into(),
        Remedy::UseF32 => "--precision f32 is what it has".into(),
        Remedy::RebuildWith { feature } => format!("rebuild with `--features {feature}`"),
        Remedy::TestDevice => "`revox doctor --selftest` tells whether it works".into(),
    }
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
    fn a_lost_device_is_to_be_tested() {
        let lost = || Error::DeviceLost { words: "gone".into() };
        let text = told(&lost());
        assert!(text.starts_with("the device was lost: gone; a driver that was reset"), "{text}");
        assert_eq!(told(&lost().with(Remedy::TestDevice)), text);
        let text = told(&lost().with(Remedy::Resume));
        assert!(text.contains("--selftest") && text.ends_with("; go on with --resume"), "{text}");
    }
}
