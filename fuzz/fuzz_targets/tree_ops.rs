//! Changing, comparing and merging trees gives what the same gives on a map.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mnem_fuzz::tree_laws::trees_behave_like_maps;

fuzz_target!(|bytes: &[u8]| {
    trees_behave_like_maps(bytes);
});
