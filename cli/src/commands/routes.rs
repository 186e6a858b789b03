//! `routes`: what a running bottle may reach, and changing it.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use base::id::Slug;
use base::inert;
use bus::Bus;
use bus::layout;
use bus::message::revision::{Change, Confirm, PolicyChange, PolicyChangeReply, PolicyRevision};
use policy::Route;

use super::list;
use crate::args::Routes;
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::{self, Format};

/// Longer than the supervisor waits for the sidecar.
const DEADLINE: Duration = Duration::from_secs(30);

/// Shows or changes routes.
///
/// # Errors
/// The bus does not answer, there is no such bottle, or the change was refused.
pub async fn run(context: &Context, args: Routes) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    match args {
        Routes::Show { bottle, format } => show(&bus, &bottle, format.into()).await,
        Routes::Add { bottle, route } => {
            let route: Route = serde_yaml::from_str(&route)
                .map_err(|error| {
                    anyhow!("the route is not valid: {}", inert(&advise(&error.to_string()), 500))
                })
                .or_exit(Exit::Input)?;
            change(&bus, &bottle, Change::AddRoute { route: Box::new(route) }).await
        }
        Routes::Remove { bottle, host } => change(&bus, &bottle, Change::RemoveRoute { host }).await,
    }
}

/// Adds the known key that was probably meant. The parser puts names in backticks, the unknown one first.
pub(crate) fn advise(problem: &str) -> String {
    let mut names = problem.split('`').skip(1).step_by(2);
    let near = problem
        .contains("unknown field")
        .then(|| names.next())
        .flatten()
        .and_then(|unknown| policy::check::nearest(unknown, names));
    near.map_or_else(|| problem.to_owned(), |near| format!("{problem}; did you mean `{near}`?"))
}

async fn current(bus: &Bus, bottle: &Slug) -> Result<PolicyRevision, Failure> {
    list::known(bus, bottle).await?;
    let stored = bus.bucket(&layout::POLICY).get(bottle.as_str()).await.or_bus()?;
    let missing = || anyhow!("there is no policy of a bottle {bottle}; `bot-bottle list` shows what runs");
    stored.map(|stored| stored.value).ok_or_else(missing).or_exit(Exit::NotFound)
}

async fn show(bus: &Bus, bottle: &Slug, format: Format) -> Result<Exit, Failure> {
    let current = current(bus, bottle).await?;
    if format == Format::Json {
        output::json(&current).context("cannot print the routes")?;
        return Ok(Exit::Ok);
    }
    output::line(&format!("# revision {}", current.revision));
    let yaml = serde_yaml::to_string(&current.policy.routes).context("cannot print the routes")?;
    output::line(output::inert_lines(&yaml).trim_end());
    Ok(Exit::Ok)
}

async fn change(bus: &Bus, bottle: &Slug, change: Change) -> Result<Exit, Failure> {
    let base = current(bus, bottle).await?.revision;
    let request = PolicyChange {
        v: Default::default(),
        bottle: bottle.clone(),
        base,
        change,
        confirm: Confirm::Running,
    };
    match bus.request(&request, DEADLINE).await.or_bus()? {
        PolicyChangeReply::Running { revision } | PolicyChangeReply::Stored { revision } => {
            output::line(&format!("{bottle} runs revision {revision}"));
            Ok(Exit::Ok)
        }
        PolicyChangeReply::Unconfirmed { revision } => {
            let error = anyhow!(
                "revision {revision} is stored, but the proxy of {bottle} has not confirmed it; it asks for it when it \
                 is back, and `bot-bottle list` shows whether the bottle still runs"
            );
            Err(Failure::new(Exit::TryAgain, error))
        }
        PolicyChangeReply::Conflict { current } => {
            let error = anyhow!(
                "somebody else changed the routes meanwhile: revision {current}; look, and try again"
            );
            Err(Failure::new(Exit::TryAgain, error))
        }
        PolicyChangeReply::Refused { reason } => {
            Err(Failure::new(Exit::Input, anyhow!("the change was refused: {}", inert(&reason, 2000))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_known_one() {
        let problem = |yaml: &str| advise(&serde_yaml::from_str::<Route>(yaml).unwrap_err().to_string());
        assert!(problem("{hots: a.example}").ends_with("did you mean `host`?"));
        assert!(
            problem("{host: a.example, matches: [{method: [GET]}]}").ends_with("did you mean `methods`?")
        );
        assert!(!problem("{host: a.example, zzzzzz: 1}").contains("did you mean"));
        assert!(!problem("{host: [").contains("did you mean"));
    }
}
