//! What is made of one line: what of it may be shown, its fields, whether it was delivered before, and where it goes. The four
//! know nothing of each other; [`paths`] is how two of them name members,
//! and [`scan`] finds where the parts of a text are.

pub mod dedupe;
pub mod extract;
pub mod paths;
pub mod redact;
pub mod route;
pub mod scan;
