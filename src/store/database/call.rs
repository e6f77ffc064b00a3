//! What is seen of a call: one client span, one duration, one outcome, one more on the request's account.

use std::{
    borrow::Cow,
    future::Future,
    time::{Duration, Instant},
};

use sqlx::SqlStr;

use super::{
    super::{
        failure::InjectedAnswer,
        metrics::{CallOutcome, StoreMetrics},
    },
    Failure, Statement,
};
use crate::{
    faults::Switchboard,
    resilience::deadline,
    telemetry::{KeyValue, Request, Span, Tracer, semconv},
};

/// The outcome of a call whose caller did not wait for the end.
pub(in crate::store) const CANCELLED: &str = "cancelled";

/// What becomes of a statement whose result is not waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: it only reads, or is rolled back with its transaction.
    Revocable,
    /// It is kept: a write outside of a transaction, or the COMMIT of one that wrote.
    Final,
}

/// Sees every call to one database.
pub(super) struct Observer {
    pub(super) system: &'static str,
    pub(super) tracer: Tracer,
    pub(super) faults: Switchboard,
    pub(super) metrics: StoreMetrics,
    /// How long a call waits for a connection.
    pub(super) patience: Duration,
    /// How long a call may take. The server's own limit comes first, if it knows one and can tell.
    pub(super) ceiling: Duration,
    /// Behind a pooler that gives a connection to each transaction, how such a transaction begins.
    pub(super) pooled_begin: Option<SqlStr>,
    /// What all calls have in common: which database it is, and where.
    pub(super) place: Vec<KeyValue>,
}

impl Observer {
    /// Whether each connection lasts for one transaction.
    pub(super) const fn is_pooled(&self) -> bool {
        self.pooled_begin.is_some()
    }

    /// Runs the work of one call, which answers with how many rows came back or were written, where that is known. It
    /// takes no longer than a call may, and than the request has left; where nothing is left, it does not begin.
    pub(super) async fn call<T>(
        &self,
        statement: &'static Statement,
        effect: Effect,
        work: impl Future<Output = Result<(T, Option<u64>), sqlx::Error>>,
    ) -> Result<T, Failure> {
        let span = self.tracer.client(statement.summary, || self.attributes(statement));
        let mut call = Call {
            observer: self,
            statement,
            span: &span,
            began: Instant::now(),
            error_type: Some(Cow::Borrowed(CANCELLED)),
            outcome: CallOutcome::Client,
        };
        // Inside of the span and of what is measured: to all who look, the database itself is slow or broken.
        let work = async {
            if self.faults.is_on() {
                Box::pin(self.faults.at_statement(statement.summary)).await.map_err(InjectedAnswer)?;
            }
            work.await
        };
        let limited = async {
            match effect {
                Effect::Revocable => deadline::within(self.ceiling, work).await,
                Effect::Final => deadline::within_write(self.ceiling, work).await,
            }
        };
        match span.within(limited).await.map_err(Failure::from).and_then(answered) {
            Ok((value, rows)) => {
                call.error_type = None;
                call.outcome = CallOutcome::Success;
                if let Some(rows) = rows {
                    span.set(|| vec![returned(statement, rows)]);
                }
                Ok(value)
            }
            Err(failure) => {
                if let Some(code) = failure.status_code() {
                    span.set(|| vec![KeyValue::new(semconv::DB_RESPONSE_STATUS_CODE, code)]);
                }
                call.error_type = Some(failure.error_type());
                call.outcome = failure.outcome();
                Err(failure)
            }
        }
    }

    fn attributes(&self, statement: &Statement) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(self.place.len() + 5);
        attributes.extend_from_slice(&self.place);
        attributes.push(KeyValue::new(semconv::DB_OPERATION_NAME, statement.operation));
        if !statement.collection.is_empty() {
            attributes.push(KeyValue::new(semconv::DB_COLLECTION_NAME, statement.collection));
        }
        attributes.push(KeyValue::new(semconv::DB_QUERY_SUMMARY, statement.summary));
        attributes.push(KeyValue::new(semconv::DB_QUERY_TEXT, statement.sql));
        attributes
    }
}

fn answered<T>(answer: Result<T, sqlx::Error>) -> Result<T, Failure> {
    answer.map_err(Failure::from)
}

/// Returns the attribute of the row count. OpenTelemetry has one for rows that came back, none for rows that were written.
fn returned(statement: &Statement, rows: u64) -> KeyValue {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let name = if statement.is_read() { semconv::DB_RESPONSE_RETURNED_ROWS } else { "glasshouse.db.affected_rows" };
    KeyValue::new(name, rows)
}

/// A call under way. What it came to is told when it is dropped, so that a call that nobody waits for is told too.
struct Call<'a> {
    observer: &'a Observer,
    statement: &'static Statement,
    span: &'a Span,
    began: Instant,
    error_type: Option<Cow<'static, str>>,
    outcome: CallOutcome,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        if let Some(error_type) = &self.error_type {
            self.span.fail(error_type);
        }
        let Statement { operation, collection, summary, .. } = self.statement;
        let error_type = self.error_type.as_deref().unwrap_or_default();
        self.observer.metrics.operation.observe_in(
            &[self.observer.system, operation, collection, summary, error_type],
            took.as_secs_f64(),
            self.span.sampled(),
        );
        self.observer.metrics.calls.inc(&[self.outcome.as_str()]);
        Request::with_current(|request| request.add_statement(took));
        tracing::debug!(
            target: "glasshouse::store",
            {
                db.query.summary = summary,
                duration_seconds = took.as_secs_f64(),
                error.type = self.error_type.as_deref(),
            },
            "statement"
        );
    }
}
