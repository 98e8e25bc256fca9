//! The place of the model in training.

use crate::train::Trainee;

/// A model that is there at every moment, except while a change that cannot fail replaces it.
/// During the change nothing else holds the weights, so they are changed in place.
pub(super) struct Slot(Option<Trainee>);

const THERE: &str = "a change puts a model back";

impl Slot {
    pub fn new(model: Trainee) -> Self {
        Self(Some(model))
    }

    pub fn get(&self) -> &Trainee {
        self.0.as_ref().expect(THERE)
    }

    /// Replaces the model by what `change` makes of it. Anything that may fail comes before.
    pub fn change(&mut self, change: impl FnOnce(Trainee) -> Trainee) {
        self.change_with(|model| (change(model), ()));
    }

    /// [`Slot::change`] by a function that returns something else too.
    pub fn change_with<T>(&mut self, change: impl FnOnce(Trainee) -> (Trainee, T)) -> T {
        let model = self.0.take().expect(THERE);
        let (model, more) = change(model);
        self.0 = Some(model);
        more
    }

    pub fn into_model(self) -> Trainee {
        self.0.expect(THERE)
    }
}
