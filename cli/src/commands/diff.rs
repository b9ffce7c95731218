//! `octopoid diff`

use octopoid_client::{DiffQuery, TextStream};
use serde::Serialize;

use super::{TaskArg, whole_attempt};
use crate::{
    clean::Pieces,
    connection::Connection,
    failure::Failure,
    output::{Output, Tone},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid diff add-user-auth --stat")]
pub struct Args {
    #[command(flatten)]
    task: TaskArg,
    /// The attempt; the current one by default.
    #[arg(long, value_name = "A")]
    attempt: Option<String>,
    /// Only how much changed in each file.
    #[arg(long)]
    stat: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    task_id: String,
    attempt: Option<String>,
    diff: String,
}

pub async fn run(args: Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = args.task.whole(&connection).await?;
    let attempt = whole_attempt(&connection, &id, args.attempt.as_deref()).await?;
    let query = DiffQuery { attempt: attempt.clone(), stat: args.stat };
    let mut stream = connection.client.diff(&id, &query).await.map_err(Failure::about(&id))?;
    if output.json() {
        let diff = whole(&mut stream).await?;
        return Ok(output.value(&Report { task_id: id, attempt, diff })?);
    }
    // What git or a file gets must stay as it is, to be applied; what a terminal gets must not steer it.
    if !output.terminal() {
        while let Some(bytes) = stream.next().await? {
            output.bytes(&bytes)?;
        }
        return Ok(());
    }
    let (mut pieces, mut line) = (Pieces::default(), String::new());
    while let Some(bytes) = stream.next().await? {
        line.push_str(&pieces.push(&bytes));
        while let Some(end) = line.find('\n') {
            let rest = line.split_off(end + 1);
            output.line(coloured(output, line.trim_end_matches('\n')))?;
            line = rest;
        }
    }
    if !line.is_empty() {
        output.line(coloured(output, &line))?;
    }
    Ok(())
}

fn coloured(output: Output, line: &str) -> String {
    output.paint(tone(line), line)
}

fn tone(line: &str) -> Tone {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Tone::Dim,
        [b'+', ..] => Tone::Good,
        [b'-', ..] => Tone::Bad,
        [b'@', b'@', ..] => Tone::Busy,
        _ => Tone::Plain,
    }
}

/// The largest text that becomes one JSON value.
const WHOLE: usize = 64 << 20;

/// Reads a text to its end, for `--json`.
pub(super) async fn whole(stream: &mut TextStream) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await? {
        if bytes.len() + piece.len() > WHOLE {
            return Err(octopoid_client::ClientError::TooLarge { limit: WHOLE }.into());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_coloured_by_what_its_lines_begin_with() {
        for (line, expected) in [
            ("+++ b/x", Tone::Dim),
            ("--- a/x", Tone::Dim),
            ("+x", Tone::Good),
            ("-x", Tone::Bad),
            ("@@ -1 +1 @@", Tone::Busy),
            (" x", Tone::Plain),
        ] {
            assert_eq!(tone(line), expected, "{line}");
        }
    }
}
