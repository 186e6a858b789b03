//! As many MCP sessions as may be: a further one closes the one that was silent longest. None ends by its age, since few
//! clients begin a new one by themselves.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};
use tokio::time::timeout;

/// How long a session may take to hear that it is closed.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Sessions {
    local: LocalSessionManager,
    most: usize,
    /// The one that was silent longest comes first.
    order: Mutex<VecDeque<SessionId>>,
}

impl Sessions {
    pub(super) fn new(most: usize) -> Self {
        let mut local = LocalSessionManager::default();
        local.session_config.keep_alive = None;
        // A stream that breaks off is not resumed: its call is over, and the proposal waits on.
        local.session_config.sse_retry = None;
        Self { local, most, order: Mutex::default() }
    }

    /// Notes that it was heard from; returns those that are too many then.
    fn heard(&self, id: &SessionId) -> Vec<SessionId> {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.retain(|other| other != id);
        order.push_back(id.clone());
        let too_many = order.len().saturating_sub(self.most);
        order.drain(..too_many).collect()
    }

    fn forget(&self, id: &SessionId) {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| other != id);
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.local.create_session().await?;
        for silent in self.heard(&id) {
            // One whose client reads nothing closes when that client hangs up.
            let _ = timeout(PATIENCE, self.local.close_session(&silent)).await;
        }
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.local.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        let has = self.local.has_session(id).await?;
        if has {
            self.heard(id);
        }
        Ok(has)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.forget(id);
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_stream(id, message).await
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.resume(id, last_event_id).await
    }
}
