//! `credentials`: an identity on the bus for a program of one's own.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bus::keys::Keys;
use bus::role::Role;

use crate::args::{Credentials, HolderRole};
use crate::context::{Context, no_keys};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes a credentials file that nobody else can read.
///
/// # Errors
/// There are no keys, or the file exists or cannot be written.
pub fn run(context: &Context, args: &Credentials) -> Result<Exit, Failure> {
    let role = match args.role {
        HolderRole::Operator => Role::Operator,
        HolderRole::Launcher => Role::Launcher,
        HolderRole::Supervisor => Role::Supervisor,
        HolderRole::Dispatcher => Role::Dispatcher,
        HolderRole::Admin => Role::Admin,
    };
    let keys = Keys::load(&context.home).map_err(no_keys)?;
    let days = u32::try_from(args.days).map_err(|_| anyhow!("that is too long")).or_exit(Exit::Usage)?;
    let credentials = keys.mint(role, Some(DAY * days)).context("cannot make an identity")?;
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.file)
        .with_context(|| format!("cannot make {}", args.file.display()))
        .or_exit(Exit::Input)?;
    file.write_all(credentials.to_file().expose().as_bytes())
        .with_context(|| format!("cannot write {}", args.file.display()))?;
    output::line(&format!("wrote {}: {role}, for {} days", args.file.display(), args.days));
    Ok(Exit::Ok)
}
