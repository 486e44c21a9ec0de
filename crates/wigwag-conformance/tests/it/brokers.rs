//! Brokers as subjects: ours in this process, Mosquitto beside it.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wigwag_broker::{Broker, Listener};
use wigwag_conformance::broker;
use wigwag_conformance::script::{Results, run_all};

/// A broker that has not answered by then will not.
const PATIENCE: Duration = Duration::from_secs(4);

pub(crate) fn watch(addr: SocketAddr, websocket: SocketAddr) -> Results {
    run_all(&broker::scripts(), crate::THREADS, |script, version| {
        broker::run(addr, websocket, PATIENCE, script, version)
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

pub(crate) struct Mosquitto {
    process: Child,
    pub(crate) addr: SocketAddr,
    pub(crate) websocket: SocketAddr,
    _folder: TempDir,
}

impl Mosquitto {
    pub(crate) fn start() -> Mosquitto {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (addr, websocket) = (free_addr(), free_addr());
        let mut configuration = String::new();
        let _ = writeln!(configuration, "set_tcp_nodelay true");
        let _ = writeln!(configuration, "listener {} 127.0.0.1", addr.port());
        let _ = writeln!(configuration, "listener {} 127.0.0.1", websocket.port());
        let _ = writeln!(configuration, "protocol websockets");
        let _ = writeln!(configuration, "allow_anonymous true");
        let file = folder.path().join("mosquitto.conf");
        fs::write(&file, configuration).expect("writable");
        let process = spawn(&file);
        let end = Instant::now() + Duration::from_secs(20);
        while [addr, websocket]
            .iter()
            .any(|addr| TcpStream::connect(addr).is_err())
        {
            assert!(Instant::now() < end, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Mosquitto {
            process,
            addr,
            websocket,
            _folder: folder,
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_addr() -> SocketAddr {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let free = TcpListener::bind(any).expect("a free port");
    free.local_addr().expect("bound")
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
