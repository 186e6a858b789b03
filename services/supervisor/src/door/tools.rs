//! What the door tells of its tools.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use super::call::{Allow, CapabilityBlock, EgressBlock, ListEgressRoutes, Wait, Withdraw};

/// What a client may tell its model of the door.
pub(super) const INSTRUCTIONS: &str = "\
You are in a bottle: only what its routes list gets out. Whatever is refused can be asked for here, and a person decides. Ask \
for the narrowest thing that unblocks you, say why the task needs it, and do not retry a refused request before it was \
approved. While a proposal is pending, go on with something else and call wait later. After a rejection look for another way.";

/// All tools, in the order in which they are listed.
pub(super) fn all() -> Vec<Tool> {
    let reads = ToolAnnotations::new().read_only(true).open_world(false);
    let asks = ToolAnnotations::new().destructive(false).open_world(false);
    vec![
        tool::<ListEgressRoutes>(
            "list-egress-routes",
            "Lists the hosts, methods and paths that this bottle may reach now. Look here before you ask for more.",
            reads.clone(),
        ),
        tool::<Allow>(
            "allow",
            "Asks a person to let requests to one host through, before or after they were refused. Waits for the answer for a \
             while; if none comes, it returns a proposal id to wait for.",
            asks.clone(),
        ),
        tool::<EgressBlock>(
            "egress-block",
            "Asks a person to let a refused request through: by the id in its refusal, which asks for exactly that method and \
             path, or by host, methods and paths. Waits for the answer for a while; if none comes, it returns a proposal id \
             to wait for.",
            asks.clone(),
        ),
        tool::<CapabilityBlock>(
            "capability-block",
            "Tells a person that this bottle's image lacks something, and proposes another Dockerfile, whole. A person reads \
             it and answers. If it is approved, what you have made is kept and the image is built; you find it when a person \
             resumes this bottle.",
            asks.clone(),
        ),
        tool::<Wait>(
            "wait",
            "Waits for the answer to a proposal, which may be one that a held request's refusal names.",
            reads,
        ),
        tool::<Withdraw>("withdraw", "Takes a proposal back that is not needed any more.", asks),
    ]
}

fn tool<T: JsonSchema>(name: &'static str, description: &'static str, annotations: ToolAnnotations) -> Tool {
    // Not every client follows references.
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let schema = std::mem::take(schema.ensure_object());
    Tool::new(name, description, Arc::new(schema)).with_annotations(annotations)
}
