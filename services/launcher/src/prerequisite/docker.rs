//! What the `docker` backend needs of its engine.

use std::path::Path;
use std::time::Duration;

use bollard::models::{SystemInfo, SystemVersion};
use bollard::{API_DEFAULT_VERSION, Docker};

use manifest::settings::RuntimeName;

use super::{Missing, Prerequisite, missing};
use crate::backend::docker::{EngineAddress, RemoteEngine};

/// Whether the backend is going to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It was asked for: what it lacks is missing.
    Wanted,
    /// It may be used one day: what it lacks is only told.
    Optional,
}

/// The oldest version of its interface that has everything: Docker 20.10.
const OLDEST: (u32, u32) = (1, 41);
const ANSWERS: Duration = Duration::from_secs(5);
/// What building one more image may take.
const SPACE: u64 = 2 << 30;
const NAME: &str = "docker engine";

/// Looks at the engine that `DOCKER_HOST` names, or at the usual one. Changes nothing.
pub async fn docker(docker_host: Option<&str>, need: Need) -> Vec<Prerequisite> {
    let found = match EngineAddress::of(docker_host) {
        Ok(engine) => ask(engine.path()).await,
        Err(remote) => Err(missing(remote.problem(), RemoteEngine::CURE)),
    };
    let found = match found {
        Ok((version, info)) => examine(&version, &info, free_space(&info)),
        Err(missing) => vec![Prerequisite { name: NAME.into(), found: Err(missing) }],
    };
    match need {
        Need::Wanted => found,
        Need::Optional => found.into_iter().map(told).collect(),
    }
}

/// The same as something that nobody has to do anything about.
fn told(one: Prerequisite) -> Prerequisite {
    let found = one.found.or_else(|missing| Ok(format!("for the backend docker only: {missing}")));
    Prerequisite { found, ..one }
}

async fn ask(socket: &Path) -> Result<(SystemVersion, SystemInfo), Missing> {
    let at = socket.display();
    let absent = |reason: String| {
        missing(
            format!("no engine answers at {at} ({})", base::inert(&reason, 200)),
            "install and start one (`apt-get install docker.io`), and become a member of its group `docker`; or use the backend \
             namespace",
        )
    };
    let path = socket.to_string_lossy();
    let docker = Docker::connect_with_unix(&path, ANSWERS.as_secs(), API_DEFAULT_VERSION);
    let docker = docker.map_err(|error| absent(base::error::chain(&error)))?;
    let asked = async {
        let docker = docker.negotiate_version().await?;
        Ok::<_, bollard::errors::Error>((docker.version().await?, docker.info().await?))
    };
    match tokio::time::timeout(ANSWERS, asked).await {
        Ok(answer) => answer.map_err(|error| absent(base::error::chain(&error))),
        Err(_) => Err(absent(format!("no answer within {} s", ANSWERS.as_secs()))),
    }
}

/// Bytes that are free where the engine keeps its images, if that can be known.
fn free_space(info: &SystemInfo) -> Option<u64> {
    let status = rustix::fs::statvfs(info.docker_root_dir.as_deref()?).ok()?;
    Some(status.f_bavail.saturating_mul(status.f_frsize))
}

fn examine(version: &SystemVersion, info: &SystemInfo, free: Option<u64>) -> Vec<Prerequisite> {
    let line = |name: &'static str, found| Prerequisite { name: name.into(), found };
    vec![
        line(NAME, engine(version, info)),
        line("docker storage", storage(info, free)),
        line("docker limits", limits(info)),
        line("docker runtime", Ok(runtime(info))),
    ]
}

fn engine(version: &SystemVersion, info: &SystemInfo) -> Result<String, Missing> {
    let text = |text: &Option<String>| base::inert(text.as_deref().unwrap_or("unknown"), 40);
    let found = format!("{}, interface {}", text(&version.version), text(&version.api_version));
    if interface(version.api_version.as_deref()).is_none_or(|found| found < OLDEST) {
        let problem = format!("{found}, and interface {}.{} or newer is needed", OLDEST.0, OLDEST.1);
        return Err(missing(problem, "install Docker 20.10 or newer"));
    }
    if info.os_type.as_deref().is_some_and(|system| system != "linux") {
        return Err(missing("it runs no Linux containers", "use an engine that does"));
    }
    let options: Vec<&str> = info.security_options.iter().flatten().flat_map(|one| one.split(',')).collect();
    if !options.contains(&"name=seccomp") {
        return Err(missing(
            format!("{found}, without seccomp"),
            "use an engine that was built with it: it closes the kernel to agents",
        ));
    }
    Ok(found)
}

fn interface(text: Option<&str>) -> Option<(u32, u32)> {
    let (major, minor) = text?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn storage(info: &SystemInfo, free: Option<u64>) -> Result<String, Missing> {
    let driver = base::inert(info.driver.as_deref().unwrap_or("unknown"), 40);
    let root = base::inert(info.docker_root_dir.as_deref().unwrap_or_default(), 200);
    let Some(free) = free else { return Ok(format!("{driver}; how much is free cannot be known")) };
    let shown = format!("{} MiB free in {root}", free >> 20);
    if free < SPACE {
        let cure = "remove images that nobody needs with `docker image prune`, or give it a larger disk";
        return Err(missing(format!("{shown}, and building an image may take {} MiB", SPACE >> 20), cure));
    }
    Ok(format!("{driver}, {shown}"))
}

fn limits(info: &SystemInfo) -> Result<String, Missing> {
    let cgroups = info.cgroup_version.map_or_else(|| "1".to_owned(), |version| version.to_string());
    let known = [("memory", info.memory_limit), ("cpu", info.cpu_cfs_quota), ("pids", info.pids_limit)];
    let lacking: Vec<&str> =
        known.iter().filter(|(_, has)| *has != Some(true)).map(|(name, _)| *name).collect();
    if lacking.is_empty() {
        return Ok(format!("control groups v{cgroups}"));
    }
    let problem = format!("the engine cannot limit {}", lacking.join(", "));
    Err(missing(
        problem,
        "give it these controllers: `cgroup_enable=memory` on the kernel's command line, or systemd's delegation",
    ))
}

fn runtime(info: &SystemInfo) -> String {
    if is_registered(info) {
        "runsc (gVisor) is registered, and used where it works and a start does not say --runtime runc"
    } else {
        "runc; gVisor (runsc) is not registered"
    }
    .to_owned()
}

fn is_registered(info: &SystemInfo) -> bool {
    info.runtimes.as_ref().is_some_and(|runtimes| runtimes.contains_key(RuntimeName::Runsc.as_str()))
}

/// Whether the engine that `DOCKER_HOST` names, or the usual one, answers and has gVisor registered.
pub async fn has_gvisor(docker_host: Option<&str>) -> bool {
    let Ok(engine) = EngineAddress::of(docker_host) else { return false };
    ask(engine.path()).await.is_ok_and(|(_, info)| is_registered(&info))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn good() -> (SystemVersion, SystemInfo) {
        let version = SystemVersion {
            version: Some("20.10.24".to_owned()),
            api_version: Some("1.41".to_owned()),
            ..SystemVersion::default()
        };
        let info = SystemInfo {
            driver: Some("overlay2".to_owned()),
            docker_root_dir: Some("/var/lib/docker".to_owned()),
            os_type: Some("linux".to_owned()),
            security_options: Some(vec!["name=seccomp,profile=default".to_owned()]),
            memory_limit: Some(true),
            cpu_cfs_quota: Some(true),
            pids_limit: Some(true),
            ..SystemInfo::default()
        };
        (version, info)
    }

    fn text(found: &[Prerequisite]) -> String {
        let line = |one: &Prerequisite| match &one.found {
            Ok(what) => format!("ok {}: {what}", one.name),
            Err(why) => format!("missing {}: {why}", one.name),
        };
        found.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_an_engine_lacks_is_named_with_its_cure() {
        let (version, mut info) = good();
        info.runtimes = Some(HashMap::from([("runsc".to_owned(), bollard::models::Runtime::default())]));
        let fine = examine(&version, &info, Some(5 << 30));
        let old = SystemVersion { api_version: Some("1.9".to_owned()), ..version };
        let poor = SystemInfo { pids_limit: None, memory_limit: Some(false), runtimes: None, ..info };
        let lacking = examine(&old, &poor, Some(100 << 20));
        let told: Vec<_> = lacking.iter().cloned().map(told).collect();
        assert!(told.iter().all(|one| one.found.is_ok()));
        insta::assert_snapshot!([text(&fine), text(&lacking), text(&told[..1])].join("\n\n"));
    }
}
