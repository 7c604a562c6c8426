//! Cuts a stream into chunks.

use std::sync::LazyLock;

use bytes::Bytes;

/// No chunk but the last is shorter.
pub const CHUNK_MIN_BYTES: usize = 16 << 10;

/// Up to this length a cut is rare, beyond it frequent: most chunks are about as long.
pub const CHUNK_AIM_BYTES: usize = 64 << 10;

/// No chunk is longer.
pub const CHUNK_MAX_BYTES: usize = 256 << 10;

/// How many bytes a cut depends on: one bit of the hash for each.
const WINDOW_BYTES: usize = 64;

/// A cut needs this many leading zeros in the hash before the aim, and fewer after it.
const ZEROS_BEFORE_AIM: u32 = 17;
const ZEROS_AFTER_AIM: u32 = 14;

const _: () = assert!(WINDOW_BYTES < CHUNK_MIN_BYTES);
const _: () = assert!(CHUNK_MIN_BYTES < CHUNK_AIM_BYTES && CHUNK_AIM_BYTES < CHUNK_MAX_BYTES);

/// One number for each byte. Format.
static GEAR: LazyLock<[u64; 256]> = LazyLock::new(|| {
    let mut stream = blake3::Hasher::new().update(b"mnem gear v1").finalize_xof();
    std::array::from_fn(|_| {
        let mut number = [0; 8];
        stream.fill(&mut number);
        u64::from_le_bytes(number)
    })
});

/// Cuts a stream into chunks by its content. Where it cuts depends on the bytes since the last cut, not on how they
/// were handed in; and whether it may cut at a place, only on the `WINDOW_BYTES` bytes before it and on how long
/// the chunk is. So after an edit the cuts soon fall into their old places. Holds at most [`CHUNK_MAX_BYTES`].
#[derive(Debug, Default)]
pub struct Chunker {
    /// Bytes since the last cut: all have been looked at, and none of them ends a chunk.
    open: Vec<u8>,
    hash: u64,
}

impl Chunker {
    /// Starts a stream.
    pub fn new() -> Chunker {
        Chunker::default()
    }

    /// Takes the next bytes and hands on the chunks that they complete.
    pub fn push<E>(&mut self, bytes: &[u8], mut chunk: impl FnMut(Bytes) -> Result<(), E>) -> Result<(), E> {
        let mut bytes = bytes;
        while let Some(cut) = self.find_cut(bytes) {
            let (last, rest) = bytes.split_at(cut);
            let mut whole = std::mem::take(&mut self.open);
            whole.extend_from_slice(last);
            self.hash = 0;
            bytes = rest;
            chunk(whole.into())?;
        }
        self.open.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the stream. What is left is its last chunk, of any length; an empty stream has none.
    pub fn finish(self) -> Option<Bytes> {
        (!self.open.is_empty()).then(|| self.open.into())
    }

    /// Returns how many of `bytes` complete the chunk. `None`: all of them belong to it, and it goes on.
    fn find_cut(&mut self, bytes: &[u8]) -> Option<usize> {
        let before = self.open.len();
        // Bytes that no cut depends on are stepped over.
        let skipped = (CHUNK_MIN_BYTES - WINDOW_BYTES).saturating_sub(before).min(bytes.len());
        for (index, byte) in bytes.iter().enumerate().skip(skipped) {
            self.hash = (self.hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
            if ends(before + index + 1, self.hash) {
                return Some(index + 1);
            }
        }
        None
    }
}

/// Says whether a chunk of `length` bytes ends here.
const fn ends(length: usize, hash: u64) -> bool {
    let zeros = match length {
        0..CHUNK_MIN_BYTES => return false,
        CHUNK_MIN_BYTES..CHUNK_AIM_BYTES => ZEROS_BEFORE_AIM,
        CHUNK_AIM_BYTES..CHUNK_MAX_BYTES => ZEROS_AFTER_AIM,
        _ => return true,
    };
    hash.leading_zeros() >= zeros
}
