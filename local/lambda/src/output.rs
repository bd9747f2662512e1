//! What workers print: every line goes into the log under the function's name, and the last of an
//! invocation to whoever asked for it (`LogType=Tail`).

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tintype_cloud::Log;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// As much as Lambda gives of a log.
const TAIL_BYTES: usize = 4096;

/// A longer line is cut: so large an event of CloudWatch may be.
const MOST_OF_A_LINE: usize = 256 * 1024;

/// The end of an invocation's log, known when the invocation has its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Arc<OnceLock<Vec<u8>>>);

impl Tail {
    /// Nothing, of an invocation that did not begin.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.get().map_or(&[], Vec::as_slice)
    }

    /// Sets it, with the lines that Lambda itself writes around those of the function.
    pub(crate) fn set(&self, printed: &[u8], request_id: &str, took: Duration, memory_mb: u32) {
        let ms = took.as_secs_f64() * 1000.0;
        let mut log = format!("START RequestId: {request_id} Version: $LATEST\n").into_bytes();
        log.extend_from_slice(printed);
        let report = format!(
            "END RequestId: {request_id}\n\
             REPORT RequestId: {request_id}\tDuration: {ms:.2} ms\tBilled Duration: {:.0} ms\tMemory Size: {memory_mb} MB\t\n",
            ms.ceil()
        );
        log.extend_from_slice(report.as_bytes());
        shorten(&mut log);
        // Set once: an invocation is answered once.
        let _ = self.0.set(log);
    }
}

/// Leaves the end alone.
fn shorten(log: &mut Vec<u8>) {
    log.drain(..log.len().saturating_sub(TAIL_BYTES));
}

/// Where the lines of one worker go. Clones are handles of the same.
#[derive(Clone, Default)]
pub(crate) struct Output(Arc<Destination>);

#[derive(Default)]
struct Destination {
    function: String,
    log: Option<Arc<Log>>,
    /// What was printed since somebody wanted to know.
    kept: Mutex<Option<Vec<u8>>>,
}

impl Output {
    /// Into this log, under this name.
    pub(crate) fn new(function: &str, log: Arc<Log>) -> Self {
        Self(Arc::new(Destination { function: function.to_owned(), log: Some(log), kept: Mutex::default() }))
    }

    pub(crate) fn write(&self, line: &str) {
        if let Some(log) = &self.0.log {
            log.write(format!("[{}] {line}\n", self.0.function).as_bytes());
        }
        if let Some(kept) = &mut *self.kept() {
            kept.extend_from_slice(line.as_bytes());
            kept.push(b'\n');
            shorten(kept);
        }
    }

    /// Begins to keep what is printed.
    pub(crate) fn keep(&self) {
        *self.kept() = Some(Vec::new());
    }

    /// What was printed since [`Output::keep`]; no more is kept.
    pub(crate) fn take_kept(&self) -> Vec<u8> {
        self.kept().take().unwrap_or_default()
    }

    fn kept(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that copies one pipe of a worker into its [`Output`].
pub(crate) struct Reader {
    /// Ends with the pipe and gives its last line.
    pub(crate) last_line: JoinHandle<Option<String>>,
    pub(crate) questions: CaughtUp,
}

/// Asks a [`Reader`] whether it has read all that was printed.
pub(crate) struct CaughtUp(mpsc::Sender<oneshot::Sender<()>>);

impl CaughtUp {
    /// Waits until all that was in the pipe before this call is in the output.
    pub(crate) async fn wait(&self) {
        let (caught_up, answer) = oneshot::channel();
        // The reader has ended: nothing is left to read.
        if self.0.send(caught_up).await.is_ok() {
            let _ = answer.await;
        }
    }
}

impl Reader {
    pub(crate) fn start(output: Output, pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (questions, asked) = mpsc::channel(1);
        Self { last_line: tokio::spawn(forward(output, pipe, asked)), questions: CaughtUp(questions) }
    }
}

async fn forward(output: Output, pipe: impl AsyncRead + Unpin, mut asked: mpsc::Receiver<oneshot::Sender<()>>) -> Option<String> {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    let mut last = None;
    loop {
        let more = tokio::select! {
            // A question is answered when there is nothing to read.
            biased;
            // What it has read of a line when it is dropped stays in `line`.
            more = read_line(&mut pipe, &mut line) => more,
            Some(caught_up) = asked.recv() => {
                // Who does not wait for the answer does not need it.
                let _ = caught_up.send(());
                continue;
            }
        };
        if more || !line.is_empty() {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            output.write(text);
            if !text.is_empty() {
                last = Some(text.to_owned());
            }
            line.clear();
        }
        if !more {
            return last;
        }
    }
}

/// Reads on until the line ends or is as long as it may be. Whether there may be more.
async fn read_line(pipe: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> bool {
    while let Ok(read @ [_, ..]) = pipe.fill_buf().await {
        let part = &read[..read.len().min(MOST_OF_A_LINE - line.len())];
        let end = part.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(part.len(), |end| end + 1);
        line.extend_from_slice(&part[..taken]);
        pipe.consume(taken);
        if end.is_some() || line.len() == MOST_OF_A_LINE {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn what_was_printed_before_the_question_is_in_the_tail() {
        let output = Output::default();
        let (mut worker, pipe) = tokio::io::duplex(64 * 1024);
        let reader = Reader::start(output.clone(), pipe);
        worker.write_all(b"of an earlier invocation\n").await.unwrap();
        reader.questions.wait().await;
        output.keep();
        for n in 0..100 {
            worker.write_all(format!("line {n}\nbroken").as_bytes()).await.unwrap();
            worker.write_all(b" off\n").await.unwrap();
        }
        reader.questions.wait().await;
        let kept = String::from_utf8(output.take_kept()).unwrap();
        assert!(kept.starts_with("line 0\nbroken off\nline 1\n"), "{kept}");
        assert!(kept.ends_with("line 99\nbroken off\n"), "{kept}");
        assert!(output.take_kept().is_empty());

        worker.write_all(b"last words\n\nwithout an end").await.unwrap();
        reader.questions.wait().await;
        drop(worker);
        assert_eq!(reader.last_line.await.unwrap().as_deref(), Some("without an end"));
    }

    #[tokio::test]
    async fn a_line_that_does_not_end_is_cut_and_what_follows_is_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (mut worker, pipe) = tokio::io::duplex(64 * 1024);
        let reader = Reader::start(Output::new("posts", Arc::new(Log::create(&path).unwrap())), pipe);
        worker.write_all(&vec![b'x'; MOST_OF_A_LINE + 7]).await.unwrap();
        reader.questions.wait().await;
        let log = std::fs::read_to_string(&path).unwrap();
        assert_eq!(log.len(), "[posts] \n".len() + MOST_OF_A_LINE, "without waiting for its end");
        worker.write_all(b"\nnext\n").await.unwrap();
        reader.questions.wait().await;
        let log = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = log.lines().skip(1).collect();
        assert_eq!(lines, ["[posts] xxxxxxx", "[posts] next"]);
    }

    #[test]
    fn a_tail_is_the_end_of_the_log_with_lambdas_own_lines_around() {
        let tail = Tail::default();
        assert!(tail.bytes().is_empty());
        tail.set(b"hello\n", "id-1", Duration::from_micros(1234), 256);
        assert_eq!(
            String::from_utf8_lossy(tail.bytes()),
            "START RequestId: id-1 Version: $LATEST\nhello\nEND RequestId: id-1\n\
             REPORT RequestId: id-1\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 256 MB\t\n"
        );
        let tail = Tail::default();
        tail.set(&[b'x'; 10_000], "id-2", Duration::ZERO, 256);
        assert_eq!(tail.bytes().len(), TAIL_BYTES);
        assert!(tail.bytes().ends_with(b"Memory Size: 256 MB\t\n"));
    }
}
