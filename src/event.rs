//! What is made of one line: what of it may be shown, its fields, whether it was delivered before, and where it goes. The four
//! know nothing of each other; [`paths`] is how two of them name members.

pub mod dedupe;
pub mod extract;
pub mod paths;
pub mod redact;
pub mod route;
