//! What an endpoint, a connection and a listener are told.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use manypath_base::IfaceId;
use manypath_cc::Algorithm as CongestionControl;
use manypath_sched::Algorithm as SchedulerKind;

/// What a local address is used for, in the words of `ip mptcp endpoint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressFlags {
    /// Open subflows from it.
    pub subflow: bool,
    /// Announce it to the peer with ADD_ADDR.
    pub signal: bool,
    /// Its subflows carry data only where no regular one is alive (RFC 8684 §3.2, B flag).
    pub backup: bool,
    /// Open subflows from it to every address of the peer.
    pub fullmesh: bool,
}

impl Default for AddressFlags {
    fn default() -> Self {
        Self { subflow: true, signal: false, backup: false, fullmesh: false }
    }
}

/// An address of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address.
    pub addr: IpAddr,
    /// What it is used for.
    pub flags: AddressFlags,
    /// The port that is announced with it, where it is not that of the connection (RFC 8684
    /// §3.4.1). Joins are taken in at any port.
    pub port: Option<u16>,
}

/// A network interface that the endpoint sends and receives on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The caller's name for it.
    pub id: IfaceId,
    /// Largest IP packet in bytes.
    pub mtu: u16,
    /// Addresses. Packets from an address leave by its interface.
    pub addresses: Vec<LocalAddress>,
}

/// How many paths a connection may have, in the words of `ip mptcp limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathLimits {
    /// Subflows beside the initial one.
    pub subflows: u32,
    /// Announced addresses of the peer that are used.
    pub add_addr_accepted: u32,
    /// Subflows between the same two addresses, told apart by their ports: routers that spread
    /// load by flow then carry them over different ways (RFC 8684 §3.2 tells subflows apart by the 4-tuple).
    pub per_pair: u32,
}

impl Default for PathLimits {
    fn default() -> Self {
        Self { subflows: 8, add_addr_accepted: 8, per_pair: 1 }
    }
}

/// When a SYN is answered without keeping anything of it (RFC 4987 §3.6): what is needed of it
/// comes back with the third segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SynCookies {
    /// Never: of half-open connections the oldest makes way.
    Never,
    /// While there is no room for another half-open connection.
    #[default]
    WhenFull,
    /// Always.
    Always,
}

/// Settings of an endpoint; each connection starts with them.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Settings of every flow. Its buffers are those of the connection.
    pub tcp: manypath_tcp::Config,
    /// Congestion control of every subflow.
    pub congestion_control: CongestionControl,
    /// Which subflow carries what.
    pub scheduler: SchedulerKind,
    /// How many paths.
    pub limits: PathLimits,
    /// Largest number of bytes written and not acknowledged that a connection keeps. Beyond 8 MB it
    /// keeps so many only where its windows need them.
    pub send_buffer_max: u32,
    /// Spread connections that fell back to TCP over all interfaces that have their local address:
    /// one-ended multipath, of which the peer knows nothing. It needs SACK at the peer.
    pub one_ended: bool,
    /// Ask for checksums over mapped data (RFC 8684 §3.3.1).
    pub checksum: bool,
    /// Largest number of connections, the half-open ones included.
    pub max_connections: usize,
    /// Largest number of half-open connections that came to listeners.
    pub max_half_open: usize,
    /// What becomes of one more. A connection that begins with a cookie knows the peer's MSS only
    /// roughly, and window scale and SACK only where the peer has timestamps; ECN is off.
    pub syn_cookies: SynCookies,
    /// Tell peers not to join to the address and port that a connection begins with, and refuse it
    /// (RFC 8684 §3.1, flag C): behind a load balancer such a join would reach another host.
    pub deny_join_initial: bool,
    /// An abort says MP_FASTCLOSE in an acknowledgment, repeated until the peer answers, rather
    /// than in RSTs, of which none may arrive (RFC 8684 §3.5, option A rather than R).
    pub fastclose_by_ack: bool,
    /// How long connections begin as TCP to a destination that swallowed SYNs with MP_CAPABLE and
    /// at once answered one without (RFC 8684 §3.9.3), twice within this time; it doubles each time
    /// that it happens again. Zero: not at all.
    pub blackhole_time: Duration,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            tcp: manypath_tcp::Config::default(),
            congestion_control: CongestionControl::Lia,
            scheduler: SchedulerKind::LowestRtt,
            limits: PathLimits::default(),
            send_buffer_max: 64 << 20,
            one_ended: true,
            checksum: false,
            max_connections: 1 << 20,
            max_half_open: 4_096,
            syn_cookies: SynCookies::default(),
            deny_join_initial: false,
            fastclose_by_ack: false,
            blackhole_time: Duration::from_secs(3_600),
        }
    }
}

/// What a connection is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionMode {
    /// Multipath where the peer has it (RFC 8684), else TCP, over all interfaces that have its
    /// local address if [`EndpointConfig::one_ended`] says so.
    #[default]
    Automatic,
    /// TCP over all interfaces that have its local address; the peer is not asked for more and
    /// knows nothing of it (draft-van-beijnum-1e-mp-tcp-00).
    OneEnded,
    /// TCP over one path.
    PlainTcp,
}

/// Settings of one outgoing connection.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Source address; the first of the right family if `None`.
    pub local: Option<IpAddr>,
    /// Source port; a free ephemeral one if `None`.
    pub local_port: Option<u16>,
    /// What it is to be.
    pub mode: ConnectionMode,
    /// Congestion control other than the endpoint's.
    pub congestion_control: Option<CongestionControl>,
    /// Scheduler other than the endpoint's.
    pub scheduler: Option<SchedulerKind>,
    /// Further addresses of the peer, known beforehand.
    pub remotes: Box<[SocketAddr]>,
    /// Bytes that the stream begins with, to be sent on the SYN where the peer allows it (TCP Fast
    /// Open, RFC 7413), else as soon as the peer has answered. The SYN may come twice, and the
    /// peer's application see these bytes in two connections (RFC 7413 §2.1): whoever fills this in
    /// says that they may be. Empty, it asks for leave to do so the next time.
    pub early_data: Option<Bytes>,
}

/// Settings of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// What connections are to be.
    pub mode: ConnectionMode,
    /// Connections that wait to be accepted, the half-open ones included.
    pub backlog: usize,
    /// Connections whose data on the SYN was taken while their handshake is not complete, at most;
    /// 0: no Fast Open (RFC 7413 §5.1). Such a SYN may come twice, so that the same bytes begin two
    /// connections: an application that sets this must not mind.
    pub fast_open: usize,
    /// Take connections to addresses of other hosts too, where packets to them come here: a proxy
    /// in their way (`IP_TRANSPARENT`). The address to listen on is then mostly the unspecified
    /// one, and that of a connection is the one that its peer wanted.
    pub transparent: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        let mode = ConnectionMode::Automatic;
        Self { mode, backlog: 1024, fast_open: 0, transparent: false }
    }
}
