//! One module a command.

pub mod attach;
pub mod audit;
pub mod cleanup;
pub mod commit;
pub mod completions;
pub mod config;
pub mod credentials;
pub mod dispatch;
pub mod doctor;
pub mod down;
pub mod edit;
pub mod egress;
pub mod events;
pub mod grants;
pub mod info;
pub mod init;
pub mod list;
pub mod logs;
pub mod proposals;
pub mod resume;
pub mod routes;
pub mod scan;
pub mod start;
pub mod status;
pub mod stop;
pub mod up;
pub mod workspace;

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Does what the command line says.
///
/// # Errors
/// What failed, with the exit code it ends the program with.
pub async fn run(cli: Cli) -> Result<Exit, Failure> {
    let context = Context::new(cli.home)?;
    match cli.command {
        Command::Init(args) => init::run(&context, &args),
        Command::Credentials(args) => credentials::run(&context, &args),
        Command::Up(args) => up::run(&context, &args).await,
        Command::Down => down::run(&context),
        Command::Status(args) => status::run(&context, args.into()).await,
        Command::Start(args) => Box::pin(start::run(&context, args)).await,
        Command::Resume(args) => Box::pin(resume::run(&context, args)).await,
        Command::Commit(args) => Box::pin(commit::run(&context, &args)).await,
        Command::Attach(args) => Box::pin(attach::run(&context, &args)).await,
        Command::List(args) => list::run(&context, &args).await,
        Command::Stop(args) => stop::run(&context, &args).await,
        Command::Logs(args) => logs::run(&context, &args).await,
        Command::Events(args) => events::run(&context, &args).await,
        Command::Supervise => Box::pin(crate::supervise::run(&context)).await,
        Command::Proposals(args) => proposals::run(&context, args).await,
        Command::Grants(args) => grants::run(&context, args),
        Command::Audit(args) => audit::run(&context, args).await,
        Command::Dispatch(args) => Box::pin(dispatch::run(&context, args)).await,
        Command::Info(args) => info::run(&context, &args).await,
        Command::Edit(args) => edit::run(&context, &args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Routes(args) => routes::run(&context, args).await,
        Command::Config(crate::args::Config::Check(args)) => config::run(&context, args.into()),
        Command::Egress(args) => egress::run(&context, args).await,
        Command::Scan(args) => scan::run(&args),
        Command::Doctor(args) => doctor::run(&context, &args).await,
        Command::Cleanup(args) => cleanup::run(&context, &args).await,
        Command::Demo(args) => crate::demo::run(&args).await,
    }
}
