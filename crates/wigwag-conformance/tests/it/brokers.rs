//! Brokers as subjects: ours in this process, Mosquitto beside it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wigwag_broker::conf::{self, Disk};
use wigwag_broker::{Broker, Listener};
use wigwag_conformance::broker::{self, Places};
use wigwag_conformance::scram;
use wigwag_conformance::script::{Results, run_all};

/// A broker that has not answered by then will not.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn watch(places: &Places) -> Results {
    run_all(&broker::scripts(), crate::THREADS, |script, version| {
        broker::run(places, PATIENCE, script, version)
    })
}

/// Ours, with its listeners for TCP and WebSocket; it goes on until the process ends.
pub(crate) fn wigwag() -> (Broker, SocketAddr, SocketAddr) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let broker = Broker::builder()
        .listener(Listener::tcp(any))
        .listener(Listener::websocket(any))
        .start()
        .expect("the broker starts");
    let [tcp, websocket] = broker.listeners() else {
        unreachable!("two listeners were asked for");
    };
    let (tcp, websocket) = (tcp.addr().expect("TCP"), websocket.addr().expect("TCP"));
    (broker, tcp, websocket)
}

/// Ours in all places, each with the configuration that Mosquitto gets too.
pub(crate) struct Wigwag {
    pub(crate) places: Places,
    _brokers: [Broker; 3],
    _folder: TempDir,
}

impl Wigwag {
    pub(crate) fn start() -> Wigwag {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let passwords = format!("{}{}:{}\n", broker::PASSWORDS, scram::USER, scram::STORED);
        let start = |set_up: &SetUp| {
            let file = set_up.write(folder.path(), &passwords);
            let reading = conf::read(&file, &Disk).expect("what Mosquitto takes");
            let builder = Broker::builder().config(&reading.config, &[]);
            (builder.start().expect("the broker starts"), set_up.addr)
        };
        let (limited, limited_addr) = start(&SetUp::new("limited", broker::LIMITED));
        let (guarded, guarded_addr) = start(&SetUp::new("guarded", broker::GUARDED));
        let (plain, plain_addr, websocket) = wigwag();
        Wigwag {
            places: Places {
                plain: plain_addr,
                websocket,
                limited: limited_addr,
                guarded: guarded_addr,
            },
            _brokers: [plain, limited, guarded],
            _folder: folder,
        }
    }
}

/// Mosquitto in all places, a process for each configuration.
pub(crate) struct Mosquitto {
    pub(crate) places: Places,
    processes: Vec<Child>,
    _folder: TempDir,
}

impl Mosquitto {
    pub(crate) fn start() -> Mosquitto {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let websocket = free_addr();
        let plain = SetUp::new(
            "plain",
            &format!(
                "allow_anonymous true\nlistener {} 127.0.0.1\nprotocol websockets\n",
                websocket.port()
            ),
        );
        let limited = SetUp::new("limited", broker::LIMITED);
        let guarded = SetUp::new("guarded", broker::GUARDED);
        let start = |set_up: &SetUp| spawn(&set_up.write(folder.path(), broker::PASSWORDS));
        let mosquitto = Mosquitto {
            places: Places {
                plain: plain.addr,
                websocket,
                limited: limited.addr,
                guarded: guarded.addr,
            },
            processes: [&plain, &limited, &guarded].map(start).into(),
            _folder: folder,
        };
        let end = Instant::now() + Duration::from_secs(60);
        for addr in [plain.addr, websocket, limited.addr, guarded.addr] {
            while TcpStream::connect(addr).is_err() {
                assert!(Instant::now() < end, "mosquitto does not listen");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        mosquitto
    }
}

/// How a broker is configured in one place.
struct SetUp {
    name: &'static str,
    addr: SocketAddr,
    text: String,
}

impl SetUp {
    fn new(name: &'static str, text: &str) -> SetUp {
        SetUp {
            name,
            addr: free_addr(),
            text: text.to_owned(),
        }
    }

    /// Writes the configuration and the files that it names.
    fn write(&self, folder: &Path, passwords: &str) -> PathBuf {
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::write(&file, text).expect("writable");
            file
        };
        let files = [
            ("PASSWORDS", write("passwords", passwords)),
            ("RULES", write("rules", broker::RULES)),
        ];
        let port = self.addr.port();
        let head = format!("user root\nset_tcp_nodelay true\nlistener {port} 127.0.0.1\n");
        let text = files.iter().fold(self.text.clone(), |text, (name, file)| {
            text.replace(name, &file.display().to_string())
        });
        write(&format!("{}.conf", self.name), &(head + &text))
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// An address that nobody listens on, never the same one twice. The system's own choice will not do: it comes
/// from the range of outgoing connections, one of which may take it before the broker does.
fn free_addr() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 100).expect("below 100") * 100;
    loop {
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
}

fn spawn(configuration: &Path) -> Child {
    // Debian installs it where the path of an ordinary user does not lead.
    let installed = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"];
    let program = installed.into_iter().find(|path| Path::new(path).exists());
    Command::new(program.unwrap_or("mosquitto"))
        .arg("-c")
        .arg(configuration)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto cannot be started; `cargo xtask setup` installs it")
}
