//! Bodies that callers write: strict, but an answer may be sent back.
//!
//! Unknown fields are refused, so that a typing error never passes silently.
//! The fields that only the controller writes are listed by name with each
//! body, and are skipped: what GET returned can be edited and PUT.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, Visitor};

/// A body with its read-only names; [`written!`] implements it.
pub(crate) trait Written<'de>: Sized {
    /// The fields of the answer that a caller may send back unread.
    const READ_ONLY: &'static [&'static str];

    /// Reads the fields that a caller writes, and refuses all others.
    fn read<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

/// Reads a body, its read-only fields skipped.
pub(crate) fn deserialize<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Written<'de>,
{
    from.deserialize_map(Body(PhantomData))
}

struct Body<T>(PhantomData<T>);

impl<'de, T: Written<'de>> Visitor<'de> for Body<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::read(MapAccessDeserializer::new(Skipping { map, names: T::READ_ONLY }))
    }
}

/// A map without the entries of these names.
struct Skipping<A> {
    map: A,
    names: &'static [&'static str],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Skipping<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if !self.names.contains(&key.as_str()) {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
            self.map.next_value::<IgnoredAny>()?;
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Makes a type with `#[serde(remote = "Self", deny_unknown_fields)]` a body
/// whose answer has these read-only fields besides.
macro_rules! written {
    ($type:ty, [$($name:literal),* $(,)?]) => {
        impl<'de> crate::read_only::Written<'de> for $type {
            const READ_ONLY: &'static [&'static str] = &[$($name),*];

            fn read<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <$type>::deserialize(from)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                crate::read_only::deserialize(from)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                <$type>::serialize(self, serializer)
            }
        }
    };
}

pub(crate) use written;
