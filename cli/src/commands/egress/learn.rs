//! `egress learn`: routes for what a bottle was refused, for a person to review (E16).

use std::fmt::Write as _;

use anyhow::Context as _;
use base::id::Slug;
use bus::message::egress::Blocked;
use bus::message::revision::PolicyRevision;
use bus::{Bus, Since, layout};
use policy::{CheckedPolicy, EgressPolicy};

use crate::args::Learn;
use crate::commands::{events, list};
use crate::context::{Context, OrBus as _};
use crate::exit::{Exit, Failure};
use crate::learn::{Apart, Learned, LearnedHost, Observed, Standing, learn};
use crate::output::{self, Format};

/// Prints the routes that would let the refused requests through.
///
/// # Errors
/// The bus does not answer, or it never heard of that bottle.
pub async fn run(context: &Context, args: &Learn) -> Result<Exit, Failure> {
    let bus = context.operator().await?;
    list::known(&bus, &args.bottle).await?;
    let since = args.since.map_or(Ok(Since::All), |minutes| events::ago(context, minutes))?;
    let observed = observed(&bus, &args.bottle, since).await?;
    if observed.passed_over() > 0 {
        output::note(&format!(
            "{} refusals were passed over, since they are of too many kinds",
            observed.passed_over()
        ));
    }
    let current = current(&bus, &args.bottle).await?;
    if current.is_none() {
        output::note(&format!(
            "the routes of {} went with it: merge what follows into those of its bottle",
            args.bottle
        ));
    }
    let learned = learn(&observed, &current.unwrap_or_else(no_routes));
    if Format::from(args.format) == Format::Json {
        output::json(&learned).context("cannot print the routes")?;
    } else if observed.is_empty() {
        output::note(&format!("nothing of {} was refused", args.bottle));
    } else {
        output::line(render(&learned).context("cannot print the routes")?.trim_end());
    }
    Ok(Exit::Ok)
}

/// Every stored refusal.
async fn observed(bus: &Bus, bottle: &Slug, since: Since) -> Result<Observed, Failure> {
    let subject = format!("egress.blocked.{bottle}");
    let mut refusals = bus.follow::<Blocked>(layout::EVENTS, &subject, since).await.or_bus()?;
    let mut observed = Observed::default();
    while let Some(record) = refusals.stored().await.or_bus()? {
        match record.message {
            Ok(blocked) => observed.add(blocked),
            Err(malformed) => output::note(&base::inert(&malformed.to_string(), 300)),
        }
    }
    Ok(observed)
}

/// What the bottle runs with; none when it is over.
async fn current(bus: &Bus, bottle: &Slug) -> Result<Option<CheckedPolicy>, Failure> {
    let stored = bus.bucket::<PolicyRevision>(&layout::POLICY).get(bottle.as_str()).await.or_bus()?;
    let check =
        |policy: &EgressPolicy| policy::check(policy).context("the bottle's stored routes are not valid");
    Ok(stored.map(|stored| check(&stored.value.policy)).transpose()?)
}

fn no_routes() -> CheckedPolicy {
    policy::check(&EgressPolicy::default()).unwrap_or_else(|_| unreachable!("no routes have no problem"))
}

/// A document for a bottle's file: the routes, and as comments what no route lets through.
pub(crate) fn render(learned: &Learned) -> anyhow::Result<String> {
    let mut text = String::new();
    if !learned.hosts.is_empty() {
        text.push_str(
            "# The agent chose what it asked for: allow only what you would have allowed before.\n",
        );
        text.push_str("egress:\n  routes:\n");
        for host in &learned.hosts {
            text.push_str(&render_host(host)?);
        }
    }
    if !learned.apart.is_empty() {
        text.push_str("# No route is proposed for:\n");
        for apart in &learned.apart {
            render_apart(apart, &mut text);
        }
    }
    Ok(text)
}

fn render_host(host: &LearnedHost) -> anyhow::Result<String> {
    let standing = match host.standing {
        Standing::Nothing => "",
        Standing::Routes => "; in place of the routes that the bottle has for this host",
        Standing::Wildcard => "; with what the bottle's wildcard allows, which this hides",
    };
    let mut text = format!("  # {}{standing}\n", requests(host.requests));
    for line in serde_yaml::to_string(&host.routes)?.lines() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {line}");
    }
    Ok(text)
}

fn render_apart(apart: &Apart, text: &mut String) {
    let Apart { requests: count, rule, method, url, reason } = apart;
    let method = if method.is_empty() { "-" } else { method };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "#   {method} {url}\n#     {} refused by {rule}: {reason}", requests(*count));
}

fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}
