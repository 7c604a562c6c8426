//! Writing an archive.

use std::io::{self, Write};

use super::VERSION;
use crate::block::Block;
use crate::cid::{CID_BYTES, Cid};
use crate::codec::Writer;

/// Writes an archive, block after block, as they are given. Who gives them sees to their order, and to it that none
/// comes twice.
#[derive(Debug)]
#[must_use = "an archive is whole when it was finished"]
pub struct CarWriter<W> {
    out: W,
    blocks: u64,
    bytes: u64,
}

impl<W: Write> CarWriter<W> {
    /// Writes the header. Every block takes several small writes: `out` should be buffered.
    pub fn new(mut out: W, roots: &[Cid]) -> io::Result<CarWriter<W>> {
        let header = header(roots);
        let length = varint(header.len() as u64);
        out.write_all(&length)?;
        out.write_all(&header)?;
        let bytes = (length.len() + header.len()) as u64;
        Ok(CarWriter { out, blocks: 0, bytes })
    }

    /// Writes a block.
    pub fn put(&mut self, block: &Block) -> io::Result<()> {
        let section_bytes = CID_BYTES as u64 + block.bytes().len() as u64;
        let length = varint(section_bytes);
        self.out.write_all(&length)?;
        self.out.write_all(&block.cid().to_bytes())?;
        self.out.write_all(block.bytes())?;
        self.blocks += 1;
        self.bytes += length.len() as u64 + section_bytes;
        Ok(())
    }

    /// Returns how many blocks were written.
    pub const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Returns how many bytes the archive has so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the archive, and gives back what it was written to. Nothing follows the last block.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

fn header(roots: &[Cid]) -> Vec<u8> {
    let mut header = Writer::new();
    header.map(2);
    header.text("roots");
    header.list(roots.len());
    roots.iter().for_each(|root| header.link(root));
    header.text("version");
    header.uint(VERSION);
    header.into_bytes()
}

/// Encodes a number as unsigned LEB128.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4);
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
