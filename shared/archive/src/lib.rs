//! Files on their way into a bottle and out of it: a tar stream, compressed with zstd (L7, L9, L10).
//!
//! Both sides expect the worst of what they are given. What is packed may be a tree that an agent made; what is unpacked
//! may be any bytes. Neither follows a link, and neither goes on beyond its [`Limits`].
//!
//! Of tar only what [`pack`] writes is taken: regular files, directories, symbolic links, and GNU's long names. This crate
//! is linked into the first process of a bottle, so it depends on next to nothing.

mod beneath;
mod error;
mod format;
mod pack;
mod rules;
mod unpack;
mod walk;

pub use error::{PackError, UnpackError};
pub use pack::{pack, survey};
pub use rules::{Contents, Limits, Odd, Rules};
pub use unpack::unpack;
