//! Tells a supervisor that the broker is ready: the protocol of systemd's `Type=notify`, which Debian's unit
//! for Mosquitto uses.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where systemd listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Says that the broker takes connections. Without a supervisor that wants to know, nothing happens.
pub(super) fn notify_ready() -> io::Result<()> {
    match std::env::var_os(SOCKET).filter(|name| !name.is_empty()) {
        Some(name) => UnixDatagram::unbound()?
            .send_to_addr(b"READY=1", &address(&name)?)
            .map(drop),
        None => Ok(()),
    }
}

/// A path, or after an `@` a name that is in no file system.
fn address(name: &OsString) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::ffi::OsStrExt as _;
        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            return SocketAddr::from_abstract_name(name);
        }
    }
    SocketAddr::from_pathname(name)
}
