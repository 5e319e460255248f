//! `manypath decode`: explains a capture file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::str::FromStr;

use manypath_device::PcapngReader;

use crate::decode::{Decoded, Decoder};
use crate::failure::Failure;
use crate::output::{self, Output};

/// Options of `decode`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Each line: seconds, interface, connection.subflow, segment. Sequence \
numbers and data sequence numbers count from the handshake.\n\nExample:\n  \
manypath decode transfer.pcapng --filter conn=0 --limit 20\n  \
tcpdump -i eth0 -w - tcp | manypath decode -")]
pub(crate) struct Args {
    /// Capture file, pcapng or pcap; `-` is standard input
    file: PathBuf,
    /// Show one connection only: `conn=N`
    #[arg(long, value_name = "conn=N")]
    filter: Option<Filter>,
    /// Show at most N lines; the summary is still about the whole file
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// Which lines to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Filter {
    connection: usize,
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix("conn=").and_then(|number| number.parse().ok());
        number
            .map(|connection| Self { connection })
            .ok_or_else(|| "write conn=N with the number of a connection".to_owned())
    }
}

impl Filter {
    fn shows(self, decoded: &Decoded) -> bool {
        matches!(decoded, Decoded::Line { connection, .. } if *connection == Some(self.connection))
    }
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be read or is damaged; what came before the damage was shown.
pub(crate) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let mut reader = PcapngReader::new(BufReader::new(open(args)?))
        .map_err(|error| Failure::usage(args.file.display(), &error))?;
    let mut decoder = Decoder::default();
    let mut out = Output::new();
    let mut left = if json { 0 } else { args.limit.unwrap_or(u64::MAX) };
    let damage = loop {
        let captured = match reader.next_packet() {
            Ok(Some(captured)) => captured,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        let decoded = decoder.packet(&captured);
        if left > 0 && args.filter.is_none_or(|filter| filter.shows(&decoded)) {
            left -= u64::from(show(&mut out, &decoded)?);
        }
    };
    let mut summary = decoder.summary(reader.skipped());
    if let Some(Filter { connection }) = args.filter {
        summary.connections.retain(|other| other.id == connection);
    }
    match damage {
        Some(error) => {
            out.finish()?;
            Err(Failure::failed(args.file.display(), &error))
        }
        None if json => {
            drop(out);
            output::json(&summary)
        }
        None => {
            out.text(&format!("{summary}"))?;
            out.finish()
        }
    }
}

fn open(args: &Args) -> Result<Box<dyn Read>, Failure> {
    if args.file.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    match File::open(&args.file) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Failure::usage(args.file.display(), &error)),
    }
}

/// Writes the line of a packet; says whether there was one.
fn show(out: &mut Output, decoded: &Decoded) -> Result<bool, Failure> {
    let line = match decoded {
        Decoded::Line { text, .. } => text.clone(),
        Decoded::Malformed(reason) => format!("malformed: {reason}"),
        Decoded::Other => return Ok(false),
    };
    out.text(&line)?;
    out.text("\n")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_a_connection() {
        assert_eq!("conn=3".parse(), Ok(Filter { connection: 3 }));
        assert!("3".parse::<Filter>().is_err());
        assert!("conn=".parse::<Filter>().is_err());
    }
}
