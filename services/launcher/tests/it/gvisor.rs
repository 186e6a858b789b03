//! Bottles that are containers under gVisor (`runsc`): no descriptor leaves them, so that init forwards. Needs a Docker engine,
//! which the tests start themselves, and `deploy/tools/runsc`; a machine that cannot run that says so.

use launcher::probe::{ProbeTargets, probe};

use crate::support::{Host, exec};

#[tokio::test]
async fn the_probe_passes_and_it_is_another_kernel() {
    let Some(host) = Host::gvisor() else { return };
    let mut bottle = host.bottle("a-00000").await;
    probe(&mut bottle, &ProbeTargets::canaries_only()).await.unwrap();
    let kernel = exec(&mut bottle, &["uname", "-v"]).await.stdout;
    assert!(kernel.contains("2016"), "{kernel}");
}
