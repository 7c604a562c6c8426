//! What lies where. Bytes and names: FORMAT.md, "Simple backend".

use std::path::{Path, PathBuf};

use mnem_core::Cid;
use mnem_core::cid::CidClass;
use mnem_core::port::{Marker, Namespace, RowTable};

/// The folders that every store has, from before its marker was written.
pub(crate) const FOLDERS: [&str; 7] = ["aside", "cycles", "heads", "leases", "objects", "rows", "temp"];

/// The files that every store has, all empty: they are there to be locked.
pub(crate) const LOCKS: [&str; 4] = ["lock", "lock-gate", "lock-heads", "lock-readers"];

/// The marker until it is whole.
pub(crate) const MARKER_TEMP: &str = "mnem-store.new";

/// Where block files are: below `objects`, or set aside in folders of the same shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree(PathBuf);

/// The part of a block's digest that is its file's name; class and first byte are folders.
pub(crate) type Suffix = [u8; 31];

#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Layout {
        Layout { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn marker(&self) -> PathBuf {
        self.file(Marker::FILE)
    }

    pub(crate) fn objects(&self) -> Tree {
        Tree(self.file("objects"))
    }

    /// Folder of files set aside in one generation.
    pub(crate) fn aside(&self, generation: u64) -> Tree {
        Tree(self.file("aside").join(generation.to_string()))
    }

    pub(crate) fn heads(&self, namespace: &Namespace) -> PathBuf {
        self.file("heads").join(namespace.as_str())
    }

    pub(crate) fn lease(&self, number: u64) -> PathBuf {
        self.file("leases").join(number.to_string())
    }

    pub(crate) fn cycle(&self, number: u64) -> PathBuf {
        self.file("cycles").join(number.to_string())
    }

    /// Locked by the collector while the cycle is announced.
    pub(crate) fn cycle_live(&self, number: u64) -> PathBuf {
        self.cycle(number).join("live")
    }

    /// Folder of empty files, named by the blocks that were put since the cycle began.
    pub(crate) fn touched(&self, number: u64) -> PathBuf {
        self.cycle(number).join("touched")
    }

    pub(crate) fn rows(&self, table: RowTable) -> PathBuf {
        self.file("rows").join(table.name())
    }
}

impl Tree {
    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn class(&self, class: CidClass) -> PathBuf {
        self.0.join(class.number().to_string())
    }

    pub(crate) fn folder(&self, class: CidClass, first: u8) -> PathBuf {
        self.class(class).join(hex(&[first]))
    }

    pub(crate) fn folder_of(&self, cid: &Cid) -> PathBuf {
        self.folder(cid.class(), cid.digest()[0])
    }

    /// The folders whose entries lead to a block.
    pub(crate) fn folders_above(&self, cid: &Cid) -> [PathBuf; 3] {
        [self.0.clone(), self.class(cid.class()), self.folder_of(cid)]
    }

    pub(crate) fn block(&self, cid: &Cid) -> PathBuf {
        self.folder_of(cid).join(hex(&cid.digest()[1..]))
    }
}

/// The inverse of [`Tree::block`].
pub(crate) fn cid_at(class: CidClass, first: u8, suffix: &Suffix) -> Cid {
    let mut digest = [first; 32];
    digest[1..].copy_from_slice(suffix);
    Cid::from_parts(class, digest)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)]).collect()
}

/// Reads lower-case hexadecimal, the only form that is written.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Reads a number in its one decimal form.
pub(crate) fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mnem_core::cid::Codec;

    #[test]
    fn a_block_lies_under_class_first_byte_and_the_rest() {
        let cid = Cid::of(Codec::Raw, b"");
        let path = Layout::new(Path::new("s")).objects().block(&cid);
        let digest = hex(cid.digest());
        assert_eq!(path, Path::new("s/objects/1").join(&digest[..2]).join(&digest[2..]));
        let suffix = unhex(&digest[2..]).unwrap().try_into().unwrap();
        assert_eq!(cid_at(cid.class(), cid.digest()[0], &suffix), cid);
    }

    #[test]
    fn names_have_one_form() {
        assert_eq!(unhex("0aff"), Some(vec![10, 255]));
        for bad in ["0A", "0", "g0", "+1", "é"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
        assert_eq!(number("17"), Some(17));
        for bad in ["", "01", "+1", "18446744073709551616"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
