//! Nodes and edges by the first digits of their ids.

use super::entity::Entity;
use super::error::{RepoError, damaged_key};
use super::snapshot::Snapshot;
use crate::id::{EdgeId, EntityId, NodeId};
use crate::tree::{KeyRange, Order};

impl Snapshot {
    /// Returns the nodes, then the edges, whose ids begin with these digits, in order; of many, the first `limit` of each.
    /// Hyphens may be left out. What is no beginning of an id begins none.
    pub fn starting_with(&self, digits: &str, limit: usize) -> Result<Vec<EntityId>, RepoError> {
        let Some((least, greatest)) = bounds(digits) else { return Ok(Vec::new()) };
        let nodes = self.keys_between::<NodeId>(least, greatest, limit)?;
        let edges = self.keys_between::<EdgeId>(least, greatest, limit)?;
        let nodes = nodes.into_iter().map(|id| NodeId::from_bytes(id).into());
        Ok(nodes.chain(edges.into_iter().map(|id| EdgeId::from_bytes(id).into())).collect())
    }

    fn keys_between<E: Entity>(
        &self,
        least: [u8; 16],
        greatest: [u8; 16],
        limit: usize,
    ) -> Result<Vec<[u8; 16]>, RepoError> {
        let Some(root) = self.root::<E>() else { return Ok(Vec::new()) };
        let range = KeyRange::new::<[u8; 16], _>(least..=greatest);
        let entries = self.tree(root).range(range, Order::Ascending).take(limit);
        entries.map(|entry| entry?.key[..].try_into().map_err(|_| damaged_key())).collect()
    }
}

/// Returns the least and the greatest id that begin with these digits; `None` if no id does.
fn bounds(digits: &str) -> Option<([u8; 16], [u8; 16])> {
    let (mut least, mut greatest) = ([0x00; 16], [0xff; 16]);
    let mut at = 0;
    for digit in digits.bytes() {
        // Hyphens stand where the text of an id has them, or nowhere.
        if digit == b'-' && matches!(at, 8 | 12 | 16 | 20) {
            continue;
        }
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        let (low, high) = (least.get_mut(at / 2)?, greatest.get_mut(at / 2)?);
        let (mask, shift) = if at % 2 == 0 { (0x0f, 4) } else { (0xf0, 0) };
        *low = *low & mask | value << shift;
        *high = *high & mask | value << shift;
        at += 1;
    }
    (at > 0).then_some((least, greatest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_bound_the_ids_that_begin_with_them() {
        let id = NodeId::from_bytes(*b"0123456789abcdef");
        let text = id.to_string();
        for end in 1..=text.len() {
            let (least, greatest) = bounds(&text[..end]).unwrap();
            assert!(least <= *id.as_bytes() && *id.as_bytes() <= greatest, "{}", &text[..end]);
        }
        assert_eq!(bounds(&text), Some((*id.as_bytes(), *id.as_bytes())));
        assert_eq!(bounds(&text.replace('-', "")), bounds(&text));
        let (least, greatest) = bounds("30b").unwrap();
        assert_eq!((least[0], least[1], greatest[0], greatest[1]), (0x30, 0xb0, 0x30, 0xbf));
    }

    #[test]
    fn what_begins_no_id_has_no_bounds() {
        for other in ["", "-", "g", "30B", "3-0", "303132333435363738396162636465660", "é"] {
            assert_eq!(bounds(other), None, "{other}");
        }
    }
}
