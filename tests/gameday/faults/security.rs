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
        // The load comes from one address as well, so only the limit by account is in the way of who guesses.
        settings: &[
            ("GLASSHOUSE_LIMITS__ENABLED", "true"),
            ("GLASSHOUSE_LIMITS__ADDRESS_RATE", "1000000"),
            ("GLASSHOUSE_LIMITS__ADDRESS_BURST", "1000000"),
        ],
        pace: 0.5,
        ..Fault::NONE
    },
    Fault { name: "bad-tokens", alerts: &["TokenRejections"], causes: &[ForeignTokens], ..Fault::NONE },
];
