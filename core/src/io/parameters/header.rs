//! The header of a file, as JSON.

use core::fmt;
use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashSet;

/// What a header says of a tensor.
pub(super) struct Info {
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    /// Its first byte in the numbers, and the first byte after it.
    pub(super) place: (usize, usize),
}

impl Info {
    pub(super) fn of(value: &Value) -> Option<Self> {
        let sizes = |name: &str| -> Option<Vec<usize>> {
            value.get(name)?.as_array()?.iter().map(|size| usize::try_from(size.as_u64()?).ok()).collect()
        };
        let &[start, end] = &sizes("data_offsets")?[..] else { return None };
        Some(Info { dtype: value.get("dtype")?.as_str()?.to_owned(), shape: sizes("shape")?, place: (start, end) })
    }
}

/// The entries of an object, each name once. (`serde_json`'s own map keeps the last of a name and says nothing.)
pub(super) struct Entries(pub(super) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object with the tensors")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries, M::Error> {
                let (mut entries, mut names) = (Vec::new(), HashSet::new());
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !names.insert(name.clone()) {
                        return Err(M::Error::custom(format!("`{}` stands in it twice", name.escape_debug())));
                    }
                    entries.push((name, value));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
