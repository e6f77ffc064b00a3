//! `/debug/pprof/symbol`: the functions at addresses, for tools that have addresses only.

use std::{fmt::Write, time::Duration};

use axum::{
    extract::{DefaultBodyLimit, RawQuery},
    http::StatusCode,
    response::Response,
    routing::{MethodRouter, get},
};
use tokio::{sync::Semaphore, time::timeout};

use super::{Refusal, text};
use crate::{
    internal::{tool, upload::Upload},
    telemetry::symbols::{ShortOfMemory, Symbols},
};

/// A body with more than this is refused.
const MAX_BYTES: usize = 64 * 1024;
/// As many as fit into such a body when they are written in full.
const MAX_ADDRESSES: usize = 4096;

/// One request at a time.
static TURN: Semaphore = Semaphore::const_new(1);
/// How long one waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn routes() -> MethodRouter {
    get(of_query).post(of_body).layer(DefaultBodyLimit::max(MAX_BYTES))
}

/// Without an address it says whether there are symbols at all, as Go has it.
async fn of_query(RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    named(query.unwrap_or_default().as_bytes()).await
}

async fn of_body(Upload(body): Upload) -> Result<Response, Refusal> {
    named(&body).await
}

async fn named(written: &[u8]) -> Result<Response, Refusal> {
    let addresses = addresses(written);
    let mut lines = "num_symbols: 1\n".to_owned();
    if addresses.len() > MAX_ADDRESSES {
        let reason = format!("at most {MAX_ADDRESSES} addresses can be asked for at once");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason));
    }
    if !addresses.is_empty() {
        let turn = timeout(PATIENCE, TURN.acquire()).await.map_err(|_| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "other addresses are being looked up: try again in a moment")
        })?;
        let looking = tool::run(move || {
            let _turn = turn;
            names(&addresses)
        });
        lines += &looking.await??;
    }
    Ok(text(lines))
}

/// What stands between plus signs and is a number other than zero, at most one more than is allowed; the rest is passed
/// over, as Go does.
fn addresses(written: &[u8]) -> Vec<usize> {
    let words = written.split(|byte| *byte == b'+').filter_map(|word| std::str::from_utf8(word).ok());
    words.filter_map(address).filter(|address| *address != 0).take(MAX_ADDRESSES + 1).collect()
}

fn address(word: &str) -> Option<usize> {
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) => usize::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// A line for each address that has a name: the innermost function, as Go tells it.
fn names(addresses: &[usize]) -> Result<String, ShortOfMemory> {
    let symbols = Symbols::look_up(addresses.iter().copied())?;
    let mut lines = String::new();
    for &address in addresses {
        let frames = symbols.frames(address);
        let frame = &frames[0];
        if frame.is_known() {
            writeln!(lines, "{address:#x} {}", frame.name).expect("writing to memory cannot fail");
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_ADDRESSES, addresses, names};

    #[test]
    fn garbage_is_passed_over() {
        assert_eq!(addresses(b"0x10+0X1f+32++0x+-1+\xff\xfe+0+0x0+0xfffffffffffffffff+nowhere+7"), [16, 31, 32, 7]);
        assert_eq!(addresses(b""), [] as [usize; 0]);
        assert_eq!(addresses("1+".repeat(2 * MAX_ADDRESSES).as_bytes()).len(), MAX_ADDRESSES + 1);
    }

    #[test]
    fn an_address_in_nothing_has_no_line() {
        assert_eq!(names(&[1, 16, usize::MAX]).unwrap(), "");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            addresses(&bytes);
        }
    }
}
