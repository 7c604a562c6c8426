//! The simulated disk without faults does what the file system of the machine does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};

use mnem_vfs::{Kind, OpenMode, RealVfs, SimVfs, Vfs, VfsFile, VfsFileExt};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Open(usize, Name, OpenMode),
    Close(usize),
    Read { file: usize, offset: u64, len: usize },
    Write { file: usize, offset: u64, len: usize, byte: u8 },
    WriteVectored { file: usize, offset: u64, lens: Vec<usize>, byte: u8 },
    Len(usize),
    SetLen { file: usize, len: u64 },
    Allocate { file: usize, offset: u64, len: u64 },
    Sync(usize),
    CreateDir(Name),
    RemoveFile(Name),
    RemoveDir(Name),
    Rename(Name, Name),
    List(Name),
    Metadata(Name),
    SyncDir(Name),
}

type Name = &'static str;

/// Few names, so that they meet.
const NAMES: [Name; 9] = ["a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/b"];
const FILES: usize = 3;

fn name() -> impl Strategy<Value = Name> {
    prop::sample::select(&NAMES)
}

fn mode() -> impl Strategy<Value = OpenMode> {
    prop::sample::select(&[
        OpenMode::Read,
        OpenMode::ReadWrite,
        OpenMode::CreateNew,
        OpenMode::OpenOrCreate,
        OpenMode::OpenOrCreate,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    let file = 0..FILES;
    let offset = prop_oneof![0..20_u64, 4000..4200_u64, 0..20_000_u64];
    let len = prop_oneof![0..20_usize, 500..600_usize, 0..9000_usize];
    prop_oneof![
        4 => (file.clone(), name(), mode()).prop_map(|(file, name, mode)| Step::Open(file, name, mode)),
        1 => file.clone().prop_map(Step::Close),
        3 => (file.clone(), offset.clone(), len.clone())
            .prop_map(|(file, offset, len)| Step::Read { file, offset, len }),
        5 => (file.clone(), offset.clone(), len.clone(), any::<u8>())
            .prop_map(|(file, offset, len, byte)| Step::Write { file, offset, len, byte }),
        1 => (file.clone(), offset.clone(), vec(len.clone(), 0..4), any::<u8>())
            .prop_map(|(file, offset, lens, byte)| Step::WriteVectored { file, offset, lens, byte }),
        1 => file.clone().prop_map(Step::Len),
        2 => (file.clone(), offset.clone()).prop_map(|(file, len)| Step::SetLen { file, len }),
        1 => (file.clone(), offset, 0..5000_u64)
            .prop_map(|(file, offset, len)| Step::Allocate { file, offset, len }),
        1 => file.prop_map(Step::Sync),
        2 => name().prop_map(Step::CreateDir),
        2 => name().prop_map(Step::RemoveFile),
        1 => name().prop_map(Step::RemoveDir),
        3 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => name().prop_map(Step::List),
        1 => name().prop_map(Step::Metadata),
        1 => name().prop_map(Step::SyncDir),
    ]
}

/// One of the two file systems, with its open files.
struct Side<'a> {
    vfs: &'a dyn Vfs,
    root: PathBuf,
    files: [Option<Box<dyn VfsFile>>; FILES],
}

type Outcome = Result<Vec<u8>, ErrorKind>;

impl Side<'_> {
    fn new<'a>(vfs: &'a dyn Vfs, root: &Path) -> Side<'a> {
        Side { vfs, root: root.to_owned(), files: [const { None }; FILES] }
    }

    fn path(&self, name: Name) -> PathBuf {
        self.root.join(name)
    }

    fn run(&mut self, step: &Step) -> Outcome {
        self.try_run(step).map_err(|error| error.kind())
    }

    fn try_run(&mut self, step: &Step) -> std::io::Result<Vec<u8>> {
        let nothing = |()| Vec::new();
        match step {
            Step::Open(file, name, mode) => {
                self.files[*file] = None;
                self.files[*file] = Some(self.vfs.open(&self.path(name), *mode)?);
                Ok(Vec::new())
            }
            Step::Close(file) => {
                self.files[*file] = None;
                Ok(Vec::new())
            }
            Step::CreateDir(name) => self.vfs.create_dir(&self.path(name)).map(nothing),
            Step::RemoveFile(name) => self.vfs.remove_file(&self.path(name)).map(nothing),
            Step::RemoveDir(name) => self.vfs.remove_dir(&self.path(name)).map(nothing),
            Step::Rename(from, to) => self.vfs.rename(&self.path(from), &self.path(to)).map(nothing),
            Step::SyncDir(name) => self.vfs.sync_dir(&self.path(name)).map(nothing),
            Step::List(name) => list(self.vfs, &self.path(name)),
            Step::Metadata(name) => {
                let found = self.vfs.metadata(&self.path(name))?;
                // The length of a directory means nothing.
                let found =
                    found.map(|found| (found.kind, if found.kind == Kind::File { found.len } else { 0 }));
                Ok(format!("{found:?}").into_bytes())
            }
            Step::Read { file, .. }
            | Step::Write { file, .. }
            | Step::WriteVectored { file, .. }
            | Step::Len(file)
            | Step::SetLen { file, .. }
            | Step::Allocate { file, .. }
            | Step::Sync(file) => {
                self.files[*file].as_ref().map_or(Ok(Vec::new()), |file| run_file(&**file, step))
            }
        }
    }
}

fn run_file(file: &dyn VfsFile, step: &Step) -> std::io::Result<Vec<u8>> {
    let nothing = |()| Vec::new();
    match step {
        Step::Read { offset, len, .. } => {
            let mut buffer = vec![7; *len];
            let read = file.read_up_to_at(&mut buffer, *offset)?;
            buffer.truncate(read);
            Ok(buffer)
        }
        Step::Write { offset, len, byte, .. } => file.write_all_at(&vec![*byte; *len], *offset).map(nothing),
        Step::WriteVectored { offset, lens, byte, .. } => {
            let parts: Vec<Vec<u8>> = lens.iter().map(|len| vec![*byte; *len]).collect();
            let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            file.write_all_vectored_at(&mut slices, *offset).map(nothing)
        }
        Step::Len(_) => file.len().map(|len| len.to_le_bytes().to_vec()),
        Step::SetLen { len, .. } => file.set_len(*len).map(nothing),
        Step::Allocate { offset, len, .. } => file.allocate(*offset, *len).map(nothing),
        _ => file.sync_all().map(nothing),
    }
}

fn list(vfs: &dyn Vfs, dir: &Path) -> std::io::Result<Vec<u8>> {
    let mut entries = vfs.list(dir)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    Ok(format!("{entries:?}").into_bytes())
}

/// Everything below `dir`: names, kinds and bytes.
fn contents(vfs: &dyn Vfs, dir: &Path, found: &mut Vec<(String, Vec<u8>)>, below: &str) {
    let mut entries: Vec<_> = vfs.list(dir).unwrap().map(Result::unwrap).collect();
    entries.sort();
    for entry in entries {
        let path = dir.join(&entry.name);
        let name = format!("{below}/{}", entry.name.to_str().unwrap());
        match entry.kind {
            Kind::Dir => {
                found.push((name.clone(), b"dir".to_vec()));
                contents(vfs, &path, found, &name);
            }
            _ => {
                let file = vfs.open(&path, OpenMode::Read).unwrap();
                let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
                file.read_exact_at(&mut bytes, 0).unwrap();
                found.push((name, bytes));
            }
        }
    }
}

/// The simulation refuses to move directories to another parent; the machine must not be asked then.
fn moves_a_directory_away(side: &Side<'_>, step: &Step) -> bool {
    let Step::Rename(from, to) = step else {
        return false;
    };
    let is_dir = side.vfs.metadata(&side.path(from)).is_ok_and(|m| m.is_some_and(|m| m.kind == Kind::Dir));
    is_dir && Path::new(from).parent() != Path::new(to).parent()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn simulated_files_are_like_real_ones(steps in vec(step(), 1..60)) {
        let temp = tempfile::tempdir().unwrap();
        let (real, sim) = (RealVfs::new(), SimVfs::new());
        let (mut real, mut sim) = (Side::new(&real, temp.path()), Side::new(&sim, Path::new("/")));
        for step in &steps {
            if moves_a_directory_away(&sim, step) {
                continue;
            }
            let (expected, found) = (real.run(step), sim.run(step));
            prop_assert_eq!(expected, found, "{:?}", step);
        }
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        contents(real.vfs, temp.path(), &mut expected, "");
        contents(sim.vfs, Path::new("/"), &mut found, "");
        prop_assert_eq!(expected, found);
    }
}
