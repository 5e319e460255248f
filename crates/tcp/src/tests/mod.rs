//! Scripts and simulations that test a flow as a whole, a file for each topic.

mod challenge;
mod close;
mod delayed_ack;
mod efficiency;
mod extension;
mod fuzz;
mod handshake;
mod icmp;
mod invariants;
mod loss;
mod nagle;
mod pacing;
mod pairs;
mod prr;
mod rack;
mod reset;
mod rto;
mod sack;
mod samples;
mod simultaneous;
mod spurious;
mod time_wait;
mod timestamps;
mod tlp;
mod window;
mod zero_window;
