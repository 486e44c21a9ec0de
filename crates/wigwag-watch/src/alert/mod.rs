//! `wigwag alert`: rules about topics of any broker, and who is told when one of them holds.
