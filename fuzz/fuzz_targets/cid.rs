//! What is accepted as a CID, binary or text, has one form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mnem_fuzz::codec_laws::a_cid_has_one_form;

fuzz_target!(|bytes: &[u8]| {
    a_cid_has_one_form(bytes);
});
