//! The server's end: asks for the proof of a password and checks it against what is stored.
//!
//! Where credentials are kept is the caller's business: it reads the user name from the [`Request`], looks
//! it up in its own time, and goes on with what it has found or not found.

use std::fmt;

use subtle::{Choice, ConstantTimeEq as _};

use crate::credentials::{Credentials, Decoy};
use crate::error::{Error, MessageKind};
use crate::keys::{hash, hmac, xor};
use crate::message::{Reader, encode, prepare_user_name, unescape};
use crate::nonce::Nonce;

/// A client-first-message: somebody wants to log in.
#[derive(Clone, Debug)]
pub struct Request {
    gs2_header: String,
    bare: String,
    user_name: String,
    nonce: String,
}

impl Request {
    /// Reads a client-first-message.
    pub fn read(message: &[u8]) -> Result<Request, Error> {
        let mut reader = Reader::new(MessageKind::ClientFirst, message)?;
        let text = reader.rest();
        // 'y' is a client that could bind and believes that we cannot, which is true.
        match reader.field("the flag for channel binding is missing")? {
            "n" | "y" => {}
            flag if flag.starts_with("p=") => return Err(Error::ChannelBinding),
            _ => {
                return Err(reader.malformed("the flag for channel binding is none of n, y and p="));
            }
        }
        let authorization = match reader.field("the field for another identity is missing")? {
            "" => None,
            field => {
                let name = field.strip_prefix("a=").and_then(unescape);
                let wrong =
                    "the field for another identity does not begin with a=, or has a wrong escape";
                Some(name.ok_or_else(|| reader.malformed(wrong))?)
            }
        };
        let bare = reader.rest();
        let name = reader.attribute("n", "the user name (n=) is missing")?;
        let name = unescape(name);
        let name = name.ok_or_else(|| reader.malformed("the user name (n=) has a wrong escape"))?;
        let nonce = reader.nonce()?;
        reader.extensions()?;
        let user_name = prepare_user_name(&name)?;
        if let Some(other) = authorization
            && prepare_user_name(&other)? != user_name
        {
            return Err(Error::AuthorizationIdentity(other));
        }
        Ok(Request {
            gs2_header: text.strip_suffix(bare).unwrap_or_default().to_owned(),
            bare: bare.to_owned(),
            user_name,
            nonce: nonce.to_owned(),
        })
    }

    /// Who it is that wants to log in, prepared with SASLprep: the name to look up.
    pub fn user_name(&self) -> &str {
        &self.user_name
    }

    /// Asks for the proof: of the password of `credentials` or, if the user is not known, of one that does
    /// not exist. The client cannot tell which.
    pub fn challenge(
        self,
        credentials: Option<Credentials>,
        decoy: &Decoy,
        nonce: &Nonce,
    ) -> ServerFirst {
        let is_known = Choice::from(u8::from(credentials.is_some()));
        // Made for users that exist too: both take the same time.
        let pretended = decoy.credentials(&self.user_name);
        let credentials = credentials.unwrap_or(pretended);
        let nonce = format!("{}{}", self.nonce, nonce.as_str());
        let (salt, iterations) = (encode(&credentials.salt), credentials.iterations);
        ServerFirst {
            message: format!("r={nonce},s={salt},i={iterations}"),
            channel: encode(self.gs2_header.as_bytes()),
            bare: self.bare,
            user_name: self.user_name,
            nonce,
            credentials,
            is_known,
        }
    }
}

/// The challenge is on its way.
pub struct ServerFirst {
    message: String,
    /// The client's GS2 header as it must come back.
    channel: String,
    bare: String,
    user_name: String,
    nonce: String,
    credentials: Credentials,
    is_known: Choice,
}

impl ServerFirst {
    /// The server-first-message, to be sent.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The client-final-message has come: `Ok` if the client has proved that it knows the password.
    pub fn handle_client_final(self, message: &[u8]) -> Result<ServerFinal, Error> {
        let mut reader = Reader::new(MessageKind::ClientFinal, message)?;
        let text = reader.rest();
        let channel = reader.attribute("c", "the channel binding (c=) is missing")?;
        if channel != self.channel {
            return Err(
                reader.malformed("the channel binding (c=) is not the one of the first message")
            );
        }
        if reader.nonce()? != self.nonce {
            return Err(Error::ForeignNonce(MessageKind::ClientFinal));
        }
        // The proof comes last, whatever extensions stand before it.
        let (without_proof, proof) = (text.rsplit_once(",p="))
            .ok_or_else(|| reader.malformed("the proof (p=) is missing"))?;
        let proof = reader.decode_key(proof, "the proof (p=) is not 32 bytes in base64")?;
        let said = format!("{},{},{without_proof}", self.bare, self.message);
        let signature = hmac(&self.credentials.stored_key, said.as_bytes());
        let stored_key = hash(&xor(&proof, &signature));
        let is_proved = stored_key.ct_eq(&self.credentials.stored_key) & self.is_known;
        if !bool::from(is_proved) {
            return Err(Error::Proof);
        }
        let signature = hmac(&self.credentials.server_key, said.as_bytes());
        Ok(ServerFinal {
            message: format!("v={}", encode(&signature)),
            user_name: self.user_name,
        })
    }
}

/// Without what is stored.
impl fmt::Debug for ServerFirst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerFirst")
            .field("user_name", &self.user_name)
            .finish_non_exhaustive()
    }
}

/// The client is who it says it is.
#[derive(Clone, Debug)]
pub struct ServerFinal {
    message: String,
    user_name: String,
}

impl ServerFinal {
    /// The server-final-message, to be sent: it proves to the client that the server knows the user.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Who has logged in, prepared with SASLprep.
    pub fn user_name(&self) -> &str {
        &self.user_name
    }
}
