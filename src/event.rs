//! What is made of one line: its fields, whether it was delivered before, and where it goes. The three know nothing of each other;
//! [`paths`] is how members are named.

pub mod dedupe;
pub mod extract;
pub mod paths;
pub mod route;
