//! End to end for Adobe: the mock service, the real binary and a real broker, with 1, 2 and 8 connections, judged by
//! [`crate::adobe_support::oracle`]: nothing twice ever, nothing lost that the service sends again.

mod kills;
mod plain;
mod stops;
