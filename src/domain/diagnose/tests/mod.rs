mod culprits;
mod expiring;
mod geo;
mod latent;
mod other_reason;
mod properties;
mod table;
mod unread;
