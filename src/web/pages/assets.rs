//! What the pages load from here: one style sheet, one script. Their addresses name what is in them, so that a browser may
//! keep them for ever.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// A file that is part of the program.
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
    mark: LazyLock<String>,
}

/// The look.
pub static STYLE: Asset = Asset {
    name: "keymend.css",
    content_type: "text/css; charset=utf-8",
    content: include_str!("keymend.css"),
    mark: LazyLock::new(|| mark(include_str!("keymend.css"))),
};

/// The little that moves.
pub static SCRIPT: Asset = Asset {
    name: "keymend.js",
    content_type: "text/javascript; charset=utf-8",
    content: include_str!("keymend.js"),
    mark: LazyLock::new(|| mark(include_str!("keymend.js"))),
};

fn mark(content: &str) -> String {
    hex::encode(Sha256::digest(content.as_bytes())).chars().take(12).collect()
}

impl Asset {
    /// Where it is.
    #[must_use]
    pub fn address(&self) -> String {
        format!("/api/assets/{}?v={}", self.name, *self.mark)
    }

    /// Its mark: another one, and pages that name it are other pages.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    fn answer(&self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.content_type)),
            (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        ];
        (StatusCode::OK, headers, self.content).into_response()
    }
}

/// The file of that name, if there is one. They hold nothing that anybody may not see.
#[must_use]
pub(super) fn answer(name: &str) -> Option<Response> {
    [&STYLE, &SCRIPT].into_iter().find(|asset| asset.name == name).map(|asset| asset.answer())
}
