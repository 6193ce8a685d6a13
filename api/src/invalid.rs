//! Why a value is not what it should be.

/// A value that was refused: what it must be, and what was found.
///
/// Where it stood (a JSON pointer, a query parameter, a path segment) is added
/// by whoever knows it, see [`Problem::at`](crate::Problem::at).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Invalid {
    /// What kind of value it should have been, such as `network name`.
    pub what: &'static str,
    /// What was wrong with it and what is accepted.
    pub why: String,
}

impl Invalid {
    /// A refusal of a `what`, because of `why`.
    pub fn new(what: &'static str, why: impl Into<String>) -> Self {
        Self { what, why: why.into() }
    }
}

/// The start of a text that somebody sent, fit for a message: what doesn't
/// print is escaped, and what is long is cut.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 64;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Serde and OpenAPI for a type that is one string outside: it parses with
/// `FromStr` (error [`Invalid`]) and prints with `Display`.
macro_rules! text {
    ($type:ty, $expecting:literal, |$schema:ident| $build:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                from.deserialize_str(Text)
            }
        }

        crate::invalid::text_schema!($type, |$schema| $build);
    };
}

/// The OpenAPI schema of a type that is one string outside.
macro_rules! text_schema {
    ($type:ty, |$schema:ident| $build:expr) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                let $schema = utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String);
                $build.build().into()
            }
        }

        impl utoipa::ToSchema for $type {}
    };
}

pub(crate) use {text, text_schema};
