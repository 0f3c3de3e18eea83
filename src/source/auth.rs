//! Credential to `Authorization` header. Does not know who uses it.

use crate::model::secret::SecretSource;

/// A configured credential; its secret is read again at each connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// `Authorization: Bearer <token>`
    Bearer(SecretSource),
    /// `Authorization: Basic base64(user:password)`
    Basic {
        /// Not secret: an app key or a user name.
        user: String,
        /// The password or master secret.
        password: SecretSource,
    },
}
