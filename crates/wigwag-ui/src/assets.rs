//! The embedded files and the response for one path: page, file or nothing.
//!
//! The web build leaves `.br` and `.gz` twins beside the files worth it; they are picked by `Accept-Encoding` and have
//! no address of their own. Headers that every response carries are set by the crate root.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::negotiation::{Encoding, accepted_encodings, matches_etag};

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/dist"]
struct Dist;

const INDEX: &str = "index.html";

/// Folder of the files whose names carry a hash of their content.
const HASHED: &str = "assets/";

/// What `index.html` says of where its files are, true for pages at the root.
const BASE_AT_ROOT: &str = r#"<base href="./""#;

pub(crate) fn respond(path: &str, request: &HeaderMap) -> Response {
    let name = path.trim_start_matches('/');
    if is_page(name) {
        return page(path, request);
    }
    match Dist::get(name) {
        Some(file) if Encoding::of_twin(name).is_none() => Asset::new(name, file).respond(request),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Files are at the top or hashed; whatever else is deeper is a page, whose address may end in the name of a topic or
/// a device, with a dot. A file that is missing must be 404 and not a page: a script tag that gets HTML fails with a
/// message that helps nobody.
fn is_page(name: &str) -> bool {
    let may_be_file = !name.contains('/') && name.contains('.');
    name == INDEX || (!name.starts_with(HASHED) && !may_be_file)
}

/// `index.html`, its base pointing back to the root however deep the page's address is. That keeps every other address
/// in the application relative, which a proxy with a prefix needs.
fn page(path: &str, request: &HeaderMap) -> Response {
    let Some(file) = Dist::get(INDEX) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let asset = Asset::new(INDEX, file);
    match path.trim_start_matches('/').matches('/').count() {
        0 => asset.respond(request),
        depth => asset.at_depth(depth).respond(request),
    }
}

struct Asset<'a> {
    name: &'a str,
    body: Cow<'static, [u8]>,
    /// Opaque and without quotes; differs for every content.
    tag: String,
    has_twins: bool,
}

impl<'a> Asset<'a> {
    fn new(name: &'a str, file: EmbeddedFile) -> Self {
        let hash = file.metadata.sha256_hash();
        let tag = hash[..12]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            name,
            body: file.data,
            tag,
            has_twins: true,
        }
    }

    fn at_depth(mut self, depth: usize) -> Self {
        let base = format!(r#"<base href="{}""#, "../".repeat(depth));
        let page = String::from_utf8_lossy(&self.body).replacen(BASE_AT_ROOT, &base, 1);
        self.body = Cow::Owned(page.into_bytes());
        self.tag = format!("{}-{depth}", self.tag);
        self.has_twins = false;
        self
    }

    fn respond(mut self, request: &HeaderMap) -> Response {
        let encoding = self.take_twin(request);
        let tag = format!("\"{}\"", self.tag);
        let common = [
            (ETAG, tag.as_str()),
            (CACHE_CONTROL, self.cache_control()),
            (VARY, "accept-encoding"),
        ];
        if matches_etag(request, &tag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let mut response = (
            common,
            [(CONTENT_TYPE, media_type(self.name))],
            Body::from(self.body),
        )
            .into_response();
        if let Some(encoding) = encoding {
            response
                .headers_mut()
                .insert(CONTENT_ENCODING, encoding.header());
        }
        response
    }

    /// Takes the place of its smallest twin that the client can read.
    fn take_twin(&mut self, request: &HeaderMap) -> Option<Encoding> {
        if !self.has_twins {
            return None;
        }
        let (encoding, twin) = accepted_encodings(request).find_map(|encoding| {
            Some((
                encoding,
                Dist::get(&format!("{}{}", self.name, encoding.extension()))?,
            ))
        })?;
        self.body = twin.data;
        self.tag = format!("{}{}", self.tag, encoding.extension());
        Some(encoding)
    }

    fn cache_control(&self) -> &'static str {
        if self.name.starts_with(HASHED) {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        }
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = Cow<'static, str>> {
    Dist::iter()
}
