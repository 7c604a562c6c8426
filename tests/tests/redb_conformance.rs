//! Every check of every numbered promise, on redb.

use mnem_tests::redb::RedbLab;

mnem::conformance! {
    redb: RedbLab::new(),
}
