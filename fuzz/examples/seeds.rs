//! Writes a first corpus: small blocks with every kind of item, and CIDs of every class, binary and text.

use std::fs;
use std::path::Path;

use mnem_core::codec::{DEPTH_MAX, Writer};
use mnem_core::exchange::CarWriter;
use mnem_core::{Block, Cid, CidClass, Codec};

/// Encodes what `write` writes.
fn block(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    write(&mut writer);
    writer.into_bytes()
}

/// Encodes a link to any CID.
fn link(cid: &[u8]) -> Vec<u8> {
    let content = block(|writer| writer.bytes(&[&[0], cid].concat()));
    [&[0xd8, 42], content.as_slice()].concat()
}

fn cids() -> Vec<Vec<u8>> {
    let ours = CidClass::ALL.map(|class| Cid::of_class(class, b"x").to_bytes().to_vec());
    let foreign = [
        [&[0x12, 0x20], &[7; 32][..]].concat(),
        [&[1, 0x70, 0x12, 0x20], &[7; 32][..]].concat(),
        [&[1, 0xa9, 0x02, 0x13, 0x40], &[7; 64][..]].concat(),
        vec![1, 0x55, 0, 3, b'a', b'b', b'c'],
    ];
    ours.into_iter().chain(foreign).collect()
}

fn blocks() -> Vec<Vec<u8>> {
    let mut blocks: Vec<_> = cids().iter().map(|cid| link(cid)).collect();
    blocks.extend(
        [0, 23, 24, -24, -25, 255, 256, 65_535, 65_536, 1 << 32, i64::MIN, i64::MAX]
            .map(|n| block(|w| w.int(n))),
    );
    blocks.extend([0.0, 1.5, -1e-300, f64::MAX].map(|n| block(|w| w.float(n))));
    blocks.extend([vec![0xf4], vec![0xf5], vec![0xf6], vec![0x80], vec![0xa0], vec![0x1b; 9], vec![0x3b; 9]]);
    blocks.extend([0, 23, 24, 256].map(|length| block(|w| w.bytes(&vec![7; length]))));
    blocks.extend(
        ["", "a", "水", "a longer text that needs a second byte"].map(|text| block(|w| w.text(text))),
    );
    blocks.push([vec![0x81; DEPTH_MAX], vec![0]].concat());
    blocks.push(block(|writer| {
        writer.map(4);
        writer.text("e");
        writer.list(3);
        for name in [b"a", b"b", b"a"] {
            writer.link(&Cid::of_class(CidClass::DagCborBlake3, name));
        }
        writer.text("l");
        writer.uint(0);
        writer.text("id");
        writer.bytes(&[7; 16]);
        writer.text("props");
        writer.map(1);
        writer.text("name");
        writer.text("Ada");
    }));
    blocks
}

/// Small trees' nodes.
fn nodes() -> Vec<Vec<u8>> {
    let node = |level: u64, entries: u8| {
        block(|writer| {
            writer.map(2);
            writer.text("e");
            writer.list(usize::from(entries));
            for key in 0..entries {
                writer.list(if level == 0 { 2 } else { 3 });
                writer.bytes(&[key]);
                writer.link(&Cid::of_class(CidClass::DagCborBlake3, &[key]));
                if level > 0 {
                    writer.uint(u64::from(key) + 1);
                }
            }
            writer.text("l");
            writer.uint(level);
        })
    };
    [(0, 0), (0, 1), (0, 3), (0, 30), (1, 1), (1, 2), (1, 30), (255, 2), (256, 2)]
        .map(|(level, entries)| node(level, entries))
        .to_vec()
}

/// Archives of few roots and blocks.
fn archives() -> Vec<Vec<u8>> {
    let blocks: Vec<Block> = CidClass::ALL
        .into_iter()
        .filter_map(|class| Block::verify(Cid::of_class(class, b"\x63Ada"), &b"\x63Ada"[..]).ok())
        .chain([Block::new(Codec::Raw, Vec::new()), Block::new(Codec::Raw, vec![7; 200])])
        .collect();
    [(0, 0), (1, 1), (2, 6), (6, 0)]
        .into_iter()
        .filter_map(|(roots, count)| {
            let roots: Vec<Cid> = blocks[..roots].iter().map(|block| *block.cid()).collect();
            let mut car = CarWriter::new(Vec::new(), &roots).ok()?;
            blocks[..count].iter().try_for_each(|block| car.put(block)).ok()?;
            car.finish().ok()
        })
        .collect()
}

fn main() -> std::io::Result<()> {
    let texts =
        cids().into_iter().filter_map(|cid| Some(Cid::from_bytes(&cid).ok()?.to_string().into_bytes()));
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, seeds) in [
        ("car", archives()),
        ("cid", cids().into_iter().chain(texts).collect::<Vec<_>>()),
        ("decode", blocks()),
        ("links", blocks()),
        ("tree_node", nodes()),
    ] {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        for (index, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{index:02}")), seed)?;
        }
        println!("{}: {} seeds", folder.display(), seeds.len());
    }
    Ok(())
}
