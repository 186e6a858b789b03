//! Copying the current directory for a bottle (L9).

use std::future::Future;
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as Poller, Poll};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use archive::{Contents, Odd, Rules};
use base::id::WorkspaceId;
use bus::message::start::{Checkout, StartRequest, Upload, Workspace};
use bus::{Bus, layout};
use launcher::workspace::WORKSPACE_LIMITS;
use tokio::io::{AsyncRead, ReadBuf};

use crate::args;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output;

/// When a person begins to wonder, and how often they are told.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long git may take to tell what it ignores.
const LISTING: Duration = Duration::from_secs(60);
/// Links are part of what people have in their directories; sockets and the like cannot be copied.
const RULES: Rules = Rules { links: Odd::Keep, specials: Odd::Skip, in_use: false, limits: WORKSPACE_LIMITS };

/// A directory that is to be copied.
pub struct Copied {
    root: PathBuf,
    paths: Vec<PathBuf>,
    contents: Contents,
}

impl Copied {
    /// Finds out what there is to copy, if that is asked for. Nothing is read yet.
    ///
    /// # Errors
    /// The directory holds bot-bottle's home, or too much, or git cannot tell what it ignores.
    pub async fn survey(
        context: &Context,
        args: &args::workspace::Workspace,
    ) -> Result<Option<Self>, Failure> {
        if !args.cwd {
            return Ok(None);
        }
        let root = std::env::current_dir().context("cannot tell what the current directory is")?;
        let root = root.canonicalize().context("cannot tell what the current directory is")?;
        keeps_the_home(&context.home, &root)?;
        let paths = if args.skip_ignored { not_ignored(&root).await? } else { vec![PathBuf::new()] };
        let found = archive::survey(&root, &paths, &RULES);
        let contents = found.with_context(|| cannot_copy(&root)).or_exit(Exit::Input)?;
        Ok(Some(Self { root, paths, contents }))
    }

    /// What a person sees of it before it is copied.
    #[must_use]
    pub fn row(&self) -> (&'static str, String) {
        let Contents { files, bytes, skipped, .. } = self.contents;
        let skipped =
            if skipped == 0 { String::new() } else { format!("; {skipped} sockets and pipes stay out") };
        let git = self.root.join(".git");
        let git = match git.symlink_metadata() {
            Ok(meta) if !meta.is_dir() => "; its .git is elsewhere, and stays there",
            _ => "",
        };
        let root = base::inert(&self.root.display().to_string(), 200);
        let text = format!(
            "a copy of {root}: {files} files, {}{skipped}{git}; nothing is written back",
            size(bytes)
        );
        ("workspace", text)
    }

    /// Packs it and puts it on the bus, and tells how far it is.
    ///
    /// # Errors
    /// It cannot be read, or the bus does not take it.
    pub async fn upload(self, bus: &Bus) -> Result<Workspace, Failure> {
        let Self { root, paths, contents } = self;
        let total = size(contents.bytes);
        let what = cannot_copy(&root);
        let packing = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::tempfile()?;
            archive::pack(&root, &paths, &RULES, &file)?;
            let bytes = file.seek(SeekFrom::End(0))?;
            file.rewind()?;
            anyhow::Ok((file, bytes))
        });
        let packed = patiently(packing, || format!("packing {total} for the bottle")).await;
        let (file, bytes) = packed.context("packing failed")?.context(what).or_exit(Exit::Input)?;
        let sent = Arc::new(AtomicU64::new(0));
        let content = Counted { file: tokio::fs::File::from_std(file), sent: sent.clone() };
        let name = WorkspaceId::random();
        let store = bus.objects(layout::WORKSPACES);
        let progress =
            || format!("copying the workspace: {} of {}", size(sent.load(Ordering::Relaxed)), size(bytes));
        patiently(store.put(name.as_str(), content), progress).await.or_bus()?;
        Ok(Workspace::Archive(Upload { archive: name }))
    }
}

/// What a person sees of a workspace before anything starts.
#[must_use]
pub fn rows(copied: Option<&Copied>, args: &args::workspace::Workspace) -> Vec<(&'static str, String)> {
    let reference = args.reference.as_deref().map(|name| format!(" at {}", base::inert(name, 255)));
    let cloned = args
        .git
        .as_deref()
        .map(|url| ("workspace", format!("{}{}", base::inert(url, 200), reference.unwrap_or_default())));
    copied.map(Copied::row).into_iter().chain(cloned).collect()
}

/// The workspace of a request that names a repository.
#[must_use]
pub fn checkout(args: &args::workspace::Workspace) -> Option<Workspace> {
    let git = args.git.clone()?;
    Some(Workspace::Git(Checkout { git, reference: args.reference.clone() }))
}

/// Removes what was uploaded for a request that is over. What cannot be removed goes by itself.
pub async fn discard(bus: &Bus, request: &StartRequest) {
    let Some(Workspace::Archive(upload)) = &request.workspace else { return };
    if let Err(error) = bus.objects(layout::WORKSPACES).delete(upload.archive.as_str()).await {
        tracing::debug!(error = base::error::chain(&error), "an uploaded workspace stays for a while");
    }
}

/// Refuses a directory that would bring the keys of the bus, and whatever else is in the home, into the bottle.
fn keeps_the_home(home: &Path, root: &Path) -> Result<(), Failure> {
    let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    if !home.starts_with(root) && !root.starts_with(&home) {
        return Ok(());
    }
    let error = anyhow!(
        "{} is not copied: bot-bottle's home with its keys is {}; change to the directory that the agent is to work on",
        root.display(),
        home.display()
    );
    Err(Failure::new(Exit::Input, error))
}

/// Everything that git tracks or would track, and `.git` itself.
async fn not_ignored(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut git = tokio::process::Command::new("git");
    // The repository's own configuration may name programs; none of them runs for a listing.
    git.args(["-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "ls-files", "-z"]);
    git.args(["--cached", "--others", "--exclude-standard"]).current_dir(root).env("GIT_OPTIONAL_LOCKS", "0");
    git.stdin(Stdio::null()).kill_on_drop(true);
    let listed = tokio::time::timeout(LISTING, git.output()).await;
    let listed = listed.map_err(|_| anyhow!("git takes too long to list the files of {}", root.display()))?;
    let listed = listed.context("cannot run git").or_exit(Exit::Prerequisite)?;
    if !listed.status.success() {
        let words = base::inert(String::from_utf8_lossy(&listed.stderr).trim(), 300);
        let error = anyhow!("git cannot tell what it ignores in {}: {words}", root.display());
        return Err(Failure::new(Exit::Input, error));
    }
    let names = listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let paths =
        names.map(|name| PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name)));
    Ok(std::iter::once(PathBuf::from(".git")).chain(paths).collect())
}

/// Waits, and tells how far it is whenever a person may wonder.
pub(super) async fn patiently<T>(work: impl Future<Output = T>, progress: impl Fn() -> String) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(PATIENCE) => output::note(&progress()),
        }
    }
}

/// A file that tells how much of it was read.
struct Counted {
    file: tokio::fs::File,
    sent: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.file).poll_read(poller, buffer);
        self.sent.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        read
    }
}

fn cannot_copy(root: &Path) -> String {
    format!("{} cannot be copied into the bottle", root.display())
}

/// Bytes as a person says them.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
