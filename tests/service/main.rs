//! The service in this process, asked through its front door: what it does, and what it says of itself.

mod changing;
mod contract;
mod listing;
mod reading;
mod registering;
mod removing;
mod signing_in;
mod support;
mod traces;
