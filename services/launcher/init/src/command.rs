//! From an order's command to a process.

use std::path::Path;
use std::process::Command;

use boundary::order;

/// A process that is about to be started: its own environment only.
///
/// # Errors
/// The argv is empty, or the working directory is missing.
pub(crate) fn prepare(command: &order::Command) -> Result<Command, String> {
    let (program, arguments) = command.argv.split_first().ok_or("the command is empty")?;
    if !Path::new(&command.cwd).is_dir() {
        return Err(format!("the working directory {:?} is missing inside the bottle", command.cwd));
    }
    let mut process = Command::new(program);
    process.args(arguments).env_clear().envs(&command.env).current_dir(&command.cwd);
    Ok(process)
}

/// Why a program did not start, in words that name it.
pub(crate) fn explain(command: &order::Command, error: &std::io::Error) -> String {
    let program = command.argv.first().map_or("", String::as_str);
    let path = command.env.get("PATH").map_or("", String::as_str);
    match error.kind() {
        std::io::ErrorKind::NotFound if program.contains('/') => {
            format!(
                "cannot start {program:?}: there is no such file inside the bottle, or its interpreter is missing"
            )
        }
        std::io::ErrorKind::NotFound => {
            format!("cannot start {program:?}: it is in none of the bottle's PATH directories ({path})")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("cannot start {program:?}: it is not executable for the agent's user")
        }
        _ => format!("cannot start {program:?}: {error}"),
    }
}
