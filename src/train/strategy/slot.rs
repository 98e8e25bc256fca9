//! The place of the model in training.

use crate::train::Trainee;

/// A model that is always there: it leaves its place only while something that cannot fail makes
/// another one of it. Nobody else holds its weights then, so that they are changed where they are.
pub(super) struct Slot(Option<Trainee>);

const THERE: &str = "whoever takes the model puts one back";

impl Slot {
    pub fn new(model: Trainee) -> Self {
        Self(Some(model))
    }

    pub fn get(&self) -> &Trainee {
        self.0.as_ref().expect(THERE)
    }

    /// Puts in its place what `change` makes of the model. What may fail is done before.
    pub fn change(&mut self, change: impl FnOnce(Trainee) -> Trainee) {
        let model = self.0.take().expect(THERE);
        self.0 = Some(change(model));
    }

    pub fn into_model(self) -> Trainee {
        self.0.expect(THERE)
    }
}
