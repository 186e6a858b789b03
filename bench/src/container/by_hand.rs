//! Containers as somebody would start them for an agent and its proxy, without anything that a bottle is.

use std::path::Path;

use anyhow::Context as _;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{AttachContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use futures::StreamExt as _;
use futures::future::{join_all, try_join_all};
use harness::BASE_IMAGE;

use crate::host::now;

/// An engine that is asked directly.
pub(super) struct ByHand(Docker);

/// What one run of them took, in milliseconds.
pub(super) struct Times {
    pub(super) first_command: f64,
    pub(super) end: f64,
}

impl ByHand {
    pub(super) fn at(socket: &Path) -> anyhow::Result<Self> {
        let path = socket.to_string_lossy();
        Ok(Self(Docker::connect_with_unix(&path, 60, bollard::API_DEFAULT_VERSION)?))
    }

    /// Starts the agent's container, and with two a second one on the engine's bridge beside it; waits for the first word of
    /// the agent's; removes them, all at the same time.
    pub(super) async fn run(&self, count: usize) -> anyhow::Result<Times> {
        let networks = ["none", "bridge"];
        let asked = now();
        let made = try_join_all(networks.iter().take(count).map(|network| self.start(network))).await?;
        let said = made.first().and_then(|(_, said)| said.clone()).context("a container said nothing")?;
        let first_command =
            (said.trim().parse::<f64>().context("a container said no time")? - asked) * 1000.0;
        let ending = now();
        let force = || Some(RemoveContainerOptionsBuilder::default().force(true).build());
        join_all(made.iter().map(|(id, _)| self.0.remove_container(id, force())))
            .await
            .into_iter()
            .collect::<Result<Vec<()>, _>>()?;
        Ok(Times { first_command, end: (now() - ending) * 1000.0 })
    }

    /// One container; with its first word.
    async fn start(&self, network: &str) -> anyhow::Result<(String, Option<String>)> {
        let strings = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
        let body = ContainerCreateBody {
            image: Some(BASE_IMAGE.to_owned()),
            cmd: strings(&["sh", "-c", "date +%s.%N; exec sleep 600"]),
            user: Some("1000:1000".to_owned()),
            attach_stdout: Some(true),
            host_config: Some(HostConfig {
                network_mode: Some(network.to_owned()),
                cap_drop: strings(&["ALL"]),
                security_opt: strings(&["no-new-privileges"]),
                readonly_rootfs: Some(true),
                memory: Some(4 << 30),
                memory_swap: Some(4 << 30),
                pids_limit: Some(1024),
                tmpfs: Some([("/tmp".to_owned(), String::new())].into()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let made = self.0.create_container(None, body).await?;
        let options = AttachContainerOptionsBuilder::default().stdout(true).stream(true).build();
        let mut attached = self.0.attach_container(&made.id, Some(options)).await?;
        self.0.start_container(&made.id, None).await?;
        let word = attached.output.next().await.transpose()?.map(|word| word.to_string());
        Ok((made.id, word))
    }
}
