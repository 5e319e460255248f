mod common;
use common::{World, link, ms};
#[test]
fn debug() {
    let mut world = World::new(0, &[link(20, ms(10)), link(10, ms(40))]);
    let down = std::env::var_os("DOWN").is_some();
    if down {
        world.start(0, 100 << 20)
    } else {
        world.start(100 << 20, 0)
    }
    for step in 0..140 {
        let from = world.now;
        if step == 40 {
            world.cut(0);
            eprintln!("cut");
        }
        if step == 80 {
            world.restore(0);
            eprintln!("restore");
        }
        world.run_for(ms(100));
        let (s, r) =
            if down { (&world.server, &world.client) } else { (&world.client, &world.server) };
        let rate = r.rate(from, world.now) / 1e6;
        let info = s.endpoint.info(s.conn.unwrap()).unwrap();
        eprint!(
            "{:5.1}s {:6.2} Mb/s re {} ooo {} |",
            step as f64 / 10.0,
            rate,
            info.bytes_reinjected,
            r.endpoint.info(r.conn.unwrap()).unwrap().bytes_out_of_order
        );
        for f in info.subflows {
            eprint!(
                " #{} cwnd {} ssth {} fl {} srtt {:?} rto {:?} {}{} lost {} retr {} |",
                f.id.0,
                f.path.cwnd / 1428,
                f.path.ssthresh.min(999 * 1428) / 1428,
                f.path.in_flight / 1428,
                f.path.srtt.as_millis(),
                f.path.rto.as_millis(),
                if f.path.suspect { "S" } else { "" },
                if f.path.failed { "F" } else { "" },
                f.path.lost / 1428,
                f.bytes_retransmitted / 1428
            );
        }
        eprintln!();
    }
}
