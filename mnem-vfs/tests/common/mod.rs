//! What the tests of this crate share.

#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mnem_vfs::sim::{Budget, Crash, SimVfs};
use mnem_vfs::{Kind, OpenMode, Vfs, VfsFile, VfsFileExt};

pub(crate) fn open(vfs: &dyn Vfs, path: &str) -> Box<dyn VfsFile> {
    vfs.open(Path::new(path), OpenMode::OpenOrCreate).expect(path)
}

/// Writes without any sync.
pub(crate) fn write(vfs: &dyn Vfs, path: &str, bytes: &[u8]) {
    open(vfs, path).write_all_at(bytes, 0).expect(path);
}

/// Writes, and makes bytes and name durable.
pub(crate) fn write_durably(vfs: &dyn Vfs, path: &str, bytes: &[u8]) {
    write(vfs, path, bytes);
    open(vfs, path).sync_all().expect(path);
    sync_parent(vfs, path);
}

pub(crate) fn sync_parent(vfs: &dyn Vfs, path: &str) {
    vfs.sync_dir(Path::new(path).parent().unwrap_or(Path::new("/"))).expect(path);
}

pub(crate) fn create_dir(vfs: &dyn Vfs, path: &str) {
    vfs.create_dir(Path::new(path)).expect(path);
}

pub(crate) fn rename(vfs: &dyn Vfs, from: &str, to: &str) {
    vfs.rename(Path::new(from), Path::new(to)).expect(from);
}

pub(crate) fn remove(vfs: &dyn Vfs, path: &str) {
    vfs.remove_file(Path::new(path)).expect(path);
}

pub(crate) fn read(vfs: &dyn Vfs, path: &str) -> Option<Vec<u8>> {
    let file = vfs.open(Path::new(path), OpenMode::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().expect(path)).expect(path)];
    file.read_exact_at(&mut bytes, 0).expect(path);
    Some(bytes)
}

/// Everything on a file system below `root`: files with their bytes, directories with none and a slash.
pub(crate) fn contents(vfs: &dyn Vfs, root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        for entry in vfs.list(&root.join(&dir)).expect("a directory") {
            let entry = entry.expect("an entry");
            let path = dir.join(entry.name);
            let name = path.to_str().expect("UTF-8").to_owned();
            if entry.kind == Kind::Dir {
                found.insert(name + "/", Vec::new());
                dirs.push(path);
            } else {
                let bytes = read(vfs, root.join(&path).to_str().expect("UTF-8"));
                found.insert(name, bytes.expect("a file"));
            }
        }
    }
    found
}

/// The contents of every image that a power cut can leave, by the default budget.
pub(crate) fn images(disk: &SimVfs) -> Vec<BTreeMap<String, Vec<u8>>> {
    disk.crash_images(Budget::default()).map(|(_, image)| contents(&image, Path::new("/"))).collect()
}

/// The distinct states that one file can be in after a power cut that tears nothing; absent is `None`.
pub(crate) fn outcomes(disk: &SimVfs, path: &str) -> Vec<Option<Vec<u8>>> {
    let whole = Budget { tears: 0, ..Budget::default() };
    let mut found: Vec<_> = disk.crash_images(whole).map(|(_, image)| read(&image, path)).collect();
    found.sort();
    found.dedup();
    found
}

/// The names that are on the disk after the worst power cut.
pub(crate) fn surviving(disk: &SimVfs) -> Vec<String> {
    contents(&disk.restart(Crash::KEEPS_SYNCED), Path::new("/")).into_keys().collect()
}
