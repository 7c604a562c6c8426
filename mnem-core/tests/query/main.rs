//! Questions to states: what is found is what a full scan finds, whatever the plan, the state and the size of pages.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod asking;
mod bulk;
mod forms;
mod kit;
mod laws;
mod model;
mod paging;
mod plans;
mod walking;
