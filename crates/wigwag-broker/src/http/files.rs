//! Files of `http_dir`, for whoever brings a dashboard of their own.
//!
//! Only plain files inside the folder: its name is resolved, and so is that of each file, so that neither
//! `..` nor a link leads out of it.

use std::path::{Path, PathBuf};

use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};

/// Bytes of a file that is served; a dashboard has none that are larger.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// Serves the files of the folder, or nothing without one.
pub(super) fn serve(dir: Option<PathBuf>) -> MethodRouter {
    get(async move |uri: Uri| {
        let Some(dir) = dir else {
            return not_found();
        };
        let path = uri.path().to_owned();
        let read = tokio::task::spawn_blocking(move || read(&dir, &path)).await;
        match read {
            Ok(Some((kind, bytes))) => ([(CONTENT_TYPE, kind)], bytes).into_response(),
            _ => not_found(),
        }
    })
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "Not found.\n").into_response()
}

/// The file that a path names, with its media type.
fn read(dir: &Path, path: &str) -> Option<(&'static str, Vec<u8>)> {
    let dir = dir.canonicalize().ok()?;
    let name = path.trim_start_matches('/');
    let mut file = dir.join(name);
    if name.is_empty() || name.ends_with('/') {
        file.push("index.html");
    }
    let file = file.canonicalize().ok()?;
    let about = file.metadata().ok()?;
    if !file.starts_with(&dir) || !about.is_file() || about.len() > FILE_MAX {
        return None;
    }
    Some((media_type(&file), std::fs::read(&file).ok()?))
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
        let text = |path| {
            read(&dir, path).map(|(kind, bytes)| (kind, String::from_utf8(bytes).expect("text")))
        };
        let front = Some(("text/html; charset=utf-8", "front".to_owned()));
        assert_eq!((text("/"), text("/index.html")), (front.clone(), front));
        let code = Some(("text/javascript; charset=utf-8", "code".to_owned()));
        assert_eq!(text("/sub/app.js"), code);
        for path in [
            "/../secret",
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
