//! Puts the web assets that `src/lib.rs` embeds into `OUT_DIR/dist`.
//!
//! In this order: the folder named by `WIGWAG_UI_DIST`; a `web/dist` that is not older than the sources (this is how a
//! packaged crate does without Node); a build with npm inside `OUT_DIR`, because a build must not write among its
//! sources; a placeholder page. Lack of Node never fails the Rust build, it gives a warning and the placeholder.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::SystemTime;

/// What the web build reads, relative to `web/`. Tests, linters and the browser test are left out on purpose: changing
/// them changes no asset.
const INPUTS: &[&str] = &[
    ".npmrc",
    "build",
    "index.html",
    "package-lock.json",
    "package.json",
    "public",
    "src",
    "tsconfig.json",
    "vite.config.ts",
];

/// Lines of a failed npm run that go into the warning; the log file has them all.
const LOG_LINES_SHOWN: usize = 12;

fn main() {
    for variable in ["WIGWAG_UI_DIST", "WIGWAG_UI_SKIP", "DOCS_RS"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=placeholder");

    let crate_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let built = match prepare(&crate_dir, &out_dir) {
        Ok(Outcome::Built) => true,
        Ok(Outcome::LeftOut) => false,
        Err(error) => {
            println!("cargo::error=cannot prepare the web UI: {error}");
            process::exit(1);
        }
    };
    println!("cargo::rustc-env=WIGWAG_UI_BUILT={built}");
}

enum Outcome {
    Built,
    LeftOut,
}

fn prepare(crate_dir: &Path, out_dir: &Path) -> io::Result<Outcome> {
    let dist = out_dir.join("dist");
    if let Some(given) = env::var_os("WIGWAG_UI_DIST").filter(|value| !value.is_empty()) {
        use_given(Path::new(&given), &dist)?;
        return Ok(Outcome::Built);
    }
    if is_set("DOCS_RS") || is_set("WIGWAG_UI_SKIP") {
        embed_placeholder(crate_dir, &dist)?;
        return Ok(Outcome::LeftOut);
    }

    let web = Web::read(crate_dir)?;
    if web.has_current_dist(crate_dir)? {
        replace_dir(&web.dir.join("dist"), &dist)?;
        return Ok(Outcome::Built);
    }
    match web.build(out_dir, &dist) {
        Ok(()) => Ok(Outcome::Built),
        Err(problem) => {
            println!("cargo::warning=the web UI is left out: {problem}");
            println!(
                "cargo::warning=a placeholder page takes its place; WIGWAG_UI_SKIP=1 silences this"
            );
            // A path that is never there makes cargo run this script again: Node may have been installed since.
            println!(
                "cargo::rerun-if-changed={}",
                out_dir.join("retry").display()
            );
            embed_placeholder(crate_dir, &dist)?;
            Ok(Outcome::LeftOut)
        }
    }
}

fn is_set(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| !value.is_empty() && value != "0")
}

fn use_given(given: &Path, dist: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", given.display());
    if !given.join("index.html").is_file() {
        return Err(io::Error::other(format!(
            "WIGWAG_UI_DIST is {}, which has no index.html; it must name the output folder of the web build",
            given.display()
        )));
    }
    replace_dir(given, dist)
}

fn embed_placeholder(crate_dir: &Path, dist: &Path) -> io::Result<()> {
    forget_stamp(dist)?;
    replace_dir(&crate_dir.join("placeholder"), dist)
}

/// The web sources: where they are, which files count, and a fingerprint of their content.
struct Web {
    dir: PathBuf,
    files: Vec<PathBuf>,
    fingerprint: String,
}

impl Web {
    fn read(crate_dir: &Path) -> io::Result<Self> {
        let dir = crate_dir.join("web");
        let mut files = Vec::new();
        for input in INPUTS {
            let path = dir.join(input);
            println!("cargo::rerun-if-changed={}", path.display());
            collect_files(&path, &mut files)?;
        }
        files.sort();

        let mut hasher = DefaultHasher::new();
        for file in &files {
            relative(file, &dir).hash(&mut hasher);
            fs::read(file)?.hash(&mut hasher);
        }
        Ok(Self {
            dir,
            files,
            fingerprint: format!("{:016x}", hasher.finish()),
        })
    }

    /// Whether `web/dist` may be used as it is. A packaged crate is told by `Cargo.toml.orig`: its files all carry the
    /// time of unpacking, in any order.
    fn has_current_dist(&self, crate_dir: &Path) -> io::Result<bool> {
        let index = self.dir.join("dist/index.html");
        if !index.is_file() {
            return Ok(false);
        }
        println!("cargo::rerun-if-changed={}", index.display());
        if crate_dir.join("Cargo.toml.orig").is_file() {
            return Ok(true);
        }
        let built_at = modified(&index)?;
        for file in &self.files {
            if modified(file)? > built_at {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Builds in `OUT_DIR/web`. Does nothing when the last build there, or that of another profile, had the same inputs.
    fn build(&self, out_dir: &Path, dist: &Path) -> Result<(), String> {
        if is_built_from(dist, &self.fingerprint) {
            return Ok(());
        }
        if let Some(twin) = built_elsewhere(out_dir, &self.fingerprint) {
            return self.publish(&twin, dist);
        }
        if !npm()
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
        {
            return Err("npm was not found; install Node.js 20.19 or later".to_owned());
        }

        let work = out_dir.join("web");
        let log = out_dir.join("npm.log");
        self.copy_to(&work)
            .map_err(|error| format!("cannot copy its sources to {}: {error}", work.display()))?;
        install(&work, &log)?;
        run(npm().args(["run", "build"]).current_dir(&work), &log)?;
        self.publish(&work.join("dist"), dist)
    }

    /// The stamp goes first and comes last, so that it never vouches for half a folder.
    fn publish(&self, from: &Path, dist: &Path) -> Result<(), String> {
        forget_stamp(dist)
            .and_then(|()| replace_dir(from, dist))
            .and_then(|()| fs::write(stamp_path(dist), &self.fingerprint))
            .map_err(|error| format!("cannot write {}: {error}", dist.display()))
    }

    /// Copies the inputs and removes whatever else an earlier build left, except the installed packages.
    fn copy_to(&self, work: &Path) -> io::Result<()> {
        fs::create_dir_all(work)?;
        for entry in fs::read_dir(work)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name == "node_modules") {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        for file in &self.files {
            copy_file(file, &work.join(relative(file, &self.dir)))?;
        }
        Ok(())
    }
}

fn is_built_from(dist: &Path, fingerprint: &str) -> bool {
    dist.join("index.html").is_file()
        && fs::read_to_string(stamp_path(dist)).is_ok_and(|stamp| stamp == fingerprint)
}

/// Looks into the `OUT_DIR`s of this crate for other profiles (`target/*/build/wigwag-ui-*/out`): debug, release and
/// lints need not each install packages. Cargo promises no such layout; where it differs, nothing is found.
fn built_elsewhere(out_dir: &Path, fingerprint: &str) -> Option<PathBuf> {
    let target = out_dir.ancestors().nth(4)?;
    let profiles = fs::read_dir(target).ok()?.flatten();
    profiles
        .filter_map(|profile| fs::read_dir(profile.path().join("build")).ok())
        .flat_map(Iterator::flatten)
        .filter(|unit| unit.file_name().to_string_lossy().starts_with("wigwag-ui-"))
        .map(|unit| unit.path().join("out/dist"))
        .find(|dist| is_built_from(dist, fingerprint))
}

/// `npm ci`, unless the packages of exactly this lock file are there already. What only tests need is left out.
fn install(work: &Path, log: &Path) -> Result<(), String> {
    let installed = work.join("node_modules/.wigwag-lock");
    let lock = fs::read(work.join("package-lock.json"))
        .map_err(|error| format!("package-lock.json: {error}"))?;
    if fs::read(&installed).is_ok_and(|old| old == lock) {
        return Ok(());
    }
    let arguments = [
        "ci",
        "--omit=dev",
        "--prefer-offline",
        "--no-audit",
        "--no-fund",
        // Without a network, say so after seconds rather than minutes.
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=1000",
        "--fetch-retry-maxtimeout=5000",
    ];
    run(npm().args(arguments).current_dir(work), log)?;
    fs::write(&installed, lock).map_err(|error| format!("{}: {error}", installed.display()))
}

fn npm() -> Command {
    Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
}

fn run(command: &mut Command, log: &Path) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let mut text = output.stdout;
    text.extend_from_slice(&output.stderr);
    // The log is a convenience; the warning below carries the end of it in any case.
    let _ = fs::write(log, &text);
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    for line in &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..] {
        println!("cargo::warning=  {line}");
    }
    Err(format!(
        "{command:?} ended with {}; the whole log is in {}",
        output.status,
        log.display()
    ))
}

fn collect_files(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect_files(&entry?.path(), files)?;
        }
    } else if path.is_file() && !is_test(path) {
        files.push(path.to_owned());
    }
    Ok(())
}

fn is_test(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.contains(".test."))
}

fn replace_dir(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    let mut files = Vec::new();
    collect_files(from, &mut files)?;
    for file in files {
        copy_file(&file, &to.join(relative(&file, from)))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).map(drop)
}

fn relative<'a>(path: &'a Path, base: &Path) -> &'a Path {
    path.strip_prefix(base).unwrap_or(path)
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

fn stamp_path(dist: &Path) -> PathBuf {
    dist.with_extension("inputs")
}

fn forget_stamp(dist: &Path) -> io::Result<()> {
    match fs::remove_file(stamp_path(dist)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
