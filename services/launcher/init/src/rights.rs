//! What init gives up before it does anything.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

/// Drops every capability, forbids gaining any, and closes this process to inspection: the agent has the same user
/// id, so without the last step it could trace its parent or read `/proc/1`.
///
/// # Errors
/// The kernel refused one of them.
pub(crate) fn drop_all() -> io::Result<()> {
    set_no_new_privs(true)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}
