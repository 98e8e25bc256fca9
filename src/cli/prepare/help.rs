//! What the help of each kind of corpus says behind its options.

pub(super) const FOLDER: &str = "\
Every file is decoded. What is unreadable, short or silent, and copies of other files
of the speaker (equal samples) are left out and reported, also in OUT/problems.txt. The
same audio under two speakers is reported, and stays; so is audio of a lower rate. Names
that begin with a dot are left out.

Ids are the paths below ROOT: ann/day 1/2.wav is ann/day_1/2.wav. Names that would
become equal are refused.

Example:
  revox prepare folder recordings lists";

pub(super) const VOXCELEB: &str = "\
OUT gets the folders vox1_dev, vox1_test, vox2_dev and vox2_test, as far as their files
are there, and vox1, all of VoxCeleb1, which the trials E and H need. Ids are those of
the official trials, such as id10004/1zcIwhmdeo4/00002.wav, whatever the format. They
tell the two corpora apart; a folder that holds the other one is warned of.

The lists of --trials are checked against VoxCeleb1 and written to OUT: veri_test.txt
as vox1_O.txt, veri_test2.txt as vox1_O_cleaned.txt, list_test_all*.txt as vox1_E*.txt,
list_test_hard*.txt as vox1_H*.txt. Speakers of dev sets that occur in them are
reported.

Examples:
  revox prepare voxceleb --vox1 V1 --vox2 V2 data --trials veri_test2.txt
  revox prepare voxceleb --vox2 VoxCeleb2 data";

pub(super) const MUSAN: &str = "\
OUT/wav.scp is what recipes name as augment.noise. Ids begin with music/, speech/ or
noise/.

Example:
  revox prepare musan musan data/musan";

pub(super) const RIRS: &str = "\
OUT/wav.scp is what recipes name as augment.reverb. It has the responses of simulated
rooms; with --all also the measured ones that have a single channel.

Example:
  revox prepare rirs RIRS_NOISES data/rirs";

pub(super) const CNCELEB: &str = "\
OUT/dev has the speakers to train on: those of dev/dev.lst, or all that are not in the
test set. OUT/eval has the test set and its trials, trials.txt.

Example:
  revox prepare cnceleb CN-Celeb_flac data/cnceleb";

pub(super) const LIBRISPEECH: &str = "\
OUT gets a folder for each part, such as train-clean-100. DIR is the whole corpus or a
part of it. Ids are those of LibriSpeech, 19-198-0000.

Example:
  revox prepare librispeech LibriSpeech data/librispeech";

pub(super) const KALDI: &str = "\
Lines that cannot be used, utterances in two lines, without speaker or file, and
commands in place of files are left out and reported. A folder without utt2spk may
have spk2utt. Lists are sorted, paths become
absolute, and spk2utt is made anew.

Example:
  revox prepare kaldi egs/data/train lists/train";
