//! One test, every backend.

use std::thread;

use super::lab::Lab;
use super::labs::labs;
use crate::error::Error;

/// Runs `test` on a fresh lab of each backend that is built in, and names the one that it failed on.
///
/// ```
/// use mnem::testing::{LabExt as _, each_backend};
/// use mnem::{Block, Codec};
///
/// each_backend(|lab| {
///     let store = lab.open()?;
///     let block = Block::new(Codec::Raw, &b"kept"[..]);
///     store.put(&block)?;
///     let store = lab.reopen(store)?; // closed and opened again
///     assert!(store.has(block.cid())?);
///     Ok(())
/// })?;
/// # Ok::<(), mnem::Error>(())
/// ```
pub fn each_backend(mut test: impl FnMut(&dyn Lab) -> Result<(), Error>) -> Result<(), Error> {
    for lab in labs() {
        let named = NameOnPanic(lab.name());
        let result = test(&*lab);
        drop(named);
        result.map_err(|source| Error::OnBackend { backend: lab.name(), source: Box::new(source) })?;
    }
    Ok(())
}

/// Says where a test panicked: the panic itself does not know.
struct NameOnPanic(&'static str);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("this was on the {} backend", self.0);
        }
    }
}
