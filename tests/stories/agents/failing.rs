//! Clients that do not do what they should: each failure has its name and the client's last words (P6).
