mod culprits;
mod geo;
mod latent;
mod other_reason;
mod properties;
mod table;
mod unread;
