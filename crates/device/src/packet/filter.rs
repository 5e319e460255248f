//! Which frames a packet socket gets: a program in classic BPF, run by the kernel for each frame.
//!
//! **Invariant**: what passes is IP for one of our addresses, or a question or answer about the
//! link address of one. **Leaves out** checking: what passes is parsed as carefully as any.

use std::net::{IpAddr, Ipv6Addr};

use nix::libc::{self, sock_filter};

use super::frame::{ARP, IPV4, IPV6, TYPE_AT};
use super::ndp::solicited_node;

/// Where the destination stands in a frame with an IPv4 packet: link header, then 16 bytes.
const V4_DST: u32 = 14 + 16;
/// The protocol address asked for, in ARP (RFC 826).
const ARP_TARGET: u32 = 14 + 24;
/// Where the destination stands in a frame with an IPv6 packet.
const V6_DST: u32 = 14 + 24;

/// The program for `addresses`.
pub(super) fn program(addresses: &[IpAddr]) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for &addr in addresses {
        match addr {
            IpAddr::V4(addr) => {
                let word = u32::from(addr);
                program.extend(accept_if(IPV4, &[(V4_DST, word)]));
                program.extend(accept_if(ARP, &[(ARP_TARGET, word)]));
            }
            IpAddr::V6(addr) => {
                program.extend(accept_if(IPV6, &v6_words(addr)));
                program.extend(accept_if(IPV6, &v6_words(solicited_node(addr))));
            }
        }
    }
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0));
    program
}

fn v6_words(addr: Ipv6Addr) -> [(u32, u32); 4] {
    let bits = addr.to_bits();
    let word = |shift: u32| u32::try_from((bits >> shift) & 0xffff_ffff).expect("32 bits");
    [(V6_DST, word(96)), (V6_DST + 4, word(64)), (V6_DST + 8, word(32)), (V6_DST + 12, word(0))]
}

/// Takes the frame if it has this type and these words at their offsets; else goes on behind.
fn accept_if(kind: u16, words: &[(u32, u32)]) -> Vec<sock_filter> {
    let type_at = u32::try_from(TYPE_AT).expect("12");
    let half = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, type_at, u32::from(kind));
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let tests: Vec<_> =
        std::iter::once(half).chain(words.iter().map(|&(at, word)| (load, at, word))).collect();
    let mut block = Vec::new();
    for (n, &(load, at, value)) in tests.iter().enumerate() {
        // Behind this test come two instructions for each other one, and the verdict.
        let rest = u8::try_from(2 * (tests.len() - n - 1) + 1).expect("at most five tests");
        block.push(instruction(load, 0, at));
        block.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, rest, value));
    }
    block.push(instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX));
    block
}

fn instruction(code: u32, jf: u8, k: u32) -> sock_filter {
    let code = u16::try_from(code).expect("codes of classic BPF have 16 bits");
    sock_filter { code, jt: 0, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do, for the instructions that are used; 0 is a refusal.
    fn run(program: &[sock_filter], frame: &[u8]) -> u32 {
        let (mut at, mut a) = (0, 0);
        loop {
            let sock_filter { code, jf, k, .. } = program[at];
            let (code, from) = (u32::from(code), usize::try_from(k).unwrap_or(usize::MAX));
            at += 1;
            if code == libc::BPF_RET {
                return k;
            } else if code == libc::BPF_JMP | libc::BPF_JEQ {
                at += if a == k { 0 } else { usize::from(jf) };
            } else {
                let width = if code & libc::BPF_H == libc::BPF_H { 2 } else { 4 };
                let Some(bytes) = frame.get(from..).and_then(|f| f.get(..width)) else { return 0 };
                a = bytes.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte));
            }
        }
    }

    fn frame(kind: u16, at: u32, addr: IpAddr) -> Vec<u8> {
        let mut frame = vec![0; 80];
        frame[TYPE_AT..TYPE_AT + 2].copy_from_slice(&kind.to_be_bytes());
        let bytes = match addr {
            IpAddr::V4(addr) => addr.octets().to_vec(),
            IpAddr::V6(addr) => addr.octets().to_vec(),
        };
        let at = usize::try_from(at).expect("fits");
        frame[at..at + bytes.len()].copy_from_slice(&bytes);
        frame
    }

    #[test]
    fn our_addresses_pass_and_nothing_else() {
        let addr = |text: &str| text.parse::<IpAddr>().expect("an address");
        let ours = ["10.0.0.7", "10.0.1.7", "fd00::7"].map(addr);
        let program = program(&ours);
        let solicited = addr("ff02::1:ff00:7");
        for (kind, at, dst, passes) in [
            (IPV4, V4_DST, ours[0], true),
            (IPV4, V4_DST, ours[1], true),
            (IPV4, V4_DST, addr("10.0.0.8"), false),
            (ARP, ARP_TARGET, ours[1], true),
            (ARP, ARP_TARGET, addr("10.0.0.1"), false),
            (IPV6, V6_DST, ours[2], true),
            (IPV6, V6_DST, solicited, true),
            (IPV6, V6_DST, addr("fd00::8"), false),
            (0x88cc, V4_DST, ours[0], false),
        ] {
            let verdict = run(&program, &frame(kind, at, dst));
            assert_eq!(verdict > 0, passes, "{kind:#x} to {dst}");
        }
        assert_eq!(run(&program, &[0; 13]), 0, "too short");
    }
}
