//! Stories that cross the services, told with the real programs.

mod bus_away;
mod crash;
mod isolation;
mod malformed;
mod operator;
mod starting;
