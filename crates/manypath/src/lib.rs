//! Multipath TCP (RFC 8684) in userspace for tokio: [`Endpoint`], [`Listener`], [`Stream`].
//!
//! A [`Stream`] is used as a `TcpStream` is; that it has several paths is seen only by those who
//! ask. **Owns** the only loop with a clock: a thread that waits for packets and deadlines.
//! **Invariants**: every call drains the stack dry before it returns, so what an application
//! writes leaves in its own thread; nothing polls, an idle endpoint sleeps. **Leaves out** the
//! protocol (`manypath-mptcp`) and the devices (`manypath-device`), whose types are given on here.
//!
//! ```no_run
//! use manypath::device::{Tun, TunConfig};
//! use manypath::{Endpoint, Path};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let wifi = Tun::open(&TunConfig { name: "mp-wifi".into(), ..TunConfig::default() })?;
//! let lte = Tun::open(&TunConfig { name: "mp-lte".into(), ..TunConfig::default() })?;
//! let endpoint = Endpoint::builder()
//!     .path(wifi, Path::new("wifi", "10.1.0.2".parse()?))
//!     .path(lte, Path::new("lte", "10.2.0.2".parse()?).backup())
//!     .build()?;
//!
//! let mut stream = endpoint.connect("192.0.2.7:80".parse()?).await?;
//! stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
//! let mut page = Vec::new();
//! stream.read_to_end(&mut page).await?;
//! for subflow in stream.info()?.subflows {
//!     println!("{}: {} bytes in {} ms", subflow.path, subflow.bytes_received, subflow.srtt_ms);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod accessors;
mod alarm;
mod builder;
mod caches;
mod capture;
mod clock;
mod copy;
mod devices;
mod driver;
mod endpoint;
mod error;
mod events;
mod halves;
mod handle;
mod hold;
mod info;
mod listener;
mod outbox;
mod post;
mod shared;
mod source;
mod stream;

pub use builder::{EndpointBuilder, Path};
pub use endpoint::Endpoint;
pub use error::{ConnectError, ListenError, Stopped};
pub use events::{EVENT_QUEUE, Events, Notice};
pub use halves::{OwnedReadHalf, OwnedWriteHalf};
pub use info::{ConnectionInfo, EndpointInfo, EventInfo, SubflowInfo};
pub use listener::Listener;
pub use stream::Stream;

pub use manypath_base::{AddrId, IfaceId, Instant, SubflowId};
pub use manypath_cc::Algorithm as CongestionControl;
pub use manypath_device as device;
pub use manypath_mptcp::{
    AddressFlags, ConnId, ConnectOptions, ConnectionError, ConnectionMode, Event, FallbackReason,
    ListenOptions, ListenerId, LocalAddress, PathDownReason, PathLimits, Protocol, SynCookies,
};
pub use manypath_sched::Algorithm as Scheduler;
pub use manypath_tcp::{Config as TcpConfig, Keepalive};
