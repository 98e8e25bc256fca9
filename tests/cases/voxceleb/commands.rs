//! The commands of `recipes/voxceleb/run.md`: the program takes them as they stand, and on a corpus
//! of a few seconds they lead from the unpacked folders to error rates.

use std::collections::BTreeSet;

use revox::train::Recipe;

const TEXT: &str = include_str!("../../../recipes/voxceleb/run.md");
/// The recipes.
const RECIPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/voxceleb");

/// The parts between code blocks, and the blocks with the headings that they stand under.
fn parts() -> (String, Vec<(&'static str, String)>) {
    let (mut prose, mut blocks, mut heading) = (String::new(), Vec::new(), "");
    let mut inside = false;
    for line in TEXT.lines() {
        if line.starts_with("```") {
            inside = !inside;
            if inside {
                assert_eq!(line, "```sh", "a block of another kind");
                blocks.push((heading, String::new()));
            }
            continue;
        }
        if !inside {
            let is_heading = line.starts_with("##");
            heading = if is_heading { line.trim_start_matches(['#', ' ']) } else { heading };
        }
        let text = match blocks.last_mut() {
            Some((_, block)) if inside => block,
            _ => &mut prose,
        };
        *text += line;
        *text += "\n";
    }
    assert!(!inside, "a block without an end");
    (prose, blocks)
}

/// The words of a line of a shell: quotes hold them together, a `#` in front of one is a remark.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted): (Vec<String>, Option<String>, bool) = Default::default();
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '#' if word.is_none() => break,
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    assert!(!quoted, "a quote without an end: {line}");
    words.extend(word);
    words
}

/// The commands of the program in a block, without what is around them.
fn commands(block: &str) -> Vec<Vec<String>> {
    let ends = |word: &String| ["|", "||", "&&", ";", ">", "&"].contains(&word.as_str());
    let lines = block.replace("\\\n", " ");
    let mut found = Vec::new();
    for line in lines.lines().map(words) {
        for command in line.split(ends) {
            let begin = command.iter().position(|word| word == "revox");
            found.extend(begin.map(|at| command[at..].to_vec()));
        }
    }
    found
}

/// The changes of a recipe among words.
fn changes(words: &[String]) -> Vec<String> {
    let pairs = words.iter().zip(words.iter().skip(1));
    pairs.filter(|(option, _)| *option == "--set").map(|(_, change)| change.clone()).collect()
}

/// Every long option of a command and of those below it.
fn options(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_long());
    let own = own.map(|name| format!("--{name}"));
    own.chain(command.get_subcommands().flat_map(options)).collect()
}

/// Checks that the recipe has the values that are changed together.
fn check_changes(changes: &[String]) {
    if let Err(e) = Recipe::load(format!("{RECIPES}/resnet.toml"), changes) {
        panic!("{changes:?}: {e}");
    }
}

#[test]
fn the_program_takes_every_command_as_it_stands() {
    let (_, blocks) = parts();
    let mut verbs = BTreeSet::new();
    for (heading, block) in &blocks {
        let found = commands(block);
        let named = block.split_whitespace().filter(|word| *word == "revox").count();
        assert_eq!(found.len(), named, "{heading}: {block}");
        for command in found {
            verbs.insert(command[1].clone());
            if let Err(e) = revox::cli::command().try_get_matches_from(&command) {
                panic!("{heading}: {}: {e}", command.join(" "));
            }
            check_changes(&changes(&command));
        }
    }
    let wanted =
        ["bench", "embed", "eval", "memory", "pack", "prepare", "quantize", "score", "train"];
    assert_eq!(verbs.iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn the_text_names_options_and_values_that_there_are() {
    let (prose, _) = parts();
    let known = options(&revox::cli::command());
    let (mut named, mut changed) = (0, 0);
    // Every second piece is code. It may go over the end of a line.
    for code in prose.split('`').skip(1).step_by(2) {
        let words = words(&code.replace('\n', " "));
        for option in words.iter().filter(|word| word.starts_with("--")) {
            let name = option.split('=').next().unwrap();
            assert!(known.contains(name), "`{code}`: no verb has the option {name}");
            named += 1;
        }
        let changes = changes(&words);
        changed += changes.len();
        check_changes(&changes);
    }
    assert!(named > 20 && changed > 5, "{named} options and {changed} values were found");
}

/// Runs the blocks from the lists to the quantized model, in one shell, on folders as the archives
/// unpack.
#[cfg(unix)]
mod run {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    use revox::scoring::Embeddings;

    use super::{RECIPES, parts};
    use crate::place::{Place, finish};
    use crate::shared::fixture;

    /// Speakers and their parts: VoxCeleb1's for training and for tests, and VoxCeleb2's.
    static SPEAKERS: [(&str, &[&str], &str); 3] = [
        ("corpora/vox1/dev/wav", &["id10001", "id10002"], "wav"),
        ("corpora/vox1/test/wav", &["id10270", "id10271", "id10272", "id10273"], "wav"),
        ("corpora/vox2/dev/aac", &["id00012", "id00015", "id00017"], "m4a"),
    ];
    /// Videos of a speaker, with two utterances each.
    const VIDEOS: [&str; 2] = ["1zcIwhmdeo4", "7gWzIy6yIIk"];
    /// Official names of the trial lists, what comes out of them, and whether only test speakers
    /// are in them.
    static TRIALS: [(&str, &str, bool); 6] = [
        ("veri_test.txt", "O", true),
        ("veri_test2.txt", "O_cleaned", true),
        ("list_test_all.txt", "E", false),
        ("list_test_all2.txt", "E_cleaned", false),
        ("list_test_hard.txt", "H", false),
        ("list_test_hard2.txt", "H_cleaned", false),
    ];
    /// Sizes for a corpus of a few seconds. Nothing else differs from the commands in the text, but
    /// that there is no GPU.
    const SMALLER: &str = "--set data.frames=40 --set data.threads=1 --set data.cache_mib=16 \
                           --set augment.cache_mib=16 --set train.epochs=1 \
                           --set train.validate_every=1 --set train.batch_size=4";
    const NETWORK: &str = "--set model.width=2 --set model.embedding_dim=8 \
                           --set train.average_last=1 --set large_margin.epochs=1 \
                           --set large_margin.frames=60 --set large_margin.batch_size=4";

    /// Ids of the utterances of a part.
    fn ids(speakers: &[&str]) -> Vec<String> {
        let each = |speaker: &&str| {
            let of_video = |video: &&str| {
                [1, 2].map(|number| format!("{speaker}/{video}/{number:05}.wav")).to_vec()
            };
            VIDEOS.iter().flat_map(of_video).collect::<Vec<_>>()
        };
        speakers.iter().flat_map(each).collect()
    }

    /// The folders of all corpora, the trial lists, and the recipes.
    fn place() -> Place {
        let place = Place::make();
        let mut pitch = 80.0;
        let mut sound = |name: &str, seconds: f64| {
            pitch += 3.0;
            place.wav(name, seconds, pitch);
        };
        for (folder, speakers, ending) in SPEAKERS {
            for id in ids(speakers) {
                sound(&format!("{folder}/{}", id.replace(".wav", &format!(".{ending}"))), 1.0);
            }
        }
        for name in ["noise/free-sound/n", "music/fma/m", "speech/librivox/s"] {
            sound(&format!("corpora/musan/{name}.wav"), 1.5);
        }
        for room in ["smallroom", "mediumroom", "largeroom"] {
            let name = format!("simulated_rirs/{room}/Room001/Room001-00001.wav");
            sound(&format!("corpora/RIRS_NOISES/{name}"), 0.3);
        }
        // Files of VoxCeleb2 are AAC.
        let first = format!("corpora/vox2/dev/aac/id00012/{}/00001.m4a", VIDEOS[0]);
        std::fs::copy(fixture("formats/aac.m4a"), place.path(&first)).unwrap();
        for (name, _, only_tested) in TRIALS {
            let parts = if only_tested { &SPEAKERS[1..2] } else { &SPEAKERS[..2] };
            let all: Vec<String> =
                parts.iter().flat_map(|(_, speakers, _)| ids(speakers)).collect();
            let of_speaker = |id: &str| id.split('/').next().unwrap().to_owned();
            let mut lines = String::new();
            for (i, a) in all.iter().enumerate() {
                for b in &all[i + 1..] {
                    let target = u8::from(of_speaker(a) == of_speaker(b));
                    lines += &format!("{target} {a} {b}\n");
                }
            }
            place.write(name, &lines);
        }
        for recipe in std::fs::read_dir(RECIPES).unwrap() {
            let name = recipe.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".toml") {
                let text = std::fs::read_to_string(format!("{RECIPES}/{name}")).unwrap();
                place.write(&format!("recipes/voxceleb/{name}"), &text);
            }
        }
        place
    }

    /// The program under its name, for a small corpus and without a GPU.
    fn program() -> String {
        let program = env!("CARGO_BIN_EXE_revox");
        format!(
            "#!/bin/sh\n\
             for word do\n  shift\n\
             case $word in --backend|cuda) ;; *) set -- \"$@\" \"$word\" ;; esac\ndone\n\
             case $1 in\n\
             train) set -- \"$@\" {SMALLER} {NETWORK} ;;\n\
             bench) set -- \"$@\" {SMALLER} {NETWORK} --examples 4 --no-step ;;\n\
             quantize) set -- \"$@\" {SMALLER} --set quantize.small_layers=fewer-bits ;;\n\
             esac\n\
             exec '{program}' \"$@\" --quiet\n"
        )
    }

    #[test]
    fn the_blocks_lead_from_folders_to_error_rates() {
        let place = place();
        place.write("bin/revox", &program());
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.path("bin/revox"), executable).unwrap();
        // The first section unpacks archives. Other networks take the same lists. More speakers are
        // for runs without a second phase.
        let (_, blocks) = parts();
        let run = |heading: &str, block: &str| {
            let number = heading.split_once('.').and_then(|(number, _)| number.parse().ok());
            number.is_some_and(|number: u8| number > 1) && !block.contains("data/both")
        };
        let blocks: Vec<String> =
            blocks.into_iter().filter(|(h, b)| run(h, b)).map(|(_, block)| block).collect();
        assert!(blocks.len() > 7, "{blocks:?}");
        let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("set -euo pipefail\n{}", blocks.concat())]);
        shell.current_dir(place.dir.path()).env("PATH", path).stdin(Stdio::null());
        let ran = finish(shell.output().unwrap());
        assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
        for (_, list, _) in TRIALS {
            let scores = format!("scores_{list}");
            let report = place.json(&["eval", &scores, "--utt2spk", "data/voxceleb/vox1/utt2spk"]);
            assert!(report["eer"].as_f64().is_some_and(|eer| eer <= 1.0), "{list}: {report}");
            assert!(place.path(&format!("{list}.svg")).exists(), "{list}");
        }
        assert!(ran.out.matches("EER").count() >= TRIALS.len(), "{}", ran.out);
        // All of VoxCeleb1 in the names of the trials, and the means of VoxCeleb2's speakers.
        let found = |file: &str| -> Vec<String> {
            let all = Embeddings::load(place.path(file)).unwrap();
            let mut ids: Vec<String> = all.ids().map(str::to_owned).collect();
            ids.sort();
            ids
        };
        let first = [SPEAKERS[0].1, SPEAKERS[1].1].concat();
        assert_eq!(found("vox1.safetensors"), ids(&first));
        assert_eq!(found("cohort.safetensors"), SPEAKERS[2].1);
        // The threshold of scores without AS-norm, and what came of the other sections.
        let info = place.json(&["info", "runs/resnet/large_margin/model.safetensors"]);
        assert!(info["scoring"]["threshold_eer"].is_number(), "{info}");
        place.ok(&["info", "model-4bit.safetensors"]);
        assert!(place.list("data/vox2_shards").iter().any(|name| name.ends_with(".tar")));
    }
}
