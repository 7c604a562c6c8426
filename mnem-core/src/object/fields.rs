//! The one place that knows how an object is laid out: a map with `_kind`, the fields of its kind and whatever newer
//! versions added, in canonical order.

use std::ops::Range;
use std::sync::Arc;

use super::{OBJECT_BYTES_MAX, ObjectError, Time, Unknown};
use crate::block::Block;
use crate::cid::{Cid, Codec};
use crate::codec::{DEPTH_MAX, DecodeError, Malformed, Reader, Writer, key_order};
use crate::value::{Map, Value};

const KIND_FIELD: &str = "_kind";

/// What is particular to one kind of object.
pub(super) trait Layout: Sized {
    const KIND: &'static str;
    /// Every field of the kind, in any order. Others are unknown.
    const FIELDS: &'static [&'static str];

    fn write(&self, out: &mut FieldWriter);
    fn read(fields: &mut FieldReader<'_>) -> Result<Self, DecodeError>;
    /// Checks what the types of the fields do not already hold, both when writing and when reading.
    fn check(&self) -> Result<(), Broken>;
    fn unknown(&self) -> &Unknown;
}

/// A rule of the kind that is broken.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) field: &'static str,
    pub(super) why: &'static str,
}

/// Returns an error unless the rule holds.
pub(super) fn rule(holds: bool, field: &'static str, why: &'static str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { field, why }) }
}

/// Checks that no field kept as unknown has a name that this version knows: it would come back as another object.
pub(super) fn rule_unknown(unknown: &Unknown, known: &[&'static str]) -> Result<(), Broken> {
    let clash = known.iter().copied().chain([KIND_FIELD]).find(|name| unknown.get(name).is_some());
    clash.map_or(Ok(()), |field| Err(Broken { field, why: "is a known field, kept among the unknown ones" }))
}

pub(super) fn encode<T: Layout>(object: &T) -> Result<Vec<u8>, ObjectError> {
    let unknown = object.unknown();
    rule_unknown(unknown, T::FIELDS)
        .and_then(|()| object.check())
        .map_err(|Broken { field, why }| ObjectError::Field { kind: T::KIND, field, why })?;
    let mut out = FieldWriter::default();
    out.field(KIND_FIELD, |w| w.text(T::KIND));
    object.write(&mut out);
    if let Some(field) = out.out_of_range {
        return Err(ObjectError::Field { kind: T::KIND, field, why: "is not below 2^63" });
    }
    debug_assert!(out.fields.iter().all(|(name, _)| *name == KIND_FIELD || T::FIELDS.contains(name)));
    let mut writer = Writer::new();
    out.finish(unknown, &mut writer);
    let bytes = writer.into_bytes();
    if bytes.len() > OBJECT_BYTES_MAX {
        return Err(ObjectError::TooLarge {
            kind: T::KIND,
            found_bytes: bytes.len(),
            max_bytes: OBJECT_BYTES_MAX,
        });
    }
    Ok(bytes)
}

pub(super) fn decode<T: Layout>(block: &Block) -> Result<T, DecodeError> {
    let mut fields = FieldReader::of_block(block)?;
    fields.expect_kind(T::KIND)?;
    let object = T::read(&mut fields)?;
    object.check().map_err(|broken| fields.broken(&broken))?;
    Ok(object)
}

pub(super) fn kind_of(block: &Block) -> Result<Option<String>, DecodeError> {
    if block.cid().codec() == Codec::Raw {
        return Ok(None);
    }
    let mut fields = FieldReader::of_block(block)?;
    fields.optional(KIND_FIELD, |r| r.text().map(str::to_owned))
}

/// Collects fields in any order and writes them in the canonical one.
#[derive(Default)]
pub(super) struct FieldWriter {
    fields: Vec<(&'static str, Range<usize>)>,
    body: Writer,
    out_of_range: Option<&'static str>,
}

impl FieldWriter {
    pub(super) fn field(&mut self, name: &'static str, write: impl FnOnce(&mut Writer)) {
        let start = self.body.as_bytes().len();
        write(&mut self.body);
        self.fields.push((name, start..self.body.as_bytes().len()));
    }

    pub(super) fn optional<V>(
        &mut self,
        name: &'static str,
        value: Option<V>,
        write: impl FnOnce(&mut Writer, V),
    ) {
        if let Some(value) = value {
            self.field(name, |w| write(w, value));
        }
    }

    /// Writes a number. One above `i64::MAX` makes the whole object fail: no reader would take it.
    pub(super) fn uint(&mut self, name: &'static str, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.field(name, |w| w.int(value)),
            Err(_) => self.out_of_range = Some(name),
        }
    }

    pub(super) fn link(&mut self, name: &'static str, cid: &Cid) {
        self.field(name, |w| w.link(cid));
    }

    pub(super) fn links<'a>(&mut self, name: &'static str, cids: impl ExactSizeIterator<Item = &'a Cid>) {
        self.field(name, |w| {
            w.list(cids.len());
            cids.for_each(|cid| w.link(cid));
        });
    }

    /// Writes the map, with the unknown fields where they belong.
    pub(super) fn finish(self, unknown: &Unknown, writer: &mut Writer) {
        let body = self.body.as_bytes();
        let known = self.fields.iter().map(|(name, range)| (*name, &body[range.clone()]));
        let mut all: Vec<(&str, &[u8])> = known.collect();
        all.extend(unknown.iter().map(|(name, item)| (name, &item[..])));
        all.sort_unstable_by(|a, b| key_order(a.0, b.0));
        writer.map(all.len());
        for (name, item) in all {
            writer.text(name);
            writer.encoded(item);
        }
    }
}

/// The fields of a map whose whole encoding was checked, each still as bytes.
pub(super) struct FieldReader<'a> {
    bytes: &'a [u8],
    start: usize,
    /// What nobody asked for yet, in canonical order.
    fields: Vec<(&'a str, Range<usize>)>,
    /// Where the fields that were asked for stand, for errors about them.
    taken: Vec<(&'static str, usize)>,
}

impl<'a> FieldReader<'a> {
    fn of_block(block: &'a Block) -> Result<FieldReader<'a>, DecodeError> {
        let bytes = block.bytes();
        let mut reader = Reader::new(bytes);
        if bytes.len() > OBJECT_BYTES_MAX {
            return Err(reader.error(Malformed::TooLarge { max_bytes: OBJECT_BYTES_MAX }));
        }
        if block.cid().codec() != Codec::DagCbor {
            return Err(reader.error(Malformed::Expected { expected: "an object, which raw bytes are not" }));
        }
        let fields = FieldReader::of_map(bytes, &mut reader, DEPTH_MAX)?;
        reader.end()?;
        Ok(fields)
    }

    /// Checks the next item, a map that may nest `depth` levels, itself included.
    pub(super) fn of_map(
        bytes: &'a [u8],
        reader: &mut Reader<'a>,
        depth: usize,
    ) -> Result<FieldReader<'a>, DecodeError> {
        let start = reader.at();
        let mut keys = reader.map()?;
        let mut fields = Vec::new();
        while let Some(name) = keys.next(reader)? {
            let start = reader.at();
            reader.item(depth - 1)?;
            fields.push((name, start..reader.at()));
        }
        Ok(FieldReader { bytes, start, fields, taken: Vec::new() })
    }

    fn expect_kind(&mut self, expected: &'static str) -> Result<(), DecodeError> {
        let found = self.required(KIND_FIELD, Reader::text)?;
        if found == expected {
            return Ok(());
        }
        let found = found.chars().take(64).collect();
        Err(DecodeError { what: Malformed::WrongKind { expected, found }, at: self.start })
    }

    pub(super) fn optional<V>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<V, DecodeError>,
    ) -> Result<Option<V>, DecodeError> {
        let Some(index) = self.fields.iter().position(|(other, _)| *other == name) else { return Ok(None) };
        let (_, range) = self.fields.remove(index);
        self.taken.push((name, range.start));
        let mut reader = Reader::starting_at(self.bytes, range.start);
        let value = read(&mut reader)?;
        debug_assert_eq!(reader.at(), range.end, "{name} was not read whole");
        Ok(Some(value))
    }

    pub(super) fn required<V>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<V, DecodeError>,
    ) -> Result<V, DecodeError> {
        let missing = DecodeError { what: Malformed::Missing { name }, at: self.start };
        self.optional(name, read)?.ok_or(missing)
    }

    /// Reads a field that is a map of fields itself.
    pub(super) fn map<V>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut FieldReader<'a>) -> Result<V, DecodeError>,
    ) -> Result<V, DecodeError> {
        let bytes = self.bytes;
        self.required(name, |r| read(&mut FieldReader::of_map(bytes, r, DEPTH_MAX - 1)?))
    }

    pub(super) fn link(&mut self, name: &'static str) -> Result<Cid, DecodeError> {
        self.required(name, Reader::link)
    }

    /// Returns what nobody asked for.
    pub(super) fn rest(&mut self) -> Unknown {
        let rest = std::mem::take(&mut self.fields);
        Unknown::from_checked(rest.into_iter().map(|(name, range)| (name, &self.bytes[range])))
    }

    /// Returns an error that points at a field.
    pub(super) fn broken(&self, broken: &Broken) -> DecodeError {
        let at = self.taken.iter().find(|(name, _)| *name == broken.field).map_or(self.start, |(_, at)| *at);
        DecodeError { what: Malformed::Field { name: broken.field, why: broken.why }, at }
    }
}

/// Reads bytes of a fixed length.
pub(super) fn array<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], DecodeError> {
    let expected = match N {
        16 => "16 bytes",
        17 => "17 bytes",
        _ => "32 bytes",
    };
    let refused = reader.error(Malformed::Expected { expected });
    reader.bytes()?.try_into().map_err(|_| refused)
}

/// Reads a number of a narrow type.
pub(super) fn number<N: TryFrom<u64>>(reader: &mut Reader<'_>) -> Result<N, DecodeError> {
    let refused = reader.error(Malformed::Expected { expected: "a smaller number" });
    N::try_from(reader.uint()?).map_err(|_| refused)
}

pub(super) fn time(reader: &mut Reader<'_>) -> Result<Time, DecodeError> {
    let refused = reader.error(Malformed::Expected { expected: "a time below 2^62 microseconds" });
    Time::from_micros(reader.int()?).ok_or(refused)
}

/// Reads times by name: absent rather than empty.
pub(super) fn times(reader: &mut Reader<'_>) -> Result<Map, DecodeError> {
    let refused = reader.error(Malformed::Expected { expected: "times by name, one at least" });
    match Value::read(reader)? {
        Value::Map(map) if !map.is_empty() && are_times(&map) => Ok(map),
        _ => Err(refused),
    }
}

/// Says whether a map holds nothing but times.
pub(super) fn are_times(map: &Map) -> bool {
    map.iter().all(|(_, time)| matches!(time, Value::Int(us) if Time::from_micros(*us).is_some()))
}

pub(super) fn text(reader: &mut Reader<'_>) -> Result<Arc<str>, DecodeError> {
    reader.text().map(Arc::from)
}

/// Reads a list. Its length is bounded by the bytes that are there, and nothing is allocated ahead.
pub(super) fn list<'a, V>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<V, DecodeError>,
) -> Result<Vec<V>, DecodeError> {
    (0..reader.list()?).map(|_| read(reader)).collect()
}

pub(super) fn links(reader: &mut Reader<'_>) -> Result<Vec<Cid>, DecodeError> {
    list(reader, Reader::link)
}

pub(super) fn ascends<T: Ord>(items: &[T]) -> bool {
    items.is_sorted_by(|a, b| a < b)
}

pub(super) fn write_texts(writer: &mut Writer, texts: &[Arc<str>]) {
    writer.list(texts.len());
    texts.iter().for_each(|text| writer.text(text));
}
