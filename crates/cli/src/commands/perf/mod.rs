//! `manypath perf`: how fast, path by path.

mod client;
mod header;
mod pump;
mod report;
mod server;

use std::time::Duration;

use crate::failure::Failure;

/// Options of `perf`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  manypath perf server --address 10.77.0.2 --tun-address \
10.77.0.1/24\n  manypath perf client 10.77.0.1 --time 5 --json")]
pub(crate) struct Args {
    #[command(subcommand)]
    side: Side,
}

#[derive(Debug, clap::Subcommand)]
enum Side {
    /// Wait for clients and do what they ask
    Server(server::Args),
    /// Test the way to a server
    Client(client::Args),
}

/// Runs the command.
///
/// # Errors
/// When the test cannot be made, or its bytes were not those that were sent.
pub(crate) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    match &args.side {
        Side::Server(args) => server::run(args, json),
        Side::Client(args) => client::run(args, json),
    }
}

/// Reads a number of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
    let duration = number.and_then(|n| Duration::try_from_secs_f64(n).ok());
    duration.ok_or_else(|| format!("`{text}` is no number of seconds above 0"))
}

/// Where interval lines go: standard output is for the one JSON object.
fn printer(json: bool) -> fn(&str) {
    if json { |line| eprintln!("{line}") } else { |line| println!("{line}") }
}

#[cfg(test)]
mod tests {
    use super::client::Outcome;
    use super::header::{Amount, Direction, Header};
    use super::server::Tally;
    use super::*;
    use crate::testing::{hosts, server_addr, within_a_minute};

    /// Plays a test of 2 MB with every byte compared, or none.
    async fn play(direction: Direction, verify: bool, raw: bool) -> (Outcome, Tally) {
        let (client, server) = hosts();
        let listener = server.listen(server_addr()).expect("the port is free");
        let amount = Amount { bytes: Some(2_000_000), time: None };
        let header = Header { direction, seed: 3, amount, verify };
        let serving = async {
            let (stream, _) = listener.accept().await.expect("somebody connects");
            let mut tally = Tally::default();
            let halves = server::play(stream, raw.then_some(header), &mut tally).await;
            (tally, halves.expect("the connection lasts"))
        };
        let asking = async {
            let stream = client.connect(server_addr()).await.expect("somebody listens");
            client::play(stream, header, raw).await.expect("the connection lasts")
        };
        let ((tally, _server), (outcome, _client)) =
            within_a_minute(async { tokio::join!(serving, asking) }).await;
        (outcome, tally)
    }

    #[tokio::test]
    async fn every_direction_moves_the_bytes_that_were_asked_for() {
        let (up, tally) = play(Direction::Up, true, false).await;
        assert_eq!((up.sent, up.received, up.intact), (2_000_000, 0, Some(true)));
        assert_eq!((tally.sent, tally.intact), (0, Some(true)));
        let (down, tally) = play(Direction::Down, true, false).await;
        assert_eq!((down.sent, down.received, down.intact), (0, 2_000_000, Some(true)));
        assert_eq!((tally.sent, tally.intact), (2_000_000, None));
        let (both, _) = play(Direction::Both, true, false).await;
        assert_eq!((both.sent, both.received, both.intact), (2_000_000, 2_000_000, Some(true)));
    }

    #[tokio::test]
    async fn raw_tests_carry_nothing_but_data() {
        let (up, tally) = play(Direction::Up, false, true).await;
        assert_eq!((up.sent, up.intact, tally.received), (2_000_000, None, 2_000_000));
        let (down, _) = play(Direction::Down, false, true).await;
        assert_eq!((down.sent, down.received), (0, 2_000_000));
    }

    #[test]
    fn a_time_is_above_zero() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "inf", "NaN", "x"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
