//! One attempt at a request over HTTP: credential, redirects, what a refusal says, the body's coding. Knows no service.

pub(crate) mod auth;
pub mod body;
pub(crate) mod connect;
pub(crate) mod dialect;
pub(crate) mod redirect;
pub(crate) mod refusal;
