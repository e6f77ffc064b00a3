//! Log lines on their way out: through a bounded queue to a thread of their own, so that a slow reader never blocks
//! a request. What the queue has no room for is dropped and counted.

use std::{
    io::{self, ErrorKind, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

use super::{Counter, Metrics, Redactor, catalog};

/// Where lines are put. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lines {
    queue: SyncSender<Message>,
    /// The bytes of the lines in the queue.
    queued: Arc<AtomicUsize>,
    redactor: Redactor,
    dropped: Counter,
}

enum Message {
    Line(Box<[u8]>),
    /// Everything before this is to be written now; the sender waits for the answer.
    Flush(SyncSender<()>),
}

impl Lines {
    /// Starts the writing thread; at most `capacity` lines wait for it, and at most [`MAX_QUEUED_BYTES`] of them.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        out: Box<dyn Write + Send>,
        capacity: usize,
        redactor: Redactor,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let (queue, lines) = sync_channel(capacity);
        let dropped = metrics.counter(&catalog::LOG_LINES_DROPPED);
        let queued = Arc::new(AtomicUsize::new(0));
        let (bytes, counted) = (Arc::clone(&queued), dropped.clone());
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&lines, out, &bytes, &counted))?;
        Ok(Self { queue, queued, redactor, dropped })
    }

    /// Waits until every line so far is written, at most for `budget`; says whether they are. Blocks.
    pub(super) fn flush(&self, budget: Duration) -> bool {
        let deadline = Instant::now() + budget;
        let (done, written) = sync_channel(1);
        let mut message = Message::Flush(done);
        // A full queue may be a burst that the thread is about to write: there is no way to wait for a place but to
        // try again.
        while let Err(refused) = self.queue.try_send(message) {
            let TrySendError::Full(again) = refused else { return false };
            if Instant::now() >= deadline {
                return false;
            }
            message = again;
            thread::sleep(RETRY);
        }
        written.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
    }
}

/// How long a line waits for company. Waking this thread and writing cost more CPU time than making the line: under
/// load a hundred lines share one wake-up and one write, and a person who reads along sees no difference.
const COMPANY: Duration = Duration::from_millis(10);

/// How soon a flush asks again for a place in a full queue.
const RETRY: Duration = Duration::from_millis(1);

/// The most bytes that wait for the writer.
const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// The most bytes of one write, but for a longer line.
const MAX_BATCH_BYTES: usize = 64 * 1024;

/// Writes until every `Lines` is gone. A reader that has gone away is no reason to stop: the queue must not fill.
fn write_all(lines: &Receiver<Message>, mut out: Box<dyn Write + Send>, queued: &AtomicUsize, dropped: &Counter) {
    let mut batch = Batch::default();
    while let Ok(first) = lines.recv() {
        if matches!(first, Message::Line(_)) {
            thread::sleep(COMPANY);
        }
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    queued.fetch_sub(line.len(), Relaxed);
                    if batch.bytes.len() + line.len() > MAX_BATCH_BYTES {
                        dropped.add(&[], batch.write(&mut out));
                    }
                    batch.push(&line);
                }
                Message::Flush(done) => {
                    dropped.add(&[], batch.write(&mut out));
                    // The requester may have stopped waiting.
                    done.send(()).ok();
                }
            }
            next = lines.try_recv().ok();
        }
        // Nothing waits: the batch goes out now.
        dropped.add(&[], batch.write(&mut out));
    }
}

/// Lines of one write.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl Batch {
    fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    /// Writes all lines and returns how many of them were not written completely. Keeps nothing: lines that cannot be
    /// written now would be out of date later.
    fn write(&mut self, out: &mut dyn Write) -> u64 {
        let mut written = 0;
        while written < self.bytes.len() {
            match out.write(&self.bytes[written..]) {
                Ok(0) => break,
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let is_flushed = out.flush().is_ok();
        let lost = self.ends.iter().filter(|end| !is_flushed || **end > written).count();
        self.bytes.clear();
        self.ends.clear();
        lost as u64
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// One call is one line: the subscriber formats the whole of it before it writes.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = self.redactor.redacted(line);
        let length = text.len();
        if self.queued.fetch_add(length, Relaxed) + length > MAX_QUEUED_BYTES
            || self.queue.try_send(Message::Line(text.into())).is_err()
        {
            self.queued.fetch_sub(length, Relaxed);
            self.dropped.inc(&[]);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{
            Arc, Mutex,
            mpsc::{Receiver, Sender, channel},
        },
        time::Duration,
    };

    use super::Lines;
    use crate::telemetry::{Metrics, Redactor};

    /// Takes nothing until it is told to.
    struct Stuck {
        released: Receiver<()>,
        kept: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.released.recv().ok();
            self.kept.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stuck(capacity: usize) -> (Lines, Metrics, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (release, released) = channel();
        let kept = Arc::new(Mutex::default());
        let metrics = Metrics::new(10);
        let out = Stuck { released, kept: Arc::clone(&kept) };
        (Lines::start(Box::new(out), capacity, Redactor::default(), &metrics).unwrap(), metrics, release, kept)
    }

    fn lines_of(kept: &Mutex<Vec<u8>>) -> Vec<String> {
        let text = String::from_utf8(kept.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn dropped(metrics: &Metrics) -> f64 {
        let families = metrics.gather();
        let family = families.iter().find(|family| family.name() == "glasshouse_log_lines_dropped_total");
        family.unwrap().get_metric()[0].get_counter().get_value()
    }

    #[test]
    fn a_reader_that_is_stuck_costs_lines_and_never_time() {
        let (lines, metrics, release, kept) = stuck(4);
        // The thread holds one batch, the queue four lines; whatever comes beyond has no place.
        for number in 0..100 {
            (&lines).write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        let lost = dropped(&metrics);
        assert!((1.0..=96.0).contains(&lost), "{lost}");
        assert!(!lines.flush(Duration::from_millis(10)), "nothing can be flushed");
        drop(release);
        assert!(lines.flush(Duration::from_secs(10)), "a queue that is full for a moment is waited for");
        let written = u32::try_from(lines_of(&kept).len()).unwrap();
        assert!(
            (f64::from(written) + lost - 100.0).abs() < f64::EPSILON,
            "what was not dropped is written: {written}, {lost}"
        );
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let (lines, metrics, release, kept) = stuck(64);
        drop(release);
        for number in 0..50 {
            (&lines).write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        assert!(lines.flush(Duration::from_secs(10)));
        assert_eq!(lines_of(&kept), (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
        assert!(dropped(&metrics).abs() < f64::EPSILON);
    }

    #[test]
    fn queue_is_bounded_in_bytes() {
        let (lines, metrics, release, kept) = stuck(1000);
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..40 {
            (&lines).write_all(&line).unwrap();
        }
        let lost = dropped(&metrics);
        assert!((20.0..=24.0).contains(&lost), "16 in the queue, and what the thread had taken: {lost}");
        drop(release);
        assert!(lines.flush(Duration::from_secs(10)));
        #[expect(clippy::cast_precision_loss, reason = "40 at most")]
        let written = (kept.lock().unwrap().len() / line.len()) as f64;
        assert!((written + lost - 40.0).abs() < f64::EPSILON, "{written} {lost}");
    }

    /// Takes so many bytes, then fails.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_that_is_not_written_completely_is_counted() {
        for (room, lost) in [(0, 3.0), (1, 3.0), (4, 2.0), (7, 2.0), (12, 0.0)] {
            let metrics = Metrics::new(10);
            let lines = Lines::start(Box::new(Full(room)), 16, Redactor::default(), &metrics).unwrap();
            for _ in 0..3 {
                (&lines).write_all(b"one\n").unwrap();
            }
            assert!(lines.flush(Duration::from_secs(10)));
            assert!((dropped(&metrics) - lost).abs() < f64::EPSILON, "{room}");
        }
    }
}
