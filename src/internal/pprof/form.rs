//! The forms in which profiles are given.

use axum::{http::StatusCode, response::Response};

use super::{Query, Refusal, attachment, picture, text};
use crate::internal::profile::Profile;

/// For tools, for eyes, for terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Pprof,
    Svg,
    Text,
}

impl Form {
    /// `format=pprof`, which need not be said, `svg` or `text`.
    pub(super) fn asked(query: &Query) -> Result<Self, Refusal> {
        Ok(match query.word("format", &["pprof", "svg", "text"])? {
            "svg" => Self::Svg,
            "text" => Self::Text,
            _ => Self::Pprof,
        })
    }

    /// The profile in this form: kept under `name` by those who save it, shown under `title`. Blocks for milliseconds.
    ///
    /// # Errors
    /// A 404 where there is nothing to draw.
    pub(super) fn answer(self, profile: &Profile, name: &str, title: &str) -> Result<Response, Refusal> {
        match self {
            Self::Pprof => Ok(attachment(name, profile.pprof())),
            Self::Text => Ok(text(profile.text(title))),
            Self::Svg => profile.svg(title).map(picture).map_err(|reason| Refusal::new(StatusCode::NOT_FOUND, reason)),
        }
    }
}
