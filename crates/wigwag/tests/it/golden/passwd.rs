//! `passwd` beside `mosquitto_passwd`: what is said and with which code it ends, and what it leaves in the file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Golden, Run, run};
use crate::broker::{Kind, free_port};
use crate::configured::Configured;
use crate::tools;

const SAYS_WHAT_IT_DID: &str = "2.1 says what it did";
const KEEPS_COMMENTS: &str =
    "our brokers read comments and lines without a colon over, so the tool keeps them";

/// Wrong command lines: nothing is touched.
const WRONG: &[Run] = &[
    run("-c"),
    run("-c {folder}/f"),
    run("-c -b {folder}/f"),
    run("-c -b {folder}/f u"),
    run("-D"),
    run("-D {folder}/f"),
    run("-U"),
    run("-U {folder}/f g"),
    run("-H"),
    run("-I"),
    run("-H md5 {folder}/f u"),
    run("-I 0 -b {folder}/f u p"),
    run("-I -5 -b {folder}/f u p"),
    run("-c -D {folder}/f u"),
    run("-c -U {folder}/f"),
    run("-D -U {folder}/f"),
    run("-b -D {folder}/f u"),
    run("-b {folder}/f a:b p"),
    run("-c -b {folder}/g a:b p"),
    run("-b {folder}/f 'a\tb' p"),
    run("-I x -b {folder}/f u p"),
];

/// Files that are not there or cannot be written.
const FILES: &[Run] = &[
    run("{folder}/none u"),
    run("-b {folder}/none u p"),
    run("-D {folder}/none u"),
    run("-U {folder}/none"),
    run("-c -b {folder}/none/f u p"),
    run("-c -b {folder} u p"),
    run("-b {folder} u p"),
    run("-D {folder}/f nobody"),
    run("-D {folder}/empty nobody"),
];

/// Passwords that are asked for.
const ASKED: &[Run] = &[
    run("{folder}/f alice"),
    run("-c {folder}/g alice"),
    run("{folder}/f alice").input("\n"),
    run("{folder}/f alice").input("a\n"),
    run("{folder}/f alice").input("a\nb\n"),
    run("-c {folder}/g alice").input("a\nb\n"),
    run("{folder}/f alice").input("a\na\n").differs(
        SAYS_WHAT_IT_DID,
        "Password: \nReenter password: \nUpdating password for user alice\n",
        "",
        0,
    ),
    run("-c {folder}/g carol").input("a\r\na\n").differs(
        SAYS_WHAT_IT_DID,
        "Password: \nReenter password: \nAdding password for user carol\n",
        "",
        0,
    ),
];

/// What is done.
const DONE: &[Run] = &[
    run("-D {folder}/f alice"),
    run("-H sha512 -U {folder}/plain"),
    run("-U {folder}/plain"),
    run("-b {folder}/f alice p").differs(
        SAYS_WHAT_IT_DID,
        "Updating password for user alice\n",
        "",
        0,
    ),
    run("-b {folder}/f carol p").differs(
        SAYS_WHAT_IT_DID,
        "Adding password for user carol\n",
        "",
        0,
    ),
    run("-H sha512 -b {folder}/f carol p").differs(
        SAYS_WHAT_IT_DID,
        "Adding password for user carol\n",
        "",
        0,
    ),
    run("-H sha512-pbkdf2 -I 7 -b {folder}/f carol p").differs(
        SAYS_WHAT_IT_DID,
        "Adding password for user carol\n",
        "",
        0,
    ),
    run("-c -b {folder}/g carol p").differs(
        SAYS_WHAT_IT_DID,
        "Adding password for user carol\n",
        "",
        0,
    ),
    run("-U {folder}/comments").differs(KEEPS_COMMENTS, "", "", 0),
    run("-b {folder}/comments carol p").differs(
        KEEPS_COMMENTS,
        "Adding password for user carol\n",
        "",
        0,
    ),
    run("-U {folder}/empty").differs("an empty file has nothing to be hashed", "", "", 0),
    run("-b {folder}/f '' p").differs(
        "a file with such a line can be read by nobody",
        "",
        "Error: a user name needs at least one character.\n",
        1,
    ),
    run("-H argon2id -I 7 -b {folder}/f carol p").differs(
        "2.1 takes the rounds and then does not use them",
        "",
        "Error: -I is for sha512-pbkdf2 and scram-sha-256; argon2id has no iterations.\n",
        1,
    ),
    run("-H argon2id -b {folder}/f carol p").differs(
        "2.0 does not know this hash",
        "Adding password for user carol\n",
        "",
        0,
    ),
];

fn golden() -> Golden {
    Golden::new("mosquitto_passwd", "passwd", 0)
}

/// What the rows find, each time.
fn put_files(folder: &Path) {
    const HASH: &str = "$7$5$FMwqkQJvbhTofHRD$xwCzJiTFiySQazQ4my19QGcKyogMeU+IVi1967bcpPwmlLfGNB26s0dong+jE1cPJoyySYqbFrz+KoE0OEZEjQ==";
    for (name, text) in [
        ("f", format!("alice:{HASH}\nbob:{HASH}\n")),
        ("plain", "alice:a\nbob: b\n".to_owned()),
        ("comments", "# of ours\nalice:a\n\nno colon\n".to_owned()),
        ("empty", String::new()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    _ = fs::remove_file(folder.join("g"));
}

#[test]
fn it_says_what_mosquittos_says() {
    let golden = golden();
    for table in [WRONG, FILES, ASKED, DONE] {
        golden.play(table, || put_files(golden.folder()));
    }
}

/// Runs ours, which has nothing to say against it.
fn done(words: &[&str]) {
    let output = tools::wigwag().arg("passwd").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
}

#[test]
fn a_file_keeps_its_comments_its_mode_and_what_is_hashed_already() {
    let golden = golden();
    put_files(golden.folder());
    let file = golden.folder().join("comments");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let path = file.to_str().unwrap();
    done(&["-U", path]);
    let hashed = fs::read_to_string(&file).unwrap();
    done(&["-U", path]);
    assert_eq!(fs::read_to_string(&file).unwrap(), hashed);
    done(&["-b", path, "carol", "c"]);
    done(&["-D", path, "carol"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), hashed);
    let lines: Vec<&str> = hashed.lines().collect();
    let [first, alice, empty, last] = lines.as_slice() else {
        panic!("not four lines: {hashed}");
    };
    assert_eq!((*first, *empty, *last), ("# of ours", "", "no colon"));
    assert!(alice.starts_with("alice:$argon2id$v=19$m="), "{alice}");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn a_new_file_is_for_its_owner_alone_or_for_the_output() {
    let golden = golden();
    let file = golden.folder().join("g");
    done(&["-c", "-b", file.to_str().unwrap(), "alice", "a"]);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let words = ["passwd", "-c", "-b", "-", "alice", "a"];
    let output = tools::wigwag().args(words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("alice:$argon2id$"), "{text}");
    let words = ["passwd", "--json", "-b", file.to_str().unwrap(), "bob", "b"];
    let output = tools::wigwag().args(words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(r#"{"action":"added","file":""#), "{text}");
}

#[test]
fn both_brokers_let_in_who_is_in_the_files_of_both_tools() {
    for (kind, tool) in [
        (Kind::Wigwag, "/usr/bin/mosquitto_passwd"),
        (Kind::Mosquitto, env!("CARGO_BIN_EXE_wigwag")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwords");
        for (user, hash) in [("alice", "sha512-pbkdf2"), ("bob", "sha512")] {
            let mut command = std::process::Command::new(tool);
            if kind == Kind::Mosquitto {
                command.arg("passwd");
            }
            let create: &[&str] = if user == "alice" { &["-c"] } else { &[] };
            command.args(["-H", hash]).args(create).arg("-b");
            let output = command.arg(&file).args([user, "right"]).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        // The broker's user is another one.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = free_port();
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}\n",
            file.display()
        );
        let _broker = Configured::start(kind, folder, &text);
        for (user, password, code) in [
            ("alice", "right", 0),
            ("bob", "right", 0),
            ("alice", "wrong", 5),
            ("nobody", "right", 5),
        ] {
            let mut command = tools::system("mosquitto_pub");
            command.args(["-h", "127.0.0.1", "-t", "a", "-m", "x", "-p"]);
            command.args([&port.to_string(), "-u", user, "-P", password]);
            let found = command.output().unwrap().status.code();
            assert_eq!(found, Some(code), "{kind:?}: {user} {password}");
        }
    }
}
