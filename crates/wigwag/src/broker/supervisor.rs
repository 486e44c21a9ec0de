//! Tells a supervisor how the broker is doing: the protocol of systemd's `Type=notify` and
//! `Type=notify-reload`. Without a supervisor that wants to know, nothing happens.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where systemd listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// Connections are taken; after a reload, that it is over.
    Ready,
    /// The configuration is being read again.
    Reloading,
    /// Connections are no longer taken.
    Stopping,
}

impl Notice {
    fn text(self) -> io::Result<String> {
        Ok(match self {
            Notice::Ready => "READY=1".to_owned(),
            // The time lets systemd tell this reload from one that was asked for later.
            Notice::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_usec()?),
            Notice::Stopping => "STOPPING=1".to_owned(),
        })
    }
}

/// Tells it.
pub(super) fn notify(notice: Notice) -> io::Result<()> {
    match std::env::var_os(SOCKET).filter(|name| !name.is_empty()) {
        Some(name) => UnixDatagram::unbound()?
            .send_to_addr(notice.text()?.as_bytes(), &address(&name)?)
            .map(drop),
        None => Ok(()),
    }
}

/// The clock of the machine since it was started, which systemd reads too.
fn monotonic_usec() -> io::Result<u128> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok(std::time::Duration::from(now).as_micros())
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
