//! Models: bad ones, freed ones, shared ones.

use std::ptr::{self, null};

use super::*;

#[test]
fn bad_models_are_errors() {
    let good = std::fs::read(model_path()).unwrap();
    for cut in [0, 1, 7, 8, 100, good.len() / 2, good.len() - 1] {
        let (status, model) = Model::of_bytes(&good[..cut]);
        fails(status, S::Model, "the model: ");
        assert!(model.is_null());
    }
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fails(Model::of_bytes(&damaged).0, S::Model, "damaged");
    let newer = with_header(&good, &|header| header.replacen("\"format\":1", "\"format\":2", 1));
    fails(Model::of_bytes(&newer).0, S::Model, "model format 2; this version reads 1");
    let mut model = null_mut();
    // SAFETY: pointers to locals, and null.
    unsafe {
        let place = &raw mut model;
        fails(revox_open(c"/no/such".as_ptr(), place), S::File, "/no/such: cannot");
        fails(revox_open(c"Cargo.toml".as_ptr(), place), S::Model, "Cargo.toml: ");
        fails(revox_open(null(), place), S::Argument, "the path is null");
        fails(revox_open(c"Cargo.toml".as_ptr(), null_mut()), S::Argument, "place for the model");
        fails(revox_open_bytes(null(), 9, place), S::Argument, "the model is null");
        fails(revox_open_bytes(null(), 0, place), S::Model, "the model: ");
        let most = usize::MAX;
        fails(revox_open_bytes(good.as_ptr(), most, place), S::Argument, "more than memory holds");
        #[cfg(feature = "shipped")]
        {
            assert_eq!(revox_open_shipped(place), S::Ok);
            assert_eq!(text(revox_hash(model)), text(revox_hash(Model::open().0)));
            assert_eq!(revox_free(model), S::Ok);
        }
        #[cfg(not(feature = "shipped"))]
        fails(revox_open_shipped(place), S::Absent, "without the shipped model");
    }
}

#[test]
fn calls_after_free_are_errors() {
    let model = Model::open();
    let freed = {
        let other = Model::open();
        other.0
    };
    let mut row = [0.0; 128];
    let samples = voice(0.5, RATE, 90.0);
    for (handle, wanted, words) in [
        (freed, S::Handle, "the model was freed"),
        (ptr::without_provenance_mut(usize::MAX), S::Handle, "never was a model"),
        (null_mut(), S::Argument, "the model is null"),
    ] {
        let (start, count, row) = (samples.as_ptr(), samples.len(), row.as_mut_ptr());
        // SAFETY: pointers to locals.
        let status = unsafe { revox_embed(handle, start, count, RATE, row, 128, null_mut()) };
        fails(status, wanted, words);
        assert_eq!((revox_dim(handle), revox_sample_rate(handle)), (0, 0));
        assert!(revox_name(handle).is_null() && revox_hash(handle).is_null());
        fails(wanted, wanted, words);
    }
    fails(revox_free(freed), S::Handle, "the model was freed");
    assert_eq!(revox_free(null_mut()), S::Ok);
    assert_eq!(revox_dim(model.0), 128);
    assert_eq!(text(revox_version()), env!("CARGO_PKG_VERSION"));
}

/// Models may be freed while other threads hear with them.
#[test]
fn threads_share_models() {
    let model = Model::open();
    let samples = voice(0.8, RATE, 90.0);
    let (wanted, _) = model.heard(&samples, RATE);
    let handle = model.0.addr();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let shared =
                    std::mem::ManuallyDrop::new(Model(ptr::without_provenance_mut(handle)));
                for _ in 0..4 {
                    match shared.embed(&samples, RATE) {
                        (S::Ok, embedding, _) => assert_eq!(embedding, wanted),
                        (status, _, _) => fails(status, S::Handle, "freed"),
                    }
                }
            });
        }
        drop(model);
    });
}
