//! A tool's connection to its server: opened as the command line says, and then what comes about on it.
//!
//! `session` knows the protocol, `way` the way there, `trace` the lines of `-d`, `failure` what is said when it fails. The
//! tools decide when to connect again.

pub mod failure;

mod reason;
mod session;
mod srv;
mod trace;
mod way;

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wigwag_client::SubscriptionOptions;
use wigwag_client::wire::packet::Packet;
use wigwag_client::wire::{EncodeError, Outlet, Wire};
use wigwag_proto::ReasonCode;

use crate::options::command_line::{CommandLine, Program};
use crate::say;

pub use failure::Failure;
pub use reason::reason_name;
pub use session::{Happening, Outgoing, Unsendable};

use session::{Peer, Session};

/// The wait before another attempt to connect, as in Mosquitto's library.
pub(crate) const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// The time that the last words have to leave.
const FAREWELL: Duration = Duration::from_secs(5);

/// A client, over all its connections.
pub struct Connection {
    line: CommandLine,
    session: Session,
    wire: Option<Wire>,
    last_received: Instant,
    last_sent: Instant,
    asked_at: Option<Instant>,
}

/// Packets go to the wire, lines of `-d` to the output.
struct Speaker<'a, 'b> {
    outlet: &'a mut Outlet<'b>,
    error: Option<EncodeError>,
}

impl Peer for Speaker<'_, '_> {
    fn send(&mut self, packet: &Packet<'_>) {
        if let Err(error) = self.outlet.push(packet) {
            self.error = Some(error);
        }
    }

    fn say(&mut self, line: &str) {
        say::out(&format!("{line}\n"));
    }
}

impl Connection {
    /// A client that is not connected. `receive_maximum` is how many messages of QoS 1 and 2 the server may send ahead
    /// of our answers, if the user does not say it; Mosquitto's tools allow as many as they wait for.
    pub fn new(line: &CommandLine, receive_maximum: Option<u16>) -> Connection {
        let now = Instant::now();
        Connection {
            session: Session::new(line, receive_maximum),
            line: line.clone(),
            wire: None,
            last_received: now,
            last_sent: now,
            asked_at: None,
        }
    }

    /// Opens a connection and asks the server to accept it; whether it does, [`Connection::next`] tells.
    ///
    /// After a connection has ended, this opens another one, on which the session goes on. Dropping the future gives the
    /// attempt up.
    pub async fn open(&mut self) -> Result<(), Failure> {
        self.wire = None;
        check(&self.line)?;
        let builder = way::builder(&self.line).await?;
        self.wire = Some(builder.open_wire().await?);
        let now = Instant::now();
        (self.last_received, self.last_sent, self.asked_at) = (now, now, None);
        self.speak(|session, peer| session.connect(peer))?
    }

    /// Waits for what comes about next. What has been asked for leaves meanwhile.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Happening, Failure> {
        loop {
            if self.session.has_happenings() {
                self.flush().await?;
                if let Some(happening) = self.session.poll() {
                    return Ok(happening);
                }
            }
            let deadline = self.keep_alive_deadline();
            let wire = self.wire.as_mut().ok_or(Failure::Lost)?;
            let session = &mut self.session;
            let handled = wire.receive(|packet, outlet| {
                let mut peer = Speaker::new(outlet);
                session.handle(&mut peer, packet)
            });
            tokio::select! {
                handled = handled => {
                    handled.map_err(Failure::from).map_err(|failure| match failure {
                        Failure::Lost if !self.session.is_connected() => Failure::Unanswered,
                        other => other,
                    })??;
                    self.last_received = Instant::now();
                    self.asked_at = None;
                }
                () = sleep_until(deadline) => self.keep_alive()?,
            }
        }
    }

    /// Asks for subscriptions, all in one packet; gives the packet's number.
    pub fn subscribe(
        &mut self,
        filters: &[String],
        options: SubscriptionOptions,
    ) -> Result<u16, Failure> {
        self.speak(|session, peer| session.subscribe(peer, filters, options))
    }

    /// Asks for the end of a subscription; gives the packet's number.
    pub fn unsubscribe(&mut self, filter: &str) -> Result<u16, Failure> {
        self.speak(|session, peer| session.unsubscribe(peer, filter))
    }

    /// Publishes a message; gives its number. One of QoS 1 or 2 waits for its turn if the server has to answer others
    /// first.
    pub fn publish(&mut self, message: Outgoing) -> Result<Result<u16, Unsendable>, Failure> {
        self.speak(|session, peer| session.publish(peer, message))
    }

    /// Whether another message would be sent at once, and not wait for the answers to others.
    pub fn has_quota(&self) -> bool {
        self.session.has_quota()
    }

    /// Whether something is still to be told by [`Connection::next`]. It waits until what was sent has left: who sends no more
    /// meanwhile does not fill the memory.
    pub fn has_news(&self) -> bool {
        self.session.has_happenings()
    }

    /// Messages of QoS 1 and 2 that have not been answered.
    pub fn in_flight(&self) -> usize {
        self.session.in_flight()
    }

    /// Whether the server has accepted the connection.
    pub fn is_accepted(&self) -> bool {
        self.wire.is_some() && self.session.is_connected()
    }

    /// Whether nothing is on its way: neither messages nor what is to be told of them.
    pub fn is_idle(&self) -> bool {
        self.session.in_flight() == 0 && !self.session.has_happenings()
    }

    /// Waits until everything has been handed to the system. Dropping the future takes nothing back.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.wire {
            Some(wire) => Ok(wire.flush().await?),
            None => Err(Failure::Lost),
        }
    }

    /// Says goodbye and closes the connection, if there is one; a server that does not read is not waited for. Dropping the
    /// future closes it at once.
    pub async fn disconnect(&mut self, reason: ReasonCode) {
        // It ends one way or the other.
        let _ = self.speak(|session, peer| session.disconnect(peer, reason));
        self.close().await;
    }

    /// The user's time is up (`-W`): says goodbye, which has the server publish the Will, and says so; gives the exit code.
    /// Dropping the future closes the connection at once.
    pub async fn time_out(&mut self) -> u8 {
        self.disconnect(ReasonCode::DisconnectWithWillMessage).await;
        report(&self.line, "Timed out", None);
        failure::code::TIMEOUT
    }

    /// Closes the connection without a word, behind what has been sent. Dropping the future closes it at once.
    pub async fn close(&mut self) {
        if let Some(wire) = self.wire.take() {
            let _ = tokio::time::timeout(FAREWELL, wire.close()).await;
        }
    }

    fn speak<T>(
        &mut self,
        speak: impl FnOnce(&mut Session, &mut Speaker<'_, '_>) -> T,
    ) -> Result<T, Failure> {
        let wire = self.wire.as_mut().ok_or(Failure::Lost)?;
        let mut outlet = wire.outlet();
        let mut peer = Speaker::new(&mut outlet);
        let value = speak(&mut self.session, &mut peer);
        if let Some(error) = peer.error {
            return Err(Failure::Setup(format!("Error: {error}\n")));
        }
        self.last_sent = Instant::now();
        Ok(value)
    }

    fn keep_alive_deadline(&self) -> Instant {
        let secs = match self.session.keep_alive_secs() {
            // For ever, nearly.
            0 => u64::from(u32::MAX),
            secs => secs.into(),
        };
        let since = match self.asked_at {
            Some(asked_at) => asked_at,
            None => self.last_received.min(self.last_sent),
        };
        since + Duration::from_secs(secs)
    }

    fn keep_alive(&mut self) -> Result<(), Failure> {
        if self.asked_at.is_some() || !self.session.is_connected() {
            return Err(Failure::KeepAlive);
        }
        self.speak(|session, peer| session.ping(peer))?;
        self.asked_at = Some(self.last_sent);
        Ok(())
    }
}

impl<'a, 'b> Speaker<'a, 'b> {
    const fn new(outlet: &'a mut Outlet<'b>) -> Speaker<'a, 'b> {
        Speaker {
            outlet,
            error: None,
        }
    }
}

/// Waits for a point in time, but not for the next tick of the timers if it has come; for ever, if there is none.
pub(crate) async fn reach(time: Option<Instant>) {
    match time {
        Some(time) if time <= Instant::now() => {}
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// What Mosquitto's library finds wrong before it opens anything.
fn check(line: &CommandLine) -> Result<(), Failure> {
    if let Some(unusable) = &line.unusable {
        return Err(Failure::Unusable(unusable.clone()));
    }
    let (session, properties) = (&line.session, &line.properties);
    let is_5 = session.version.has_properties();
    if !is_5 && session.password.is_some() && session.user_name.is_none() {
        return Err(Failure::Setup(
            "Error: Problem setting username and/or password.\n".to_owned(),
        ));
    }
    if !is_5 && !properties.connect.as_properties().is_empty() {
        return Err(Failure::Setup(
            "Unable to connect (This feature is not supported.).\n".to_owned(),
        ));
    }
    Ok(())
}

/// Says why a tool ends, unless it was told to be quiet; and what to do, under its own name.
pub fn report(line: &CommandLine, text: &str, advice: Option<String>) {
    if line.quiet {
        return;
    }
    say::error(text.trim_end_matches('\n'));
    if line.program == Program::Wigwag
        && let Some(advice) = advice
    {
        say::error(&format!("       {advice}"));
    }
}
