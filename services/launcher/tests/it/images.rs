//! Images of agents, built on a real engine.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, Docker};
use engine::{BASE_IMAGE, Engine, Options};
use launcher::image::{AgentImage, ExtraAuthority, ImageError, Images, OWNER, Source};
use launcher::prerequisite::{Need, docker};

use crate::support::LIMIT;

const AGENT: u32 = 1000;

/// A directory with a Dockerfile, an owner, and the engine they are used on.
struct Kitchen {
    docker: Docker,
    owner: &'static str,
    place: tempfile::TempDir,
    told: Mutex<Vec<String>>,
}

impl Kitchen {
    async fn on(engine: &Engine, owner: &'static str) -> Self {
        let path = engine.socket().to_str().unwrap();
        let docker = Docker::connect_with_unix(path, 60, API_DEFAULT_VERSION).unwrap();
        let docker = docker.negotiate_version().await.unwrap();
        Self { docker, owner, place: tempfile::tempdir().unwrap(), told: Mutex::default() }
    }

    fn images(&self) -> Images {
        Images::new(self.docker.clone(), self.owner, AGENT)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.place.path().join(name), text).unwrap();
    }

    async fn build(&self, images: &Images, text: &str) -> Result<AgentImage, ImageError> {
        self.write("Dockerfile", text);
        let source = Source::Dockerfile(self.place.path().join("Dockerfile"));
        images.agent(&source, &|line| self.told.lock().unwrap().push(line.to_owned())).await
    }

    /// The names of our images, `<none>` for each without one, layers below others too; and our containers.
    async fn left(&self) -> (Vec<String>, usize) {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{OWNER}={}", self.owner)])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let containers = self.docker.list_containers(Some(options)).await.unwrap().len();
        let options = ListImagesOptionsBuilder::default().all(true).filters(&filters).build();
        let images = self.docker.list_images(Some(options)).await.unwrap();
        let name = |tags: Vec<String>| tags.first().cloned().unwrap_or_else(|| "<none>".to_owned());
        (images.into_iter().map(|image| name(image.repo_tags)).collect(), containers)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_built_once_and_anything_else_again() {
    let Some(engine) = Engine::shared() else { return };
    let kitchen = Kitchen::on(engine, "once").await;
    let images = kitchen.images();
    kitchen.write("greeting", "hello\n");
    let text = format!(
        "FROM {BASE_IMAGE}\nCOPY greeting /greeting\nRUN cat /greeting; printf '\\033[2J\\n'\nVOLUME /cache\n"
    );
    let first = kitchen.build(&images, &text).await.unwrap();
    assert!(first.built && first.name.starts_with("bot-bottle/agent:"), "{first:?}");
    assert_eq!(first.volumes, ["/cache"]);
    let told = std::mem::take(&mut *kitchen.told.lock().unwrap());
    assert!(
        told.iter().any(|line| line.starts_with("Step 1/")) && told.contains(&"hello".to_owned()),
        "{told:?}"
    );
    assert!(!told.concat().contains('\u{1b}'), "{told:?}");

    let again = kitchen.build(&kitchen.images(), &text).await.unwrap();
    assert_eq!(again, AgentImage { built: false, ..first.clone() });
    assert!(kitchen.told.lock().unwrap().is_empty());

    kitchen.write("greeting", "good morning");
    let body = ContainerCreateBody { image: Some(first.name.clone()), ..ContainerCreateBody::default() };
    let options = None::<bollard::query_parameters::CreateContainerOptions>;
    let container = kitchen.docker.create_container(options, body).await.unwrap().id;
    // What a build that was cut off leaves: a container of a layer.
    let body = ContainerCreateBody { image: Some(first.id.clone()), ..ContainerCreateBody::default() };
    let options = None::<bollard::query_parameters::CreateContainerOptions>;
    kitchen.docker.create_container(options, body).await.unwrap();
    let other = kitchen.build(&images, &text).await.unwrap();
    assert_eq!(kitchen.left().await.1, 1);
    assert!(other.built && other.name != first.name, "{other:?}");

    let keep = HashSet::from([other.id.clone()]);
    assert_eq!(
        images.remove_unused(&keep).await.unwrap(),
        Vec::<String>::new(),
        "a person's container uses it"
    );
    let options = bollard::query_parameters::RemoveContainerOptionsBuilder::default().v(true).build();
    kitchen.docker.remove_container(&container, Some(options)).await.unwrap();
    assert_eq!(images.remove_unused(&keep).await.unwrap(), [first.name]);
    assert_eq!(images.remove_unused(&HashSet::new()).await.unwrap(), [other.name]);
    assert_eq!(kitchen.left().await, (vec![], 0));
    assert!(kitchen.docker.inspect_image(BASE_IMAGE).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_shows_its_last_lines_and_leaves_nothing() {
    let Some(engine) = Engine::shared() else { return };
    let kitchen = Kitchen::on(engine, "failing").await;
    let text = format!(
        "FROM {BASE_IMAGE} AS one\nRUN echo layer > /layer\nFROM one\nRUN echo before > /x\n\
         RUN seq 100; printf 'the \\033[31mreason\\n'; exit 7\n"
    );
    let error = kitchen.build(&kitchen.images(), &text).await.unwrap_err();
    let ImageError::Build(lines) = &error else { panic!("{error}") };
    assert!(lines.len() <= 13 && lines.contains(&"100".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("the \\u{1b}[31mreason")), "{lines:?}");
    assert!(lines.last().unwrap().contains("non-zero code: 7"), "{lines:?}");
    assert_eq!(kitchen.left().await, (vec![], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_that_are_not_needed_do_not_stay() {
    let Some(engine) = Engine::shared() else { return };
    let kitchen = Kitchen::on(engine, "stages").await;
    let text = format!(
        "FROM {BASE_IMAGE} AS tools\nRUN echo made > /made\nFROM {BASE_IMAGE}\nCOPY --from=tools /made /made\n"
    );
    let images = kitchen.images();
    let made = kitchen.build(&images, &text).await.unwrap();
    let options = ListImagesOptionsBuilder::default();
    let filters = HashMap::from([
        ("label".to_owned(), vec![format!("{OWNER}=stages")]),
        ("dangling".to_owned(), vec!["true".to_owned()]),
    ]);
    let dangling = kitchen.docker.list_images(Some(options.filters(&filters).build())).await.unwrap();
    assert_eq!(dangling.len(), 0, "{dangling:?}");
    assert_eq!(images.remove_unused(&HashSet::new()).await.unwrap(), [made.name]);
    assert_eq!(kitchen.left().await, (vec![], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_no_agent_can_live_in_is_named() {
    let Some(engine) = Engine::shared() else { return };
    let kitchen = Kitchen::on(engine, "unfit").await;
    let images = kitchen.images();
    let no_shell = kitchen.build(&images, "FROM scratch\nCOPY Dockerfile /x\n").await.unwrap_err();
    assert!(matches!(no_shell, ImageError::NoShell(_)), "{no_shell}");
    let no_shell = kitchen.build(&images, "FROM scratch\nCOPY Dockerfile /x\nRUN true\n").await.unwrap_err();
    assert!(matches!(no_shell, ImageError::NoShell(_)), "{no_shell}");
    let base = format!("FROM {BASE_IMAGE}\nRUN useradd --uid 1000 coder && useradd --uid 1234 other\n");
    for user in ["other", "1234:1000", "nobody-here"] {
        let error = kitchen.build(&images, &format!("{base}USER {user}\n")).await.unwrap_err();
        assert!(matches!(&error, ImageError::OtherUser { user: found, .. } if found == user), "{error}");
    }
    assert_eq!(kitchen.left().await, (vec![], 0));
    for user in ["coder", "1000", "root", "0:0"] {
        kitchen.build(&images, &format!("{base}USER {user}\n")).await.unwrap();
    }
    let none = kitchen.build(&images, "FROM bot-bottle.invalid/none:1\n").await.unwrap_err();
    assert!(
        matches!(&none, ImageError::NoBase { name, .. } if name == "bot-bottle.invalid/none:1"),
        "{none}"
    );
    let named = images.agent(&Source::Name("nothing:here".to_owned()), &|_| {}).await.unwrap_err();
    assert!(matches!(named, ImageError::NoImage(_)), "{named}");
    let named = images.agent(&Source::Name(BASE_IMAGE.to_owned()), &|_| {}).await.unwrap();
    assert_eq!((named.built, named.name.as_str()), (false, BASE_IMAGE));
    images.remove_unused(&HashSet::new()).await.unwrap();
    assert_eq!(kitchen.left().await, (vec![], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_takes_too_long_is_ended() {
    let Some(engine) = Engine::shared() else { return };
    let kitchen = Kitchen::on(engine, "slow").await;
    let images = kitchen.images().within(Duration::from_secs(3));
    let text = format!("FROM {BASE_IMAGE}\nRUN echo first > /first\nRUN sleep 600\n");
    let error = kitchen.build(&images, &text).await.unwrap_err();
    assert!(matches!(error, ImageError::Slow { .. }), "{error}");
    // The engine, too, ends a build whose asker is gone; what it holds just then goes with the next look.
    let emptied = async {
        while kitchen.left().await != (vec![], 0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            images.remove_unused(&HashSet::new()).await.unwrap();
        }
    };
    tokio::time::timeout(LIMIT, emptied).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_trust_the_extra_authority_and_the_image_has_no_variables_of_it() {
    let Some(engine) = Engine::shared() else { return };
    let kitchen = Kitchen::on(engine, "trusting").await;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = parameters.self_signed(&key).unwrap().pem();
    let file = kitchen.place.path().join("company.pem");
    std::fs::write(&file, &certificate).unwrap();
    // A base that is not root's, and one without the tool.
    let base = format!("FROM {BASE_IMAGE}\nRUN useradd --uid 1000 coder\nUSER coder\n");
    let plain = kitchen.build(&kitchen.images(), &base).await.unwrap();
    let trusting = kitchen.images().trusting(Some(ExtraAuthority::read(&file).unwrap()));
    let text = format!(
        "FROM {} AS one\nRUN test \"$(id -u)\" = 1000\nFROM one\nRUN openssl verify $NODE_EXTRA_CA_CERTS \
         && openssl verify -CAfile $PIP_CERT $NODE_EXTRA_CA_CERTS\n",
        plain.name
    );
    let made = kitchen.build(&trusting, &text).await.unwrap();
    let inspected = kitchen.docker.inspect_image(&made.id).await.unwrap();
    let variables = inspected.config.unwrap().env.unwrap().join(" ");
    assert!(!variables.contains("PIP_CERT") && !variables.contains("NODE_EXTRA"), "{variables}");
    let error = kitchen.build(&kitchen.images(), &text).await.unwrap_err();
    assert!(matches!(error, ImageError::Build(_)), "{error}");

    let bare = format!("FROM {BASE_IMAGE}\nRUN rm -r /usr/sbin/update-ca-certificates /etc/ssl/certs\n");
    let bare = kitchen.build(&kitchen.images(), &bare).await.unwrap();
    let text =
        format!("FROM {}\nRUN openssl verify -CAfile $SSL_CERT_FILE $NODE_EXTRA_CA_CERTS\n", bare.name);
    kitchen.build(&trusting, &text).await.unwrap();
    // From the last, since an image that others are built on has to stay.
    for _ in 0..3 {
        trusting.remove_unused(&HashSet::new()).await.unwrap();
    }
    assert_eq!(kitchen.left().await, (vec![], 0));
}

/// `ARG` shows in the history what a build was given, so these would be seen.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_hosts_environment_is_in_an_image() {
    let Some(engine) = Engine::shared() else { return };
    let kitchen = Kitchen::on(engine, "secretless").await;
    let usual = ["PATH", "HOME", "PWD", "SHELL", "TERM", "LANG", "USER", "SHLVL", "HOSTNAME"];
    let host: Vec<(String, String)> = std::env::vars()
        .filter(|(name, value)| value.len() > 7 && !usual.contains(&name.as_str()))
        .filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .collect();
    assert!(host.iter().any(|(name, _)| name == "CARGO_MANIFEST_DIR"));
    let arguments: String = host.iter().map(|(name, _)| format!("ARG {name}\n")).collect();
    let images = kitchen.images();
    let made =
        kitchen.build(&images, &format!("FROM {BASE_IMAGE}\n{arguments}RUN env > /env\n")).await.unwrap();
    let inspected = serde_json::to_string(&kitchen.docker.inspect_image(&made.id).await.unwrap()).unwrap();
    let history = serde_json::to_string(&kitchen.docker.image_history(&made.id).await.unwrap()).unwrap();
    let told = kitchen.told.lock().unwrap().concat();
    for (name, value) in &host {
        for text in [&inspected, &history, &told] {
            assert!(!text.contains(value.as_str()), "the value of {name} is in {text}");
        }
    }
    images.remove_unused(&HashSet::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_full_or_gone_is_named() {
    let options = Options { base: true, size: Some("300m".to_owned()), ..Options::default() };
    let Some(engine) = Engine::start(&options) else { return };
    let kitchen = Kitchen::on(&engine, "full").await;
    let images = kitchen.images();
    let text = format!(
        "FROM {BASE_IMAGE}\nRUN head -c 20000000 /dev/zero > /some\nRUN head -c 200000000 /dev/zero > /more\n"
    );
    let error = kitchen.build(&images, &text).await.unwrap_err();
    assert!(matches!(error, ImageError::NoSpace), "{error}");
    // Nobody else uses this one, so that what has no label is seen too.
    let all = ListImagesOptionsBuilder::default().all(true).build();
    assert_eq!(kitchen.docker.list_images(Some(all)).await.unwrap().len(), 1);
    let all = ListContainersOptionsBuilder::default().all(true).build();
    assert_eq!(kitchen.docker.list_containers(Some(all)).await.unwrap().len(), 0);
    engine.stop();
    let error = kitchen.build(&images, &text).await.unwrap_err();
    assert!(matches!(error, ImageError::Engine { .. }), "{error}");
    assert!(!Path::new(engine.socket()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_knows_a_good_engine_and_none() {
    let Some(engine) = Engine::shared() else { return };
    let host = format!("unix://{}", engine.socket().display());
    let found = docker(Some(&host), Need::Wanted).await;
    let names: Vec<&str> = found.iter().map(|one| one.name.as_ref()).collect();
    assert_eq!(names, ["docker engine", "docker storage", "docker limits", "docker runtime"]);
    assert!(found.iter().all(|one| one.found.is_ok()), "{found:?}");
    let none = docker(Some("unix:///nonexistent/docker.sock"), Need::Wanted).await;
    let problem = none[0].found.clone().unwrap_err();
    assert!(problem.problem.contains("/nonexistent/docker.sock"), "{problem}");
    assert!(docker(Some("tcp://127.0.0.1:1"), Need::Optional).await[0].found.is_ok());
}
