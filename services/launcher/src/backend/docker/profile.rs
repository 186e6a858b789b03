//! The filter of [`crate::backend::seccomp`] in the form that an engine takes.
//!
//! The engine's conditions are weaker than the kernel's: those of one rule must be about different arguments, and compare
//! all 64 bits where the kernel takes 32. So "none of these values" is said as ranges and bits, and every comparison holds
//! whatever the upper half is.

use serde_json::{Value, json};

use crate::backend::seccomp::{
    CLONE_FLAGS, CLONE_NEWTIME, FAMILIES, PERSONALITIES, TERMINAL_REQUESTS, always_absent, always_refused,
};

/// The first number that no family of sockets has.
const FAMILIES_END: u64 = 46;
/// The lower half of an argument.
const LOWER: u64 = 0xffff_ffff;

/// The profile, as JSON. What it does not name is allowed; callers of another architecture's calls are killed.
pub(super) fn profile() -> String {
    let refused: Vec<_> = always_refused().map(|(name, _)| name).collect();
    let absent: Vec<_> = always_absent().map(|(name, _)| name).collect();
    let mut rules = vec![rule(&refused, libc::EPERM, &[]), rule(&absent, libc::ENOSYS, &[])];
    let mut refuse = |call: &str, conditions: &[Value]| rules.push(rule(&[call], libc::EPERM, conditions));
    for family in (0..FAMILIES_END).filter(|family| FAMILIES.iter().all(|known| bits(*known) != *family)) {
        refuse("socket", &[compare(0, "EQ", family)]);
    }
    refuse("socket", &[compare(0, "GE", FAMILIES_END)]);
    let netlink = compare(0, "EQ", bits(libc::AF_NETLINK));
    refuse("socket", &[netlink, compare(2, "NE", bits(libc::NETLINK_ROUTE))]);
    refuse("socketpair", &[compare(0, "NE", bits(libc::AF_UNIX))]);
    for flag in CLONE_FLAGS {
        refuse("clone", &[masked(0, bits(flag), bits(flag))]);
    }
    for flag in CLONE_FLAGS.into_iter().chain([CLONE_NEWTIME]) {
        refuse("unshare", &[masked(0, bits(flag), bits(flag))]);
    }
    for (mask, value) in other_personalities() {
        refuse("personality", &[masked(0, mask, value)]);
    }
    for request in TERMINAL_REQUESTS {
        refuse("ioctl", &[masked(1, LOWER, request)]);
    }
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": [architecture()], "syscalls": rules })
        .to_string()
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "SCMP_ARCH_AARCH64" } else { "SCMP_ARCH_X86_64" }
}

fn rule(names: &[&str], errno: i32, conditions: &[Value]) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": conditions })
}

fn compare(index: u32, operator: &str, value: u64) -> Value {
    json!({ "index": index, "value": value, "op": format!("SCMP_CMP_{operator}") })
}

/// Holds when the argument has these values in the bits of the mask.
fn masked(index: u32, mask: u64, value: u64) -> Value {
    json!({ "index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ" })
}

fn bits(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

/// Masks and values of which at least one holds for each number of 32 bits that is none of [`PERSONALITIES`], and none for
/// those. They are the question (all bits set) and combinations of two bits. Of any other number that has one of the rest of
/// the bits, going around them, one that is set is followed by one that is not; or all of those are set and one of the two is
/// not.
fn other_personalities() -> Vec<(u64, u64)> {
    let known = PERSONALITIES.into_iter().filter(|known| *known != LOWER).fold(0, |all, known| all | known);
    let all: Vec<u64> = (0..32).map(|bit| 1 << bit).collect();
    let (two, rest): (Vec<u64>, Vec<u64>) = all.into_iter().partition(|bit| bit & known != 0);
    let following = rest.iter().skip(1).chain(rest.first());
    let around = rest.iter().zip(following).map(|(set, clear)| (set | clear, *set));
    let one_of_two = two.iter().filter_map(|clear| rest.first().map(|set| (set | clear, *set)));
    around.chain(one_of_two).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_refused(personality: u64) -> bool {
        other_personalities().iter().any(|(mask, value)| personality & mask == *value)
    }

    #[test]
    fn the_known_personalities_pass_and_their_neighbours_do_not() {
        for known in PERSONALITIES {
            assert!(!is_refused(known), "{known:x}");
            for bit in (0..32).map(|bit| 1_u64 << bit) {
                let other = known ^ bit;
                assert_eq!(is_refused(other), !PERSONALITIES.contains(&other), "{other:x}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_other_personality_is_refused(number: u32) {
            let number = u64::from(number);
            prop_assert_eq!(is_refused(number), !PERSONALITIES.contains(&number));
        }
    }

    #[test]
    fn no_rule_is_about_one_argument_twice() {
        let profile: Value = serde_json::from_str(&profile()).unwrap();
        for rule in profile["syscalls"].as_array().unwrap() {
            let mut indexes: Vec<u64> =
                rule["args"].as_array().unwrap().iter().map(|arg| arg["index"].as_u64().unwrap()).collect();
            let all = indexes.len();
            indexes.dedup();
            assert_eq!(indexes.len(), all, "{rule}");
        }
    }
}
