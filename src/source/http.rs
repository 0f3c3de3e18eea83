//! One attempt at a request over HTTP: credential, redirects, what a refusal says, the body's coding. Knows no service.

pub mod auth;
pub mod body;
pub mod connect;
pub mod dialect;
pub mod redirect;
pub mod refusal;
