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

pub(crate) fn watch(addr: SocketAddr) -> Results {
    run_all(&broker::scripts(), crate::THREADS, |script, version| {
        broker::run(addr, PATIENCE, script, version)
    })
}

/// Ours; it goes on until the process ends.
pub(crate) fn wigwag() -> (Broker, SocketAddr) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let broker = Broker::builder().listener(Listener::tcp(any)).start();
    let broker = broker.expect("the broker starts");
    let addr = broker.listeners()[0].addr;
    (broker, addr)
}

pub(crate) struct Mosquitto {
    process: Child,
    pub(crate) addr: SocketAddr,
    _folder: TempDir,
}

impl Mosquitto {
    pub(crate) fn start() -> Mosquitto {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let free = TcpListener::bind(any).expect("a free port");
        let addr = free.local_addr().expect("bound");
        drop(free);
        let mut configuration = String::new();
        let _ = writeln!(configuration, "listener {} 127.0.0.1", addr.port());
        let _ = writeln!(configuration, "allow_anonymous true");
        let file = folder.path().join("mosquitto.conf");
        fs::write(&file, configuration).expect("writable");
        let process = spawn(&file);
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(addr).is_err() {
            assert!(Instant::now() < end, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Mosquitto {
            process,
            addr,
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
