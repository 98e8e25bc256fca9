//! Noises and room responses of a training. Their lists are read at the start; a sound is decoded
//! when it is drawn. What fits into `augment.cache_mib` is kept, which changes no result.

mod bank;
mod drawn;
mod kept;
mod list;
mod noises;
mod responses;
mod variation;

pub(super) use list::list_at;
pub(super) use variation::Variation;
