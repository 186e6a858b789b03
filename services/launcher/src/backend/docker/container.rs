//! The agent's container: what the engine is told.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base::id::{LauncherId, Slug};
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};

use manifest::settings::RuntimeName;

use super::way::{self, Way};
use crate::backend::{AGENT_HOME, INIT, TRUST};
use crate::image::{AgentImage, BOTTLE, OWNER};
use crate::limits::{Limits, NO_CORE};

/// The size of each temporary file system unless a limit says otherwise; what is in them counts as memory too.
const TEMPORARY: u64 = 1 << 30;
/// Threads and processes of gVisor's own, which count as the container's: with fewer it dies at random.
const SENTRY: u64 = 512;
/// What of the kernel's own files an engine hides or protects by itself; saying more means saying all.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys",
    "/sys/firmware",
];
const READ_ONLY: [&str; 4] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"];

/// Everything that differs from one container to the next.
pub(super) struct AgentContainer<'a> {
    pub(super) bottle: &'a Slug,
    pub(super) owner: &'a LauncherId,
    pub(super) image: &'a AgentImage,
    pub(super) user: u32,
    pub(super) limits: &'a Limits,
    /// Of the host.
    pub(super) home: PathBuf,
    pub(super) trust: PathBuf,
    pub(super) way: PathBuf,
    pub(super) init: PathBuf,
    /// Further files and directories of the host to show, and where.
    pub(super) shown: Vec<(PathBuf, String)>,
    pub(super) seccomp: &'a str,
    pub(super) runtime: RuntimeName,
}

/// The container's name on its engine.
pub(super) fn name(owner: &LauncherId, bottle: &Slug) -> String {
    format!("bot-bottle.{bottle}.{owner}")
}

/// What to make, and the mount points that it has on purpose.
pub(super) fn body(spec: &AgentContainer<'_>) -> (ContainerCreateBody, Vec<String>) {
    let temporary = temporary(spec);
    let mounts = mounts(spec);
    let points = ["/", "/proc", "/dev", "/sys"].map(str::to_owned).into_iter();
    let points = points
        .chain(temporary.keys().cloned())
        .chain(mounts.iter().filter_map(|m| m.target.clone()))
        .collect();
    let user = format!("{0}:{0}", spec.user);
    let body = ContainerCreateBody {
        hostname: Some(spec.bottle.to_string()),
        image: Some(spec.image.id.clone()),
        entrypoint: Some([INIT, "connect", &Way::socket()].map(str::to_owned).to_vec()),
        cmd: Some(Vec::new()),
        user: Some(user),
        working_dir: Some("/".to_owned()),
        // An image's own check would be one more way to start something inside.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        // Whoever else stops it has not asked the agent's program to end, so that this is no end of its own.
        stop_signal: Some("SIGKILL".to_owned()),
        labels: Some(HashMap::from([
            (OWNER.to_owned(), spec.owner.to_string()),
            (BOTTLE.to_owned(), spec.bottle.to_string()),
        ])),
        host_config: Some(HostConfig { mounts: Some(mounts), tmpfs: Some(temporary), ..isolation(spec) }),
        ..ContainerCreateBody::default()
    };
    (body, points)
}

fn isolation(spec: &AgentContainer<'_>) -> HostConfig {
    let memory = spec.limits.memory.map(signed);
    HostConfig {
        runtime: Some(spec.runtime.as_str().to_owned()),
        network_mode: Some("none".to_owned()),
        ipc_mode: Some("private".to_owned()),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned(), format!("seccomp={}", spec.seccomp)]),
        readonly_rootfs: Some(true),
        masked_paths: Some(MASKED.map(str::to_owned).to_vec()),
        readonly_paths: Some(READ_ONLY.map(str::to_owned).to_vec()),
        memory,
        // Memory and swap together: no swap.
        memory_swap: memory,
        nano_cpus: spec.limits.cpu_millis.map(|millis| signed(millis.saturating_mul(1_000_000))),
        pids_limit: spec
            .limits
            .processes
            .map(|most| signed(most.saturating_add(own_processes(spec.runtime)))),
        shm_size: Some(signed(size(spec))),
        ulimits: Some(vec![ResourcesUlimits {
            name: Some("core".to_owned()),
            soft: Some(signed(NO_CORE.1)),
            hard: Some(signed(NO_CORE.1)),
        }]),
        // What it writes is the agent's, and goes to the launcher.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        // Also after a crash of the engine's, which then does it when it is back.
        auto_remove: Some(true),
        ..HostConfig::default()
    }
}

fn own_processes(runtime: RuntimeName) -> u64 {
    match runtime {
        RuntimeName::Runc => 0,
        RuntimeName::Runsc => SENTRY,
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn size(spec: &AgentContainer<'_>) -> u64 {
    spec.limits.disk.unwrap_or(TEMPORARY)
}

/// Where the agent may write beside its home. A volume that the image asks for is one of these: it would be outside every
/// limit, and left behind.
fn temporary(spec: &AgentContainer<'_>) -> HashMap<String, String> {
    let options = format!("rw,exec,nosuid,nodev,mode=1777,size={}", size(spec));
    let own = ["/tmp", "/var/tmp"].map(str::to_owned).into_iter();
    own.chain(spec.image.volumes.iter().cloned()).map(|path| (path, options.clone())).collect()
}

fn mounts(spec: &AgentContainer<'_>) -> Vec<Mount> {
    let mut mounts = vec![
        mount(&spec.home, AGENT_HOME.to_owned(), false),
        mount(&spec.trust, TRUST.to_owned(), true),
        mount(&spec.init, INIT.to_owned(), true),
        mount(&spec.way, way::INSIDE.to_owned(), true),
    ];
    mounts.extend(spec.shown.iter().map(|(host, inside)| mount(host, inside.clone(), true)));
    mounts
}

fn mount(host: &Path, inside: String, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(host.to_string_lossy().into_owned()),
        target: Some(inside),
        read_only: Some(read_only),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_isolates_is_left_to_the_engine() {
        let (bottle, owner) = ("reviewer-x1y2z".parse().unwrap(), "l1".parse().unwrap());
        let image = AgentImage {
            id: "sha256:1".to_owned(),
            name: "a".to_owned(),
            volumes: vec!["/data".to_owned()],
            built: false,
        };
        let limits = Limits {
            memory: Some(1 << 30),
            cpu_millis: Some(1500),
            processes: Some(64),
            processes_assumed: false,
            disk: Some(4096),
        };
        let (mut body, points) = body(&AgentContainer {
            bottle: &bottle,
            owner: &owner,
            image: &image,
            user: 1000,
            limits: &limits,
            home: "/state/home".into(),
            trust: "/state/trust".into(),
            way: "/state/docker/way".into(),
            init: "/programs/static/bot-bottle-init".into(),
            shown: vec![("/state/docker/etc/hosts".into(), "/etc/hosts".into())],
            seccomp: "{}",
            runtime: RuntimeName::Runc,
        });
        // Their order is no one's.
        body.labels = None;
        let host = body.host_config.as_mut().unwrap();
        let mut temporary: Vec<_> = host.tmpfs.take().unwrap().into_iter().collect();
        temporary.sort();
        insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
        {
          "Hostname": "reviewer-x1y2z",
          "User": "1000:1000",
          "Cmd": [],
          "Healthcheck": {
            "Test": [
              "NONE"
            ]
          },
          "Image": "sha256:1",
          "WorkingDir": "/",
          "Entrypoint": [
            "/.bot-bottle/init",
            "connect",
            "/.bot-bottle/way/init"
          ],
          "StopSignal": "SIGKILL",
          "HostConfig": {
            "Memory": 1073741824,
            "MemorySwap": 1073741824,
            "NanoCpus": 1500000000,
            "PidsLimit": 64,
            "Ulimits": [
              {
                "Name": "core",
                "Soft": 1,
                "Hard": 1
              }
            ],
            "LogConfig": {
              "Type": "none"
            },
            "NetworkMode": "none",
            "RestartPolicy": {
              "Name": "no"
            },
            "AutoRemove": true,
            "Mounts": [
              {
                "Target": "/home/agent",
                "Source": "/state/home",
                "Type": "bind",
                "ReadOnly": false,
                "BindOptions": {
                  "Propagation": "rprivate"
                }
              },
              {
                "Target": "/etc/bot-bottle",
                "Source": "/state/trust",
                "Type": "bind",
                "ReadOnly": true,
                "BindOptions": {
                  "Propagation": "rprivate"
                }
              },
              {
                "Target": "/.bot-bottle/init",
                "Source": "/programs/static/bot-bottle-init",
                "Type": "bind",
                "ReadOnly": true,
                "BindOptions": {
                  "Propagation": "rprivate"
                }
              },
              {
                "Target": "/.bot-bottle/way",
                "Source": "/state/docker/way",
                "Type": "bind",
                "ReadOnly": true,
                "BindOptions": {
                  "Propagation": "rprivate"
                }
              },
              {
                "Target": "/etc/hosts",
                "Source": "/state/docker/etc/hosts",
                "Type": "bind",
                "ReadOnly": true,
                "BindOptions": {
                  "Propagation": "rprivate"
                }
              }
            ],
            "CapDrop": [
              "ALL"
            ],
            "IpcMode": "private",
            "Privileged": false,
            "ReadonlyRootfs": true,
            "SecurityOpt": [
              "no-new-privileges",
              "seccomp={}"
            ],
            "ShmSize": 4096,
            "Runtime": "runc",
            "MaskedPaths": [
              "/proc/acpi",
              "/proc/asound",
              "/proc/interrupts",
              "/proc/kcore",
              "/proc/keys",
              "/proc/latency_stats",
              "/proc/sched_debug",
              "/proc/scsi",
              "/proc/sysrq-trigger",
              "/proc/timer_list",
              "/proc/timer_stats",
              "/sys",
              "/sys/firmware"
            ],
            "ReadonlyPaths": [
              "/proc/bus",
              "/proc/fs",
              "/proc/irq",
              "/proc/sys"
            ]
          }
        }
        "#);
        let options = "rw,exec,nosuid,nodev,mode=1777,size=4096".to_owned();
        let expected = ["/data", "/tmp", "/var/tmp"].map(|path| (path.to_owned(), options.clone()));
        assert_eq!(temporary, expected);
        assert!(points.contains(&"/data".to_owned()) && points.contains(&"/etc/hosts".to_owned()));
    }
}
