//! Files of `http_dir`, for whoever brings a dashboard of their own.
//!
//! Only plain files inside the folder: its name is resolved, and so is that of each file, so that neither
//! `..` nor a link leads out of it. A file is read while it is sent, never as a whole.

use std::fs::File;
use std::io::{self, Read as _, Take};
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use futures_util::stream;
use tokio::task::spawn_blocking;

use super::query::unescaped;

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// Serves the files of the folder, or nothing without one.
pub(super) fn serve(dir: Option<PathBuf>) -> MethodRouter {
    get(async move |uri: Uri| {
        let Some(dir) = dir else {
            return not_found();
        };
        let path = uri.path().to_owned();
        let found = spawn_blocking(move || find(&dir, &path)).await;
        match found {
            Ok(Some(found)) => found.into_response(),
            _ => not_found(),
        }
    })
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "Not found.\n").into_response()
}

/// A file that may be sent.
struct Found {
    media_type: &'static str,
    len: u64,
    file: File,
}

impl Found {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, self.media_type.to_owned()),
            (CONTENT_LENGTH, self.len.to_string()),
        ];
        // Not more than was announced, should it grow.
        let chunks = stream::unfold(Some(self.file.take(self.len)), next_chunk);
        (headers, Body::from_stream(chunks)).into_response()
    }
}

type Chunk = io::Result<Vec<u8>>;

async fn next_chunk(file: Option<Take<File>>) -> Option<(Chunk, Option<Take<File>>)> {
    let mut file = file?;
    let read = spawn_blocking(move || {
        let mut chunk = vec![0; CHUNK];
        let len = file.read(&mut chunk)?;
        chunk.truncate(len);
        Ok((chunk, file))
    });
    match read
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
    {
        Ok((chunk, _)) if chunk.is_empty() => None,
        Ok((chunk, file)) => Some((Ok(chunk), Some(file))),
        Err(error) => Some((Err(error), None)),
    }
}

/// The file that a path names.
fn find(dir: &Path, path: &str) -> Option<Found> {
    let dir = dir.canonicalize().ok()?;
    let path = unescaped(path).filter(|path| !path.contains('\0'))?;
    let name = path.trim_start_matches('/');
    let mut file = dir.join(name);
    if name.is_empty() || name.ends_with('/') {
        file.push("index.html");
    }
    let file = file.canonicalize().ok()?;
    // Before it is opened: to open a pipe is to wait.
    if !file.starts_with(&dir) || !file.metadata().ok()?.is_file() {
        return None;
    }
    let media_type = media_type(&file);
    let file = File::open(file).ok()?;
    let len = file.metadata().ok()?.len();
    Some(Found {
        media_type,
        len,
        file,
    })
}

fn media_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("txt") => "text/plain; charset=utf-8",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_inside_the_folder_are_read() {
        let outside = tempfile::tempdir().expect("a folder");
        let dir = outside.path().join("www");
        std::fs::create_dir_all(dir.join("sub")).expect("made");
        std::fs::write(outside.path().join("secret"), "no").expect("written");
        std::fs::write(dir.join("index.html"), "front").expect("written");
        std::fs::write(dir.join("sub/app.js"), "code").expect("written");
        std::fs::write(dir.join("a b.txt"), "space").expect("written");
        let text = |path| {
            find(&dir, path).map(|mut found| {
                let mut text = String::new();
                found.file.read_to_string(&mut text).expect("text");
                assert_eq!(found.len, text.len() as u64);
                (found.media_type, text)
            })
        };
        let front = Some(("text/html; charset=utf-8", "front".to_owned()));
        assert_eq!((text("/"), text("/index.html")), (front.clone(), front));
        let code = Some(("text/javascript; charset=utf-8", "code".to_owned()));
        assert_eq!(text("/sub/app.js"), code);
        assert_eq!(
            text("/a%20b.txt").map(|(_, text)| text).as_deref(),
            Some("space")
        );
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "//etc/passwd",
            "/%2fetc/passwd",
            "/a%00",
            "/a%2",
            "/a%zz",
            "/a%ff",
            "/sub/../../secret",
            "/sub",
            "/nothing",
            "/sub/",
        ] {
            assert_eq!(text(path), None, "{path}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outside.path().join("secret"), dir.join("link"))
                .expect("linked");
            assert_eq!(text("/link"), None);
        }
    }
}
