//! What is seen of a call: one client span, one duration, one outcome, one more on the request's account.

use std::{borrow::Cow, future::Future, time::Instant};

use super::{
    super::{failure::InjectedAnswer, metrics::StoreMetrics},
    Failure, Statement,
};
use crate::{
    faults::Switchboard,
    telemetry::{KeyValue, Request, Span, Tracer, semconv},
};

/// The outcome of a call whose caller did not wait for the end.
const CANCELLED: &str = "cancelled";

/// Sees every call to one database.
pub(super) struct Observer {
    pub(super) system: &'static str,
    pub(super) tracer: Tracer,
    pub(super) faults: Switchboard,
    pub(super) metrics: StoreMetrics,
    /// What all calls have in common: which database it is, and where.
    pub(super) place: Vec<KeyValue>,
}

impl Observer {
    /// Runs the work of one call, which answers with how many rows came back or were written, where that is known.
    pub(super) async fn call<T>(
        &self,
        statement: &'static Statement,
        work: impl Future<Output = Result<(T, Option<u64>), sqlx::Error>>,
    ) -> Result<T, Failure> {
        let span = self.tracer.client(statement.summary, || self.attributes(statement));
        let mut call = Call {
            observer: self,
            statement,
            span: &span,
            began: Instant::now(),
            error_type: Some(Cow::Borrowed(CANCELLED)),
        };
        // Inside of the span and of what is measured: to all who look, the database itself is slow or broken.
        let work = async {
            if self.faults.is_on() {
                Box::pin(self.faults.at_statement(statement.summary)).await.map_err(InjectedAnswer)?;
            }
            work.await
        };
        match span.within(work).await {
            Ok((value, rows)) => {
                call.error_type = None;
                if let Some(rows) = rows {
                    span.set(|| vec![returned(statement, rows)]);
                }
                Ok(value)
            }
            Err(error) => {
                let failure = Failure::from(error);
                if let Some(code) = failure.status_code() {
                    span.set(|| vec![KeyValue::new(semconv::DB_RESPONSE_STATUS_CODE, code)]);
                }
                call.error_type = Some(failure.error_type());
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

/// OpenTelemetry names rows that came back and has no name for rows that were written.
fn returned(statement: &Statement, rows: u64) -> KeyValue {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let name = if statement.is_read() { semconv::DB_RESPONSE_RETURNED_ROWS } else { "db.response.affected_rows" };
    KeyValue::new(name, rows)
}

/// A call under way. What it came to is told when it is dropped, so that a call that nobody waits for is told too.
struct Call<'a> {
    observer: &'a Observer,
    statement: &'static Statement,
    span: &'a Span,
    began: Instant,
    error_type: Option<Cow<'static, str>>,
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
