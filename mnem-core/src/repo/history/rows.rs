//! Rows of the side table: what each commit touched, and what all those touched that its skip link passes by.
//!
//! Bytes: FORMAT.md, "History rows".

use bytes::Bytes;

use super::prints::{Prints, bucket_of};
use crate::cid::{CID_BYTES, Cid};
use crate::codec::{DecodeError, Kind, Malformed, Reader, Writer};
use crate::id::{CommitId, EntityId};
use crate::object::{Skip, Time};
use crate::port::{Namespace, Row, RowTable, SideError, SideTable, StoreError};
use crate::repo::error::RepoError;

pub(in crate::repo) const ROWS: RowTable = RowTable::new("history");

/// Names how rows are made. Another way needs another name: rows are found by it.
const DEFINITION: &str = "history/1";

/// A commit that touched more says which entities only by their prints.
pub(super) const EXACT_MAX: usize = 256;

/// A commit that touched more does not say by itself which: only its segment does.
pub(super) const OWN_PRINTS_MAX: usize = 4096;

/// How many prints a row holds, about: what is more is spread over rows of its own.
const BUCKET_PRINTS: usize = 1024;

/// A segment with more is not summed up.
pub(super) const SEGMENT_PRINTS_MAX: usize = 1 << 18;

const BITS_MAX: u32 = (SEGMENT_PRINTS_MAX / BUCKET_PRINTS).ilog2();

const CHECK_BYTES: usize = 16;

/// How much of the hash of the definition is in a key.
const DEFINITION_BYTES: usize = 16;

/// How long the number of a bucket is in a key.
const BUCKET_BYTES: usize = 4;

/// What is known of a commit without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommitRow {
    pub(super) parents: Vec<(CommitId, Time)>,
    pub(super) skip: Option<Skip>,
    pub(super) own: Own,
    pub(super) segment: Option<Segment>,
}

/// What the commit itself touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Exact(Vec<Touched>),
    Prints(Prints),
    Unknown,
}

/// An entity that a commit has otherwise than every parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) entity: EntityId,
    /// As each parent has it.
    pub(super) old: Vec<Option<Cid>>,
    pub(super) new: Option<Cid>,
}

/// What is touched by the commit or by any other behind it that is not behind the end of its skip link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The time of the oldest of those commits.
    pub(super) since: Time,
    pub(super) bits: u32,
    /// All of them if `bits` is zero; else they lie in rows of their own.
    prints: Prints,
}

impl Segment {
    pub(super) fn new(since: Time, prints: Prints) -> Option<Segment> {
        (prints.len() <= SEGMENT_PRINTS_MAX).then(|| {
            let bits = prints.len().div_ceil(BUCKET_PRINTS).next_power_of_two().ilog2();
            Segment { since, bits, prints }
        })
    }
}

/// Reads and makes the rows of one namespace.
#[derive(Clone)]
pub(super) struct Rows<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) table: &'a dyn SideTable,
}

impl Rows<'_> {
    /// Returns the row of a commit; torn is the same as not there.
    pub(super) fn get(&self, commit: CommitId) -> Result<Option<CommitRow>, RepoError> {
        Ok(self.body(&self.key(commit))?.and_then(|body| decode(&body).ok()))
    }

    /// Walks the rows that say nothing, and counts all.
    pub(super) fn torn(&self, mut each: impl FnMut(Row)) -> Result<u64, RepoError> {
        let start = [self.namespace.as_str().as_bytes(), &[0]].concat();
        let mut rows = 0;
        for row in self.table.rows(ROWS, &start).map_err(side)? {
            let (key, value) = row.map_err(side)?;
            if !key.starts_with(&start) {
                break;
            }
            rows += 1;
            let body =
                value.split_at_checked(CHECK_BYTES).filter(|(check, body)| *check == check_of(&key, body));
            let is_bucket = key.len() == start.len() + CID_BYTES + DEFINITION_BYTES + BUCKET_BYTES;
            let is_sound = body.is_some_and(|(_, body)| {
                if is_bucket { Prints::from_bytes(body).is_some() } else { decode(body).is_ok() }
            });
            if !is_sound {
                each(Row { table: ROWS, key, value: None });
            }
        }
        Ok(rows)
    }

    /// Says whether a segment may hold a print. `None` if that cannot be said: part of it is missing.
    pub(super) fn may_have(
        &self,
        commit: CommitId,
        segment: &Segment,
        print: u32,
    ) -> Result<Option<bool>, RepoError> {
        if segment.bits == 0 {
            return Ok(Some(segment.prints.has(print)));
        }
        let bucket = self.bucket(commit, bucket_of(print, segment.bits))?;
        Ok(bucket.map(|prints| prints.has(print)))
    }

    /// Returns all prints of a segment, unless part of it is missing.
    pub(super) fn prints(&self, commit: CommitId, segment: &Segment) -> Result<Option<Prints>, RepoError> {
        if segment.bits == 0 || segment.prints.len() > 0 {
            return Ok(Some(segment.prints.clone())); // here as it was made
        }
        let mut all = Prints::default();
        for bucket in 0..1 << segment.bits {
            let Some(prints) = self.bucket(commit, bucket)? else { return Ok(None) };
            all.append(prints);
        }
        Ok(Some(all))
    }

    fn bucket(&self, commit: CommitId, bucket: u32) -> Result<Option<Prints>, RepoError> {
        let body = self.body(&self.bucket_key(commit, bucket))?;
        Ok(body.and_then(|body| Prints::from_bytes(&body)))
    }

    /// Makes the rows that hold this.
    pub(super) fn make(&self, commit: CommitId, row: &CommitRow) -> Vec<Row> {
        let mut rows = vec![sealed(self.key(commit), &encode(row))];
        if let Some(segment) = row.segment.as_ref().filter(|segment| segment.bits > 0) {
            for bucket in 0..1 << segment.bits {
                let prints = segment.prints.bucket(segment.bits, bucket);
                rows.push(sealed(self.bucket_key(commit, bucket), &prints.to_bytes()));
            }
        }
        rows
    }

    fn key(&self, commit: CommitId) -> Vec<u8> {
        let definition = blake3::hash(DEFINITION.as_bytes());
        let namespace = self.namespace.as_str().as_bytes();
        [namespace, &[0], &commit.cid().to_bytes(), &definition.as_bytes()[..DEFINITION_BYTES]].concat()
    }

    fn bucket_key(&self, commit: CommitId, bucket: u32) -> Vec<u8> {
        [self.key(commit), bucket.to_be_bytes().to_vec()].concat()
    }

    fn body(&self, key: &[u8]) -> Result<Option<Bytes>, RepoError> {
        let value = self.table.row(ROWS, key).map_err(side)?;
        Ok(value.and_then(|value| {
            let (check, body) = value.split_at_checked(CHECK_BYTES)?;
            (check == check_of(key, body)).then(|| value.slice(CHECK_BYTES..))
        }))
    }
}

fn sealed(key: Vec<u8>, body: &[u8]) -> Row {
    let value = [&check_of(&key, body)[..], body].concat();
    Row { table: ROWS, key: key.into(), value: Some(value.into()) }
}

fn check_of(key: &[u8], body: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key("mnem history row v1");
    hasher.update(key);
    hasher.update(body);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK_BYTES]);
    check
}

fn encode(row: &CommitRow) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.list(4);
    writer.list(row.parents.len());
    row.parents.iter().for_each(|(commit, time)| write_place(&mut writer, *commit, *time));
    match row.skip {
        Some(skip) => write_place(&mut writer, skip.commit, skip.time),
        None => writer.null(),
    }
    match &row.own {
        Own::Exact(touched) => {
            writer.list(touched.len());
            touched.iter().for_each(|touched| write_touched(&mut writer, touched));
        }
        Own::Prints(prints) => writer.bytes(&prints.to_bytes()),
        Own::Unknown => writer.null(),
    }
    match &row.segment {
        Some(segment) => {
            writer.list(3);
            writer.int(segment.since.micros());
            writer.uint(segment.bits.into());
            let inline = if segment.bits == 0 { segment.prints.to_bytes() } else { Vec::new() };
            writer.bytes(&inline);
        }
        None => writer.null(),
    }
    writer.into_bytes()
}

fn write_place(writer: &mut Writer, commit: CommitId, time: Time) {
    writer.list(2);
    writer.link(commit.cid());
    writer.int(time.micros());
}

fn write_touched(writer: &mut Writer, touched: &Touched) {
    writer.list(3);
    writer.bytes(&touched.entity.to_key());
    writer.list(touched.old.len());
    touched.old.iter().for_each(|cid| write_version(writer, *cid));
    write_version(writer, touched.new);
}

fn write_version(writer: &mut Writer, cid: Option<Cid>) {
    match cid {
        Some(cid) => writer.link(&cid),
        None => writer.null(),
    }
}

fn decode(body: &[u8]) -> Result<CommitRow, DecodeError> {
    let mut reader = Reader::new(body);
    expect(&mut reader, 4)?;
    let parents = list(&mut reader, read_place)?;
    let skip = optional(&mut reader, read_place)?.map(|(commit, time)| Skip { commit, time });
    let own = match reader.kind()? {
        Kind::List => Own::Exact(list(&mut reader, |reader| read_touched(reader, parents.len()))?),
        Kind::Bytes => Own::Prints(read_prints(&mut reader)?),
        _ => reader.null().map(|()| Own::Unknown)?,
    };
    let segment = optional(&mut reader, read_segment)?;
    reader.end()?;
    Ok(CommitRow { parents, skip, own, segment })
}

fn expect(reader: &mut Reader<'_>, len: usize) -> Result<(), DecodeError> {
    let wrong = reader.error(Malformed::Expected { expected: "a list of fixed length" });
    if reader.list()? == len { Ok(()) } else { Err(wrong) }
}

/// A claimed length is more than what follows only by mistake: items are taken as they come.
fn list<T>(
    reader: &mut Reader<'_>,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    (0..reader.list()?).map(|_| item(reader)).collect()
}

fn optional<T>(
    reader: &mut Reader<'_>,
    item: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    match reader.kind()? {
        Kind::Null => reader.null().map(|()| None),
        _ => item(reader).map(Some),
    }
}

fn read_place(reader: &mut Reader<'_>) -> Result<(CommitId, Time), DecodeError> {
    expect(reader, 2)?;
    Ok((CommitId::new(reader.link()?), read_time(reader)?))
}

fn read_time(reader: &mut Reader<'_>) -> Result<Time, DecodeError> {
    let wrong = reader.error(Malformed::IntegerRange);
    Time::from_micros(reader.int()?).ok_or(wrong)
}

fn read_touched(reader: &mut Reader<'_>, parents: usize) -> Result<Touched, DecodeError> {
    expect(reader, 3)?;
    let wrong = reader.error(Malformed::Expected { expected: "a kind and an id" });
    let entity = EntityId::from_key(reader.bytes()?).ok_or(wrong)?;
    let wrong = reader.error(Malformed::Expected { expected: "a version of each parent" });
    let old = list(reader, read_version)?;
    if old.len() != parents {
        return Err(wrong);
    }
    Ok(Touched { entity, old, new: read_version(reader)? })
}

fn read_version(reader: &mut Reader<'_>) -> Result<Option<Cid>, DecodeError> {
    optional(reader, |reader| reader.link().map(Some)).map(Option::flatten)
}

fn read_segment(reader: &mut Reader<'_>) -> Result<Segment, DecodeError> {
    expect(reader, 3)?;
    let since = read_time(reader)?;
    let wrong = reader.error(Malformed::IntegerRange);
    let bits = u32::try_from(reader.uint()?).ok().filter(|bits| *bits <= BITS_MAX).ok_or(wrong)?;
    Ok(Segment { since, bits, prints: read_prints(reader)? })
}

fn read_prints(reader: &mut Reader<'_>) -> Result<Prints, DecodeError> {
    let wrong = reader.error(Malformed::Expected { expected: "ascending numbers of four bytes" });
    Prints::from_bytes(reader.bytes()?).ok_or(wrong)
}

pub(in crate::repo) fn side(why: SideError) -> RepoError {
    RepoError::Store(StoreError::Side(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use crate::cid::Codec;
    use crate::id::{EdgeId, NodeId};
    use crate::repo::history::prints::print;

    fn cid(text: &str) -> Cid {
        Cid::of(Codec::Raw, text.as_bytes())
    }

    fn commit(text: &str) -> CommitId {
        CommitId::new(cid(text))
    }

    fn time(micros: i64) -> Time {
        Time::from_micros(micros).unwrap()
    }

    fn example() -> CommitRow {
        let (node, edge) = (NodeId::from_bytes([1; 16]), EdgeId::from_bytes([2; 16]));
        let prints = Prints::of(vec![print(node.into()), print(edge.into())]);
        CommitRow {
            parents: vec![(commit("one"), time(-5)), (commit("two"), time(7))],
            skip: Some(Skip { commit: commit("old"), time: time(-9) }),
            own: Own::Exact(vec![
                Touched { entity: node.into(), old: vec![None, Some(cid("a"))], new: Some(cid("b")) },
                Touched { entity: edge.into(), old: vec![Some(cid("c")); 2], new: None },
            ]),
            segment: Segment::new(time(-7), prints),
        }
    }

    fn with(of: &MemoryStore, run: impl FnOnce(Rows<'_>)) {
        run(Rows { namespace: &Namespace::default(), table: of });
    }

    /// Other bytes need another definition: FORMAT.md, "History rows".
    #[test]
    fn bytes_of_a_row_are_frozen() {
        with(&MemoryStore::new(), |rows| {
            let made = rows.make(commit("it"), &example());
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let lines: Vec<String> = made
                .iter()
                .map(|row| format!("{}\n{}\n", hex(&row.key), hex(row.value.as_ref().unwrap())))
                .collect();
            assert_eq!(lines.concat(), include_str!("../../../../tests/fixtures/v1/history_row.hex"));
        });
    }

    #[test]
    fn rows_read_as_they_were_made() {
        let store = MemoryStore::new();
        let own = [Own::Unknown, Own::Prints(Prints::of(vec![3, 1 << 30])), Own::Exact(Vec::new())];
        for own in own.into_iter().chain([example().own]) {
            for (skip, segment) in [(example().skip, example().segment), (None, None)] {
                let row = CommitRow { own: own.clone(), skip, segment, ..example() };
                with(&store, |rows| {
                    store.put_rows(&rows.make(commit("it"), &row)).unwrap();
                    assert_eq!(rows.get(commit("it")).unwrap(), Some(row));
                    assert_eq!(rows.get(commit("other")).unwrap(), None);
                });
            }
        }
    }

    #[test]
    fn large_segments_lie_in_buckets_and_say_nothing_without_one() {
        let store = MemoryStore::new();
        let prints = Prints::of((0..5_000u32).map(|n| n.wrapping_mul(2_654_435_761)).collect());
        let row = CommitRow { segment: Segment::new(time(1), prints.clone()), ..example() };
        with(&store, |rows| {
            let made = rows.make(commit("it"), &row);
            assert_eq!(made.len(), 1 + 8);
            store.put_rows(&made).unwrap();
            let segment = rows.get(commit("it")).unwrap().unwrap().segment.unwrap();
            assert_eq!(rows.prints(commit("it"), &segment).unwrap(), Some(prints.clone()));
            let has = |print| rows.may_have(commit("it"), &segment, print).unwrap();
            assert_eq!(has(2_654_435_761), Some(true));
            assert_eq!(has(2_654_435_762), Some(false));
            store.put_rows(&[Row { value: None, ..made[1].clone() }]).unwrap();
            assert_eq!(rows.prints(commit("it"), &segment).unwrap(), None);
            let known = (0..100u32).map(|n| has(n << 25)).collect::<Vec<_>>();
            assert!(known.contains(&None) && known.contains(&Some(false)));
        });
    }

    #[test]
    fn too_large_a_segment_is_not_summed_up() {
        let prints = |count: u32| Prints::of((0..count).collect());
        assert!(Segment::new(time(1), prints(1 << 18)).is_some_and(|segment| segment.bits == BITS_MAX));
        assert!(Segment::new(time(1), prints((1 << 18) + 1)).is_none());
        assert!(Segment::new(time(1), prints(1024)).is_some_and(|segment| segment.bits == 0));
        assert!(Segment::new(time(1), prints(1025)).is_some_and(|segment| segment.bits == 1));
    }

    #[test]
    fn damaged_rows_are_absent() {
        let store = MemoryStore::new();
        with(&store, |rows| {
            let made = rows.make(commit("it"), &example());
            let intact = made[0].value.clone().unwrap();
            for at in 0..intact.len() {
                let mut bytes = intact.to_vec();
                bytes[at] ^= 1;
                store.put_rows(&[Row { value: Some(bytes.into()), ..made[0].clone() }]).unwrap();
                assert_eq!(rows.get(commit("it")).unwrap(), None, "{at}");
                let body = intact.slice(CHECK_BYTES..).slice(..at.min(intact.len() - CHECK_BYTES - 1));
                assert!(decode(&body).is_err(), "{at}");
            }
            // Another commit's row in this place.
            store.put_rows(&rows.make(commit("other"), &example())[..1]).unwrap();
            let other = store.row(ROWS, &rows.key(commit("other"))).unwrap();
            store.put_rows(&[Row { value: other, ..made[0].clone() }]).unwrap();
            assert_eq!(rows.get(commit("it")).unwrap(), None);
        });
    }
}
