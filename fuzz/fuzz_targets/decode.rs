//! Checking, decoding, encoding and reading agree on any bytes, and the reader survives any order of calls.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mnem_fuzz::codec_laws::{one_value_one_encoding, what_is_read_is_canonical};

fuzz_target!(|bytes: &[u8]| {
    one_value_one_encoding(bytes);
    // The same bytes, once as calls on a block and once as the block.
    let (calls, block) = bytes.split_at(bytes.len() / 2);
    what_is_read_is_canonical(calls, block);
});
