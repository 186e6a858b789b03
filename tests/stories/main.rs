//! Stories that cross the services, told with the real programs.
#![expect(clippy::unwrap_used, reason = "a story ends where something is not as it should be")]

mod agents;
mod asking;
mod bus_away;
mod capability;
mod committing;
mod crash;
mod cycles;
mod deciding;
mod deploy_keys;
mod dispatching;
mod docker;
mod forge_keys;
mod gvisor;
mod held;
mod inspection;
mod interactive;
mod isolation;
mod malformed;
mod metrics;
mod old_home;
mod operator;
mod ordinary;
mod pages;
mod proposals;
mod pushing;
mod records;
mod resuming;
mod scanning;
mod starting;
mod surviving;
mod traces;
mod workspaces;
