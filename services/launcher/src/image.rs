//! Images of agents for the `docker` backend: built from a Dockerfile, found again by what they were made of.

mod authority;
mod build;
mod context;
mod dockerfile;
mod engine;
mod failure;
mod fit;
mod recipe;
mod source;

pub use self::authority::ExtraAuthority;
pub use self::build::{AgentImage, Images, Told};
pub use self::context::ContextError;
pub use self::dockerfile::{DockerfileError, Flaw};
pub use self::failure::ImageError;
pub use self::source::Source;
pub(crate) use self::source::text_of;

/// The label that holds the identity of the home that an image or a container belongs to.
pub const OWNER: &str = "bot-bottle.owner";
/// The label that holds the name of the bottle that a container belongs to.
pub const BOTTLE: &str = "bot-bottle.bottle";
/// Begins the repositories of the names that commits keep their images by; the home's identity ends them, and the tag is the
/// archive's name.
pub const COMMIT_IMAGES: &str = "bot-bottle/commit/";
/// The repository of the images of agents; the tag says what one was made of.
pub const AGENT_IMAGES: &str = "bot-bottle/agent";
