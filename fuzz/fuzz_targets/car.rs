//! An archive is refused, or is the only one of its roots and blocks.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mnem_fuzz::car_laws::an_archive_is_refused_or_the_only_one_of_its_content;

fuzz_target!(|bytes: &[u8]| {
    an_archive_is_refused_or_the_only_one_of_its_content(bytes);
});
