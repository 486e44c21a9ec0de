//! What can be wrong with an exchange, by culprit: what we were given, what the peer sent, who the peer is.

use std::ops::RangeInclusive;

/// One of the four messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageKind {
    /// The client names its user.
    ClientFirst,
    /// The server answers with salt and iteration count.
    ServerFirst,
    /// The client proves that it knows the password.
    ClientFinal,
    /// The server proves that it knows the password's verifier.
    ServerFinal,
}

impl std::fmt::Display for MessageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            MessageKind::ClientFirst => "client-first-message",
            MessageKind::ServerFirst => "server-first-message",
            MessageKind::ClientFinal => "client-final-message",
            MessageKind::ServerFinal => "server-final-message",
        })
    }
}

/// Why an exchange cannot begin, or does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// SASLprep does not allow the user name, or leaves nothing of it.
    #[error("the user name is not allowed by SASLprep: {0}")]
    UserName(String),
    /// SASLprep does not allow the password. Which character it was is not said: messages reach logs.
    #[error(
        "the password is not allowed by SASLprep: it has a control character, one that is unassigned in \
         Unicode 3.2, or mixes directions of writing"
    )]
    Password,
    /// The text is not what a server stores of a password.
    #[error("these are no stored credentials: {0}")]
    Stored(&'static str),
    /// The text is no nonce.
    #[error("a nonce is one or more printable ASCII characters without a comma")]
    Nonce,
    /// The peer's message is longer than any that is allowed.
    #[error("the {message} has {len} bytes, {max} are allowed", max = crate::MESSAGE_LEN_MAX)]
    TooLong {
        /// Which.
        message: MessageKind,
        /// Its bytes.
        len: usize,
    },
    /// The peer's message does not follow the grammar.
    #[error("the {message} is malformed: {what}")]
    Malformed {
        /// Which.
        message: MessageKind,
        /// What is wrong.
        what: &'static str,
    },
    /// The peer demands an extension that nobody knows.
    #[error("the {0} demands an extension, and none is known")]
    Extension(MessageKind),
    /// The client binds the exchange to its TLS connection, which is another mechanism.
    #[error("the client asks for channel binding, which SCRAM-SHA-256 without -PLUS does not have")]
    ChannelBinding,
    /// The client wants to act in the name of another.
    #[error("the client wants to act as '{0}', which is not the user that it authenticates as")]
    AuthorizationIdentity(String),
    /// The server asks for too little work, which makes the password easy to guess, or for too much.
    #[error(
        "the server asks for {asked} iterations; {min} to {max} are allowed",
        min = .allowed.start(), max = .allowed.end()
    )]
    Iterations {
        /// What it asks for.
        asked: u32,
        /// What is allowed.
        allowed: RangeInclusive<u32>,
    },
    /// The nonce is not the one of this exchange.
    #[error("the nonce in the {0} is not the one of this exchange")]
    ForeignNonce(MessageKind),
    /// The server says that it does not accept the client.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// The server has not proved that it knows the user: it may be an impostor.
    #[error("the server's signature is wrong: it does not know this password")]
    ServerSignature,
    /// The client has not proved that it knows the password, or nobody knows the user: which of the two is
    /// not for the client to learn.
    #[error("the password is wrong, or the user is not known")]
    Proof,
}
