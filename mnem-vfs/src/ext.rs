//! Conveniences over the port: loops over short and interrupted calls, written once.
//!
//! They stand outside the port so that no implementation can change what they promise.
//!
//! Used by: backends. Threads: as the port.

use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;

use crate::port::{Kind, Vfs, VfsFile};

/// Conveniences for every [`Vfs`].
pub trait VfsExt: Vfs {
    /// Makes sure that `path` is a directory; `true` if it was created just now.
    ///
    /// The entry is not durable until the parent is synced, also if somebody else created it just before.
    fn ensure_dir(&self, path: &Path) -> io::Result<bool> {
        match self.create_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match self.metadata(path)? {
                Some(found) if found.kind == Kind::Dir => Ok(false),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Removes the file at `path` if there is one; `true` if there was.
    fn remove_file_if_exists(&self, path: &Path) -> io::Result<bool> {
        match self.remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl<V: Vfs + ?Sized> VfsExt for V {}

/// Conveniences for every [`VfsFile`].
pub trait VfsFileExt: VfsFile {
    /// Fills `buffer` from `offset`. `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let wanted = buffer.len();
        let read = self.read_up_to_at(buffer, offset)?;
        if read < wanted {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Fills `buffer` from `offset` as far as the file goes and returns how many bytes: fewer than
    /// `buffer.len()` only at the end of the file.
    fn read_up_to_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], after(offset, done)?) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Writes all of `bytes` at `offset`. After an error an unknown prefix is written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.write_at(&bytes[done..], after(offset, done)?) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => done += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all of `slices`, one behind the other, at `offset`. The slices are used up.
    fn write_all_vectored_at(&self, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0); // drops empty slices, so that a written zero is an error
        while !slices.is_empty() {
            match self.write_vectored_at(slices, offset) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset = after(offset, written)?;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<F: VfsFile + ?Sized> VfsFileExt for F {}

fn after(offset: u64, done: usize) -> io::Result<u64> {
    offset.checked_add(done as u64).ok_or_else(|| ErrorKind::InvalidInput.into())
}
