//! Recording what may be there already, by a natural key.

use super::Transaction;
use crate::codec::Writer;
use crate::id::NodeId;
use crate::object::Labels;
use crate::repo::error::RepoError;
use crate::value::{IntoProps, Value};

impl NodeId {
    /// Returns the id of the node that [`Transaction::upsert_node`] records under this key. Bytes: FORMAT.md, "Ids".
    pub fn of_property(label: &str, name: &str, value: &Value) -> NodeId {
        let mut key = Writer::new();
        key.text(name);
        value.write(&mut key);
        NodeId::of_key(label, key.as_bytes())
    }
}

impl Transaction {
    /// Records the node with this label that is known by this value of a property, or changes it if it is there: it gets
    /// the label, the property and `props`; what else it has stays. Returns its id.
    ///
    /// The id is made of label, name and value. So whoever records the same, on another branch or at the same time,
    /// records the same node, and a merge makes one of both; a search by value would find nothing there and make two.
    /// For the same reason, a node that carries the value under another id is another node.
    pub fn upsert_node(
        &mut self,
        label: &str,
        name: &str,
        value: impl Into<Value>,
        props: impl IntoProps,
    ) -> Result<NodeId, RepoError> {
        let value = value.into();
        let id = NodeId::of_property(label, name, &value);
        let mut props = props.into_props()?;
        props.set(name, value)?;
        let Some(node) = self.get(id)? else {
            self.add_node_as(id, label, props)?;
            return Ok(id);
        };
        if !node.labels.has(label) {
            let labels = node.labels.iter().map(|there| &**there);
            self.set_labels(id, Labels::new(labels.chain([label]))?)?;
        }
        for (name, value) in props.iter().filter(|(name, value)| node.props.value(name) != Some(*value)) {
            self.set(id, name, value.clone())?;
        }
        Ok(id)
    }
}
