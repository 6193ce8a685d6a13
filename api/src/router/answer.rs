//! Writing answers.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::{PROBLEM_JSON, Problem, ProblemKind};
use crate::types::{Ack, Acknowledge, Changed, Pending};

/// What a handler returns.
pub(super) type Answer = Result<Response, Problem>;

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        match self.kind() {
            ProblemKind::Unauthorized => {
                headers
                    .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"isolane\""));
            }
            ProblemKind::TooManyRequests
            | ProblemKind::TooManyConnections
            | ProblemKind::NotReady
            | ProblemKind::StoreUnavailable
            | ProblemKind::SwitchAway => {
                let seconds = self.member("retry_after").and_then(serde_json::Value::as_u64);
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds.unwrap_or(1)));
            }
            _ => {}
        }
        response
    }
}

/// 200 and the body.
pub(super) fn ok(body: impl Serialize) -> Answer {
    Ok(Json(body).into_response())
}

/// 201, 200 or 202, and the object as it is now.
pub(super) fn changed<T: Acknowledge + Serialize>(change: Changed<T>) -> Answer {
    let (status, body) = change.answer();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    Ok((status, Json(body)).into_response())
}

/// 204, or 202 and what is waited for.
pub(super) fn removed(ack: Ack) -> Answer {
    Ok(match ack {
        Ack::Installed => StatusCode::NO_CONTENT.into_response(),
        Ack::Pending(reasons) => {
            (StatusCode::ACCEPTED, Json(Pending::new(reasons))).into_response()
        }
    })
}
