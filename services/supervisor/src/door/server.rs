//! The MCP server: one for each session, all for the one bottle.

use std::sync::Arc;

use base::id::{ExchangeId, ProposalId};
use http::request::Parts;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use tokio::sync::Semaphore;

use super::Limits;
use super::answer::Answer;
use super::asking::Asking;
use super::call::{Call, EgressBlock, Misuse};
use super::delta::{self, Wish};
use super::hang_up::HangUp;
use super::progress::Progress;
use super::refusals::Refusals;
use super::{routes, tools};

/// See the module.
#[derive(Clone)]
pub(super) struct Server {
    asking: Arc<Asking>,
    refusals: Refusals,
    limits: Limits,
    calls: Arc<Semaphore>,
    tools: Arc<[Tool]>,
}

impl Server {
    pub(super) fn new(asking: Arc<Asking>, refusals: Refusals, limits: Limits) -> Self {
        let calls = Arc::new(Semaphore::new(limits.calls));
        Self { asking, refusals, limits, calls, tools: tools::all().into() }
    }

    async fn perform(&self, call: Call, progress: Progress) -> CallToolResult {
        let wait = call.wait();
        let wish = match call {
            Call::ListEgressRoutes(asked) => {
                return match self.asking.current().await {
                    Ok(current) => routes::listed(&current, asked.host.as_deref()),
                    Err(answer) => answer.into(),
                };
            }
            Call::Wait(call) => {
                return match proposal(&call.proposal) {
                    Ok(proposal) => self.asking.wait(proposal, wait, progress).await.into(),
                    Err(why) => Answer::refused(&why).into(),
                };
            }
            Call::Withdraw(call) => {
                return match proposal(&call.proposal) {
                    Ok(proposal) => self.asking.withdraw(proposal).await.into(),
                    Err(why) => Answer::refused(&why).into(),
                };
            }
            Call::Allow(call) => delta::of_allow(call),
            Call::EgressBlock(call) => self.refused_request(call).await,
            Call::CapabilityBlock(call) => delta::of_capability(&call),
        };
        match wish {
            Ok(wish) => self.asking.propose(wish, wait, progress).await.into(),
            Err(why) => Answer::refused(&why).into(),
        }
    }

    async fn refused_request(&self, call: EgressBlock) -> Result<Wish, String> {
        let Some(id) = &call.id else { return delta::of_fields(call) };
        if call.host.is_some() || !call.methods.is_empty() || !call.paths.is_empty() {
            return Err(
                "name the id of the refusal, or else host, methods and paths, but not both".to_owned()
            );
        }
        let id: ExchangeId = id.parse().map_err(|error| format!("id: {error}"))?;
        let blocked = self.refusals.find(&id, self.limits.bus).await.ok_or_else(|| {
            format!("no refusal {id} of this bottle is known here; name the host, methods and paths instead")
        })?;
        delta::of_refusal(&blocked, &call.justification)
    }
}

fn proposal(id: &str) -> Result<ProposalId, String> {
    id.parse().map_err(|error| format!("proposal: {error}"))
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("bot-bottle", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(tools::INSTRUCTIONS.to_owned());
        info
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Ok(_one_of_few) = self.calls.try_acquire() else {
            let why =
                format!("{} calls wait already, and no more may; wait for one of them", self.limits.calls);
            return Ok(CallToolResult::from(Answer::refused(&why)).into());
        };
        let call = match Call::read(&request.name, request.arguments) {
            Ok(call) => call,
            Err(Misuse::Input(why)) => return Ok(CallToolResult::from(Answer::refused(&why)).into()),
            Err(Misuse::UnknownTool) => {
                let name = base::inert(&request.name, 80);
                return Err(ErrorData::invalid_params(format!("there is no tool {name}"), None));
            }
        };
        let progress = Progress::of(&context, self.limits.progress);
        let hung_up = context.extensions.get::<Parts>().and_then(|parts| parts.extensions.get::<HangUp>());
        tokio::select! {
            result = self.perform(call, progress) => Ok(result.into()),
            () = context.ct.cancelled() => Err(given_up()),
            () = HangUp::of(hung_up) => Err(given_up()),
        }
    }
}

/// Nobody reads it.
fn given_up() -> ErrorData {
    ErrorData::internal_error("the call was cancelled; what it asked for waits on", None)
}
