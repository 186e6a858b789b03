//! Which host user a box runs as.

use base::id::Slug;

use super::stage::is_root;

/// Far above every range that distributions hand out or reserve, below 2^31.
const AGENTS: u32 = 1_800_000_000;
const SIDECARS: u32 = 1_900_000_000;

/// What a box is for; the two never share a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Agent,
    Sidecar,
}

/// The user and group id that a box of this bottle runs as on the host: a pair of its own when the launcher is root,
/// so that a process that breaks out of its namespaces owns nothing and can write no kernel setting; nobody else
/// than the launcher's own user otherwise, and then there is nothing to choose.
pub(super) fn host_user(bottle: &Slug, role: Role) -> Option<u32> {
    is_root().then(|| number(bottle, role))
}

fn number(bottle: &Slug, role: Role) -> u32 {
    let digits = &bottle.as_str()[bottle.agent().len() + 1..];
    // Five base-36 digits are at most 60,466,175.
    let offset = u32::from_str_radix(digits, 36).unwrap_or(0);
    match role {
        Role::Agent => AGENTS + offset,
        Role::Sidecar => SIDECARS + offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bottle_has_its_own_users() {
        for (bottle, agent, sidecar) in [
            ("a-00000", 1_800_000_000, 1_900_000_000),
            ("a-00001", 1_800_000_001, 1_900_000_001),
            ("a-zzzzz", 1_860_466_175, 1_960_466_175),
        ] {
            let bottle = bottle.parse().unwrap();
            assert_eq!((number(&bottle, Role::Agent), number(&bottle, Role::Sidecar)), (agent, sidecar));
        }
    }
}
