//! Making host paths reachable for boxes that run as another user.
//!
//! A launcher that is root starts each box as a user of its own (see [`super::user`]), who may not even walk to the
//! bottle's state below root's home. So the thread that starts boxes has a mount namespace of its own with a small
//! staging directory, seen by nobody else and gone with the thread; trees are cloned by descriptor and attached
//! there. A launcher that is not root starts boxes as itself and stages nothing.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change,
    move_mount, open_tree, unmount,
};

use crate::sys;

/// Covered in the private mount namespace only; every system has it (FHS).
const STAGE: &str = "/mnt";

/// A path that a box will see.
pub(super) struct StagedTree {
    name: String,
    source: PathBuf,
    is_directory: bool,
    /// A detached clone of the tree at `source`; absent when the path is used as it is.
    tree: Option<OwnedFd>,
}

impl StagedTree {
    /// Takes `path`, under a `name` that is unique among the staged trees.
    ///
    /// # Errors
    /// It does not exist, or cannot be cloned.
    pub(super) fn open(name: String, path: &Path) -> io::Result<Self> {
        let source = path.canonicalize()?;
        let is_directory = source.is_dir();
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = is_root().then(|| open_tree(CWD, &source, clone)).transpose()?;
        Ok(Self { name, source, is_directory, tree })
    }
}

/// The staging directory of the calling thread.
pub(super) struct Stage {
    _private: (),
}

impl Stage {
    /// As root, gives the calling thread its private staging directory.
    ///
    /// # Errors
    /// The kernel refused the namespace or the mount.
    pub(super) fn enter() -> io::Result<Self> {
        if is_root() {
            sys::own_mount_namespace()?;
            // Changes from outside still arrive, so that a disk can be unmounted there while a launcher runs.
            mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
            mount(
                "bot-bottle",
                STAGE,
                "tmpfs",
                MountFlags::NOSUID | MountFlags::NODEV,
                c"mode=0711,size=1m",
            )?;
        }
        Ok(Self { _private: () })
    }

    /// Attaches a tree; returns the path to give to bubblewrap.
    pub(super) fn add(&self, staged: &StagedTree) -> io::Result<PathBuf> {
        let Some(tree) = &staged.tree else { return Ok(staged.source.clone()) };
        let path = Path::new(STAGE).join(&staged.name);
        if staged.is_directory {
            DirBuilder::new().mode(0o711).create(&path)?;
        } else {
            File::create_new(&path)?;
        }
        move_mount(tree, "", CWD, &path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        Ok(path)
    }

    /// Detaches a tree. What is not staged was never attached.
    pub(super) fn remove(&self, path: &Path) {
        if !is_root() || !path.starts_with(STAGE) {
            return;
        }
        // Nothing below the staging directory outlives this thread, so a refusal costs at most an entry in it.
        if unmount(path, UnmountFlags::DETACH).is_ok() {
            drop(std::fs::remove_dir(path).or_else(|_| std::fs::remove_file(path)));
        }
    }
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
