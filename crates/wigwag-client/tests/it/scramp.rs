//! Both ends of `wigwag-scram` against scramp, the SCRAM of Python's database clients. The part that it plays
//! is `tests/foreign/scramp_peer.py`. They meet here because the crate itself starts no process, in its tests
//! either.

use std::io::{BufRead as _, BufReader, Write as _};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use wigwag_scram::{ClientFirst, Credentials, Decoy, Error, Nonce, Request, SALT_LEN};

const SALT: &str = "0123456789abcdef";
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4_096).expect("not zero");

/// Names and passwords that need no preparation, escapes, and SASLprep.
const USERS: &[(&str, &str)] = &[
    ("user", "pencil"),
    ("a,b=c", "=2C,"),
    ("Jürgen", "Ⅸ\u{AD}straße"),
];

struct Peer {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(part: &str, arguments: &[&str]) -> Peer {
        // Beside cargo's folder for test files, in the same target folder.
        let tools = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../tools");
        let python = tools.join("venv/bin/python");
        assert!(
            python.is_file(),
            "{} is missing: run `cargo xtask setup`, which installs what the tests need",
            python.display()
        );
        let mut process = Command::new(python)
            .arg("-B")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/foreign/scramp_peer.py"
            ))
            .arg(part)
            .args(arguments)
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        Peer {
            process,
            input,
            output,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the peer listens");
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the peer speaks");
        line.trim_end_matches('\n').to_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended by itself, or is stuck in a test that has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn derive(password: &str) -> Credentials {
    let salt: [u8; SALT_LEN] = SALT.as_bytes().try_into().expect("of this length");
    Credentials::derive(password, salt, ITERATIONS).expect("allowed")
}

fn hex(key: &[u8; 32]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn nonce() -> Nonce {
    Nonce::from_random([9; 18])
}

fn log_in_to_scramp(name: &str, password: &str, known: &str) -> (Result<(), Error>, String) {
    let iterations = ITERATIONS.to_string();
    let mut server = Peer::start("server", &[name, known, SALT, &iterations]);
    let client = ClientFirst::new(name, password, nonce()).expect("allowed");
    server.say(client.message());
    let client = client.handle_server_first(server.hear().as_bytes());
    let client = client.expect("accepted");
    server.say(client.message());
    let last = server.hear();
    let result = client.handle_server_final(last.as_bytes());
    (
        result,
        if last.starts_with("v=") {
            server.hear()
        } else {
            last
        },
    )
}

#[test]
fn our_client_logs_in_to_scramp() {
    for (name, password) in USERS {
        let (ours, theirs) = log_in_to_scramp(name, password, password);
        assert_eq!((ours, theirs.as_str()), (Ok(()), "ok"), "{name}");
    }
    let (ours, theirs) = log_in_to_scramp("user", "pencil", "crayon");
    assert!(ours.is_err(), "{theirs}");
    assert!(theirs.starts_with("refused"), "{theirs}");
}

#[test]
fn scramp_logs_in_to_our_server() {
    let decoy = Decoy::new([7; 32], ITERATIONS);
    for (name, password) in USERS {
        for known in [Some(*password), Some("another"), None] {
            let mut client = Peer::start("client", &[name, password]);
            let request = Request::read(client.hear().as_bytes()).expect("valid");
            assert_eq!(request.user_name(), *name);
            let server = request.challenge(known.map(derive), &decoy, &nonce());
            client.say(server.message());
            let result = server.handle_client_final(client.hear().as_bytes());
            if known == Some(password) {
                let server = result.expect("proved");
                client.say(server.message());
                assert_eq!(client.hear(), "ok");
            } else {
                assert_eq!(result.map(drop), Err(Error::Proof), "{name}");
            }
        }
    }
}

#[test]
fn credentials_are_those_that_scramp_makes() {
    for (_, password) in USERS {
        let iterations = ITERATIONS.to_string();
        let mut scramp = Peer::start("credentials", &[password, SALT, &iterations]);
        let ours = derive(password);
        let theirs = [scramp.hear(), scramp.hear()];
        let keys = [ours.stored_key(), ours.server_key()];
        assert_eq!(keys.map(hex), theirs);
    }
}
