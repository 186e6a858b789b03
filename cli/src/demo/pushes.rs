//! What came of the agent's pushes, as only the outside can tell.

use super::report::Report;
use super::world::World;

/// Compares what upstream has with what the agent may bring there.
pub(super) async fn judge(
    world: &World,
    report: &mut Report,
    accepted: usize,
    rejected: &[String],
) -> anyhow::Result<()> {
    let branches = world.forge.branches().await?;
    let ok = branches == ["refs/heads/agent/work", "refs/heads/main"];
    report.line(
        "upstream has what passed",
        ok && accepted == 1,
        &format!("{accepted} push accepted: {branches:?}"),
    );
    let objects = world.forge.objects().await?;
    // The agent builds its made-up tokens so; the clean file is there, as a control.
    let ok = objects.contains("a clean line") && !objects.contains(concat!("gh", "p_"));
    let evidence = format!("{} pushes refused; no object of theirs is upstream", rejected.len());
    report.line("no secret is upstream", ok && rejected.len() >= 3, &evidence);
    Ok(())
}
