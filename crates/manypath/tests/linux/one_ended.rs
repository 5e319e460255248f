//! One-ended multipath to and from Linux's TCP, which knows nothing of it: in both roles, and
//! through boxes in the network that know TCP too well.
//!
//! The stack is behind two TUNs, one for each link, that share its address; what Linux sends comes
//! back on a third link, and what a box on a link sends back comes in by that link's TUN.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use manypath::device::{Tun, TunConfig};
use manypath::{ConnectOptions, ConnectionMode, Endpoint, ListenOptions, Path};
use manypath_lab::{
    Capability, Client, Direction, Family, Host, LinkConfig, Middlebox, Namespace, PeerConfig,
    Role, Server, Topology, Transport, middlebox, skip_unless,
};
use manypath_wire::Segment;

use crate::machine;
use crate::task::{MIB, Moved, Peer, Task, play};
use crate::wait::within;

const STACK: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 9, 7));
const STACK6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd64, 9, 0, 0, 0, 0, 0, 7));
const PORT: u16 = 5000;
const BACK: usize = 2;
const BYTES: u64 = 12 * MIB;

struct World {
    topology: Topology,
    endpoint: Endpoint,
    family: Family,
}

/// The stack's address, and the network that it is in.
fn stack(family: Family) -> (IpAddr, &'static str) {
    match family {
        Family::V4 => (STACK, "100.64.9.0/24"),
        Family::V6 => (STACK6, "fd64:9::/64"),
    }
}

impl World {
    fn new() -> Self {
        Self::over(Family::V4)
    }

    fn over(family: Family) -> Self {
        let (stack, prefix) = stack(family);
        let ms = Duration::from_millis;
        let back = LinkConfig { delay: ms(10), ..LinkConfig::default() };
        let topology = Topology::builder()
            .link("fast", LinkConfig::mbps(20, ms(10)))
            .link("slow", LinkConfig::mbps(10, ms(40)))
            .link("back", back)
            .build()
            .expect("the machine can build a lab");
        topology.route_to(prefix, BACK).expect("a route");
        let tuns = ["path0", "path1"].map(|name| {
            let config = TunConfig { name: name.to_owned(), ..TunConfig::default() };
            let tun = topology.client().run(|| Tun::open(&config)).expect("the namespace is there");
            (name, tun.expect("a TUN can be made"))
        });
        let mut lines = vec![format!("route add {stack} dev path0")];
        let mut builder = Endpoint::builder();
        for (link, (name, tun)) in tuns.into_iter().enumerate() {
            topology.forward(name, link).expect("a rule");
            let (table, from) = (300 + link, topology.link(link).name());
            lines.push(format!("route add {stack} dev {name} table {table}"));
            lines.push(format!("rule add pref 5 iif {from} to {stack} lookup {table}"));
            builder = builder.path(tun, Path::new(name, stack));
        }
        topology.client().ip_batch(family, &lines).expect("routes");
        Self { topology, endpoint: builder.build().expect("it starts"), family }
    }

    /// Puts the same kind of box in front of each link.
    fn boxes(self, mut make: impl FnMut() -> Middlebox) -> Self {
        self.topology.links().iter().for_each(|link| link.set_middlebox(Some(make())));
        self
    }

    /// What Linux is told to do with packets at one of the hosts.
    fn rules(self, host: Host, rules: &str) -> Self {
        nft(self.topology.host(host), rules);
        self
    }

    /// The stack connects and uploads.
    async fn upload(&self) -> Moved {
        self.upload_to(Task::Up.of_linux(BYTES)).await
    }

    async fn upload_to(&self, role: Role) -> Moved {
        let config = PeerConfig::new(Transport::Tcp);
        let at = SocketAddr::new(self.topology.addr(Host::Server, 0, self.family), 0);
        let server = Server::start(self.topology.server(), &config, at, role).expect("it listens");
        let to = server.addr();
        let options =
            ConnectOptions { mode: ConnectionMode::OneEnded, ..ConnectOptions::default() };
        let stream = within(self.endpoint.connect_with(to, options)).await.expect("it answers");
        self.play((stream, Peer::Server(server))).await
    }

    /// Linux connects and downloads.
    async fn serve(&self) -> Moved {
        let options = ListenOptions { mode: ConnectionMode::OneEnded, ..ListenOptions::default() };
        let at = SocketAddr::new(stack(self.family).0, PORT);
        let listener = self.endpoint.listen_with(at, options).expect("the port is free");
        let config = PeerConfig::new(Transport::Tcp);
        let role = Task::Up.of_linux(BYTES);
        let client = Client::start(self.topology.server(), &config, at, role).expect("it starts");
        let (stream, _) = within(listener.accept()).await.expect("Linux connects");
        self.play((stream, Peer::Client(client))).await
    }

    async fn play(&self, ends: (manypath::Stream, Peer)) -> Moved {
        let moved = play(&self.endpoint, ends, (Task::Up, BYTES), async {}).await;
        moved.assert_intact(Task::Up, BYTES);
        moved
    }

    /// Payload that each link carried so far, roughly.
    fn carried(&self) -> [u64; 2] {
        [0, 1].map(|link| self.topology.link(link).stats(Direction::Up).delivered.bytes)
    }

    /// That the transfer went over both links.
    fn assert_spread(&self, moved: &Moved) {
        assert_eq!(moved.ours.protocol, "one-ended", "{:?}", moved.ours);
        let carried = self.carried();
        assert!(carried.iter().all(|&bytes| bytes > BYTES / 5), "{carried:?}");
    }

    /// That the transfer went over the first link, but for what it takes to find out.
    fn assert_single(&self, before: [u64; 2]) {
        let on_the_second = self.carried()[1] - before[1];
        assert!(on_the_second < BYTES / 10, "{on_the_second} bytes on the second link");
    }
}

fn nft(host: &Namespace, rules: &str) {
    let apply = || Command::new("nft").arg(rules).output();
    let output = host.run(apply).expect("the namespace is there").expect("nft is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Changes the SYNs that pass, either way.
fn on_syns(change: fn(&mut Segment)) -> Middlebox {
    middlebox::edit(move |_, segment| {
        if segment.flags.has(manypath_wire::Flags::SYN) {
            change(segment);
        }
    })
}

fn needs_nft() -> bool {
    skip_unless(&[Capability::Program("nft")]).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_and_downloads_go_over_both_links() {
    let Ok(_turn) = machine::shared().await else { return };
    let world = World::new();
    let moved = world.upload().await;
    world.assert_spread(&moved);
    let world = World::new();
    let moved = world.serve().await;
    world.assert_spread(&moved);
}

/// Nothing of it depends on the version of IP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_ipv6_uploads_and_downloads_go_over_both_links() {
    let Ok(_turn) = machine::shared().await else { return };
    let world = World::over(Family::V6);
    let moved = world.upload().await;
    world.assert_spread(&moved);
    let world = World::over(Family::V6);
    let moved = world.serve().await;
    world.assert_spread(&moved);
}

/// RFC 9293 §3.8.6.1: a closed window is probed until it opens, and then both links are used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linux_that_stops_reading_and_goes_on_gets_the_rest_over_both_links() {
    let Ok(_turn) = machine::shared().await else { return };
    let world = World::new();
    let pause = Duration::from_secs(4);
    let moved = world.upload_to(Role::Late { after: MIB, pause }).await;
    world.assert_spread(&moved);
}

/// What leaves by either link gets the same address and port.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nat_that_the_paths_have_in_common_does_not_matter() {
    let Ok(_turn) = machine::shared().await else { return };
    if !needs_nft() {
        return;
    }
    let nat = format!(
        "table ip nat {{\nchain out {{\ntype nat hook postrouting priority srcnat;\n\
         ip saddr {STACK} snat to 10.3.1.1;\n}}\n}}"
    );
    let world = World::new().rules(Host::Client, &nat);
    let moved = world.upload().await;
    let peer = moved.linux.peer.map(|peer| peer.ip().to_string());
    assert_eq!(peer.as_deref(), Some("10.3.1.1"));
    world.assert_spread(&moved);
}

const DROP_INVALID: &str = "table ip firewall {\nchain in {\n\
                            type filter hook prerouting priority filter;\n\
                            ct state invalid drop;\n}\n}";

/// A firewall that follows sequence numbers and windows, where what went over both links meets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_firewall_that_follows_connections_lets_them_pass() {
    let Ok(_turn) = machine::shared().await else { return };
    if !needs_nft() {
        return;
    }
    let world = World::new().rules(Host::Server, DROP_INVALID);
    let liberal = world.topology.server().sysctl_value("net/netfilter/nf_conntrack_tcp_be_liberal");
    assert_eq!(liberal.expect("connections are followed"), "0");
    let moved = world.upload().await;
    world.assert_spread(&moved);
}

/// One that takes options away as well, and makes segments smaller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_firewall_that_normalises_there_is_one_path() {
    let Ok(_turn) = machine::shared().await else { return };
    if !needs_nft() {
        return;
    }
    let world = World::new().rules(Host::Server, DROP_INVALID).boxes(|| {
        on_syns(|syn| {
            syn.options.sack_permitted = false;
            syn.options.timestamps = None;
            syn.options.mss = syn.options.mss.map(|mss| mss.min(1200));
        })
    });
    let moved = world.upload().await;
    assert_eq!(moved.ours.protocol, "plain-tcp", "{:?}", moved.ours);
    world.assert_single([0, 0]);
}

/// Without SACK nobody could tell what is missing from what is late (RFC 2018).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_sack_is_taken_away_there_is_one_path() {
    let Ok(_turn) = machine::shared().await else { return };
    let world = World::new().boxes(|| on_syns(|syn| syn.options.sack_permitted = false));
    let moved = world.upload().await;
    assert_eq!(moved.ours.protocol, "plain-tcp", "{:?}", moved.ours);
    world.assert_single([0, 0]);
}

/// Timestamps are the hazard, not the help (PAWS, RFC 7323 §5.3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_timestamps_both_links_are_used() {
    let Ok(_turn) = machine::shared().await else { return };
    let world = World::new().boxes(|| on_syns(|syn| syn.options.timestamps = None));
    let moved = world.upload().await;
    world.assert_spread(&moved);
}

/// The box sees every other piece of the connection only, and takes that for an attack. The path
/// behind it is left, and the next connection to this host does not try it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_box_resets_what_is_out_of_order_there_is_one_path_from_then_on() {
    let Ok(_turn) = machine::shared().await else { return };
    let world = World::new();
    let reset = middlebox::reset_out_of_order(Direction::Up);
    world.topology.link(1).set_middlebox(Some(reset));
    world.upload().await;
    world.assert_single([0, 0]);
    let before = world.carried();
    let moved = world.upload().await;
    assert_eq!(moved.ours.protocol, "plain-tcp", "{:?}", moved.ours);
    assert_eq!(world.carried()[1], before[1], "the second link is not tried again");
}
