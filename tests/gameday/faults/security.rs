//! Somebody tries doors.

use crate::{
    cause::Cause::{ForeignTokens, WrongPasswords},
    fault::Fault,
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "sign-in-guessing",
        alerts: &["SignInFailures"],
        causes: &[WrongPasswords],
        pace: 0.5,
        ..Fault::NONE
    },
    Fault { name: "bad-tokens", alerts: &["TokenRejections"], causes: &[ForeignTokens], ..Fault::NONE },
];
