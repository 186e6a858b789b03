//! `stop`: end a running bottle.

use std::time::Duration;

use bus::message::start::StopRequest;

use super::list;
use crate::args::Stop;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure};
use crate::output;

const DEADLINE: Duration = Duration::from_secs(10);

/// Asks the launcher that runs the bottle to end it. Returns once the program has been told.
///
/// # Errors
/// The bus does not answer, or nobody runs that bottle.
pub async fn run(context: &Context, args: &Stop) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    list::known(&bus, &args.bottle).await?;
    let request =
        StopRequest { v: Default::default(), bottle: args.bottle.clone(), grace_ms: Some(args.grace * 1000) };
    let reply = match bus.request(&request, DEADLINE).await {
        Err(bus::BusError::NoResponders { .. }) => {
            let error = anyhow::anyhow!("{} does not run; `bot-bottle list` shows what does", args.bottle);
            return Err(Failure::new(Exit::NotFound, error));
        }
        reply => reply.or_bus()?,
    };
    if !reply.stopping {
        let reason = reply.reason.unwrap_or_else(|| "its launcher gave no reason".to_owned());
        let error = anyhow::anyhow!("{} was not stopped: {}", args.bottle, base::inert(&reason, 500));
        return Err(Failure::new(Exit::NotFound, error));
    }
    output::line(&format!("{} is ending", args.bottle));
    Ok(Exit::Ok)
}
