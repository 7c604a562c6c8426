//! Damage to files, for labs of backends that keep them.

use std::fs;
use std::path::{Path, PathBuf};

/// Flips one bit of every copy of `stored` in the files below `place`; `seed` chooses which bit.
///
/// # Panics
/// If the bytes are in no file: then nothing would be tested.
pub fn damage_files(place: &Path, stored: &[u8], seed: u64) {
    let mut damaged = 0;
    for path in files(place) {
        let Ok(mut content) = fs::read(&path) else { continue };
        let found: Vec<usize> = positions(&content, stored);
        if found.is_empty() {
            continue;
        }
        for at in &found {
            flip(&mut content[*at..*at + stored.len()], seed);
        }
        fs::write(&path, content).unwrap_or_else(|error| panic!("cannot damage {}: {error}", path.display()));
        damaged += found.len();
    }
    assert!(damaged > 0, "the bytes to damage are in no file below {}", place.display());
}

/// Flips the bit of `bytes` that `seed` chooses.
fn flip(bytes: &mut [u8], seed: u64) {
    let length = bytes.len() as u64;
    let at = usize::try_from(seed % length).expect("below a length");
    bytes[at] ^= 1 << (seed / length % 8);
}

/// Returns where `part` stands in `whole`.
fn positions(whole: &[u8], part: &[u8]) -> Vec<usize> {
    assert!(!part.is_empty(), "nothing is everywhere");
    let mut found = Vec::new();
    let mut at = 0;
    while at + part.len() <= whole.len() {
        if whole[at..].starts_with(part) {
            found.push(at);
            at += part.len();
        } else {
            at += 1;
        }
    }
    found
}

fn files(place: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut next = vec![place.to_owned()];
    while let Some(path) = next.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => next.extend(entries.filter_map(Result::ok).map(|entry| entry.path())),
            Err(_) => found.push(path),
        }
    }
    found
}
