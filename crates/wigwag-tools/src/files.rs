//! Files that are replaced as a whole, and the system's words for why that failed.
//!
//! What stands in them is the business of who calls.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// For nobody but the owner: there are passwords in these files.
const SECRET: u32 = 0o600;

/// What went wrong, in the system's words and without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Writes a file anew, whether or not it is there.
pub(crate) fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(_) => replace(path, text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, text),
        Err(error) => Err(error),
    }
}

/// Writes a file that is not there yet.
pub(crate) fn create(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(SECRET)
        .open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Puts a text in the place of a file's, whose owner and mode stay. Whoever reads the file, or finds it after a power cut,
/// has the one or the other.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    // A link stays one, and what it leads to is replaced.
    let path = fs::canonicalize(path)?;
    if fs::metadata(&path)?.is_dir() {
        return Err(nix::errno::Errno::EISDIR.into());
    }
    // Who may not write the file may not put another in its place, although the folder would allow it.
    let old = OpenOptions::new().write(true).open(&path)?;
    let new = beside(&path);
    let replaced = write_beside(&new, text, &old).and_then(|()| fs::rename(&new, &path));
    match replaced {
        Ok(()) => sync_folder(&path),
        Err(error) => {
            _ = fs::remove_file(&new);
            match error.kind() {
                // The file is mounted on its own, or its folder belongs to somebody else.
                io::ErrorKind::ResourceBusy
                | io::ErrorKind::CrossesDevices
                | io::ErrorKind::PermissionDenied => overwrite(&old, text),
                _ => Err(error),
            }
        }
    }
}

fn write_beside(new: &Path, text: &[u8], old: &File) -> io::Result<()> {
    // Left behind by a crash, or somebody else's link to somewhere.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create(new, text)?;
    let (old, file) = (old.metadata()?, File::open(new)?);
    if (old.uid(), old.gid()) != (file.metadata()?.uid(), file.metadata()?.gid()) {
        std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
}

fn overwrite(mut old: &File, text: &[u8]) -> io::Result<()> {
    old.set_len(0)?;
    old.write_all(text)?;
    old.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder for the test")
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_mode_and_the_links_to_it() {
        let folder = folder();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&path, "before").expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        std::os::unix::fs::symlink(&path, &link).expect("writable");
        write(&link, b"after").expect("writable");
        assert_eq!(fs::read(&path).expect("there"), b"after");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 2);
    }

    #[test]
    fn a_new_file_is_for_its_owner_alone() {
        let folder = folder();
        let path = folder.path().join("file");
        write(&path, b"text").expect("writable");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        let error = create(&path, b"other").expect_err("it is there");
        assert_eq!(reason(&error), "File exists");
        let error = write(folder.path(), b"text").expect_err("a folder");
        assert_eq!(reason(&error), "Is a directory");
    }
}
