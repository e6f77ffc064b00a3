//! `/debug/stalls`: what the runtime was stuck in, the last few times; text for people, JSON for programs.

use std::fmt::{self, Write};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Watch,
    capture::{Seen, Stuck},
    recent::Stall,
};
use crate::{internal::pprof, telemetry::symbols::Frame};

/// The newest first.
pub(in crate::internal) async fn show(State(watch): State<Watch>, headers: HeaderMap) -> Response {
    let (stalls, counted) = (watch.recent().all(), watch.recent().counted());
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.split(',').any(|range| range.trim().starts_with("application/json")) {
        let stalls: Vec<_> = stalls.iter().map(program).collect();
        return ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "since_start": counted, "stalls": stalls })))
            .into_response();
    }
    let mut text = String::new();
    write(&mut text, &stalls, counted).expect("writing to memory cannot fail");
    pprof::text(text)
}

fn program(stall: &Stall) -> Value {
    let threads: Vec<_> = stall.threads.iter().map(thread).collect();
    json!({
        "id": stall.number,
        "began": humantime::format_rfc3339_millis(stall.began).to_string(),
        "seconds": stall.duration().as_secs_f64(),
        "over": stall.lasted.is_some(),
        "task": stall.task.as_ref().map(|task| json!({
            "id": task.id,
            "name": task.name,
            "spawned_at": task.spawned_at.to_string(),
        })),
        "threads": threads,
    })
}

fn thread(stuck: &Stuck) -> Value {
    let frame = |(address, frame): (usize, &Frame)| {
        let address = format!("{address:#x}");
        json!({ "function": &*frame.name, "file": &*frame.file, "line": frame.line, "address": address })
    };
    let frames = stuck.stack.as_ref().map(|seen| frames(seen).map(frame).collect::<Vec<_>>());
    json!({
        "name": stuck.thread.name,
        "id": stuck.thread.tid,
        "code": stuck.code.as_deref(),
        "cut": stuck.stack.as_ref().is_ok_and(|seen| seen.cut),
        "stack": frames.as_ref().ok(),
        "missing": frames.as_ref().err(),
        "unnamed": stuck.stack.as_ref().ok().and_then(|seen| seen.unnamed.as_deref()),
    })
}

fn frames(seen: &Seen) -> impl Iterator<Item = (usize, &Frame)> {
    seen.stack.iter().flat_map(|location| location.frames.iter().map(|frame| (location.address, &**frame)))
}

fn write(text: &mut String, stalls: &[Stall], counted: u64) -> fmt::Result {
    if counted == 0 {
        return writeln!(text, "The main runtime has not been stuck since the process started.");
    }
    writeln!(text, "Stalls of the main runtime since the process started: {counted}.")?;
    writeln!(text, "Looked at, the newest first: {}.", stalls.len())?;
    for stall in stalls {
        let lasted = if stall.lasted.is_some() { "lasted" } else { "stuck until now for" };
        let (began, seconds) = (humantime::format_rfc3339_millis(stall.began), stall.duration().as_secs_f64());
        writeln!(text, "\n#{} {began} {lasted} {seconds:.1} s", stall.number)?;
        match &stall.task {
            Some(task) => writeln!(text, "task    {} (number {}), begun at {}", task.name, task.id, task.spawned_at)?,
            None => writeln!(text, "task    none of ours: no worker came to a new task")?,
        }
        stall.threads.iter().try_for_each(|stuck| write_thread(text, stuck))?;
    }
    Ok(())
}

fn write_thread(text: &mut String, stuck: &Stuck) -> fmt::Result {
    writeln!(text, "thread  {} ({})", stuck.thread.name, stuck.thread.tid)?;
    let seen = match &stuck.stack {
        Ok(seen) => seen,
        Err(why) => return writeln!(text, "code    unknown: {why}"),
    };
    writeln!(text, "code    {}", stuck.code.as_deref().unwrap_or("unknown"))?;
    for (_, frame) in frames(seen) {
        match &*frame.file {
            "" => writeln!(text, "    {}", frame.name)?,
            file => writeln!(text, "    {}  {file}:{}", frame.name, frame.line)?,
        }
    }
    if let Some(why) = &seen.unnamed {
        writeln!(text, "    (not all functions have names: {why})")?;
    }
    if seen.cut {
        writeln!(text, "    (the outermost functions are missing: the stack is too large)")?;
    }
    Ok(())
}
