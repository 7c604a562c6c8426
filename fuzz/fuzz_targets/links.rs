//! The link scanner finds what a walk over the decoded value finds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mnem_fuzz::codec_laws::links_are_those_of_the_value;

fuzz_target!(|bytes: &[u8]| {
    links_are_those_of_the_value(bytes);
});
