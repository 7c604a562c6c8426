//! Reading an archive that anybody may have written.

use std::io::{BufReader, ErrorKind, Read};

use bytes::Bytes;

use super::{CAR_HEADER_BYTES_MAX, CAR_ROOTS_MAX, CarDamage, CarError, VARINT_BYTES_MAX, VERSION};
use crate::block::{BLOCK_BYTES_MAX, Block};
use crate::cid::{CID_BYTES, Cid};
use crate::codec::Reader;

/// Reads an archive, block after block, in bounded memory. After an error it has ended.
#[derive(Debug)]
pub struct CarReader<R> {
    input: BufReader<R>,
    roots: Vec<Cid>,
    /// Bytes read so far.
    at: u64,
    ended: bool,
}

impl<R: Read> CarReader<R> {
    /// Reads the header. More of `input` is read ahead than was asked for.
    pub fn new(input: R) -> Result<CarReader<R>, CarError> {
        let mut car = CarReader { input: BufReader::new(input), roots: Vec::new(), at: 0, ended: false };
        let Some(length) = car.length("its header")? else {
            return Err(CarError::Truncated { at: 0, inside: "its header" });
        };
        if length > CAR_HEADER_BYTES_MAX as u64 {
            return Err(refused(0, CarDamage::HeaderTooLarge { found_bytes: length }));
        }
        let at = car.at;
        let header = car.exactly(length, "its header")?;
        car.roots = roots(&header).map_err(|why| refused(at, why))?;
        Ok(car)
    }

    /// Returns the roots that the header names. Whether they are there shows at the end.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// Returns how many bytes were read.
    pub const fn bytes(&self) -> u64 {
        self.at
    }

    fn section(&mut self) -> Result<Option<Block>, CarError> {
        let start = self.at;
        let Some(length) = self.length("a block")? else { return Ok(None) };
        if length > (BLOCK_BYTES_MAX + CID_BYTES) as u64 {
            let found_bytes = length - CID_BYTES as u64;
            return Err(refused(start, CarDamage::BlockTooLarge { found_bytes }));
        }
        let at = self.at;
        let section = Bytes::from(self.exactly(length, "a block")?);
        let cid = cid(&section).map_err(|why| refused(at, why))?;
        let block = Block::verify(cid, section.slice(CID_BYTES..));
        block.map(Some).map_err(|why| refused(at, CarDamage::Mismatch(why)))
    }

    /// Reads a number, in its shortest form; `None` where the archive ends before it.
    fn length(&mut self, inside: &'static str) -> Result<Option<u64>, CarError> {
        let start = self.at;
        let mut value = 0;
        for index in 0..VARINT_BYTES_MAX {
            let Some(byte) = self.byte()? else {
                let cut = CarError::Truncated { at: self.at, inside };
                return if index == 0 { Ok(None) } else { Err(cut) };
            };
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                let is_shortest = byte != 0 || index == 0;
                return if is_shortest { Ok(Some(value)) } else { Err(refused(start, CarDamage::Length)) };
            }
        }
        Err(refused(start, CarDamage::Length))
    }

    fn byte(&mut self) -> Result<Option<u8>, CarError> {
        let mut byte = [0];
        loop {
            match self.input.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    self.at += 1;
                    return Ok(Some(byte[0]));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(CarError::Io { at: self.at, source }),
            }
        }
    }

    /// Reads so many bytes, all of which must be there. What is not there is not allocated for.
    fn exactly(&mut self, length: u64, inside: &'static str) -> Result<Vec<u8>, CarError> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(length).read_to_end(&mut bytes);
        self.at += bytes.len() as u64;
        match read {
            Err(source) => Err(CarError::Io { at: self.at, source }),
            Ok(_) if (bytes.len() as u64) < length => Err(CarError::Truncated { at: self.at, inside }),
            Ok(_) => Ok(bytes),
        }
    }
}

impl<R: Read> Iterator for CarReader<R> {
    type Item = Result<Block, CarError>;

    fn next(&mut self) -> Option<Result<Block, CarError>> {
        if self.ended {
            return None;
        }
        let next = self.section().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<R: Read> std::iter::FusedIterator for CarReader<R> {}

const fn refused(at: u64, why: CarDamage) -> CarError {
    CarError::Refused { at, why }
}

fn cid(section: &[u8]) -> Result<Cid, CarDamage> {
    if section.is_empty() {
        return Err(CarDamage::NoCid);
    }
    // Version 0 is shorter than the others, and known by its first bytes.
    let length = if section.starts_with(&[0x12, 0x20]) { 34 } else { CID_BYTES };
    let name = section.get(..length).unwrap_or(section);
    Cid::from_bytes(name).map_err(CarDamage::Cid)
}

fn roots(header: &[u8]) -> Result<Vec<Cid>, CarDamage> {
    let mut reader = Reader::new(header);
    let mut fields = reader.map().map_err(CarDamage::Header)?;
    let (mut roots, mut version) = (None, None);
    while let Some(field) = fields.next(&mut reader).map_err(CarDamage::Header)? {
        match field {
            "roots" => roots = Some(root_list(&mut reader)?),
            "version" => version = Some(reader.uint().map_err(CarDamage::Header)?),
            _ => return Err(CarDamage::HeaderFields),
        }
    }
    reader.end().map_err(CarDamage::Header)?;
    match (version, roots) {
        (Some(VERSION), Some(roots)) => Ok(roots),
        (Some(found), _) if found != VERSION => Err(CarDamage::Version { found }),
        _ => Err(CarDamage::HeaderFields),
    }
}

fn root_list(reader: &mut Reader<'_>) -> Result<Vec<Cid>, CarDamage> {
    let found = reader.list().map_err(CarDamage::Header)?;
    if found > CAR_ROOTS_MAX {
        return Err(CarDamage::TooManyRoots { found });
    }
    (0..found).map(|_| reader.link().map_err(CarDamage::Header)).collect()
}
