//! Who the agent is inside.

/// Who the agent is inside its bottle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentUser {
    /// User 1000; in a container the launcher's own number where the launcher is not root, since nobody else could use the
    /// home.
    #[default]
    Ordinary,
    /// User 0, without any capability. The escape probe refuses such a bottle; tests look at what holds without that.
    Root,
}

impl AgentUser {
    /// The user and group id in a user namespace of its own.
    pub(super) fn inside(self) -> u32 {
        match self {
            Self::Ordinary => 1000,
            Self::Root => 0,
        }
    }

    /// The user and group id where those inside are those of the host.
    pub(super) fn number(self) -> u32 {
        let own = rustix::process::geteuid();
        match self {
            Self::Ordinary if !own.is_root() => own.as_raw(),
            Self::Ordinary | Self::Root => self.inside(),
        }
    }
}
