//! How one service speaks HTTP: a plain value, so that what makes an attempt need not know the services.

use std::borrow::Cow;

use http::StatusCode;

use crate::source::failure::Class;

/// What an attempt has to know of a service. Each service's module has one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    /// Redirects followed within one connect.
    pub max_hops: usize,
    /// Whether the parameters go along to a `Location` that has none of its own.
    pub keeps_query: bool,
    /// What a response other than 200 means; the flag tells whether a position was sent.
    pub classify: fn(StatusCode, bool) -> Class,
    /// The service's own words in the body of a refusal.
    pub words: for<'t> fn(&'t str) -> Cow<'t, str>,
    /// Whether the body of a refusal has the service's own form, and not a proxy's.
    pub is_own_refusal: fn(&[u8]) -> bool,
    /// What a refusal means and what the operator can do. The text is fit to be shown.
    pub explain: fn(Class, StatusCode, &str) -> String,
}
