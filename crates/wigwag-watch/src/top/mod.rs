//! `wigwag top`: what a broker is busy with, in a terminal.
