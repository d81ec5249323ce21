mod culprits;
mod geo;
mod latent;
mod properties;
mod table;
mod unread;
