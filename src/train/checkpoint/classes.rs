//! A checkpoint of other classes than those of the run that goes on with it.

use std::collections::HashMap;

use burn::tensor::{Bytes, TensorData};

use crate::error::Result;
use crate::model_file::HEAD_PREFIX;
use crate::nn::{collect_named, ids_named, names_and_shapes};
use crate::optim::Rows;
use crate::train::classes::{Correspondence, HeadMatch};
use crate::train::{OptimizerConfig, Trainee};

/// Where the rows of a checkpoint's head go.
pub(super) struct Moved {
    found: Correspondence,
    /// Classes of the checkpoint.
    old: usize,
}

impl Moved {
    /// None if the classes are the same, or one side does not name its own.
    pub fn between(old: &[String], new: &[String]) -> Option<Self> {
        let differ = !old.is_empty() && !new.is_empty() && old != new;
        differ.then(|| Self { found: Correspondence::by_name(old, new), old: old.len() })
    }

    /// Moves the rows of the head among tensors of a checkpoint. Rows of new classes are those of
    /// the trainee, `times` over. Tensors of unexpected shapes stay as they are.
    pub fn weights(
        &self,
        trainee: &Trainee,
        tensors: &mut HashMap<String, TensorData>,
        times: usize,
    ) {
        for (name, fresh) in collect_named(&trainee.projection) {
            let wanted = fresh.shape().to_vec();
            let Some(old) = tensors.get_mut(&format!("{HEAD_PREFIX}{name}")) else { continue };
            let new = self.found.of.len();
            let rows = wanted[0] / new * self.old;
            let found = old.shape().to_vec();
            let fits = wanted[0].is_multiple_of(new)
                && found.first() == Some(&rows)
                && found[1..] == wanted[1..];
            if trainee.projection.is_shared(&name) || !fits {
                continue;
            }
            let fresh: Vec<f32> = fresh.iter::<f32>().map(|x| x * times as f32).collect();
            *old = self.found.rows(&TensorData::new(fresh, wanted), old);
        }
    }

    /// The optimizer's record with the moments of the rows in their new places.
    ///
    /// # Errors
    /// A record of a head of another shape.
    pub fn moments(
        &self,
        trainee: &Trainee,
        optimizer: &OptimizerConfig,
        record: Bytes,
    ) -> Result<Bytes> {
        let shapes: HashMap<String, Vec<usize>> =
            names_and_shapes(&trainee.projection).into_iter().collect();
        let of_head = ids_named(&trainee.projection).into_iter();
        let of_classes = of_head.filter(|(_, name)| !trainee.projection.is_shared(name));
        let shapes = of_classes.map(|(id, name)| (id.val(), shapes[&name].clone())).collect();
        optimizer.moved(record, &Rows { of: &self.found.of, old: self.old, shapes })
    }

    /// Counts of kept, added and dropped classes.
    pub fn summary(&self) -> HeadMatch {
        self.found.summary(None)
    }
}
