//! The demo's surroundings: a temporary home, a private bus, a supervisor, a launcher process that can be killed, an
//! origin, and a listener on the host that the agent must not reach.

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use base::Secret;
use base::id::{ExchangeId, RequestId, Slug};
use base::lifecycle::Lifecycle;
use bus::keys::Keys;
use bus::layout::{self, Layout};
use bus::message::start::StartRequest;
use bus::role::Role;
use bus::server::{self, Server};
use bus::{Bus, Connect, provision};
use policy::{Auth, AuthScheme, Dlp, EgressPolicy, Match, OnMatch, PathKind, PathMatch, Route, Tls};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::crash::processes;
use super::origin::{Forge, Origin};
use super::person::Person;
use super::report::Report;
use crate::commands::init;
use crate::context;
use crate::exit::Failure;
use crate::host::programs;

/// The host that the first bottle may reach.
pub(super) const ALLOWED_HOST: &str = "api.demo.example";
/// The host that anything may be sent to but secrets, and the domain whose every name is such a host.
pub(super) const PASTE_HOST: &str = "paste.demo.example";
pub(super) const DROP_ZONE: &str = "drop.demo.example";
/// The host that is allowed while the bottle runs.
pub(super) const LATER_HOST: &str = "later.demo.example";

/// Where the launcher finds the real token; the demo's launcher has it in its environment, as a user's would.
const TOKEN_VARIABLE: &str = "BOT_BOTTLE_DEMO_TOKEN";
/// A dead launcher's work comes back after this; short, so that nobody waits.
const ACK_WAIT: std::time::Duration = std::time::Duration::from_secs(3);

/// For looking through a trail of some dozen records.
const VERIFIED: std::time::Duration = std::time::Duration::from_secs(20);

pub(super) struct World {
    pub(super) url: String,
    pub(super) bus: Bus,
    pub(super) origin: Origin,
    /// Upstream of the repository that the first bottle has.
    pub(super) forge: Forge,
    pub(super) token: Secret,
    /// In the environment of everything that runs in a bottle of this demo.
    pub(super) marker: String,
    home: Option<TempDir>,
    keep: bool,
    server: Server,
    life: Lifecycle,
    launcher: Option<Child>,
    host: (TcpListener, UdpSocket),
}

impl World {
    pub(super) async fn start(keep: bool) -> Result<Self, Failure> {
        let temporary =
            tempfile::Builder::new().prefix("bot-bottle-demo-").tempdir().context("cannot make a home")?;
        let home = temporary.path();
        init::make(home)?;
        let server =
            Server::start(server::Options::new(home)).await.context("cannot start the private bus")?;
        let url = server.url().to_owned();
        let admin = context::connect(home, &url, Role::Admin).await?;
        let queue = layout::Queue { ack_wait: ACK_WAIT, ..layout::LAUNCHERS };
        let layout = Layout { queues: vec![queue], ..Layout::default() };
        provision(&admin, &layout).await.context("cannot prepare the bus")?;
        let life = Lifecycle::new();
        let token = Secret::new(format!("demo-{}-{}", ExchangeId::random(), ExchangeId::random()));
        let forge = Forge::make(home.join("upstream"), token.clone()).await?;
        let hosts = [ALLOWED_HOST, PASTE_HOST, LATER_HOST, "localhost"];
        let origin = Origin::start(&hosts, Some(forge.clone()), &life).await?;
        let mut world = Self {
            bus: context::connect(home, &url, Role::Operator).await?,
            token,
            forge,
            marker: format!("marker-{}", ExchangeId::random()),
            host: host_listeners().context("cannot listen on loopback")?,
            home: Some(temporary),
            url,
            origin,
            keep,
            server,
            life,
            launcher: None,
        };
        world.write_authority()?;
        world.start_supervisor().await?;
        world.start_launcher().await?;
        Ok(world)
    }

    fn home(&self) -> PathBuf {
        self.home.as_ref().map(|home| home.path().to_owned()).unwrap_or_default()
    }

    fn authority(&self) -> PathBuf {
        self.home().join("origin.pem")
    }

    fn write_authority(&self) -> anyhow::Result<()> {
        std::fs::write(self.authority(), &self.origin.authority)
            .context("cannot write the origin's certificate")
    }

    async fn start_supervisor(&self) -> anyhow::Result<()> {
        let credentials = Keys::load(&self.home())?.mint(Role::Supervisor, None)?;
        let supervisor =
            supervisor::build(supervisor::Config::new(Connect::new(&self.url, credentials), self.home()))
                .await?;
        supervisor.start(&self.life).await.context("the supervisor does not start")
    }

    pub(super) async fn start_launcher(&mut self) -> anyhow::Result<()> {
        let (home, programs) = (self.home(), programs().map_err(|failure| failure.error)?);
        let credentials = home.join("launcher.creds");
        let file = Keys::load(&home)?.mint(Role::Launcher, None)?.to_file();
        write_private(&credentials, file.expose().as_bytes())
            .context("cannot write the launcher's credentials")?;
        let log = std::fs::File::options().append(true).create(true).open(home.join("launcher.log"))?;
        let mut command = Command::new(programs.join("bot-bottle-launcher"));
        command.arg("--home").arg(&home).arg("--bus").arg(&self.url).arg("--credentials").arg(&credentials);
        command
            .args(["--probe", "canaries"])
            .env(TOKEN_VARIABLE, self.token.expose())
            // The git gate believes whom the host believes, and whom its operator adds.
            .env("BOT_BOTTLE_UPSTREAM_CA", self.authority())
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        self.launcher = Some(command.spawn().context("cannot start the launcher")?);
        Ok(())
    }

    pub(super) async fn kill_launcher(&mut self) -> anyhow::Result<()> {
        let Some(mut launcher) = self.launcher.take() else { bail!("no launcher runs") };
        launcher.kill().await.context("cannot kill the launcher")
    }

    /// What the agent may reach at the origin: one prefix with one method and with the real token, and hosts for
    /// anything but secrets.
    fn policy(&self) -> EgressPolicy {
        let auth = Auth { scheme: AuthScheme::Bearer, header: None, token_ref: TOKEN_VARIABLE.to_owned() };
        let paths = vec![PathMatch { kind: PathKind::Prefix, value: "/api/".to_owned() }];
        let matches = vec![Match { paths, methods: vec!["GET".to_owned()], headers: Vec::new() }];
        let route = Route { auth: Some(auth), matches, ..self.route(ALLOWED_HOST) };
        let dlp = Dlp { outbound_on_match: Some(OnMatch::Block), ..Dlp::default() };
        let open = |host: &str| Route { dlp: Some(dlp.clone()), ..self.route(host) };
        EgressPolicy { log: Some(1), routes: vec![route, open(PASTE_HOST), open(&format!("*.{DROP_ZONE}"))] }
    }

    /// Everything of a host whose name only this demo knows.
    pub(super) fn route(&self, host: &str) -> Route {
        Route {
            host: host.to_owned(),
            scheme: policy::Scheme::Https,
            port: None,
            auth: None,
            matches: Vec::new(),
            dlp: None,
            git: None,
            tls: Some(Tls { passthrough: false, ca: Some(self.authority().display().to_string()) }),
            allow_private: vec![([127, 0, 0, 0], 8)].into_iter().filter_map(net).collect(),
            connect_to: Some(self.origin.address.to_string()),
            mount: None,
            role: None,
        }
    }

    /// The address of the repository, which the agent uses as anybody would.
    fn repository(&self) -> String {
        format!("https://localhost:{}/team/tools.git", self.origin.address.port())
    }

    /// Writes a bottle and an agent of this name, as a person would.
    pub(super) fn write_agent(&self, name: &str, argv: &[&str]) -> anyhow::Result<()> {
        let masked: String = self.token.expose().bytes().map(|byte| format!("{:02x}", byte ^ 0x55)).collect();
        let demo = serde_json::json!({
            "host": ALLOWED_HOST,
            "later_host": LATER_HOST,
            "paste_host": PASTE_HOST,
            "drop_zone": DROP_ZONE,
            "host_port": self.host.0.local_addr()?.port(),
            "masked_token": masked,
            "marker": self.marker,
            "repository": self.repository(),
        });
        let bottle = serde_json::json!({
            "agent_provider": { "template": "command", "argv": argv },
            "env": { "DEMO": demo.to_string() },
            "egress": self.policy(),
            "git-gate": {
                "user": { "name": "Demo Agent", "email": "agent@example.org" },
                "repos": { "tools": {
                    "url": self.repository(),
                    "token_ref": TOKEN_VARIABLE,
                    "refs": { "create": ["agent/*"], "update": ["agent/*"] },
                } },
            },
        });
        let bottle = serde_yaml::to_string(&bottle).context("cannot write a bottle")?;
        for (folder, frontmatter) in [("bottles", bottle), ("agents", format!("bottle: {name}\n"))] {
            let path = self.home().join(folder).join(format!("{name}.md"));
            std::fs::write(&path, format!("---\n{frontmatter}---\n"))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Publishes the start event, as anybody with the operator's role could.
    pub(super) async fn ask_for(&self, agent: &str, task: Option<&str>) -> anyhow::Result<RequestId> {
        let start = StartRequest {
            v: Default::default(),
            id: RequestId::random(),
            agent: agent.parse()?,
            bottles: Vec::new(),
            task: task.map(str::to_owned),
            workspace: None,
            resume: None,
            label: None,
            color: None,
            backend: None,
            runtime: None,
            terminal: None,
        };
        self.bus.publish(&start).await?;
        Ok(start.id)
    }

    pub(super) async fn person(&self) -> anyhow::Result<Person> {
        Person::at(&self.bus, &self.home()).await
    }

    /// Has the trail of all that verified by the command that people use.
    pub(super) async fn verify(&self, report: &mut Report) -> anyhow::Result<()> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(["audit", "verify"]).env("BOT_BOTTLE_HOME", self.home()).stdin(Stdio::null());
        let verified = tokio::time::timeout(VERIFIED, command.kill_on_drop(true).output()).await;
        let verified = verified.context("the trail is not verified in time")??;
        let said = String::from_utf8_lossy(if verified.status.success() {
            &verified.stdout
        } else {
            &verified.stderr
        });
        report.line("the trail is whole", verified.status.success(), said.trim());
        Ok(())
    }

    /// The state directory of a bottle, if it is still there.
    pub(super) fn state_of(&self, bottle: &Slug) -> Option<PathBuf> {
        Some(self.home().join("state").join(bottle.as_str())).filter(|path| path.exists())
    }

    /// Ends everything, and looks for what was left.
    pub(super) async fn stop(mut self, report: &mut Report) -> anyhow::Result<()> {
        if let Some(mut launcher) = self.launcher.take() {
            if let Some(pid) =
                launcher.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?))
            {
                rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
            }
            let ended = tokio::time::timeout(std::time::Duration::from_secs(20), launcher.wait()).await;
            ended.context("the launcher does not stop")??;
        }
        let bottles: Vec<_> = self.home().join("state").read_dir().into_iter().flatten().flatten().collect();
        let running = processes(&self.marker);
        let ok = bottles.is_empty() && running.is_empty();
        let evidence = format!("{} state directories, {} processes", bottles.len(), running.len());
        report.line("nothing is left behind", ok, &evidence);
        self.life.stop();
        self.life.run(std::time::Duration::from_secs(5)).await;
        self.server.stop().await;
        if self.keep
            && let Some(home) = self.home.take()
        {
            crate::output::note(&format!("kept {}", home.keep().display()));
        }
        Ok(())
    }
}

fn net((address, prefix): ([u8; 4], u8)) -> Option<ipnet::IpNet> {
    ipnet::IpNet::new(address.into(), prefix).ok()
}

fn write_private(path: &std::path::Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let options = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    options?.write_all(content)
}

/// TCP and UDP on one port of the host's loopback.
fn host_listeners() -> std::io::Result<(TcpListener, UdpSocket)> {
    let tcp = TcpListener::bind("127.0.0.1:0")?;
    let udp = UdpSocket::bind(tcp.local_addr()?)?;
    Ok((tcp, udp))
}
