//! What tshark says of a capture.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// Severities of expert information, as tshark numbers them.
const WARNING: u32 = 0x0060_0000;
const ERROR: u32 = 0x0080_0000;

/// Warnings that the scenario explains: links whose queues overflow, and a capture at one end.
const EXPLAINED: [&str; 7] = [
    // Lost in a queue before it came here.
    "Previous segment(s) not captured (common at capture start)",
    "ACKed segment that wasn't captured (common at capture start)",
    // A retransmission that came, or left, behind later data.
    "This frame is a (suspected) out-of-order segment",
    // The sender took something for lost that was not.
    "D-SACK Sequence",
    // What the receiver offers at first, before it knows how fast the links are.
    "TCP window specified by the receiver is now completely full",
    "TCP Zero Window segment",
    // tshark counts two in front of the timestamps and two behind DSS; Linux has the same ones.
    "4 NOP in a row - a router may have removed some options",
];

/// One frame: the fields that [`FIELDS`] names, in that order.
struct Frame<'a>(Vec<&'a str>);

const FIELDS: [&str; 7] = [
    "frame.number",
    "tcp.stream",
    "tcp.len",
    "mptcp.stream",
    "_ws.malformed",
    "_ws.expert.severity",
    "_ws.expert.message",
];

impl Frame<'_> {
    fn field(&self, name: &str) -> &str {
        let at = FIELDS.iter().position(|field| *field == name).expect("it was asked for");
        self.0.get(at).copied().unwrap_or("")
    }

    /// What is wrong with it and not explained.
    fn complaint(&self) -> Option<String> {
        let severities = self.field("_ws.expert.severity").split('|');
        let messages = self.field("_ws.expert.message").split('|');
        let unexplained = severities.zip(messages).find(|(severity, message)| {
            let severity: u32 = severity.parse().unwrap_or(0);
            severity >= ERROR || (severity == WARNING && !EXPLAINED.contains(message))
        });
        let malformed = !self.field("_ws.malformed").is_empty();
        let complaint =
            unexplained.map(|(_, message)| message).or(malformed.then_some("malformed"));
        complaint.map(|what| format!("frame {}: {what}", self.field("frame.number")))
    }
}

/// That tshark takes the capture for one MPTCP connection of two subflows with at least `bytes`
/// of payload, and finds no packet malformed, no error, and no warning that is not explained.
pub(crate) fn assert_sound(capture: &Path, bytes: u64) {
    let text = read(capture);
    let frames: Vec<_> = text.lines().map(|line| Frame(line.split('\t').collect())).collect();
    let complaints: Vec<_> = frames.iter().filter_map(Frame::complaint).collect();
    assert!(complaints.is_empty(), "{} complaints: {:?}", complaints.len(), complaints.first());

    let of = |name| -> BTreeSet<_> {
        frames.iter().map(|frame| frame.field(name)).filter(|value| !value.is_empty()).collect()
    };
    assert_eq!(of("mptcp.stream"), BTreeSet::from(["0"]), "one connection");
    assert_eq!(of("tcp.stream"), BTreeSet::from(["0", "1"]), "two subflows");
    let payload = frames.iter().filter_map(|frame| frame.field("tcp.len").parse::<u64>().ok());
    assert!(payload.sum::<u64>() >= bytes);
}

/// The fields of every frame, a line each.
fn read(capture: &Path) -> String {
    let mut command = Command::new("tshark");
    // The payload is noise: dissectors of other protocols would find themselves in it.
    command.args(["-n", "-d", "tcp.port==8080,data", "-T", "fields"]);
    command.args(["-E", "occurrence=a", "-E", "aggregator=|"]);
    command.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = command.arg("-r").arg(capture).stdin(Stdio::null()).output();
    let output = output.expect("tshark starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("fields are UTF-8")
}
