//! A tree that can be read is the one tree that holds what it holds, whoever made its nodes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mnem_fuzz::tree_laws::{
    a_forged_tree_is_refused_or_the_only_one_of_its_content, a_node_is_refused_or_the_only_one_of_its_content,
};

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((0xa2, _)) => a_node_is_refused_or_the_only_one_of_its_content(bytes),
        _ => a_forged_tree_is_refused_or_the_only_one_of_its_content(bytes),
    }
});
