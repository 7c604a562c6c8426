//! The laws that fuzzing puts to the test. Property tests put the same ones to the test on random values.

#[path = "../../mnem-core/tests/car_laws/mod.rs"]
pub mod car_laws;

#[path = "../../mnem-core/tests/codec_laws/mod.rs"]
pub mod codec_laws;

#[path = "../../mnem-core/tests/tree_laws/mod.rs"]
pub mod tree_laws;
