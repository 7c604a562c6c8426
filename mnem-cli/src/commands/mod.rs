//! The commands, one a module. Each says how it is written, does it through the library, and hands records to the output.

pub(crate) mod add;
pub(crate) mod branch;
pub(crate) mod config;
pub(crate) mod get;
pub(crate) mod init;
pub(crate) mod link;
pub(crate) mod log;
pub(crate) mod rm;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod switch;
pub(crate) mod tag;
pub(crate) mod unlink;
pub(crate) mod unset;
