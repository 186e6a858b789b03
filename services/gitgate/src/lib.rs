//! The bottle's only git door: it mirrors, scans every new object, judges every ref, and forwards. It holds the git keys
//! that the agent never sees.
//!
//! ```text
//! agent ── smart HTTP, http://gitgate:9420/NAME ──▶ gate ── fetch, push: SSH or HTTPS ──▶ upstream
//!                                                     │
//!             receive-pack ─▶ quarantine ─▶ judge: refs, objects, workflows ─▶ push upstream ─▶ mirror
//! ```
//!
//! Nothing that the agent sent is kept, and nothing goes upstream, before [`judge`] has let all of it through. What a
//! mirror holds came from upstream or was taken by it.

pub mod deploy_keys;
pub mod git;
pub mod object;
pub mod progress;
pub mod push;
pub mod reference;
