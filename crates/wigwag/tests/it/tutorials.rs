//! Configurations as tutorials have them, for both brokers, started as `mosquitto -c FILE -v`, ours by that name too.
//!
//! Each is written for this test after what is usual: what a container begins with, what Debian installs, home
//! automation with passwords, TLS with the files of a certificate authority, browsers on a port of their own. What a
//! reader of the tutorial would try next is tried with Mosquitto's tools.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::broker::{Kind, free_port};
use crate::configuration::await_until;
use crate::process::{BOUND, Process};
use crate::tools;
use crate::wire::open_websocket;

against_both_brokers!(
    a_container_begins_with_everybody_let_in,
    home_automation_has_a_password_for_each,
    options_may_come_before_their_listener,
    debian_reads_a_folder_of_files,
    a_certificate_and_its_chain_make_a_listener_safe,
    client_certificates_are_names,
    browsers_have_a_port_of_their_own,
    rules_say_who_may_do_what,
    listeners_have_settings_of_their_own,
);

/// A broker with the folder of its files, which it may read as whatever user it becomes.
struct Tutorial {
    kind: Kind,
    folder: TempDir,
    /// Two ports that the text calls `PORT` and `OTHER`.
    ports: [u16; 2],
    process: Option<Process>,
}

impl Tutorial {
    fn new(kind: Kind) -> Self {
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let ports = [free_port(), free_port()];
        Self {
            kind,
            folder,
            ports,
            process: None,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Writes a file; `DIR` and the ports in it are those of this broker.
    fn write(&self, name: &str, text: &str) {
        let text = text
            .replace("DIR", self.folder.path().to_str().unwrap())
            .replace("PORT", &self.ports[0].to_string())
            .replace("OTHER", &self.ports[1].to_string());
        let file = self.folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn password(&self, user: &str, password: &str) {
        let file = self.path("passwd");
        if !Path::new(&file).exists() {
            self.write("passwd", "");
        }
        let mut tool =
            Process::start(tools::system("mosquitto_passwd").args(["-b", &file, user, password]));
        assert!(tool.await_exit().success(), "{}", tool.said());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn start(&mut self, text: &str) {
        self.write("mosquitto.conf", text);
        let mut command = match self.kind {
            Kind::Mosquitto => tools::system("mosquitto"),
            Kind::Wigwag => {
                let name = self.folder.path().join("mosquitto");
                // It is there already when the broker is started again.
                _ = symlink(tools::wigwag().get_program(), &name);
                Command::new(name)
            }
        };
        let conf = self.path("mosquitto.conf");
        self.process = Some(Process::start(command.args(["-c", &conf, "-v"])));
        let deadline = Instant::now() + BOUND;
        // The log may go to a file.
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports[0])).is_err() {
            assert!(Instant::now() < deadline, "{}", self.said());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the broker as a service manager does.
    fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal("TERM");
        assert!(process.await_exit().success(), "{}", process.said());
    }

    fn said(&self) -> String {
        self.process
            .as_ref()
            .map_or_else(String::new, Process::said)
    }

    fn tool(&self, program: &str, args: &[&str]) -> Process {
        let port = self.ports[0].to_string();
        let mut command = tools::system(program);
        command
            .args(["-h", "localhost", "-p", &port, "-V", "mqttv5"])
            .args(args);
        Process::start(&mut command)
    }

    /// The exit code of a publisher.
    fn publish(&self, args: &[&str]) -> Option<i32> {
        let mut publisher = self.tool("mosquitto_pub", &[args, &["-q", "1"]].concat());
        publisher.await_exit().code()
    }

    /// Sends a message from one client to another, both with these arguments.
    fn exchange(&self, login: &[&str]) {
        let wanted = [
            "-t",
            "home/+",
            "-q",
            "1",
            "-C",
            "1",
            "-d",
            "-F",
            "message %t %p",
        ];
        let subscriber = self.tool("mosquitto_sub", &[login, &wanted].concat());
        subscriber.await_line("that it is subscribed", |line| {
            line.starts_with("Subscribed (mid")
        });
        let sent = [login, &["-t", "home/door", "-m", "open"]].concat();
        assert_eq!(self.publish(&sent), Some(0), "{}", self.said());
        subscriber.await_line("the message", |line| line == "message home/door open");
    }
}

const NOT_AUTHORISED: Option<i32> = Some(135);
const MESSAGE: [&str; 4] = ["-t", "home/door", "-m", "open"];

fn a_container_begins_with_everybody_let_in(kind: Kind) {
    let mut broker = Tutorial::new(kind);
    broker.start(
        "# Listen on every interface\n\
         listener PORT 0.0.0.0\n\
         allow_anonymous true\n\n\
         persistence true\n\
         persistence_location DIR/\n\
         log_dest stdout\n",
    );
    broker.exchange(&[]);
    broker.stop();
}

fn home_automation_has_a_password_for_each(kind: Kind) {
    let mut broker = Tutorial::new(kind);
    broker.password("homeassistant", "a long one");
    broker.password("zigbee", "another");
    broker.start(
        "persistence false\n\
         connection_messages true\n\
         log_type error\nlog_type warning\nlog_type notice\nlog_type information\n\
         log_timestamp_format %Y-%m-%dT%H:%M:%S\n\
         max_queued_messages 8192\n\
         listener PORT\n\
         protocol mqtt\n\
         allow_anonymous false\n\
         password_file DIR/passwd\n",
    );
    broker.exchange(&["-u", "homeassistant", "-P", "a long one"]);
    broker.exchange(&["-u", "zigbee", "-P", "another"]);
    assert_eq!(broker.publish(&MESSAGE), NOT_AUTHORISED);
    let wrong = [&["-u", "zigbee", "-P", "a long one"], &MESSAGE[..]].concat();
    assert_eq!(broker.publish(&wrong), NOT_AUTHORISED);
}

fn options_may_come_before_their_listener(kind: Kind) {
    let mut broker = Tutorial::new(kind);
    broker.start("allow_anonymous true\nlistener PORT\nsocket_domain ipv4\nmax_connections 10\n");
    broker.exchange(&[]);
}

fn debian_reads_a_folder_of_files(kind: Kind) {
    let mut broker = Tutorial::new(kind);
    broker.password("joe", "secret");
    broker.write(
        "conf.d/default.conf",
        "listener PORT\nallow_anonymous false\n",
    );
    broker.write("conf.d/passwords.conf", "password_file DIR/passwd\n");
    broker.write("conf.d/README", "this is no option\n");
    broker.start(
        "# Place your local configuration in DIR/conf.d/\n\n\
         pid_file DIR/mosquitto.pid\n\n\
         persistence true\n\
         persistence_location DIR/\n\n\
         log_dest file DIR/mosquitto.log\n\n\
         include_dir DIR/conf.d\n",
    );
    broker.exchange(&["-u", "joe", "-P", "secret"]);
    assert_eq!(broker.publish(&MESSAGE), NOT_AUTHORISED);
    await_until("the log tells of both", || {
        let log = fs::read_to_string(broker.path("mosquitto.log")).unwrap();
        // 2.0 has a comma in the place of the colon.
        let is_refused = [
            "disconnected: not authorised.",
            "disconnected, not authorised.",
        ]
        .iter()
        .any(|line| log.contains(line));
        is_refused && log.contains("Received PUBLISH from")
    });
    let pid = fs::read_to_string(broker.path("mosquitto.pid")).unwrap();
    assert!(pid.trim().parse::<u32>().is_ok(), "{pid}");
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for this name and its key.
    fn issue(&self, name: &str) -> [String; 2] {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        [certificate.pem(), key.serialize_pem()]
    }
}

fn a_certificate_and_its_chain_make_a_listener_safe(kind: Kind) {
    let mut broker = Tutorial::new(kind);
    let authority = Authority::new();
    let [certificate, key] = authority.issue("localhost");
    broker.write("live/chain.pem", &authority.0.pem());
    broker.write("live/fullchain.pem", &(certificate + &authority.0.pem()));
    broker.write("live/privkey.pem", &key);
    broker.password("joe", "secret");
    broker.start(
        "allow_anonymous false\n\
         password_file DIR/passwd\n\
         listener PORT\n\
         certfile DIR/live/fullchain.pem\n\
         cafile DIR/live/chain.pem\n\
         keyfile DIR/live/privkey.pem\n\
         tls_version tlsv1.2\n",
    );
    let chain = broker.path("live/chain.pem");
    broker.exchange(&["--cafile", &chain, "-u", "joe", "-P", "secret"]);
    let anonymous = [&["--cafile", &chain], &MESSAGE[..]].concat();
    assert_eq!(broker.publish(&anonymous), NOT_AUTHORISED);
    let plain = [&["-u", "joe", "-P", "secret"], &MESSAGE[..]].concat();
    assert_ne!(
        broker.publish(&plain),
        Some(0),
        "without TLS nobody is heard"
    );
}

fn client_certificates_are_names(kind: Kind) {
    let mut broker = Tutorial::new(kind);
    let authority = Authority::new();
    for (name, file) in [("localhost", "server"), ("sensor", "client")] {
        let [certificate, key] = authority.issue(name);
        broker.write(&format!("{file}.crt"), &certificate);
        broker.write(&format!("{file}.key"), &key);
    }
    broker.write("ca.crt", &authority.0.pem());
    broker.write(
        "acl",
        "pattern readwrite home/%u\nuser sensor\ntopic home/door\n",
    );
    broker.start(
        "listener PORT\n\
         cafile DIR/ca.crt\ncertfile DIR/server.crt\nkeyfile DIR/server.key\n\
         require_certificate true\n\
         use_identity_as_username true\n\
         acl_file DIR/acl\n",
    );
    let [ca, certificate, key] =
        ["ca.crt", "client.crt", "client.key"].map(|name| broker.path(name));
    broker.exchange(&["--cafile", &ca, "--cert", &certificate, "--key", &key]);
    let without = [&["--cafile", &ca], &MESSAGE[..]].concat();
    assert_ne!(
        broker.publish(&without),
        Some(0),
        "nobody comes without a certificate"
    );
}

fn browsers_have_a_port_of_their_own(kind: Kind) {
    let mut broker = Tutorial::new(kind);
    broker.start(
        "listener PORT\nprotocol mqtt\n\n\
         listener OTHER\nprotocol websockets\n\n\
         allow_anonymous true\n",
    );
    broker.exchange(&[]);
    open_websocket(broker.ports[1]);
}

fn rules_say_who_may_do_what(kind: Kind) {
    let mut broker = Tutorial::new(kind);
    broker.password("admin", "root");
    broker.password("sensor", "1234");
    broker.write(
        "acl",
        "# Administrators\nuser admin\ntopic readwrite #\ntopic read $SYS/#\n\n\
         user sensor\ntopic write home/door\n\n\
         # Everybody has a mailbox\npattern readwrite mail/%u/#\n",
    );
    broker.start(
        "per_listener_settings false\n\
         listener PORT\n\
         password_file DIR/passwd\n\
         acl_file DIR/acl\n",
    );
    broker.exchange(&["-u", "admin", "-P", "root"]);
    let sensor = ["-u", "sensor", "-P", "1234", "-m", "x", "-t"];
    let said = |topic: &str| {
        let mut publisher = broker.tool(
            "mosquitto_pub",
            &[&sensor[..], &[topic, "-q", "1"]].concat(),
        );
        publisher.await_exit();
        publisher.said().contains("Not authorized")
    };
    assert!(!said("home/door") && !said("mail/sensor/1"));
    assert!(said("home/window") && said("mail/admin/1"));
    let version = [
        "-u",
        "admin",
        "-P",
        "root",
        "-t",
        "$SYS/broker/version",
        "-C",
        "1",
    ];
    let admin = broker.tool("mosquitto_sub", &version);
    admin.await_line("the version", |line| line.contains(" version "));
}

fn listeners_have_settings_of_their_own(kind: Kind) {
    let mut broker = Tutorial::new(kind);
    broker.password("joe", "secret");
    broker.start(
        "per_listener_settings true\n\n\
         listener PORT\nallow_anonymous false\npassword_file DIR/passwd\n\n\
         listener OTHER 127.0.0.1\nallow_anonymous true\n",
    );
    broker.exchange(&["-u", "joe", "-P", "secret"]);
    assert_eq!(broker.publish(&MESSAGE), NOT_AUTHORISED);
    broker.ports.reverse();
    broker.exchange(&[]);
}
