//! Looking at one thing: the superblocks, a page, a log record.

use std::fmt;

use mnem_core::port::OpenError;

use super::tree::read_page;
use super::{Data, Doctor, Examination, PAGE_BYTES};
use crate::changes;
use crate::group::Locator;
use crate::index::Node;
use crate::json::Object;
use crate::keys;
use crate::memtable::Value;
use crate::page::{Page, PageId, PageType};
use crate::superblock::{SUPERBLOCK_BYTES, SlotFault, Superblock};
use crate::wal::Lsn;
use crate::wal::record::Record;

/// What something is, field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

impl Shown {
    fn put(&mut self, name: impl Into<String>, value: impl fmt::Display) {
        self.fields.push((name.into(), value.to_string()));
    }

    /// Returns the fields as one JSON object of texts.
    pub fn to_json(&self) -> String {
        let mut object = Object::new();
        self.fields.iter().for_each(|(name, value)| object.text(name, value));
        object.end()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields.iter().try_for_each(|(name, value)| writeln!(f, "{name:<16} {value}"))
    }
}

impl Doctor {
    /// Shows both superblock slots, whatever is in them.
    pub fn superblocks(&self) -> Result<[Shown; 2], OpenError> {
        let data = self.data()?;
        Ok([0, 1].map(|slot| {
            let mut shown = Shown::default();
            shown.put("slot", slot);
            let bytes = data.read(Superblock::slot_offset(slot), SUPERBLOCK_BYTES, &mut nobody());
            let bytes = bytes.and_then(|bytes| <[u8; SUPERBLOCK_BYTES]>::try_from(bytes).ok());
            match bytes.map(|bytes| Superblock::decode(&bytes)) {
                Some(Ok(superblock)) => show_superblock(&superblock, &mut shown),
                Some(Err(SlotFault::Newer(version))) => shown.put("is", format_args!("of format {version}")),
                Some(Err(SlotFault::Invalid)) | None => shown.put("is", "not valid"),
            }
            shown
        }))
    }

    /// Shows a page: a superblock, an index page with its entries, or what its map says of it.
    pub fn page(&self, page: PageId) -> Result<Shown, OpenError> {
        let data = self.data()?;
        let mut shown = Shown::default();
        shown.put("page", page.0);
        let Some(bytes) = read_page(&data, page, &mut nobody()) else {
            shown.put("is", "outside of the file");
            return Ok(shown);
        };
        if page.0 < 2 {
            shown.put("is", "a superblock slot");
            return Ok(shown);
        }
        match Page::identify(data.store, &bytes) {
            None if bytes.iter().all(|byte| *byte == 0) => shown.put("is", "zeros"),
            None => shown.put("is", "no index page: values, the map, damaged, or free"),
            Some((own, crc)) => {
                show_page(&data, own, crc, bytes, &mut shown);
                if own != page {
                    shown.put("but", format_args!("it belongs at page {}", own.0));
                }
            }
        }
        Ok(shown)
    }

    /// Shows the log record at a position, with its changes.
    pub fn record(&self, at: Lsn) -> Result<Shown, OpenError> {
        let data = self.data()?;
        let mut shown = Shown::default();
        shown.put("lsn", at);
        let mut report = nobody();
        let segments = super::log::open(self, &self.look_around(&mut report)?, data.store, &mut report)?;
        for (index, (file, _)) in segments.files.iter().enumerate() {
            let Some(header) = file.header.filter(|header| header.first_record() <= at && at < header.end())
            else {
                continue;
            };
            let bytes = segments.read(index, at.0 - header.start.0, None)?;
            if let Some(record) = Record::read(data.store, at, &bytes) {
                shown.put("segment", file.number);
                show_record(&record, &mut shown);
                return Ok(shown);
            }
        }
        shown.put("is", "no record");
        Ok(shown)
    }

    /// Opens the data file, and finds out whose it is.
    fn data(&self) -> Result<Data, OpenError> {
        let at = self.root.display().to_string();
        let data = self.open_data()?.ok_or(OpenError::Missing { at })?;
        let store = [0, 1].into_iter().find_map(|slot| {
            let bytes = data.read(Superblock::slot_offset(slot), SUPERBLOCK_BYTES, &mut nobody())?;
            Some(Superblock::decode(bytes.as_slice().try_into().ok()?).ok()?.id)
        });
        Ok(Data { store: store.unwrap_or(data.store), ..data })
    }
}

/// Hears findings that are nobody's business here.
fn nobody() -> Examination {
    Examination::default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn show_superblock(superblock: &Superblock, shown: &mut Shown) {
    shown.put("is", "valid");
    shown.put("uuid", hex(&superblock.id.0));
    shown.put("generation", superblock.generation);
    shown.put("epoch", superblock.epoch);
    shown.put("lsn", superblock.lsn);
    shown.put("segment", superblock.segment);
    shown.put("txn", superblock.txn);
    shown.put("file_pages", superblock.file_pages);
    shown.put("keys", superblock.keys);
    if let Some(root) = superblock.root {
        shown.put("root_page", root.at.page.0);
        shown.put("root_level", root.level);
    }
    shown.put("map_page", superblock.space.page.0);
    shown.put("map_pages", superblock.space.pages);
}

fn show_page(data: &Data, own: PageId, crc: u32, bytes: Vec<u8>, shown: &mut Shown) {
    let Ok(page) = Page::open(data.store, own, crc, bytes) else {
        shown.put("is", "an index page whose header makes no sense");
        return;
    };
    let header = *page.header();
    shown.put(
        "is",
        if header.kind == PageType::Leaf { "a leaf of the index" } else { "an inner page of the index" },
    );
    shown.put("generation", header.generation);
    shown.put("level", header.level);
    shown.put("entries", header.count);
    shown.put("used_bytes", header.used);
    let Some(node) = Node::new(page) else {
        shown.put("but", "its entries make no sense");
        return;
    };
    for entry in 0..node.len() {
        let value = if node.level() > 0 {
            format!("page {}", node.child(entry).page.0)
        } else {
            Locator::decode(node.value(entry)).as_ref().map(show_place).unwrap_or_default()
        };
        shown.put(show_key(node.key(entry)), value);
    }
}

fn show_place(place: &Locator) -> String {
    let page = place.range().start / PAGE_BYTES;
    format!(
        "page {page}, byte {}, {} bytes, slot {}",
        place.range().start,
        place.range().end - place.range().start,
        place.slot
    )
}

fn show_key(key: &[u8]) -> String {
    if let Some(cid) = keys::cid(key) {
        return format!("block {cid}");
    }
    if let Some((namespace, head)) = keys::parse_head(key) {
        return format!("head {} {head}", namespace.as_str());
    }
    format!("key {}", hex(key))
}

fn show_record(record: &Record<'_>, shown: &mut Shown) {
    let header = &record.header;
    shown.put("is", "a log record");
    shown.put("txn", header.txn);
    shown.put("epoch", header.epoch);
    shown.put("durable", header.durable);
    shown.put("stored_bytes", record.payload.len());
    shown.put("raw_bytes", header.raw_len);
    shown.put("last_of_flush", header.is_last);
    shown.put("next", record.end());
    let Some(changes) = record.unpack().and_then(changes::decode) else {
        shown.put("but", "its changes cannot be read");
        return;
    };
    for (key, value) in &changes {
        let value = match value {
            None => "removed".to_owned(),
            Some(Value::Placed(place)) => format!("placed: {}", show_place(place)),
            Some(Value::Moved(place)) => format!("moved: {}", show_place(place)),
            Some(other) => format!("{} bytes", other.bytes().map_or(0, bytes::Bytes::len)),
        };
        shown.put(show_key(key), value);
    }
}
