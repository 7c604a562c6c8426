//! The matrix: every check of every numbered promise, on every backend. The one list of backends.

use mnem::testing::MemoryLab;

mnem::conformance! {
    memory: MemoryLab::new(),
}
