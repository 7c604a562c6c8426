//! The laws of trees that fuzzing puts chosen bytes to, on random ones.

mod tree_laws;

use proptest::prelude::*;
use tree_laws::{
    a_forged_tree_is_refused_or_the_only_one_of_its_content,
    a_node_is_refused_or_the_only_one_of_its_content, trees_behave_like_maps,
};

proptest! {
    #[test]
    fn random_bytes_are_no_node(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        a_node_is_refused_or_the_only_one_of_its_content(&bytes);
    }

    #[test]
    fn forged_trees_are_refused_or_right(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        a_forged_tree_is_refused_or_the_only_one_of_its_content(&bytes);
    }

    #[test]
    fn trees_are_maps(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        trees_behave_like_maps(&bytes);
    }
}
