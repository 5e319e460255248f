//! An endpoint and Linux, over emulated links, in both roles and with both IP versions.
//!
//! Here and not in the lab's tests, because the lab knows nothing of the stack under test: arrows
//! point down, and only a development dependency may cross. What is tested against whom in which
//! role is listed in `docs/interop.md`.

mod machine;
mod setup;
mod task;
mod wait;
mod world;

mod addresses;
mod endings;
mod fast_open;
mod impaired;
mod many;
mod middlebox;
mod mtu;
mod one_ended;
mod options;
mod plain;
mod receivers;
mod shards;
mod silence;
mod simultaneous;
mod subflows;
mod transfers;
mod transparent;
