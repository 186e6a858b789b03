//! How large a policy may be. The bounds keep a mistyped or hostile policy from filling a sidecar's memory; each is
//! far above what people write.

/// Routes in one policy.
pub const ROUTES: usize = 512;
/// Entries under one route's `matches`.
pub const MATCHES: usize = 64;
/// Paths in one entry.
pub const PATHS: usize = 64;
/// Methods in one entry.
pub const METHODS: usize = 32;
/// Headers in one entry.
pub const HEADERS: usize = 16;
/// Ranges under one route's `allow_private`.
pub const RANGES: usize = 64;
/// Regular expressions in one policy, of paths and headers together.
pub const EXPRESSIONS: usize = 256;
/// Bytes that one compiled expression may take, and its lazily built automaton as well.
pub const EXPRESSION_BYTES: usize = 512 * 1024;
/// Bytes of a path, an expression, a header's name or value, a mount or a file name.
pub const TEXT: usize = 1024;
/// Bytes of a method.
pub const METHOD: usize = 32;
/// Bytes of a `token_ref`, and arguments in a `cmd:` one.
pub const TOKEN_REF: usize = 4096;
/// Arguments of a `cmd:` reference, its program included.
pub const ARGUMENTS: usize = 64;
