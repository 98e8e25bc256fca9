//! Lines against the optima of fixture f10.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::super::*;
use super::close;
use crate::scoring::cllr;
use crate::shared::{json, shared};

/// Arrays of fixture f10.
struct Arrays(Vec<u8>);

impl Arrays {
    fn open(folder: &Path) -> Self {
        Self(std::fs::read(folder.join("backend.safetensors")).unwrap())
    }

    fn bytes(&self, name: &str, dtype: Dtype) -> Vec<u8> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        assert_eq!(view.dtype(), dtype, "{name}");
        view.data().to_vec()
    }

    fn f64(&self, name: &str) -> Vec<f64> {
        let bytes = self.bytes(name, Dtype::F64);
        bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
    }

    fn labels(&self, name: &str) -> Vec<bool> {
        self.bytes(name, Dtype::U8).into_iter().map(|x| x != 0).collect()
    }
}

#[test]
fn lines_through_scores_are_those_of_f10() {
    let Some(folder) = shared("fixtures/f10_backend") else { return };
    let (arrays, facts) = (Arrays::open(&folder), json(folder.join("backend.json")));
    let (scores, labels) = (arrays.f64("cosine/cal_mean"), arrays.labels("labels/cal"));
    let eval = arrays.f64("cosine/eval_mean");
    let table = TrialTable::new(1, &scores, &labels).unwrap();
    for prior in [0.5, 0.1, 0.01] {
        let name = format!("cosine_prior{prior}");
        let wanted = &facts["calibration"]["score_only"][&name];
        let line = fit_line(&table, prior).unwrap();
        close(line.weights[0], wanted["a"].as_f64().unwrap(), 1e-7);
        close(line.bias, wanted["b"].as_f64().unwrap(), 1e-7);
        assert_eq!((line.penalty, line.dependent.len()), (0.0, 0));
        let ratios = arrays.f64(&format!("calibration/score_only/{name}/llr_eval"));
        for (score, wanted) in eval.iter().zip(ratios) {
            close(line.llr(&[*score]), wanted, 1e-8);
        }
    }
}

/// The columns and labels of one of WeSpeaker's calibration files.
fn text(path: &Path, columns: usize) -> (Vec<f64>, Vec<bool>) {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        labels.push(fields[2] == "target");
        let row: Vec<f64> = fields[3..].iter().map(|x| x.parse().unwrap()).collect();
        // Durations come behind the score. The set without them has the others.
        let others = &row[row.len() + 1 - columns..];
        values.extend([&row[..1], others].concat());
    }
    (values, labels)
}

#[test]
fn lines_through_quality_measures_are_those_of_f10() {
    let Some(folder) = shared("fixtures/f10_backend") else { return };
    let (arrays, facts) = (Arrays::open(&folder), json(folder.join("backend.json")));
    for (name, set) in ["qmf13", "qmf9_nodur"].into_iter().zip(COLUMN_SETS) {
        let columns = parse_columns(set).unwrap();
        let n = columns.len();
        let (values, labels) = text(&folder.join("cal.calibration"), n);
        assert_eq!(labels, arrays.labels("labels/cal"));
        let line = fit_line(&TrialTable::new(n, &values, &labels).unwrap(), 0.5).unwrap();
        let left_out: Vec<String> =
            line.dependent.iter().map(|&i| columns[i].to_string()).collect();
        assert!(left_out.iter().all(|name| name.starts_with("difference-")), "{left_out:?}");
        assert_eq!(left_out.len(), (n - 1) / 4);
        let (eval, _) = text(&folder.join("eval.calibration"), n);
        let wanted = arrays.f64(&format!("calibration/{name}/newton_llr_eval"));
        for (row, wanted) in eval.chunks(n).zip(wanted) {
            close(line.llr(row), wanted, 1e-8);
        }
        let own: Vec<(f64, bool)> = values.chunks(n).map(|row| line.llr(row)).zip(labels).collect();
        let best = facts["calibration"][name]["newton_cllr_cal"].as_f64().unwrap();
        let found = cllr(&own).unwrap();
        assert!(found < 1.02 * best, "{found} {best}");
        close(found, best, 1e-9);
    }
}
