//! Where a sidecar keeps what the bus has not taken yet, below the directory that its launcher gives it. A sidecar that is
//! started again goes on there; when there will be none any more, its launcher does.

/// The proxy's file of messages, in their order: a `bus::message::egress::Parcel` on each line. The gate's directory of
/// messages, a `bus::message::push::Parcel` in each file; the files' names are in the order of time.
pub const RECORDS: &str = "records";

/// The proxy's file that says how many bytes of [`RECORDS`] were delivered: a decimal number.
pub const DELIVERED: &str = "delivered";

/// The ending of a gate's file whose push is over.
pub const RECORD: &str = "record";

/// The ending of a gate's file whose push may have gone upstream: the gate has not heard the end of it.
pub const INTENT: &str = "intent";
