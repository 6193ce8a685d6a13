//! Reading requests. What doesn't fit is a problem that names the field.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use tokio::sync::OwnedSemaphorePermit;

use super::{It, Shared};
use crate::error::{Problem, ProblemKind};
use crate::invalid::{Invalid, quoted};
use crate::name::{PortRef, SwitchRef};
use crate::percent;
use crate::values::{AttachmentId, NetworkName};

/// A value that a path segment can be, its percent-encoding undone.
pub(super) trait FromSegment: Sized {
    fn from_segment(bytes: Vec<u8>) -> Result<Self, Invalid>;
}

impl FromSegment for SwitchRef {
    fn from_segment(bytes: Vec<u8>) -> Result<Self, Invalid> {
        Self::from_bytes(bytes)
    }
}

impl FromSegment for PortRef {
    fn from_segment(bytes: Vec<u8>) -> Result<Self, Invalid> {
        Self::from_bytes(bytes)
    }
}

impl FromSegment for NetworkName {
    fn from_segment(bytes: Vec<u8>) -> Result<Self, Invalid> {
        String::from_utf8_lossy(&bytes).parse()
    }
}

impl FromSegment for AttachmentId {
    fn from_segment(bytes: Vec<u8>) -> Result<Self, Invalid> {
        String::from_utf8_lossy(&bytes).parse()
    }
}

impl FromSegment for String {
    fn from_segment(bytes: Vec<u8>) -> Result<Self, Invalid> {
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The variable segments of the path, in order.
///
/// axum's own extractor wants UTF-8; names are any bytes.
pub(super) struct Path<T>(pub T);

/// A name and the encoded segment for each variable of the route.
fn segments(parts: &Parts) -> Vec<(String, Vec<u8>)> {
    let Some(template) = parts.extensions.get::<MatchedPath>() else { return Vec::new() };
    // From the end, so that it doesn't matter where the router is nested.
    let segments = parts.uri.path().rsplit('/').zip(template.as_str().rsplit('/'));
    let mut found: Vec<_> = segments
        .filter_map(|(segment, name)| {
            let name = name.strip_prefix('{')?.strip_suffix('}')?;
            Some((name.to_owned(), segment.as_bytes().to_vec()))
        })
        .collect();
    found.reverse();
    found
}

fn parse<T: FromSegment>(segment: Option<(String, Vec<u8>)>) -> Result<T, Problem> {
    let Some((name, encoded)) = segment else {
        return Err(Problem::new(ProblemKind::Internal, "A route has too few variables."));
    };
    let bytes = percent::decode(&encoded)
        .map_err(|error| Invalid::new("percent-encoding", error.to_string()));
    bytes
        .and_then(T::from_segment)
        .map_err(|error| Problem::invalid(&error).parameter("path", &name))
}

macro_rules! path {
    ($($part:ident),+) => {
        impl<S: Sync, $($part: FromSegment),+> FromRequestParts<S> for Path<($($part,)+)> {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                let mut segments = segments(parts).into_iter();
                Ok(Self(($(parse::<$part>(segments.next())?,)+)))
            }
        }
    };
}

path!(A);
path!(A, B);
path!(A, B, C);
path!(A, B, C, D);

/// The query. Parameters that the call doesn't have are refused: a typing
/// error in `?force` must not pass as "no".
pub(super) struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(pairs).map(Self).map_err(|error| {
            let path = error.path().to_string();
            let message = error.into_inner().to_string();
            let (kind, named) = kind_of(&message);
            Problem::new(kind, sentence(&message))
                .parameter("query", named.as_deref().unwrap_or(&path))
        })
    }
}

/// A JSON body.
pub(super) struct Json<T>(pub T);

/// A JSON body that may be left out; it is the default value then.
pub(super) struct OptionalBody<T>(pub T);

/// The bytes of a JSON body that may be as large as a whole document.
pub(super) struct LargeBody(pub Bytes, pub Room);

/// The bytes of a backup.
pub(super) struct BackupBody(pub Bytes, pub Room);

/// The room that a large body takes, until this is dropped; `None` for a small one.
pub(super) type Room = Option<OwnedSemaphorePermit>;

impl<T: DeserializeOwned> FromRequest<It> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, it: &It) -> Result<Self, Problem> {
        is_json(&request)?;
        let bytes = read(request, it, it.limits.body).await?;
        from_json(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<It> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, it: &It) -> Result<Self, Problem> {
        let declared = is_json(&request);
        let bytes = read(request, it, it.limits.body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        declared?;
        from_json(&bytes).map(Self)
    }
}

impl FromRequest<It> for LargeBody {
    type Rejection = Problem;

    async fn from_request(request: Request, it: &It) -> Result<Self, Problem> {
        large(request, it, it.limits.document).await.map(|(body, room)| Self(body, room))
    }
}

impl FromRequest<It> for BackupBody {
    type Rejection = Problem;

    async fn from_request(request: Request, it: &It) -> Result<Self, Problem> {
        large(request, it, it.limits.backup).await.map(|(body, room)| Self(body, room))
    }
}

/// Insisting on the media type keeps web pages of other sites out: browsers
/// ask before they send JSON across sites, and are refused then.
fn is_json(request: &Request) -> Result<(), Problem> {
    let declared = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = declared.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let is_json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json {
        return Ok(());
    }
    let found = declared.map_or("no Content-Type".to_owned(), quoted);
    let detail = format!("The body must be declared as application/json; found {found}.");
    Err(Problem::new(ProblemKind::UnsupportedMediaType, detail))
}

fn declared_length(request: &Request) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A JSON body that may be large, and the room that it takes.
async fn large(request: Request, it: &It, limit: usize) -> Result<(Bytes, Room), Problem> {
    is_json(&request)?;
    let room = room(&request, it, limit)?;
    Ok((read(request, it, limit).await?, room))
}

/// Room for a body that may be large: as much as is declared, or as it may
/// have. Many at once would take more memory than there is. One that is too
/// large by its own word gets none: it isn't read.
fn room(request: &Request, it: &Arc<Shared>, limit: usize) -> Result<Room, Problem> {
    let length = declared_length(request).unwrap_or(limit as u64);
    if length <= it.limits.body as u64 || length > limit as u64 {
        return Ok(None);
    }
    let wanted = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
    let room = Arc::clone(&it.room).try_acquire_many_owned(wanted);
    room.map(Some).map_err(|_| {
        let detail = "Other large bodies are being read or worked off right now.";
        Problem::new(ProblemKind::TooManyRequests, detail)
    })
}

async fn read(request: Request, it: &Arc<Shared>, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("The body has more than {limit} bytes.");
        Problem::new(ProblemKind::BodyTooLarge, detail).with("limit", limit)
    };
    if declared_length(&request).is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), limit).collect();
    match tokio::time::timeout(it.limits.body_timeout, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            let detail = format!("The body broke off: {error}.");
            Err(Problem::new(ProblemKind::InvalidJson, detail))
        }
        Err(_) => {
            let seconds = it.limits.body_timeout.as_secs_f64();
            let detail = format!("The body was not there within {seconds} s.");
            Err(Problem::new(ProblemKind::RequestTimeout, detail))
        }
    }
}

/// Reads JSON; a problem with it says where by a JSON pointer.
pub(super) fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                Segment::Map { key } | Segment::Enum { variant: key } => push(&mut pointer, key),
                Segment::Unknown => {}
            }
        }
        json_problem(&error.into_inner(), pointer)
    })?;
    reader.end().map_err(|error| json_problem(&error, String::new()))?;
    Ok(value)
}

/// One step more of a JSON pointer (RFC 6901, 3).
fn push(pointer: &mut String, key: &str) {
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
}

fn json_problem(error: &serde_json::Error, mut pointer: String) -> Problem {
    let message = error.to_string();
    if !error.is_data() {
        let detail = format!("The body is not JSON: {message}.");
        return Problem::new(ProblemKind::InvalidJson, detail)
            .with("line", error.line())
            .with("column", error.column());
    }
    // The pointer says where it is; serde_json's position says it less well.
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    let (kind, named) = kind_of(message);
    if let Some(name) = named {
        push(&mut pointer, &name);
    }
    Problem::new(kind, sentence(message)).at(pointer)
}

/// Which problem serde's message is, and the field that it names. serde has no
/// other way to tell; the tests hold it to these words.
fn kind_of(message: &str) -> (ProblemKind, Option<String>) {
    let named = |prefix: &str| {
        let rest = message.strip_prefix(prefix)?;
        let end = rest.find("`, ").or_else(|| rest.strip_suffix('`').map(str::len))?;
        rest.get(..end).map(str::to_owned)
    };
    if let Some(name) = named("unknown field `") {
        (ProblemKind::UnknownField, Some(name))
    } else if let Some(name) = named("missing field `") {
        (ProblemKind::MissingField, Some(name))
    } else {
        (ProblemKind::InvalidValue, named("duplicate field `"))
    }
}

fn sentence(message: &str) -> String {
    let mut text: String = message.trim_end_matches('.').to_owned();
    text.push('.');
    text
}
