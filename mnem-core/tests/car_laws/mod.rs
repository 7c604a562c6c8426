//! Laws of archives on any bytes: property tests put random ones to them, fuzzing puts chosen ones.

#![allow(unreachable_pub, reason = "public where fuzzing includes this file")]

use mnem_core::exchange::{CarError, CarReader, CarWriter};

/// Reads an archive whole, and writes what it holds again.
fn again(bytes: &[u8]) -> Result<Vec<u8>, CarError> {
    let mut car = CarReader::new(bytes)?;
    let mut writer = CarWriter::new(Vec::new(), car.roots()).expect("memory takes everything");
    for block in car.by_ref() {
        writer.put(&block?).expect("memory takes everything");
    }
    assert_eq!((car.bytes(), writer.bytes()), (bytes.len() as u64, bytes.len() as u64));
    Ok(writer.finish().expect("memory takes everything"))
}

/// An archive is refused, with a place inside it, or is the only one of its roots and blocks. Returns whether it is one.
pub fn an_archive_is_refused_or_the_only_one_of_its_content(bytes: &[u8]) -> bool {
    match again(bytes) {
        Ok(written) => {
            assert_eq!(written, bytes);
            true
        }
        Err(CarError::Truncated { at, .. }) => {
            assert_eq!(at, bytes.len() as u64);
            false
        }
        Err(CarError::Refused { at, .. }) => {
            assert!(at <= bytes.len() as u64);
            false
        }
        Err(error) => panic!("memory can always be read: {error}"),
    }
}
