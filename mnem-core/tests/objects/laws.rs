//! What holds for every kind of object.

use bytes::Bytes;
use mnem_core::codec::{self, Rules};
use mnem_core::object::*;
use mnem_core::{Block, Codec};
use proptest::prelude::*;

use crate::{arbitrary, kit};

fn comes_back<T: Object + PartialEq + std::fmt::Debug>(object: &T) -> Result<(), TestCaseError> {
    let block = object.to_block().expect("within the rules");
    let back = T::from_block(&block);
    prop_assert_eq!(back.as_ref(), Ok(object));
    prop_assert_eq!(codec::check(block.bytes(), Rules::House), Ok(()));
    prop_assert_eq!(kind_of(&block), Ok(Some(T::KIND.to_owned())));
    Ok(())
}

fn same_bytes_or_refused<T: Object>(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let block = Block::new(Codec::DagCbor, bytes);
    if let Ok(object) = T::from_block(&block) {
        prop_assert_eq!(object.to_block(), Ok(block));
    }
    Ok(())
}

fn damaged<T: Object + std::fmt::Debug>(objects: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<u8>> {
    objects.prop_flat_map(|object| {
        let block = object.to_block().expect("within the rules");
        kit::damaged(block.bytes().to_vec())
    })
}

macro_rules! laws {
    ($($module:ident: $type:ty;)*) => {$(
        mod $module {
            use super::*;

            proptest! {
                #[test]
                fn what_is_encoded_is_decoded(object in arbitrary::$module()) {
                    comes_back::<$type>(&object)?;
                }

                #[test]
                fn what_is_accepted_encodes_to_the_same_bytes(bytes in damaged(arbitrary::$module())) {
                    same_bytes_or_refused::<$type>(bytes)?;
                }
            }
        }
    )*};
}

laws! {
    params: Params;
    node: Node;
    edge: Edge;
    commit: Commit;
    operation: Operation;
    view: View;
    conflict: Conflict;
    bundle: Bundle;
    property: Property;
    model: Model;
}

proptest! {
    #[test]
    fn terms_of_a_conflict_are_canonical((adds, removes) in arbitrary::terms()) {
        let sum = |terms: &[Option<mnem_core::Cid>], term| terms.iter().filter(|it| **it == term).count();
        let (left, right) = match Conflict::from_terms(adds.clone(), removes.clone()) {
            Merged::Resolved(term) => (vec![term], vec![]),
            Merged::Conflict(conflict) => (conflict.adds, conflict.removes),
        };
        prop_assert!(left.is_sorted() && right.is_sorted());
        prop_assert!(left.iter().all(|term| !right.contains(term)));
        for term in adds.iter().chain(&removes) {
            prop_assert_eq!(sum(&adds, *term) + sum(&right, *term), sum(&removes, *term) + sum(&left, *term));
        }
        let again = Conflict::from_terms(adds.into_iter().rev().collect(), removes.into_iter().rev().collect());
        if let Merged::Conflict(again) = again {
            prop_assert_eq!((again.adds, again.removes), (left, right));
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_object(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let block = Block::new(Codec::DagCbor, Bytes::from(bytes));
        prop_assert!(Node::from_block(&block).is_err());
        prop_assert!(Commit::from_block(&block).is_err());
        prop_assert!(Operation::from_block(&block).is_err());
    }
}
