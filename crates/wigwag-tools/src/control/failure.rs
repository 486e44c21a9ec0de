//! Why a command came to nothing, and the exit code of that.

use crate::prompt::{self, PromptError};

/// Mosquitto's codes.
const NO_REPLY: u8 = 27;
const INVALID: u8 = 3;
const NOT_SUPPORTED: u8 = 10;
const UNKNOWN: u8 = 13;

/// What to say, and the code to end with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Lines for standard error.
    pub(super) text: String,
    pub(super) code: u8,
    /// Whether `mosquitto_ctrl` ends with 0 here, although nothing was done. Scripts that call it by this name may count on
    /// it.
    pub(super) is_zero_in_mosquittos: bool,
    /// Whether the connection has come to its end with it.
    pub(super) is_end: bool,
}

impl Failure {
    /// The command cannot be meant; what is wrong with it stands before.
    pub(super) fn invalid(what: impl Into<Option<String>>) -> Failure {
        let lines = what.into().into_iter();
        let lines = lines.chain(["Error: Invalid function arguments provided.".to_owned()]);
        Failure {
            text: lines.collect::<Vec<_>>().join("\n"),
            code: INVALID,
            is_zero_in_mosquittos: false,
            is_end: false,
        }
    }

    pub(super) fn no_module(name: &str) -> Failure {
        Failure {
            text: format!("Error: Module '{name}' not supported."),
            code: NOT_SUPPORTED,
            is_zero_in_mosquittos: false,
            is_end: false,
        }
    }

    pub(super) fn no_verb(name: &str) -> Failure {
        Failure {
            text: format!("Command '{name}' not recognised."),
            code: UNKNOWN,
            is_zero_in_mosquittos: false,
            is_end: false,
        }
    }

    /// The broker, or what stands in for it, has not done it.
    pub(super) fn refused(text: impl Into<String>) -> Failure {
        Failure {
            text: text.into(),
            code: 1,
            is_zero_in_mosquittos: true,
            is_end: false,
        }
    }

    /// Nothing came back in time.
    pub(super) fn no_reply(text: impl Into<String>) -> Failure {
        Failure {
            code: NO_REPLY,
            ..Failure::refused(text)
        }
    }

    /// It ended on this side, with a code of its own.
    pub(super) fn local(text: impl Into<String>, code: u8) -> Failure {
        Failure {
            text: text.into(),
            code,
            is_zero_in_mosquittos: false,
            is_end: false,
        }
    }
}

impl Failure {
    /// Nothing can be asked after it.
    pub(super) fn and_end(self) -> Failure {
        Failure {
            is_end: true,
            ..self
        }
    }
}

impl From<PromptError> for Failure {
    fn from(error: PromptError) -> Failure {
        match error {
            PromptError::Interrupted => Failure::local("", prompt::INTERRUPTED),
            error => Failure::refused(format!("Error: {error}")),
        }
    }
}
